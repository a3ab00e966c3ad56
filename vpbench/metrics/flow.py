"""Dense optical flow between neighbouring frames of a clip."""

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
    """The flow from each frame to the next, on grey frames.

    On one thread whatever the process has: the stripes of DIS, and with them its result, depend on
    the number of threads. Between identical frames the flow is 0, where rounding would make it some
    hundredths of a pixel.

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
        raise UsageError(f"flow needs two frames, but there is {len(frames)}.")
    if kind == "dis" and min(frames.shape[1:3]) < SMALLEST:
        raise UsageError(f"DIS flow needs frames of {SMALLEST} px.")
    # OpenCV refuses arrays that are not contiguous.
    grey = [cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in frames]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return np.stack([_between(one, other, kind) for one, other in pairwise(grey)])
    finally:
        cv2.setNumThreads(threads)


def _between(one: Any, other: Any, kind: Kind) -> Flow:
    import cv2

    if np.array_equal(one, other):
        return np.zeros((*one.shape, 2), np.float32)
    empty: Any = None
    if kind == "farneback":
        field = cv2.calcOpticalFlowFarneback(one, other, empty, **FARNEBACK)
    else:
        field = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, other, empty)
    return np.asarray(field, np.float32)
