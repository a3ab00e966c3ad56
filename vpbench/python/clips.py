"""The clips that a program hands over: arrays, tensors, lists of clips, or a path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UsageError
from vpbench.api.types import Frames
from vpbench.harness.scoring.array_clips import write_arrays
from vpbench.python.advice import axes_fix, describe_range, value_fix

Range = tuple[float, float]

_SLACK = 1e-4
"""How far beyond the range floats may be, for rounding; part of it."""


def as_array(value: Any) -> npt.NDArray[Any]:
    """An array, a tensor of any device, or nested lists, as a numpy array."""
    if hasattr(value, "detach"):  # torch, without importing it
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() == 2:  # numpy knows no bfloat16
            value = value.float()
        value = value.numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise BadData(f"these clips cannot be made an array: {error}.") from error


def frames_of(value: Any, name: str, value_range: Range | None, dimensions: int = 4) -> Frames:
    """Frames as uint8 [T,H,W,3], or a set of clips [N,T,H,W,3] with `dimensions` 5.

    Args:
        name: what the array is, for errors.
        value_range: values of black and white of floats; None where they are uint8.

    Raises:
        BadData: other values or axes, with the line that mends it.
        UsageError: an impossible range.
    """
    array = as_array(value)
    if array.dtype != np.uint8 and not (array.dtype.kind == "f" and value_range is not None):
        raise _wrong_values(array, name)
    wanted = "[N,T,H,W,3]" if dimensions == 5 else "[T,H,W,3]"
    if array.ndim != dimensions or array.shape[-1] != 3:
        fix = axes_fix(array.shape, dimensions)
        raise BadData(
            f"{name} has shape {list(array.shape)}, not {wanted}.",
            fix=f"Pass {fix}." if fix else None,
        )
    if 0 in array.shape:
        raise BadData(f"{name} has shape {list(array.shape)}: it is empty.")
    if array.dtype == np.uint8:
        if value_range is not None:
            raise UsageError(f"{name} is uint8: value_range is for floats.")
        return array
    return _scaled(array, name, value_range or (0, 1))


def _wrong_values(array: npt.NDArray[Any], name: str) -> BadData:
    what = f"{name} is {describe_range(array)}, not uint8 in 0..255."
    return BadData(what, fix=value_fix(array))


def _scaled(array: npt.NDArray[Any], name: str, value_range: Range) -> Frames:
    """Floats as uint8, rounded to the nearest level, halves up."""
    low, high = value_range
    if not low < high:
        raise UsageError(f"value_range={value_range} is not a range.")
    if not np.isfinite(array).all():
        raise BadData(f"{name} has NaN or infinite values.")
    unit = (array.astype(np.float64) - low) / (high - low)
    if unit.min() < -_SLACK or unit.max() > 1 + _SLACK:
        raise BadData(
            f"{name} is {describe_range(array)}, outside of value_range={value_range}.",
            fix=f"Pass a.clip({low}, {high}) if that is meant, or another value_range.",
        )
    return np.floor(unit.clip(0, 1) * 255 + 0.5).astype(np.uint8)


@contextmanager
def handed_over(
    sides: Mapping[str, Any], value_range: Range | None
) -> Iterator[dict[str, dict[str, Any]]]:
    """Requests for the clips of both sides; arrays lie in files while the block runs.

    Clips of arrays are called by their numbers, clips of a mapping by their keys.
    """
    with tempfile.TemporaryDirectory(prefix="vpbench-clips-") as folder:
        yield {
            side: _request(side, value, Path(folder) / side, value_range)
            for side, value in sides.items()
        }


def _request(side: str, value: Any, file: Path, value_range: Range | None) -> dict[str, Any]:
    if isinstance(value, str | os.PathLike):
        text = os.fspath(cast("str | os.PathLike[str]", value))
        return {"path": text}
    clips = _named(side, value, value_range)
    return {
        "name": side,
        "file": str(file),
        "clips": [asdict(c) for c in write_arrays(file, clips)],
    }


def _named(side: str, value: Any, value_range: Range | None) -> Iterator[tuple[str, Frames]]:
    if isinstance(value, Mapping):
        for key, clip in cast("Mapping[Any, Any]", value).items():
            yield str(key), frames_of(clip, f"{side}[{key!r}]", value_range)
        return
    if isinstance(value, Sequence):
        clips = cast("Sequence[Any]", value)
        if not clips:
            raise BadData(f"{side} has no clips.")
        for k, clip in enumerate(clips):
            yield f"{k:06d}", frames_of(clip, f"{side}[{k}]", value_range)
        return
    if not hasattr(value, "shape"):
        raise UsageError(
            f"{side} is a {type(value).__name__}.",
            fix="Pass an array [N,T,H,W,3], a list of clips [T,H,W,3], or the path of a folder.",
        )
    for k, clip in enumerate(frames_of(value, side, value_range, 5)):
        yield f"{k:06d}", clip
