"""A detector that detects nothing: the joints that people have annotated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from vpbench.api import Refused, TaskInfo
from vpbench.api.specs import Value


class Annotated:
    """The annotated joints as keypoints: the given frames' in a prediction, all while training.

    Args:
        task: its dataset must have as many joints as `n_keypoints` says.
        params: `n_keypoints`.
        space: (K, "joints").

    Raises:
        Refused: the dataset has another number of joints.
    """

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Value], space: tuple[int, str] | None
    ) -> None:
        self.n_keypoints = int(params["n_keypoints"])
        if task.n_joints != self.n_keypoints:
            fix = f"Write detector.n_keypoints={task.n_joints}." if task.n_joints else None
            raise Refused(
                f"annotated: {task.id} has {task.n_joints} joints, not {self.n_keypoints}.", fix=fix
            )

    def detect(self, frames: Tensor, pose: Tensor | None) -> Tensor:
        """The joints.

        Args:
            frames: float32 [B,T,3,H,W] in [0,1]; not looked at.
            pose: float32 [B,T,J,3] in [-1,1], confidence 0 = missing.

        Returns:
            float32 [B,T,J,3]; a missing joint lies at (0, 0).

        Raises:
            Refused: there is no pose.
        """
        if pose is None:
            raise Refused("annotated needs pose, none is given.")
        return pose.float() * (pose[..., 2:] > 0)

    def save(self, folder: Path) -> None:
        """Write nothing: nothing is learned."""

    def load(self, folder: Path, device: str) -> None:
        """Read nothing: nothing is learned."""
