"""The second stage: the motion generator and the sequence discriminator on pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpbench.api import BadData, Clip, FitContext, KeypointView
from vpbench.kit import Made, Training, round_weights, seeded, train
from vpbench_keypoints.losses import discriminator_loss, frozen_logits, generator_loss
from vpbench_keypoints.motion import KeypointMotion
from vpbench_keypoints.networks import SequenceDiscriminator, kl_to_normal
from vpbench_keypoints.pictures import loss_curves
from vpbench_keypoints.schedule import MOTION_AUGMENTS, named_augment, rate_factor, set_rate

_BETAS = (0.5, 0.999)
_RECONSTRUCTION = 1000.0
"""Weight of the mean absolute error of coordinates (paper: lambda_2)."""
_TIMES = 20
"""Validations in the course of a training, none less than `_RARELY` steps after another."""
_RARELY = 50


class SecondStage:
    """One training of M and D_seq; one batch serves both players."""

    def __init__(self, motion: KeypointMotion, data: KeypointView, ctx: FitContext) -> None:
        self.p: Mapping[str, Any] = motion.params
        self.motion, self.data, self.ctx = motion, data, ctx
        self.steps, self.batch = int(self.p["motion_steps"]), int(self.p["motion_batch"])
        self.augment = named_augment(str(self.p["motion_augment"]), MOTION_AUGMENTS)
        self.window = Clip(ctx.task.horizon + 1, "task", "random")
        motion.reset(ctx.seed)
        self.net = motion.net.to(ctx.device).train()
        with seeded(ctx.seed + 1):
            self.rival_net = SequenceDiscriminator(
                int(self.p["n_keypoints"]),
                int(self.p["motion_hidden"]),
                relu_head=bool(self.p["relu_heads"]),
            ).to(ctx.device)
        trained = [w for w in self.net.parameters() if w.requires_grad]
        self.optimiser = torch.optim.Adam(trained, betas=_BETAS)
        rivals = [w for w in self.rival_net.parameters() if w.requires_grad]
        self.rival = torch.optim.Adam(rivals, betas=_BETAS)
        self.watch: dict[str, Any] = {"best": None, "weights": None, "curve": []}
        self.held_out = self._validation_paths()

    def run(self) -> bool:
        """Train to the end; False when asked to stop before."""
        training = Training(
            "ours:motion",
            {"motion": self.net, "discriminator": self.rival_net},
            {"generator": self.optimiser, "discriminator": self.rival},
            self.steps,
            ("motion_batch", "motion_hidden"),
            {"watch": self.watch},
        )
        done = train(self.ctx, training, self._begin, lambda k: self._after(k, training))
        if done:
            self.net.load_state_dict(training.extra["watch"]["weights"])
            round_weights(self.net)
        return done

    def _begin(self, done: int) -> Any:
        batches = self.data.batches("train", self.window, self.batch, self.augment, start_step=done)

        def make(step: int) -> Made:
            batch = next(batches)
            paths = self._paths(batch.keypoints)
            return Made(self._step(step, paths, self._labels(batch.label)), batch.index)

        return make

    def _paths(self, keypoints: Any) -> Tensor:
        """[B,1+T,2K], k_0 first."""
        points = torch.from_numpy(np.ascontiguousarray(keypoints[..., :2]))
        return points.flatten(2).to(self.ctx.device)

    def _labels(self, label: Any) -> Tensor | None:
        return None if label is None else torch.from_numpy(np.array(label)).to(self.ctx.device)

    def _step(self, step: int, paths: Tensor, label: Tensor | None) -> dict[str, float]:
        """Move both players once; tells the losses."""
        factor = rate_factor(str(self.p["motion_schedule"]), step, self.steps)
        for optimiser in (self.optimiser, self.rival):
            set_rate(optimiser, float(self.p["motion_rate"]) * factor)
        first, real = paths[:, 0], paths[:, 1:]
        fake, kl = self._reconstruct(first, real, label)
        logits = self.rival_net(torch.cat([real, fake.detach()]))
        rivalry = discriminator_loss(*logits.chunk(2))
        self.rival.zero_grad(set_to_none=True)
        rivalry.backward()
        self.rival.step()
        terms = {
            "path": _RECONSTRUCTION * (fake - real).abs().mean(),
            "kl": float(self.p["kl_weight"]) * kl,
            "adversarial": float(self.p["sequence_adversarial_weight"])
            * generator_loss(frozen_logits(self.rival_net, fake)),
        }
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        found = {name: float(value.detach()) for name, value in terms.items()}
        return {**found, "discriminator": float(rivalry.detach())}

    def _reconstruct(
        self, first: Tensor, real: Tensor, label: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        one_hot = self.motion.one_hot(label, first)
        mean, deviation = self.net.encode(real, first, one_hot)
        z = mean + deviation * torch.randn_like(mean)
        return self.net.decode(z, first, one_hot, real.shape[1]), kl_to_normal(mean, deviation)

    # -- validation ---------------------------------------------------------------------------

    def _validation_paths(self) -> tuple[Tensor, Tensor | None] | None:
        for split in ("val", "train"):
            n = min(96, self.data.len(split))
            if n:
                try:
                    batch = next(self.data.batches(split, self.window, n, stream="validation"))
                except BadData:
                    continue
                return self._paths(batch.keypoints), self._labels(batch.label)
        return None

    def _after(self, done: int, training: Training) -> None:
        """Keep the weights with the lowest evidence bound on validation paths."""
        every = max(_RARELY, training.steps // _TIMES)
        if (done % every and done != training.steps) or self.held_out is None:
            return
        paths, label = self.held_out
        with torch.no_grad(), seeded(0):
            fake, kl = self._reconstruct(paths[:, 0], paths[:, 1:], label)
        path = float(_RECONSTRUCTION * (fake - paths[:, 1:]).abs().mean())
        bound = path + float(self.p["kl_weight"]) * float(kl)
        self.ctx.log({"val_path": path, "val_kl": float(kl)})
        watch: dict[str, Any] = training.extra["watch"]
        watch["curve"] = [*watch["curve"], [done, path, float(kl)]]
        self.ctx.image(
            "validation",
            loss_curves(
                [row[0] for row in watch["curve"]],
                {
                    "1000 x path error": [row[1] for row in watch["curve"]],
                    "KL, nats": [row[2] for row in watch["curve"]],
                },
            ),
        )
        if watch["best"] is None or bound < watch["best"]:
            watch["best"] = bound
            watch["weights"] = {k: v.clone() for k, v in self.net.state_dict().items()}
