"""The second stage: the motion generator and the sequence discriminator on pseudo-labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpbench.api import BadData, Batch, Clip, FitContext, Frames, KeypointView
from vpbench.kit import (
    Training,
    discriminator_loss,
    frozen_logits,
    generator_loss,
    rate_factor,
    round_weights,
    seeded,
    set_rate,
    training_steps,
    validation_due,
)
from vpbench_keypoints.motion import KeypointMotion
from vpbench_keypoints.networks import SequenceDiscriminator, active_units, kl_to_normal
from vpbench_keypoints.pictures import loss_curves
from vpbench_keypoints.resident import DeviceBatch, ResidentPaths
from vpbench_keypoints.schedule import (
    ADAM_BETAS,
    AHEAD,
    MOTION_AUGMENTS,
    NOT_MEASURED,
    SMOKE_STEPS,
    named_augment,
)

_RECONSTRUCTION = 1000.0
"""Weight of the mean absolute error of coordinates (paper: lambda_2)."""
_N_VALIDATIONS = 20
"""More than the kit's: validating paths of keypoints costs next to nothing."""
_MOST_CLIPS = 96
"""Validation clips that are looked at; any number fits one batch."""
_LEAST_ACTIVE = 2
"""With fewer active units the posterior has collapsed: noise changes little or nothing."""


class SecondStage:
    """One training of M and D_seq; one batch serves both networks."""

    def __init__(self, motion: KeypointMotion, data: KeypointView, ctx: FitContext) -> None:
        self.p: Mapping[str, Any] = motion.params
        self.motion, self.data, self.ctx = motion, data, ctx
        self.steps, self.batch = int(self.p["motion_steps"]), int(self.p["motion_batch"])
        augment = str(self.p["motion_augment"])
        self.augment, self.resident = named_augment(augment, MOTION_AUGMENTS)
        self.window = Clip(ctx.task.horizon + 1, "task", "random")
        motion.reset(ctx.seed)
        self.net = motion.net.to(ctx.device).train()
        with seeded(ctx.seed + 1):
            self.discriminator = SequenceDiscriminator(
                int(self.p["n_keypoints"]),
                int(self.p["motion_hidden"]),
                relu_head=bool(self.p["relu_heads"]),
            ).to(ctx.device)
        trained = [w for w in self.net.parameters() if w.requires_grad]
        self.optimiser = torch.optim.Adam(trained, betas=ADAM_BETAS)
        judging = [w for w in self.discriminator.parameters() if w.requires_grad]
        self.discriminator_optimiser = torch.optim.Adam(judging, betas=ADAM_BETAS)
        self.held_out = self._validation_paths()

    def run(self) -> bool:
        """Train to the end; False when asked to stop before."""
        training = Training(
            "ours:motion",
            {"motion": self.net, "discriminator": self.discriminator},
            {"generator": self.optimiser, "discriminator": self.discriminator_optimiser},
            self.steps,
            ("motion_batch", "motion_hidden"),
            {"validation": {"best": None, "weights": None, "curve": []}},
        )
        with training:
            for step, batch in self._training_steps(training):
                losses = self._step(step, *self._given(batch))
                done = training.log(losses, batch.index)
                if validation_due(done, self.steps, _N_VALIDATIONS):
                    self._validate(done, training)
        if training.finished:
            self._finish(training)
        return training.finished

    def _finish(self, training: Training) -> None:
        """Put the best weights back, rounded as they will be stored; count what the latent does.

        Without validation clips the last weights are kept.
        """
        if self.held_out is not None:
            self.net.load_state_dict(training.extra["validation"]["weights"])
        round_weights(self.net)
        if self.held_out is None:
            self.ctx.note(NOT_MEASURED)
        elif self.steps >= SMOKE_STEPS:
            self.ctx.check("active units of the latent", self._active(), at_least=_LEAST_ACTIVE)

    def _training_steps(self, training: Training) -> Iterator[tuple[int, Batch | DeviceBatch]]:
        if not self.resident:
            return training_steps(self.ctx, training, self._batches, AHEAD)
        seed, device = self.ctx.seed, self.ctx.device
        paths = ResidentPaths(self.data, device, self.window, self.batch, self.augment, seed)
        return training_steps(self.ctx, training, paths.batches)

    def _batches(self, done: int) -> Iterator[Batch]:
        return self.data.batches("train", self.window, self.batch, self.augment, start_step=done)

    def _given(self, batch: Batch | DeviceBatch) -> tuple[Tensor, Tensor | None]:
        """Paths [B,1+T,2K] and labels [B] on the device."""
        if isinstance(batch, DeviceBatch):
            return batch.values, batch.label
        return self._paths(batch.keypoints), self._labels(batch.label)

    def _paths(self, keypoints: Any) -> Tensor:
        """[B,1+T,2K], k_0 first."""
        points = torch.from_numpy(np.ascontiguousarray(keypoints[..., :2]))
        return points.flatten(2).to(self.ctx.device)

    def _labels(self, label: Any) -> Tensor | None:
        return None if label is None else torch.from_numpy(np.array(label)).to(self.ctx.device)

    def _step(self, step: int, paths: Tensor, label: Tensor | None) -> dict[str, Tensor]:
        """Update both networks once and return the losses, where they were computed."""
        rate = float(self.p["motion_rate"])
        rate *= rate_factor(str(self.p["motion_schedule"]), step, self.steps)
        for optimiser in (self.optimiser, self.discriminator_optimiser):
            set_rate(optimiser, rate)
        first, real = paths[:, 0], paths[:, 1:]
        fake, kl = self._reconstruct(first, real, label)
        figures: dict[str, Tensor] = {}
        terms = {
            "path": _RECONSTRUCTION * (fake - real).abs().mean(),
            "kl": float(self.p["kl_weight"]) * kl,
        }
        weight = float(self.p["sequence_adversarial_weight"])
        if weight > 0:
            figures["discriminator"] = self._update_discriminator(real, fake.detach())
            terms["adversarial"] = weight * generator_loss(frozen_logits(self.discriminator, fake))
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        return {name: value.detach() for name, value in terms.items()} | figures

    def _update_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """One step of the discriminator; `fake` carries no gradient. Returns its loss."""
        logits = self.discriminator(torch.cat([real, fake]))
        loss = discriminator_loss(*logits.chunk(2))
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimiser.step()
        return loss.detach()

    def _reconstruct(
        self, first: Tensor, real: Tensor, label: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        one_hot = self.motion.one_hot(label, first)
        mean, deviation = self.net.encode(real, first, one_hot)
        z = mean + deviation * torch.randn_like(mean)
        return self.net.decode(z, first, one_hot, real.shape[1]), kl_to_normal(mean, deviation)

    # -- validation ---------------------------------------------------------------------------

    def _validation_paths(self) -> tuple[Tensor, Tensor | None] | None:
        """Paths and labels of validation clips; None without any, or if none is long enough."""
        n = min(_MOST_CLIPS, self.data.len("val"))
        if not n:
            return None
        try:
            batch = next(self.data.batches("val", self.window, n, stream="validation"))
        except BadData:
            return None
        return self._paths(batch.keypoints), self._labels(batch.label)

    def _active(self) -> int:
        """How many units of the latent tell the validation paths apart."""
        if self.held_out is None:
            return 0
        paths, label = self.held_out
        with torch.no_grad():
            first = paths[:, 0]
            mean, _ = self.net.encode(paths[:, 1:], first, self.motion.one_hot(label, first))
        return active_units(mean)

    def _validate(self, done: int, training: Training) -> None:
        """Keep the weights with the lowest evidence bound on validation paths."""
        if self.held_out is None:
            return
        paths, label = self.held_out
        with torch.no_grad(), seeded(0):  # the same noise at each validation
            fake, kl = self._reconstruct(paths[:, 0], paths[:, 1:], label)
        path = float(_RECONSTRUCTION * (fake - paths[:, 1:]).abs().mean())
        bound = path + float(self.p["kl_weight"]) * float(kl)
        active = self._active()
        self.ctx.log({"val_path": path, "val_kl": float(kl), "val_active": active})
        kept: dict[str, Any] = training.extra["validation"]
        curve = [*kept["curve"], [done, path, float(kl)]]
        self.ctx.image("validation", _curves(curve))
        kept = {**kept, "curve": curve}
        if kept["best"] is None or bound < kept["best"]:
            weights = {k: v.clone() for k, v in self.net.state_dict().items()}
            kept |= {"best": bound, "weights": weights}
        training.extra["validation"] = kept


def _curves(curve: Sequence[Sequence[float]]) -> Frames:
    """The two parts of the evidence bound over the steps."""
    return loss_curves(
        [row[0] for row in curve],
        {
            "1000 x path error": [row[1] for row in curve],
            "KL, nats": [row[2] for row in curve],
        },
    )
