"""Tracks of points through the optical flow of a clip, and what the flow leaves unexplained."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Frames

Floats = npt.NDArray[np.float32]


def sample(plane: Floats, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bilinear values [P,C] of a plane [H,W,C] at points [P,2], x and y in px, borders repeated."""
    height, width = plane.shape[:2]
    x = np.clip(points[:, 0], 0, width - 1)
    y = np.clip(points[:, 1], 0, height - 1)
    left, top = x.astype(np.intp), y.astype(np.intp)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = (x - left)[:, None], (y - top)[:, None]
    values = plane.astype(np.float64)
    upper = values[top, left] * (1 - u) + values[top, right] * u
    lower = values[below, left] * (1 - u) + values[below, right] * u
    return upper * (1 - v) + lower * v


def grid(height: int, width: int, side: int) -> npt.NDArray[np.float64]:
    """side x side points [side^2,2] at the centres of equal cells of a frame, x and y in px."""
    x = (np.arange(side) + 0.5) * width / side - 0.5
    y = (np.arange(side) + 0.5) * height / side - 0.5
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def tracks(flow: Floats, side: int = 16) -> npt.NDArray[np.float64]:
    """Places [T,side^2,2] of a grid of points that go along with the flow [T-1,H,W,2]."""
    height, width = flow.shape[1:3]
    places = [grid(height, width, side)]
    for plane in flow:
        places.append(places[-1] + sample(plane, places[-1]))
    return np.stack(places)


def warping_error(frames: Frames, flow: Floats) -> float:
    """Root of the mean square, in grey levels, of a frame less the next one brought back to it.

    Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, section 4.1, without their
    masks of hidden places: low where what changes is what moves, high where frames flicker.
    """
    import cv2

    height, width = flow.shape[1:3]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    total = 0.0
    for before, after, plane in zip(frames[:-1], frames[1:], flow, strict=True):
        back = cv2.remap(
            np.ascontiguousarray(after, np.float32),
            x + plane[..., 0],
            y + plane[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        total += float(np.square(back - before, dtype=np.float64).mean())
    return float(np.sqrt(total / len(flow)))
