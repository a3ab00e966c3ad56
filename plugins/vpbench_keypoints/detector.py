"""The keypoint detector Q as a component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api import TaskInfo, UnknownName
from vpbench.kit import autocast, load_weights, save_weights, seeded
from vpbench_keypoints.networks import KeypointNetwork, soft_argmax_marginal, soft_argmax_plane

CHUNK = 64
"""Images that pass through the network at once, which bounds the memory."""


class KeypointDetector(nn.Module):
    """Unsupervised keypoints; `factory(task, params, space)` of a detector component."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.params = dict(params)
        if params["soft_argmax"] not in ("plane", "marginal"):
            raise UnknownName("soft_argmax", str(params["soft_argmax"]), ("plane", "marginal"))
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Untrained weights, drawn from `seed`."""
        p = self.params
        with seeded(seed):
            self.net = KeypointNetwork(
                int(p["n_keypoints"]),
                int(p["detector_width"]),
                int(p["detector_decoder"]),
                float(p["bn_momentum"]),
            ).to(memory_format=torch.channels_last)

    def points(self, images: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Keypoints of images.

        Args:
            images: [N,3,H,W] in [-1,1].
            precision: of the convolutions; the read-out is always float32.

        Returns:
            [N,K,2], (x, y) in [-1,1].
        """
        images = images.contiguous(memory_format=torch.channels_last)
        with autocast(images.device, precision):
            logits = self.net(images)
        logits = logits.float()
        if self.params["soft_argmax"] == "plane":
            return soft_argmax_plane(logits, float(self.params["temperature"]))
        return soft_argmax_marginal(logits / float(self.params["temperature"]))

    def detect(self, frames: Tensor, pose: Tensor | None) -> Tensor:
        """float32 [B,T,3,H,W] in [0,1] -> [B,T,K,3]; the confidence is 1."""
        images = frames.flatten(0, 1) * 2.0 - 1.0
        places = torch.cat([self.points(part) for part in images.split(CHUNK)])
        points = torch.cat([places, torch.ones_like(places[..., :1])], -1)
        return points.unflatten(0, frames.shape[:2])

    def save(self, folder: Path) -> None:
        """Write the weights: matrices in half precision."""
        save_weights(self.net, folder)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights."""
        load_weights(self.net, folder, device)
