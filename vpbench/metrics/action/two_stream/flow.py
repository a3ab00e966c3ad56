"""Optical flow between neighbouring frames, and stacks of it as a network sees them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames

Flow = npt.NDArray[np.float32]
"""float32 [...,H,W,2]: x to the right and y down, in pixels from one frame to the next."""

Kind = Literal["farneback", "dis"]

STACK = 10
"""Flow fields in one stack."""
LONGEST = 20.0
"""Pixels at which a component is clipped; it becomes 1."""
FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}
"""Settings of Farneback's method, those of OpenCV's own example."""
SMALLEST = 12
"""Side in pixels under which DIS cannot be computed."""


def flow_fields(frames: Frames, kind: Kind = "farneback") -> Flow:
    """The flow from each frame to the next.

    Args:
        frames: uint8 [T,H,W,3], RGB, T at least 2.
        kind: Farneback (SCIA 2003), or DIS (Kroeger et al., ECCV 2016) at its preset "medium".

    Returns:
        float32 [T-1,H,W,2].

    Raises:
        UsageError: fewer than two frames, or frames too small for DIS.
    """
    import cv2

    if len(frames) < 2:
        raise UsageError(f"flow needs two frames, there is {len(frames)}.")
    if kind == "dis" and min(frames.shape[1:3]) < SMALLEST:
        raise UsageError(f"DIS flow needs frames of {SMALLEST} px.")
    # DIS refuses arrays that are not contiguous.
    grey = [np.ascontiguousarray(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)) for f in frames]
    dis: Any = None
    if kind == "dis":
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    fields: list[Flow] = []
    for one, other in pairwise(grey):
        if dis is None:
            empty: Any = None
            field = cv2.calcOpticalFlowFarneback(one, other, empty, **FARNEBACK)
        else:
            field = dis.calc(one, other, None)
        fields.append(np.asarray(field, np.float32))
    return np.stack(fields)


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
