"""Stacks of optical flow as a network sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.metrics.flow import Flow

STACK = 10
"""Flow fields in one stack."""
LONGEST = 20.0
"""Pixels at which a component is clipped; it becomes 1."""


def encode(flow: Flow) -> Flow:
    """Clip to `LONGEST` pixels, scale to [-1,1], and take the mean of every field out of it.

    The mean of a field is mostly the camera's motion.
    """
    scaled = np.clip(flow, -LONGEST, LONGEST) / np.float32(LONGEST)
    return scaled - scaled.mean(axis=(-3, -2), keepdims=True, dtype=np.float64).astype(np.float32)


def stack(fields: Flow, start: int) -> Flow:
    """`STACK` encoded fields from one on: [H,W,2*STACK], x and y in turn."""
    part = fields[start : start + STACK]
    _, height, width, _ = part.shape
    return np.moveaxis(part, 0, 2).reshape(height, width, 2 * STACK)


def mirrored(images: npt.NDArray[Any], *, flow: bool) -> npt.NDArray[Any]:
    """Left and right exchanged in [...,H,W,C]; of flow, x changes its sign."""
    out = images[..., ::-1, :].copy()
    if flow:
        out[..., 0::2] *= -1
    return out


def spaced(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 .. count-1, equally spaced, both ends among them."""
    if count <= most:
        return list(range(count))
    return [round(k * (count - 1) / (most - 1)) for k in range(most)]
