"""The poses that the generator is trained on: true joints, or what a detector finds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vpbench.api import BadData, Batch, Pose, TaskInfo
from vpbench.kit import evaluating, pose_to_tensor
from vpbench_baselines.common.batches import TensorBatch
from vpbench_baselines.villegas.maps import has_limbs
from vpbench_baselines.villegas.motion import finds_joints


class Poses:
    """Poses of training and validation frames.

    Attributes:
        joints: whether the detector finds the dataset's joints; then training sees true ones.
        limbs: whether they are drawn as limbs.
    """

    def __init__(self, detector: Any, task: TaskInfo, device: str) -> None:
        self.detector, self.device = detector, device
        self.joints = finds_joints(detector, task)
        self.limbs = self.joints and has_limbs(task.joint_names)

    def true(self, batch: Batch | TensorBatch, frames: Tensor) -> Tensor:
        """Joints of a batch where the detector finds joints, else its keypoints.

        Args:
            frames: [B,T,3,H,W] in [0,1], as in the batch.

        Returns:
            [B,T,K,3].

        Raises:
            BadData: joints are wanted and a clip has none.
        """
        if not self.joints:
            return self.detected(frames, batch.pose)
        pose = self._tensor(batch.pose)
        if pose is None:
            raise BadData("villegas-translator: a training clip has no joints.")
        return pose

    @torch.no_grad()
    def detected(self, frames: Tensor, pose: Pose | Tensor | None) -> Tensor:
        """Poses of the detector, as in a prediction: [B,T,3,H,W] in [0,1] -> [B,T,K,3]."""
        wants = getattr(getattr(self.detector, "capabilities", None), "pose", "no")
        joints = self._tensor(pose) if wants in ("required", "optional") else None
        with evaluating([self.detector]):
            return self.detector.detect(frames, joints)

    def _tensor(self, pose: Pose | Tensor | None) -> Tensor | None:
        return pose if isinstance(pose, Tensor) else pose_to_tensor(pose, self.device)
