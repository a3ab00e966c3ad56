"""The one resize: five bilinear and nearest rules with the same bytes on every machine.

The weights of an output pixel are exact fractions. For resizing they are rounded to multiples of
2^-16 that sum to exactly 1 (largest remainder, ties to the left), and both passes are float64
matrix products of integers below 2^53: exact, so neither the order of summation nor the BLAS
matters. The only rounding is the last one, half up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.types import Frames

Rule = Literal["antialias", "half-pixel", "tf1", "align-corners", "nearest"]
"""How an output pixel finds its source pixels.

antialias: triangle filter, half-pixel centres, support widened when shrinking (Pillow's bilinear);
half-pixel: two neighbours, src = (dst + 1/2) * in / out - 1/2, clamped;
tf1: two neighbours, src = dst * in / out (TensorFlow 1's default);
align-corners: two neighbours, src = dst * (in - 1) / (out - 1), first pixel for one output pixel;
nearest: floor((dst + 1/2) * in / out).
"""

RULES: tuple[Rule, ...] = get_args(Rule)

_BITS = 16
_ONE = 1 << _BITS
_CHUNK = 1 << 22
"""Source values that are held as float64 at a time: 32 MiB."""

_LARGE = 256
"""Source pixels of a side from which on an output pixel sees only a small part of them."""
_BAND = 16
"""Output pixels that are computed together."""

Fractions = npt.NDArray[np.int64]


def weights(rule: Rule, n_in: int, n_out: int) -> npt.NDArray[np.float64]:
    """Unquantised weights of one axis, float64 [n_out,n_in]; each row sums to 1.

    Raises:
        UnknownName: no such rule.
        UsageError: a length below 1.
    """
    fractions = _fractions(rule, n_in, n_out)
    return fractions / fractions.sum(axis=1, keepdims=True)


def resize(frames: Frames, height: int, width: int, rule: Rule = "antialias") -> Frames:
    """Resize uint8 [...,H,W,3] to uint8 [...,height,width,3]; the same size gives the same bytes.

    Raises:
        BadData: the frames are not uint8 [...,H,W,3].
        UnknownName: no such rule.
        UsageError: a length below 1.
    """
    _check(frames)
    rows, columns = (
        _quantised(rule, frames.shape[-3], height),
        _quantised(rule, frames.shape[-2], width),
    )
    if frames.shape[-3:-1] == (height, width):
        return frames
    lead = frames.shape[:-3]
    flat = frames.reshape(-1, *frames.shape[-3:])
    out = np.empty((len(flat), height, width, 3), np.uint8)
    step = max(1, _CHUNK // max(1, flat[:1].size))
    for start in range(0, len(flat), step):
        out[start : start + step] = _two_passes(flat[start : start + step], rows, columns)
    return out.reshape(*lead, height, width, 3)


def fitted(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width after `fit`: the short side is `size`, the long one is rounded half up."""
    if min(height, width, size) < 1:
        raise UsageError(f"cannot fit {width}x{height} px to {size} px: all must be at least 1.")
    if height <= width:
        return size, (2 * width * size + height) // (2 * height)
    return (2 * height * size + width) // (2 * width), size


def fit(frames: Frames, size: int, rule: Rule = "antialias") -> Frames:
    """Resize uint8 [...,H,W,3] so that the short side is `size`; the aspect ratio is kept.

    The long side is long * size / short, rounded half up.
    """
    _check(frames)
    return resize(frames, *fitted(frames.shape[-3], frames.shape[-2], size), rule)


def corner(height: int, width: int, size: int) -> tuple[int, int]:
    """Top and left of the centred square of `size` px; an odd margin is smaller there.

    Raises:
        UsageError: the square does not fit.
    """
    if not 1 <= size <= min(height, width):
        raise UsageError(f"cannot cut {size}x{size} px out of {width}x{height} px.")
    return (height - size) // 2, (width - size) // 2


def centre_crop(frames: Frames, size: int) -> Frames:
    """The centred uint8 [...,size,size,3] of uint8 [...,H,W,3], as a view."""
    _check(frames)
    top, left = corner(frames.shape[-3], frames.shape[-2], size)
    return frames[..., top : top + size, left : left + size, :]


def _check(frames: Frames) -> None:
    if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3:
        raise BadData(f"frames are {frames.dtype} {list(frames.shape)}, not uint8 [...,H,W,3].")
    if 0 in frames.shape[-3:]:
        raise BadData(f"frames of {frames.shape[-2]}x{frames.shape[-3]} px are empty.")


def _two_passes(
    frames: Frames, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> Frames:
    n, height, width, _ = frames.shape
    tall = _product(rows, frames.reshape(n, height, width * 3))
    tall = tall.reshape(n, len(rows), width, 3).transpose(0, 2, 1, 3)
    both = _product(columns, tall.reshape(n, width, len(rows) * 3))
    # At most 255 * 2^32: a whole number that float64 holds exactly.
    whole = both.reshape(n, len(columns), len(rows), 3).transpose(0, 2, 1, 3).astype(np.int64)
    return ((whole + (1 << (2 * _BITS - 1))) >> (2 * _BITS)).astype(np.uint8)


def _product(
    matrix: npt.NDArray[np.float64], values: npt.NDArray[np.uint8] | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """matrix [o,i] @ values [n,i,m], without most of what would be multiplied by 0."""
    outputs, inputs = matrix.shape
    if inputs < _LARGE:
        return matrix @ values.astype(np.float64)
    product = np.empty((len(values), outputs, values.shape[2]))
    for start in range(0, outputs, _BAND):
        band = matrix[start : start + _BAND]
        used = np.flatnonzero(band.any(axis=0))
        first, last = used[0], used[-1] + 1
        part = values[:, first:last].astype(np.float64)
        product[:, start : start + _BAND] = band[:, first:last] @ part
    return product


@lru_cache(maxsize=16)
def _quantised(rule: Rule, n_in: int, n_out: int) -> npt.NDArray[np.float64]:
    """Weights times 2^16 as whole numbers that sum to 2^16 in each row, float64 [n_out,n_in]."""
    fractions = _fractions(rule, n_in, n_out)
    total = fractions.sum(axis=1, keepdims=True)
    scaled = fractions * _ONE
    whole = scaled // total
    missing = _ONE - whole.sum(axis=1)
    order = np.argsort(-(scaled - whole * total), axis=1, kind="stable")
    extra = np.arange(n_in)[None, :] < missing[:, None]
    np.put_along_axis(whole, order, np.take_along_axis(whole, order, axis=1) + extra, axis=1)
    result = whole.astype(np.float64)
    result.setflags(write=False)
    return result


def _fractions(rule: Rule, n_in: int, n_out: int) -> Fractions:
    """Weights up to a common factor of each row, as exact integers [n_out,n_in]."""
    if rule not in RULES:
        raise UnknownName("resize rule", str(rule), RULES)
    if n_in < 1 or n_out < 1:
        raise UsageError(f"cannot resize {n_in} px to {n_out} px: both must be at least 1.")
    source, out = np.arange(n_in, dtype=np.int64), np.arange(n_out, dtype=np.int64)
    if rule == "antialias":
        distance = np.abs((2 * source[None, :] + 1) * n_out - (2 * out[:, None] + 1) * n_in)
        return np.maximum(2 * max(n_in, n_out) - distance, 0)
    if rule == "nearest":
        return (source[None, :] == ((2 * out[:, None] + 1) * n_in) // (2 * n_out)).astype(np.int64)
    if rule == "half-pixel":
        top, bottom = (2 * out + 1) * n_in - n_out, 2 * n_out
    elif rule == "tf1":
        top, bottom = out * n_in, n_out
    else:
        top, bottom = out * (n_in - 1), max(n_out - 1, 1)
    position = np.clip(top, 0, (n_in - 1) * bottom)
    return np.maximum(bottom - np.abs(source[None, :] * bottom - position[:, None]), 0)
