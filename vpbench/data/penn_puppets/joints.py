"""Annotated joints made fit for rendering: gaps filled, at the size of the picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vpbench.data.penn.labels import Annotation
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.media.geometry import Geometry

LEAST_SHARE = 0.5
"""A video is left out if any joint has a position in fewer of its frames than this share."""

Points = npt.NDArray[np.float64]


def incomplete(annotation: Annotation) -> str | None:
    """Why a video cannot be rendered by the rule of `LEAST_SHARE`; None if it can."""
    shares = annotation.known.mean(axis=0)
    worst = int(shares.argmin())
    if shares[worst] >= LEAST_SHARE:
        return None
    return f"{JOINT_NAMES[worst]} has a position in {shares[worst]:.0%} of the frames"


def filled(annotation: Annotation) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Positions of all joints, float64 [L,13,2] in source pixels, and which were interpolated.

    A gap is filled on the straight line between its neighbours in time; before the first and after
    the last known position the joint rests.
    """
    xy = annotation.xy.copy()
    times = np.arange(annotation.frames)
    for joint in range(xy.shape[1]):
        known = annotation.known[:, joint]
        if known.all() or not known.any():
            continue
        for axis in (0, 1):
            track = xy[:, joint, axis]
            xy[:, joint, axis] = np.interp(times, times[known], track[known])
    return xy, ~annotation.known


def to_picture(xy: Points, height: int, width: int, size: int) -> Points:
    """Source pixels [L,J,2] to those of a picture of `size`: what the camera of the film saw.

    The geometry is that of every task (short side to size, centre crop), so nothing that the first
    frame does not show decides about the view.
    """
    pose = np.ones((*xy.shape[:-1], 3), np.float32)
    pose[..., :2] = xy
    unit = Geometry(size).pose(pose, height, width)[..., :2].astype(np.float64)
    return (unit + 1) * (size - 1) / 2
