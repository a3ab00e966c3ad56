"""The oracle of 'ours': a row that shows what the translator alone can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vpbench.api import Conditioning, Frames, Seeds, TaskInfo
from vpbench.kit import evaluating, to_tensor, to_uint8
from vpbench_keypoints.validation import Translation


class KeypointOracle:
    """Redraws the last given frame at the keypoints of the true future: what T alone can do."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task, self.slots = task, dict(slots)
        self.translation = Translation(self.slots["detector"], self.slots["translator"])

    def predict(self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]; every sample is the same."""
        final = to_uint8(self._intermediates(given, future)["final"])
        return np.repeat(final[:, None], seeds.shape[1], axis=1)

    def intermediates(
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """keypoints float32 [B,S,1+T,K,3]; mask, coarse, final uint8 [B,S,T,H,W,3]."""
        tensors = self._intermediates(given, future)
        points = tensors.pop("keypoints").cpu().numpy()
        arrays: dict[str, npt.NDArray[Any]] = {
            name: to_uint8(v.expand(-1, -1, 3, -1, -1)) for name, v in tensors.items()
        }
        arrays["keypoints"] = points
        return {k: np.repeat(v[:, None], seeds.shape[1], axis=1) for k, v in arrays.items()}

    def _intermediates(self, given: Conditioning, future: Frames) -> dict[str, torch.Tensor]:
        with torch.inference_mode(), evaluating(self.slots.values()):
            source = to_tensor(given.frames[:, -1])
            return self.translation(source, to_tensor(future), None)

    def save(self, stage: str, folder: Path) -> None:
        """It trains nothing."""

    def load(self, stage: str, folder: Path, device: str) -> None:
        """Its parts are loaded by the harness."""
