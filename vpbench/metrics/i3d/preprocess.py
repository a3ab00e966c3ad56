"""From uint8 frames to the network's input: resize to 224 x 224, then [-1,1].

The original resizes with TensorFlow 1's bilinear rule (source = target * in / out, no half-pixel
centres, no antialiasing, the aspect ratio is not kept) without rounding to whole grey levels, and
feeds x * 2 / 255 - 1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vpbench.media.resize import Rule, weights
from vpbench.metrics.i3d.network import SIDE
from vpbench.metrics.i3d.recipes import Aspect


def preprocess(frames: Tensor, rule: Rule = "tf1", aspect: Aspect = "stretch") -> Tensor:
    """Resize and scale, in float32; no value depends on other frames.

    Args:
        frames: uint8 [B,T,H,W,3], RGB, any height and width.
        rule: of the resize.
        aspect: what becomes of frames that are not square; a crop leaves out as many pixels on
            either side, an odd one on the right or below.

    Returns:
        float32 [B,3,T,224,224] in [-1,1], whose memory is [B,T,224,224,3].
    """
    if aspect == "stretch":
        resized = resize(frames.float(), SIDE, SIDE, rule)
    else:
        height, width = _at_least(SIDE, *frames.shape[2:4])
        top, left = (height - SIDE) // 2, (width - SIDE) // 2
        whole = resize(frames.float(), height, width, rule)
        resized = whole[:, :, top : top + SIDE, left : left + SIDE].contiguous()
    return resized.mul_(2 / 255).sub_(1).permute(0, 4, 1, 2, 3)


def _at_least(side: int, height: int, width: int) -> tuple[int, int]:
    """Height and width whose short side is `side`; the long one is rounded up."""
    if height < width:
        return side, -(-width * side // height)
    return -(-height * side // width), side


def resize(frames: Tensor, height: int, width: int, rule: Rule = "tf1") -> Tensor:
    """Two-tap resize of floating point [...,H,W,C] to [...,height,width,C], columns first."""
    return _along(_along(frames, frames.ndim - 2, width, rule), frames.ndim - 3, height, rule)


def _along(x: Tensor, axis: int, n_out: int, rule: Rule) -> Tensor:
    """Each output lies between two source values, at the fraction of its tap."""
    n_in = x.shape[axis]
    if n_in == n_out:
        return x
    left, right, fraction = (part.to(x.device) for part in _taps(rule, n_in, n_out))
    a, b = x.index_select(axis, left), x.index_select(axis, right)
    shape = [1] * x.ndim
    shape[axis] = n_out
    return a.lerp_(b, fraction.to(x.dtype).view(shape))


@lru_cache(maxsize=32)
def _taps(rule: Rule, n_in: int, n_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """Left and right source of each output, int64 [n_out], and the weight of the right one."""
    matrix = weights(rule, n_in, n_out)
    left = (matrix > 0).argmax(1)
    right = np.minimum(left + 1, n_in - 1)
    fraction = np.where(right > left, matrix[np.arange(n_out), right], 0.0)
    return torch.from_numpy(left), torch.from_numpy(right), torch.from_numpy(fraction)
