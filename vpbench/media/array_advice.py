"""What to do with an array that is not frames: the one line that fits its type, range and shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData

_CHANNELS = (3, 1, 4)
"""Likeliest first."""
_SAMPLE = 1 << 22
"""Values that are looked at; of a larger array every so many."""

Array = npt.NDArray[np.generic]


def dtype_problem(path: Path, array: Array) -> BadData:
    """The error for an array that is not uint8."""
    extra = ""
    if array.dtype.kind == "f" and not np.isfinite(_sample(array).astype(np.float64)).all():
        extra = " with NaN or infinite values"
    what = f"{path}: the array is {array.dtype}{extra}, not uint8 in 0..255."
    return BadData(what, fix=cast_advice(array))


def cast_advice(array: Array) -> str:
    """How to make uint8 of an array, from its type and range."""
    kind = array.dtype.kind
    if kind == "b":
        return "Save a.astype(np.uint8) * 255."
    if kind not in "fiu" or not array.size:
        return "Save numbers in 0..255 as uint8."
    values = _sample(array).astype(np.float64)
    if not np.isfinite(values).all():
        return "Replace the values that are not finite; np.isfinite(a) finds them."
    low, high = float(values.min()), float(values.max())
    return _float_advice(low, high) if kind == "f" else _whole_advice(low, high)


def _float_advice(low: float, high: float) -> str:
    if low >= 0 and high <= 1:
        return "Save (a * 255).round().astype(np.uint8): its values are in 0..1."
    if low >= -1 and high <= 1:
        return "Save ((a + 1) * 127.5).round().astype(np.uint8): its values are in -1..1."
    if low >= 0 and high <= 255:
        return "Save a.round().astype(np.uint8): its values are in 0..255."
    return f"Bring it to 0..255 first: its values are in {low:g}..{high:g}."


def _whole_advice(low: float, high: float) -> str:
    if low >= 0 and high <= 1:
        return "Save a.astype(np.uint8) * 255: its values are 0 and 1."
    if low >= 0 and high <= 255:
        return "Save a.astype(np.uint8): its values are in 0..255."
    if low >= 0 and high < 1 << 16:
        bits = max(10, math.ceil(math.log2(high + 1)))
        bits += bits % 2
        return (
            f"Save (a / {2**bits - 1} * 255).round().astype(np.uint8): its values are in "
            f"{low:g}..{high:g}, as of {bits} bits."
        )
    if low >= -128 and high <= 127:
        return "Save (a.astype(np.int16) + 128).astype(np.uint8): its values are in -128..127."
    return f"Bring it to 0..255 first: its values are in {low:g}..{high:g}."


def shape_problem(path: Path, shape: Sequence[int], axes: str) -> BadData:
    """The error for an array whose axes are not those that are wanted.

    Args:
        axes: as given, "" for none.
    """
    text = "x".join(str(n) for n in shape)
    guess = guessed_axes(shape)
    hint = f"axes={guess}" if guess and guess != axes else ""
    if axes:
        what = f"{path}: the array is {text}, which does not fit axes={axes}."
        fix = f"Give {hint}." if hint else "Name one letter for each of its axes."
        return BadData(what, fix=fix)
    if not hint:
        what = f"{path}: the array is {text}, not TxHxWx3."
        return BadData(what, fix="Save the RGB frames of one clip.")
    what = f"{path}: the array is {text}, not TxHxWx3."
    return BadData(what, fix=f"Give {hint}{_instead(guess, shape)}.")


def _instead(guess: str, shape: Sequence[int]) -> str:
    """What can be done instead of naming the axes."""
    if guess == "THWC":
        if shape[-1] == 4:
            return " if the fourth channel is alpha, or save a[..., :3]"
        return " if it is grey, or save np.repeat(a, 3, axis=-1)"
    if guess in ("TCHW", "CTHW"):
        order = ", ".join(str(guess.index(letter)) for letter in "THWC")
        return f", or save a.transpose({order})"
    if guess == "THW":
        return " if it is one grey clip, or save np.repeat(a[..., None], 3, axis=-1)"
    return " if it holds several clips, or save each by itself"


def guessed_axes(shape: Sequence[int]) -> str:
    """The likeliest axes of a shape; "" where nothing fits."""
    if len(shape) == 3:
        return "THW"
    orders = {4: ("THWC", "TCHW", "CTHW"), 5: ("NTHWC", "NTCHW", "NCTHW")}.get(len(shape), ())
    for channels in _CHANNELS:
        for order in orders:
            if shape[order.index("C")] == channels:
                return order
    if len(shape) != 4 or shape[-1] < 8:
        return ""
    # Moving-MNIST's own file is 20 frames of 10,000 clips.
    return "TNHW" if shape[0] < shape[1] else "NTHW"


def _sample(array: Array) -> Array:
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLE)]
