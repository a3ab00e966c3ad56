"""How the generator of `villegas` draws, and what poses look like to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api import TaskInfo, UnknownName
from vpbench.kit import require_at_least, seeded
from vpbench_baselines.villegas.maps import LIMB_MAPS, limb_points, point_maps
from vpbench_baselines.villegas.networks import AnalogyGenerator

CHUNK = 32
"""Frames that are drawn at once, which bounds the memory."""

_LEAST = {
    "width": 1,
    "discriminator_width": 1,
    "regressor_width": 1,
    "steps": 1,
    "batch": 2,  # batch statistics of a single pair say nothing
    "sigma": 1e-6,
    "regressor_steps": 0,
    "adversarial_start": 0.0,
    "margin": 0.0,
}


class AnalogyDrawer(nn.Module):
    """Draws every frame from the last given one.

    Poses are shown to it as 48 maps along the limbs where the detector finds the joints of a body
    whose limbs are known, else as one map a point. Which of the two, and how many points, is known
    when it is trained or loaded.
    """

    def __init__(self, task: TaskInfo, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.task, self.params = task, dict(params)
        require_at_least(params, _LEAST)
        if params["init"] not in ("xavier", "identity"):
            raise UnknownName("init", str(params["init"]), ("xavier", "identity"))
        self.limbs = False
        self.net: AnalogyGenerator | None = None

    def reset(self, count: int, limbs: bool, seed: int) -> AnalogyGenerator:
        """Untrained weights for `count` points, drawn from `seed`."""
        self.limbs = limbs
        with seeded(seed):
            net = AnalogyGenerator(
                LIMB_MAPS if limbs else count,
                int(self.params["width"]),
                int(self.params["pools"]),
                str(self.params["init"]),
            )
        self.net = net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return self.net

    def maps(self, points: Tensor) -> Tensor:
        """Points [N,K,3] as the generator sees them, [N,48 or K,H,W]."""
        # weights that do not say what their 48 maps are may be of 48 points that are no joints
        if self.limbs and points.shape[-2] == len(self.task.joint_names):
            points = limb_points(points, self.task.joint_names)
        return point_maps(points, self.task.size, float(self.params["sigma"]) * self.task.size)

    def render(self, frame: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1], [B,K,3], [B,T,K,3] -> [B,T,3,H,W]; each frame from `frame` alone."""
        net = self.net or self.reset(source.shape[1], False, 0).to(frame.device)
        image = (frame * 2 - 1).contiguous(memory_format=torch.channels_last)
        base = net.base(image, self.maps(source))
        drawn: list[Tensor] = []
        for part in target.split(max(1, CHUNK // len(frame)), 1):
            times = part.shape[1]
            images = net.draw(base.repeat_interleave(times, 0), self.maps(part.flatten(0, 1)))
            drawn.append(images.unflatten(0, (len(frame), times)))
        return (torch.cat(drawn, 1) + 1) / 2
