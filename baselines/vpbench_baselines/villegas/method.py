"""The method `villegas`: its three parts, composed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vpbench.api import Component, Conditioning, Frames, Seeds, TaskInfo, UsageError
from vpbench.kit import (
    ComposedMethod,
    evaluating,
    pose_to_tensor,
    require_one_of,
    to_tensor,
    to_uint8,
)


class Villegas(ComposedMethod):
    """Poses of the given frames, an LSTM that continues them, a generator that draws each frame.

    Every part trains itself, the two later ones on what the detector in the slot finds; so there is
    nothing to add to how a composed method predicts. With oracle=on an object is a
    `VillegasOracle`, whose `predict` is given the true future.
    """

    def __new__(
        cls, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Component]
    ) -> Villegas:
        """The class that the parameter `oracle` asks for."""
        return object.__new__(VillegasOracle if params.get("oracle") == "on" else cls)

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Component]
    ) -> None:
        super().__init__(task, params, slots)
        choices = {"label": ("off", "on"), "oracle": ("off", "on")}
        require_one_of({**dict.fromkeys(choices, "off"), **params}, choices)


class VillegasOracle(Villegas):
    """Draws the poses that the detector finds in the true future: what the generator alone can do.

    A detector that is given poses instead of finding them has none of the future.
    """

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> Frames:
        """uint8 [B,S,T,H,W,3]; every sample is the same.

        Raises:
            UsageError: the detector only hands poses on.
        """
        return self.intermediates(given, future, horizon, seeds)["final"]

    def intermediates(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds
    ) -> dict[str, npt.NDArray[Any]]:
        """keypoints float32 [B,S,1+T,K,3]; final uint8 [B,S,T,H,W,3]."""
        with torch.inference_mode(), evaluating(self.slots.values()):
            frames = to_tensor(np.concatenate([given.frames[:, -1:], future], 1))
            points = self._detected(frames, given)
            video = self.slots["translator"].render(
                *self._on("translator", frames[:, 0], points[:, 0], points[:, 1:])
            )
        parts = {"keypoints": points.cpu().float().numpy(), "final": to_uint8(video)}
        return {k: np.repeat(v[:, None], seeds.shape[1], axis=1) for k, v in parts.items()}

    def _detected(self, frames: Tensor, given: Conditioning) -> Tensor:
        if self._wants("detector", "pose", given.pose) and pose_to_tensor(given.pose) is not None:
            raise UsageError("oracle=on needs a detector that finds poses by itself.")
        return self.slots["detector"].detect(*self._on("detector", frames, None))
