"""How well unsupervised keypoints tell where the joints are: a linear read-out.

The published paper claims that its keypoints resemble human labels and gives no number. This one
follows the habit of later work: joints are predicted by linear regression from the keypoints, both
relative to their own mean in the frame (so that knowing where the figure stands is worth nothing),
fitted on training frames and measured on others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]

_RIDGE = 1e-3
"""Of the regression: only so much that it has one solution where keypoints lie on each other."""
_PCK = 0.1
"""A joint is hit within this part of the height of the joints\' box."""


@dataclass(frozen=True)
class Readout:
    """Errors over visible joints.

    Attributes:
        error: mean distance of a joint from its place, pixels.
        mean_pose_error: the same for the mean pose of the clip's class.
        pck: share of joints that are off by at most a tenth of the height of the joints' box.
    """

    error: float
    mean_pose_error: float
    pck: float

    @property
    def ratio(self) -> float:
        """Error as a part of the mean pose's."""
        return self.error / self.mean_pose_error


def linear_readout(
    train: tuple[Points, Points, npt.NDArray[np.int64]],
    test: tuple[Points, Points, npt.NDArray[np.int64]],
    size: int,
) -> Readout:
    """Fit on some frames, measure on others.

    Args:
        train, test: keypoints float32 [N,K,2 or 3], joints float32 [N,J,3] (confidence 0 =
            missing), class numbers [N] (all zero without classes).
        size: of the frames in pixels; points are in [-1,1].
    """
    points, joints, label = train
    wanted = _centred(joints)[0].reshape(len(points), -1)
    weights = _solve(_design(points), wanted, np.repeat(joints[..., 2] > 0, 2, axis=1))
    new_points, truth, new_label = test
    predicted = (_design(new_points) @ weights).reshape(len(new_points), -1, 2)
    predicted = predicted + _centred(truth)[1]
    there = truth[..., 2] > 0
    half = (size - 1) / 2.0
    error = np.linalg.norm(predicted - truth[..., :2], axis=-1) * half
    usual = np.linalg.norm(_mean_poses(joints, label, truth, new_label) - truth[..., :2], axis=-1)
    height = _box_height(truth, there) * half
    hit = error <= _PCK * height[:, None]
    return Readout(
        float(error[there].mean()), float(usual[there].mean() * half), float(hit[there].mean())
    )


def _design(points: Points) -> npt.NDArray[np.float64]:
    flat = (points[..., :2] - points[..., :2].mean(1, keepdims=True)).reshape(len(points), -1)
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1).astype(np.float64)


def _solve(
    design: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], weight: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Ridge regression of every coordinate on the frames in which its joint is there."""
    columns = design.shape[1]
    weights = np.zeros((columns, wanted.shape[1]))
    for k in range(wanted.shape[1]):
        rows = design[weight[:, k]]
        if len(rows):
            left = rows.T @ rows + _RIDGE * np.eye(columns)
            weights[:, k] = np.linalg.solve(left, rows.T @ wanted[weight[:, k], k])
    return weights


def _centred(joints: Points) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    there = (joints[..., 2:] > 0).astype(np.float64)
    centre = (joints[..., :2] * there).sum(1, keepdims=True)
    centre = centre / np.maximum(there.sum(1, keepdims=True), 1)
    return joints[..., :2] - centre, centre


def _mean_poses(
    joints: Points, label: npt.NDArray[np.int64], truth: Points, new_label: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The mean pose of each frame's class, at the true centre of its visible joints."""
    shapes, _ = _centred(joints)
    there = (joints[..., 2:] > 0).astype(np.float64)
    _, centre = _centred(truth)
    poses = np.zeros((*truth.shape[:2], 2))
    for which in np.unique(new_label):
        rows = label == which if (label == which).any() else np.ones(len(label), bool)
        mean = (shapes[rows] * there[rows]).sum(0) / np.maximum(there[rows].sum(0), 1)
        poses[new_label == which] = mean
    return poses + centre


def _box_height(truth: Points, there: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    y = truth[..., 1]
    top = np.where(there, y, np.inf).min(1)
    bottom = np.where(there, y, -np.inf).max(1)
    height = bottom - top
    return np.where(np.isfinite(height), height, 0.0)
