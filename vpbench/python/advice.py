"""The one line that makes an array a set of clips: what to change in its values or its axes.

What becomes of values is the advice for files, too (`vpbench.media.array_advice`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vpbench.media.array_advice import cast_advice


def describe_range(array: npt.NDArray[np.generic]) -> str:
    """What the values are: `float32 from -1 to 0.97`, `bool`, `int64 from 0 to 700`."""
    if array.dtype.kind == "f" and array.size:
        values = array.astype(np.float64)
        if not np.isfinite(values).all():
            return f"{array.dtype} with NaN or infinite values"
        return f"{array.dtype} from {values.min():.4g} to {values.max():.4g}"
    if array.dtype.kind in "iu" and array.dtype != np.uint8 and array.size:
        return f"{array.dtype} from {array.min()} to {array.max()}"
    return str(array.dtype)


def value_fix(array: npt.NDArray[np.generic]) -> str:
    """What to do with the values of an array `a`: a sentence.

    Floats in 0..1 and -1..1 are passed with their range instead of being rounded by hand.
    """
    advice = cast_advice(array)
    if array.dtype.kind == "f" and "in 0..1." in advice:
        return "Pass value_range=(0, 1)."
    if array.dtype.kind == "f" and "in -1..1." in advice:
        return "Pass (a + 1) / 2 with value_range=(0, 1)."
    return advice.replace("Save ", "Pass ", 1)


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
