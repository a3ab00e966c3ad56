"""The motion generator M as a component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api import Capabilities, TaskInfo
from vpbench.kit import load_weights, normal, save_weights, seeded
from vpbench_keypoints.layers import one_hot
from vpbench_keypoints.networks import MotionNetwork

TRAINING_ONLY = ("encoder.", "posterior.")
"""Beginnings of the names of weights that prediction does without: the posterior encoder, half of
the network. A finished stage leaves them out; one that is interrupted resumes with them."""


class KeypointMotion(nn.Module):
    """Paths of keypoints from a class and noise; a motion component.

    Without labels, or with `label=off`, the networks have no class input at all.
    """

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.params = dict(params)
        self.classes = task.n_classes if params["label"] else 0
        need = "optional" if params["label"] else "no"
        self.capabilities = Capabilities(label=need, stochastic=True)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Untrained weights, drawn from `seed`."""
        p = self.params
        with seeded(seed):
            self.net = MotionNetwork(
                int(p["n_keypoints"]),
                self.classes,
                int(p["motion_hidden"]),
                int(p["motion_latent"]),
                int(p["motion_inlet"]),
                relu_heads=bool(p["relu_heads"]),
                residual=bool(p["residual"]),
            )

    def one_hot(self, label: Tensor | None, like: Tensor) -> Tensor:
        """[B,A]; all zeros for a label that is not given."""
        return one_hot(label, self.classes, like)

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """[B,n,K,3], int64 [B] or None, T, int64 [B] -> [B,T,K,3]; only the last frame counts."""
        first = keypoints[:, -1, :, :2].flatten(1)
        z = normal(seeds, (self.net.latent,), keypoints.device)
        path = self.net.decode(z, first, self.one_hot(label, first), horizon)
        points = path.unflatten(2, (-1, 2))
        return torch.cat([points, torch.ones_like(points[..., :1])], -1)

    def save(self, folder: Path) -> None:
        """Write the weights that prediction needs: matrices in half precision."""
        save_weights(self.net, folder, TRAINING_ONLY)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights; the posterior encoder keeps its first ones where it was left out."""
        load_weights(self.net, folder, device, TRAINING_ONLY)
