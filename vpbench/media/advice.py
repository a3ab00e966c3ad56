"""The one line that makes an array a clip: what to change in its values or its axes.

Files and arrays from Python are refused with the same advice. It rests on the array itself: what
mends floats in 0..1 would ruin floats in 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_SLACK = 1e-3
"""How far beyond 0..1 or -1..1 rounding may carry floats that mean that range."""


def describe_range(array: npt.NDArray[np.generic]) -> str:
    """What the values are: `float32 from -1 to 0.97`, `bool`, `int64 with values above 255`."""
    if array.dtype.kind == "f" and array.size:
        values = array.astype(np.float64)
        if not np.isfinite(values).all():
            return f"{array.dtype} with NaN or infinite values"
        return f"{array.dtype} from {values.min():.4g} to {values.max():.4g}"
    if array.dtype.kind in "iu" and array.dtype != np.uint8 and array.size:
        return f"{array.dtype} from {array.min()} to {array.max()}"
    return str(array.dtype)


def value_fix(array: npt.NDArray[np.generic]) -> str:
    """The expression for an array `a` that gives uint8 in 0..255; "" where none can."""
    kind = array.dtype.kind
    if kind == "b":
        return "a.astype(np.uint8) * 255"
    if kind in "iu":
        if array.size and int(array.min()) >= 0 and int(array.max()) <= 255:
            return "a.astype(np.uint8)"
        if array.dtype == np.uint16:
            return "(a // 257).astype(np.uint8)"
        return ""
    if kind != "f" or not array.size or not np.isfinite(array.astype(np.float64)).all():
        return ""
    low, high = float(array.min()), float(array.max())
    if low >= -_SLACK and high <= 1 + _SLACK:
        return "(a * 255).round().clip(0, 255).astype(np.uint8)"
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        return "((a + 1) * 127.5).round().clip(0, 255).astype(np.uint8)"
    if low >= -0.5 and high <= 255.5:
        return "a.round().clip(0, 255).astype(np.uint8)"
    return ""


def axes_fix(shape: Sequence[int], wanted: int = 4) -> str:
    """The expression for an array `a` whose last axes are T, H, W and 3 colours; "" where none can.

    Args:
        wanted: dimensions that are needed: 4 for a clip, 5 for a set of clips.
    """
    ndim = len(shape)
    if ndim == wanted - 1:
        if shape[-1] == 3:
            return "a[None]"  # one frame, or one clip
        if wanted > 4 and shape[-3] == 3:
            return "np.moveaxis(a, -3, -1)[None]"
        return "np.repeat(a[..., None], 3, axis=-1)"  # without colours
    if ndim != wanted or shape[-1] == 3:
        return ""
    if shape[-1] == 1:
        return "np.repeat(a, 3, axis=-1)"
    if shape[-1] == 4:
        return "a[..., :3]"
    for axis in (-3, -4):  # T,C,H,W and C,T,H,W
        if shape[axis] == 3:
            return f"np.moveaxis(a, {axis}, -1)"
    for axis in (-3, -4):
        if shape[axis] == 1:
            return f"np.repeat(np.moveaxis(a, {axis}, -1), 3, axis=-1)"
    return ""
