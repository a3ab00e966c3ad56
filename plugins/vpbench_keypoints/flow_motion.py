"""The motion component `flow-matching`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vpbench.api import Capabilities, Clip, FitContext, KeypointView, TaskInfo
from vpbench.kit import (
    Training,
    load_weights,
    normal,
    rate_factor,
    require_at_least,
    round_weights,
    save_weights,
    seeded,
    set_rate,
    training_steps,
    validation_clips,
    validation_due,
)
from vpbench_keypoints.flow import FlowNetwork, straight_line
from vpbench_keypoints.layers import one_hot
from vpbench_keypoints.pictures import loss_curves
from vpbench_keypoints.resident import DeviceBatch, ResidentPaths
from vpbench_keypoints.schedule import MOTION_AUGMENTS, NOT_MEASURED, SMOKE_STEPS, named_augment

_SPACE_PATHS = 4096
"""Paths, changed as in training, from which the linear code is found."""
_MOST_CLIPS = 96
"""Validation clips that are looked at; any number fits one batch."""
_VALIDATION_DRAWS = 16
"""Noise and times that each validation path is measured with: one is too noisy to choose by."""
_UNLABELLED = 0.1
"""Part of the paths that are learned without their label."""
_WEIGHT_DECAY = 0.05
_AVERAGE = 0.999
"""Of the running mean of the weights, which predicts; the weights themselves jitter."""
_LEAST_SPREAD, _MOST_SPREAD = 0.5, 2.0
"""Sampled paths that move less than half as far as real ones have come to a halt; those that move
more than twice as far have come apart."""
_LEAST_KEPT = 0.9
"""Part of the variance of training paths that the components must hold."""


class FlowMotion(nn.Module):
    """Paths of keypoints by flow matching; a motion component that trains itself.

    Args:
        space: (K, convention) of the detector's keypoints.
    """

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Any], space: tuple[int, str] | None
    ) -> None:
        super().__init__()
        require_at_least(
            params,
            {"n_keypoints": 1, "components": 1, "width": 1, "blocks": 0, "sampling_steps": 1}
            | {"steps": 1, "batch": 1, "dropout": 0.0, "pose_noise": 0.0},
        )
        self.params = dict(params)
        self.horizon = task.horizon
        self.classes = task.n_classes if params["label"] else 0
        need = "optional" if params["label"] else "no"
        self.capabilities = Capabilities(label=need, stochastic=True, trainable=True)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Untrained weights, drawn from `seed`."""
        p = self.params
        with seeded(seed):
            self.net = FlowNetwork(
                int(p["n_keypoints"]),
                self.classes,
                self.horizon,
                int(p["components"]),
                int(p["width"]),
                int(p["blocks"]),
                float(p["dropout"]),
            )

    def one_hot(self, label: Tensor | None, like: Tensor) -> Tensor:
        """[B,A]; all zeros for a label that is not given."""
        return one_hot(label, self.classes, like)

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """[B,n,K,3], int64 [B] or None, T, int64 [B] -> [B,T,K,3]; only the last frame counts.

        Beyond the horizon that it was trained for the points stand still.
        """
        first = keypoints[:, -1, :, :2].flatten(1)
        noise = normal(seeds, (len(self.net.space.basis),), keypoints.device)
        given = self.one_hot(label, first)
        path = self.net.sample(noise, first, given, int(self.params["sampling_steps"]))
        steps = torch.arange(horizon, device=path.device).clamp(max=self.horizon - 1)
        points = path[:, steps].unflatten(2, (-1, 2))
        return torch.cat([points, torch.ones_like(points[..., :1])], -1)

    def fit(self, data: KeypointView, ctx: FitContext) -> None:
        """Train on the keypoints of training clips; resumes after a kill."""
        if int(self.params["steps"]) < SMOKE_STEPS:
            ctx.not_comparable("a few training steps only")
        FlowTraining(self, data, ctx).run()

    def save(self, folder: Path) -> None:
        """Write the weights: matrices in half precision."""
        save_weights(self.net, folder)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights."""
        load_weights(self.net, folder, device)
        self.net.eval()  # without dropout, whoever asks


class FlowTraining:
    """One training of a `FlowMotion`. The running mean of its weights is what is kept."""

    def __init__(self, motion: FlowMotion, data: KeypointView, ctx: FitContext) -> None:
        self.p, self.motion, self.data, self.ctx = motion.params, motion, data, ctx
        self.steps = int(self.p["steps"])
        augment, _ = named_augment(str(self.p["motion_augment"]), MOTION_AUGMENTS)
        window = Clip(ctx.task.horizon + 1, "task", "random")
        self.paths = ResidentPaths(
            data, ctx.device, window, int(self.p["batch"]), augment, ctx.seed
        )
        motion.reset(ctx.seed)
        self.net = motion.net.to(ctx.device).train()
        # before step 0 there is no batch -1: the numbers of the space's batch are its own
        some = self.paths.batch(2**40, _SPACE_PATHS).values
        self.kept = self.net.space.fit((some[:, 1:] - some[:, :1]).flatten(1))
        with seeded(ctx.seed):
            self.average = self._copy().eval()
        self.optimiser = torch.optim.AdamW(self.net.parameters(), weight_decay=_WEIGHT_DECAY)
        self.held_out = self._validation()

    def _copy(self) -> FlowNetwork:
        import copy

        return copy.deepcopy(self.net).requires_grad_(False)

    def run(self) -> bool:
        """Train to the end; False when asked to stop before."""
        training = Training(
            "flow-matching:fit",
            {"net": self.net, "average": self.average},
            {"adam": self.optimiser},
            self.steps,
            ("batch", "width"),
            {"validation": {"best": None, "weights": None, "curve": []}},
        )
        with training:
            for step, batch in training_steps(self.ctx, training, self._batches):
                done = training.log({"flow": self._step(step, batch)}, batch.index)
                if self.held_out is not None and validation_due(done, self.steps):
                    self._validate(done, training)
        if training.finished:
            kept = training.extra["validation"]["weights"]
            self.net.load_state_dict(self.average.state_dict() if kept is None else kept)
            round_weights(self.net.eval())
            self._check()
        return training.finished

    def _batches(self, done: int) -> Iterator[DeviceBatch]:
        return self.paths.batches(done)

    def _step(self, step: int, batch: DeviceBatch) -> Tensor:
        rate = float(self.p["rate"]) * rate_factor("cosine", step, self.steps)
        set_rate(self.optimiser, rate)
        first, label = batch.values[:, 0], self.motion.one_hot(batch.label, batch.values[:, 0])
        # without a label now and then, so that it can also be asked without one
        if self.motion.classes:
            labelled = torch.rand(len(label), 1) >= _UNLABELLED
            label = label * labelled.to(label.device, non_blocking=True)
        # a first pose that is known exactly gives away which training clip it is from
        blur = torch.randn(first.shape).to(first.device, non_blocking=True)
        blurred = first + float(self.p["pose_noise"]) * blur
        loss = self._loss(self.net, batch.values, blurred, label)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self._follow(step)
        return loss.detach()

    def _loss(self, net: FlowNetwork, paths: Tensor, first: Tensor, label: Tensor) -> Tensor:
        """Mean squared error of the velocity, at random places on lines from random noise.

        Args:
            paths: [B,1+T,2K].
            first: the first pose as the network is shown it, [B,2K].
        """
        code = net.space.encode((paths[:, 1:] - paths[:, :1]).flatten(1))
        # drawn on the CPU, so that all devices train on the same noise
        noise = torch.randn(code.shape).to(code.device, non_blocking=True)
        time = torch.rand(len(code)).to(code.device, non_blocking=True)
        place, velocity = straight_line(noise, code, time)
        return (net(place, time, first, label) - velocity).square().mean()

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the running mean; it looks back less at first."""
        part = 1.0 - min(_AVERAGE, (1.0 + step) / (10.0 + step))
        for mean, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(value, part)

    # -- validation ---------------------------------------------------------------------------

    def _validation(self) -> tuple[Tensor, Tensor | None] | None:
        """Paths [N,1+T,2K] from the last given frame on, and labels; None without such clips."""
        given = self.ctx.task.n_max
        clips = list(validation_clips(self.data, self.ctx.task, _MOST_CLIPS))
        points = [c.keypoints[0, given - 1 :, :, :2] for c in clips if c.keypoints is not None]
        if not points:
            return None
        paths = torch.from_numpy(np.stack(points)).flatten(2).to(self.ctx.device)
        labels = [int(c.label[0]) for c in clips if c.label is not None]
        label = torch.tensor(labels).to(self.ctx.device) if len(labels) == len(paths) else None
        return paths, label

    @torch.no_grad()
    def _validate(self, done: int, training: Training) -> None:
        """Keep the running mean with the lowest loss on validation paths."""
        if self.held_out is None:
            return
        paths, label = self.held_out
        first = paths[:, 0]
        one_hot = self.motion.one_hot(label, first)
        with seeded(0):  # the same noise at each validation
            draws = [
                float(self._loss(self.average, paths, first, one_hot))
                for _ in range(_VALIDATION_DRAWS)
            ]
        loss = sum(draws) / len(draws)
        self.ctx.log({"val_flow": loss})
        kept: dict[str, Any] = training.extra["validation"]
        kept = {**kept, "curve": [*kept["curve"], [done, loss]]}
        rows = {"flow loss on validation paths": [row[1] for row in kept["curve"]]}
        self.ctx.image("validation", loss_curves([row[0] for row in kept["curve"]], rows))
        if kept["best"] is None or loss < kept["best"]:
            weights = {k: v.clone() for k, v in self.average.state_dict().items()}
            kept |= {"best": loss, "weights": weights}
        training.extra["validation"] = kept

    @torch.no_grad()
    def _check(self) -> None:
        """How far sampled paths move, as a part of real ones."""
        if self.held_out is None:
            self.ctx.note(NOT_MEASURED)
            return
        if self.steps < SMOKE_STEPS:
            return
        paths, label = self.held_out
        first = paths[:, 0]
        seeds = torch.arange(len(paths))
        points = first.unflatten(1, (-1, 2))[:, None]
        start = torch.cat([points, torch.ones_like(points[..., :1])], -1)
        drawn = self.motion.rollout(start, label, self.motion.horizon, seeds)[..., :2].flatten(2)
        moved = [float((p - first[:, None]).abs().mean()) for p in (drawn, paths[:, 1:])]
        ratio = moved[0] / max(moved[1], 1e-9)
        self.ctx.check(
            "movement of sampled paths, part of real ones'",
            ratio,
            at_least=_LEAST_SPREAD,
            at_most=_MOST_SPREAD,
        )
        self.ctx.check("variance of paths in the code", self.kept, at_least=_LEAST_KEPT)
