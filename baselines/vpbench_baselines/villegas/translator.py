"""The generator of `villegas` as a translator component."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api import Corrupt, FitContext, TaskInfo, TrainView, UnknownName
from vpbench.kit import load_state, load_weights, round_weights, save_weights, seeded
from vpbench_baselines.villegas.maps import LIMB_MAPS, has_limbs, limb_points, point_maps
from vpbench_baselines.villegas.networks import AnalogyGenerator
from vpbench_baselines.villegas.params import TRANSLATOR, TRANSLATOR_PRESETS
from vpbench_baselines.villegas.schedule import note_finished, require

CHUNK = 32
"""Frames that are drawn at once, which bounds the memory."""


class AnalogyTranslator(nn.Module):
    """Draws every frame from the last given one; `factory(task, params, space)` of a translator.

    Poses are shown to it as 48 maps along the limbs where the detector finds the joints of a body
    whose limbs are known, else as one map a point. Which of the two, and how many points, is found
    out when it is trained or loaded.
    """

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.task, self.params = task, dict(params)
        require(
            params,
            {
                "width": 1,
                "discriminator_width": 1,
                "regressor_width": 1,
                "steps": 1,
                "batch": 2,
                "sigma": 1e-6,
                "regressor_steps": 0,
                "adversarial_start": 0.0,
                "margin": 0.0,
            },
        )
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
        if self.limbs:
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
            found = net.draw(base.repeat_interleave(times, 0), self.maps(part.flatten(0, 1)))
            drawn.append(found.unflatten(0, (len(frame), times)))
        return (torch.cat(drawn, 1) + 1) / 2

    # -- training -----------------------------------------------------------------------------

    def fit(self, data: TrainView, ctx: FitContext) -> None:
        """Train on pairs of frames with the poses that belong to them, the detector being frozen.

        Raises:
            BadData: the detector finds joints and a clip has none.
        """
        from vpbench_baselines.villegas.training import GeneratorTraining
        from vpbench_baselines.villegas.validation import judge

        training = GeneratorTraining(self, data, ctx)
        if training.run() and self.net is not None:
            round_weights(self.net)
            note_finished(ctx, self.params, TRANSLATOR, TRANSLATOR_PRESETS, 1)
            judge(self, training.poses, data, ctx)

    # -- files --------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the weights: matrices in half precision."""
        if self.net is not None:
            save_weights(self.net, folder)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights, and from them how many maps there are."""
        enter = load_state(folder).get("pose.0.weight")
        if enter is None:
            raise Corrupt(f"{folder} holds no generator.", fix="Delete its stage folder.")
        count = enter.shape[1]
        load_weights(self.reset(count, self._drawn_as_limbs(count), 0), folder, device)

    def _drawn_as_limbs(self, count: int) -> bool:
        return count == LIMB_MAPS and has_limbs(self.task.joint_names)
