"""How well detected keypoints stand for joints, follow the picture and hold still.

Joints are read from keypoints by a linear map, fitted on annotated training frames, and are hit
where they lie within a part of the figure's size: PCK, the percentage of correct keypoints (Yang &
Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts", TPAMI 35, 2013), after the
linear read-out of unsupervised landmarks (Thewlis, Bilen & Vedaldi, "Unsupervised learning of
object landmarks by factorized spatial embeddings", ICCV 2017; Jakab et al., NeurIPS 2018). The two
others need no labels: under a warp of the picture keypoints should go along, and between frames
they should move as smoothly as what they stand for.

Points are float32 [...,3]: x right and y down in [-1,1], -1 and 1 at the centres of the outer
pixels, and a confidence of which 0 means missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Frames

Points = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

PARTS = (0.05, 0.1, 0.2)
"""Of the longer side of the box around the visible joints: how near a joint counts as hit."""

_RIDGES = tuple(10.0**k for k in range(-6, 1))
"""Penalties that are tried, a frame, in squared halves of the picture's side."""


@dataclass(frozen=True, eq=False)
class ReadOut:
    """A linear map from keypoints to joints.

    Attributes:
        centre: [J,2K], mean of the keypoints of the frames in which the joint is visible.
        weights: [J,2K,2].
        offset: [J,2], mean of the joint.
        ridge: the penalty that was chosen.
    """

    centre: Floats
    weights: Floats
    offset: Floats
    ridge: float

    def __call__(self, points: Points) -> Floats:
        """Joints [N,J,2] of keypoints [N,K,3]."""
        flat = _flat(points)
        return np.stack(
            [
                (flat - centre) @ weights + offset
                for centre, weights, offset in zip(
                    self.centre, self.weights, self.offset, strict=True
                )
            ],
            axis=1,
        )


def fit_readout(points: Points, joints: Points) -> ReadOut:
    """Ridge regression of every joint on all keypoints, on the frames in which it is visible.

    One penalty holds for all joints: that of the smallest error where each frame is predicted
    without itself (Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", 2009,
    equation 7.64). A joint that is never visible lies where the visible ones lie on average.

    Args:
        points: [N,K,3]; K = 0 gives the mean pose.
        joints: [N,J,3].

    Raises:
        ValueError: NaN, no frames, no visible joint, or unequal numbers of frames.
    """
    if len(points) != len(joints) or not np.isfinite(points).all():
        raise ValueError(f"{points.shape} keypoints and {joints.shape} joints do not pair up.")
    there: npt.NDArray[np.bool_] = joints[..., 2] > 0
    if not there.any():
        raise ValueError("no joint is visible in any frame.")
    flat, anywhere = _flat(points), joints[there][:, :2].astype(np.float64).mean(0)
    parts = [_Part.of(flat[there[:, j]], joints[there[:, j], j, :2]) for j in range(len(there[0]))]
    known = [part for part in parts if part is not None]
    errors = [math.fsum(part.left_out(ridge) for part in known) for ridge in _RIDGES]
    ridge = _RIDGES[int(np.argmin(errors))]
    empty = np.zeros((flat.shape[1], 2))
    return ReadOut(
        np.stack([np.zeros(flat.shape[1]) if part is None else part.centre for part in parts]),
        np.stack([empty if part is None else part.weights(ridge) for part in parts]),
        np.stack([anywhere if part is None else part.offset for part in parts]),
        ridge,
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """The regression of one joint, decomposed: rows = u diag(s) v."""

    centre: Floats
    offset: Floats
    u: Floats
    s: Floats
    v: Floats
    wanted: Floats

    @classmethod
    def of(cls, flat: Floats, joint: Points) -> _Part | None:
        """Of the frames with this joint; None without any."""
        if not len(flat):
            return None
        wanted = joint.astype(np.float64)
        centre, offset = flat.mean(0), wanted.mean(0)
        u, s, v = np.linalg.svd(flat - centre, full_matrices=False)
        return cls(centre, offset, u, s, v, wanted - offset)

    def weights(self, ridge: float) -> Floats:
        """[2K,2]."""
        shrunk = self.s / (self.s**2 + ridge * len(self.wanted))
        return self.v.T @ (shrunk[:, None] * (self.u.T @ self.wanted))

    def left_out(self, ridge: float) -> float:
        """Sum of squared errors of frames, each predicted from the others."""
        n = len(self.wanted)
        if n < 2:
            return 0.0
        kept = self.s**2 / (self.s**2 + ridge * n)
        rest = self.wanted - self.u @ (kept[:, None] * (self.u.T @ self.wanted))
        own = 1 - 1 / n - (self.u**2 * kept).sum(1)
        return float(((rest / np.maximum(own, 1e-9)[:, None]) ** 2).sum())


@dataclass(frozen=True, eq=False)
class JointErrors:
    """Distances of read joints from annotated ones.

    Attributes:
        pixels: [N,J], NaN where the joint is not visible.
        parts: [N,J], the same as parts of the longer side of the box around the frame's visible
            joints; NaN also where that is 0.
    """

    pixels: Floats
    parts: Floats

    def pck(self, part: float) -> float | None:
        """Share of visible joints within `part`; None without any."""
        return mean_of(self.hits(part))

    def hits(self, part: float) -> Floats:
        """[N,J], 1 for a joint within `part`, 0 for one that is not, NaN for one that is hidden."""
        return np.where(np.isnan(self.parts), np.nan, (self.parts <= part).astype(np.float64))


def joint_errors(read: Floats, joints: Points, size: int) -> JointErrors:
    """Compare joints [N,J,2] with annotated ones [N,J,3] in frames of `size` pixels."""
    half = (size - 1) / 2
    there: npt.NDArray[np.bool_] = joints[..., 2] > 0
    true = np.where(there[..., None], joints[..., :2].astype(np.float64), np.nan)
    distance = np.linalg.norm(read - true, axis=-1) * half
    low, high = (np.where(there[..., None], joints[..., :2], fill) for fill in (np.inf, -np.inf))
    extent = np.where(there.any(axis=1, keepdims=True), high.max(1) - low.min(1), 0.0).max(1) * half
    box = np.where(extent > 0, extent, np.nan)
    return JointErrors(distance, distance / box[:, None])


def labelled_frames(clips: Sequence[str], count: int, seed: int) -> npt.NDArray[np.intp]:
    """Numbers of `count` frames, drawn at random, of as many clips as there are.

    Args:
        clips: the clip of each frame.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    draws = rng.random(len(clips))
    turns: dict[str, int] = {}
    turn = np.zeros(len(clips), dtype=np.int64)
    order: list[int] = np.argsort(draws).tolist()
    for k in order:  # the first frame drawn of any clip comes before the second of another
        turn[k] = turns[clips[k]] = turns.get(clips[k], -1) + 1
    return np.sort(np.lexsort((draws, turn))[:count])


# equivariance ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Warp:
    """A similarity of the picture about its centre: turned, scaled, then shifted.

    Attributes:
        name: what it does, for tables.
        degrees: clockwise, as y points down.
        scale: above 1, the picture grows.
        shift: to the right and down, in pixels.
    """

    name: str
    degrees: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def images(self, frames: Frames) -> Frames:
        """uint8 [N,H,W,3] warped: bilinear, what comes in from outside is mirrored."""
        import cv2

        height, width = frames.shape[1:3]
        centre = np.array([width - 1, height - 1]) / 2
        matrix = self._matrix()
        shift = centre - matrix @ centre + np.array(self.shift)
        forward = np.concatenate([matrix, shift[:, None]], axis=1)
        warped = [
            cv2.warpAffine(
                frame, forward, (width, height), flags=cv2.INTER_LINEAR, borderMode=_MIRROR
            )
            for frame in np.ascontiguousarray(frames)
        ]
        return np.stack(warped).astype(np.uint8)

    def points(self, points: Points, size: int) -> Points:
        """Where points [...,3] go in frames of `size` pixels; confidences stay."""
        moved = points[..., :2].astype(np.float64) @ self._matrix().T
        moved += np.array(self.shift) * 2 / (size - 1)
        return np.concatenate([moved, points[..., 2:]], axis=-1).astype(np.float32)

    def _matrix(self) -> Floats:
        angle = math.radians(self.degrees)
        cos, sin = math.cos(angle) * self.scale, math.sin(angle) * self.scale
        return np.array([[cos, -sin], [sin, cos]])


_MIRROR = 4
"""cv2.BORDER_REFLECT_101."""


def warps(size: int) -> tuple[Warp, ...]:
    """Translations by an eighth of the side, rotations by 15 degrees, scaling by 15 %."""
    step = max(1, round(size / 8))
    return (
        *(
            Warp(f"{step} px {way}", shift=(x * step, y * step))
            for way, x, y in (("right", 1, 0), ("left", -1, 0), ("down", 0, 1), ("up", 0, -1))
        ),
        *(Warp(f"{degrees:+d} degrees", degrees=degrees) for degrees in (15, -15)),
        *(Warp(f"scaled by {scale:g}", scale=scale) for scale in (1.15, 0.85)),
    )


def equivariance(
    before: Points, after: Points, warp: Warp, size: int
) -> tuple[float | None, float | None]:
    """Mean distance, in pixels, of keypoints from where a warp should have taken them.

    Args:
        before, after: [N,K,3], in the pictures and in the warped ones. Points that leave the
            picture, and missing ones, do not count.

    Returns:
        The distance, and that of keypoints which stay where they are; None where none counts.
    """
    due = warp.points(before, size)
    counts = (before[..., 2] > 0) & (after[..., 2] > 0) & (np.abs(due[..., :2]).max(-1) <= 1)
    own, still = (_distance(points, due)[counts] * (size - 1) / 2 for points in (after, before))
    return mean_of(own), mean_of(still)


# jitter ------------------------------------------------------------------------------------------


def steps(paths: Sequence[Points], size: int, order: int) -> float | None:
    """Mean length, in pixels, of the first or second difference of points over time.

    The second, x(t+1) - 2 x(t) + x(t-1), is 0 for uniform motion and what jitters has much of it.

    Args:
        paths: [T,P,3] each; where a point is missing in one of the frames, nothing counts.
        order: 1 or 2.

    Returns:
        None where nothing counts.
    """
    found: list[float] = []
    for path in paths:
        place, there = path[..., :2].astype(np.float64), path[..., 2] > 0
        whole = there[order:].copy()
        for k in range(order):
            whole &= there[k : len(there) - order + k]
        length = np.linalg.norm(np.diff(place, order, axis=0), axis=-1)
        found += (length[whole] * (size - 1) / 2).tolist()
    return math.fsum(found) / len(found) if found else None


# -------------------------------------------------------------------------------------------------


def mean_of(values: npt.NDArray[Any]) -> float | None:
    """Mean of what is not NaN; None where all is."""
    known = values[~np.isnan(values)]
    return math.fsum(known.tolist()) / len(known) if len(known) else None


def _distance(points: Points, others: Points) -> Floats:
    difference = points[..., :2].astype(np.float64) - others[..., :2]
    return np.linalg.norm(difference, axis=-1)


def _flat(points: Points) -> Floats:
    return points[..., :2].reshape(len(points), -1).astype(np.float64)
