"""The first stage: detector, translator and image discriminator learn together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vpbench.api import Batch, FitContext, Refused, TrainView
from vpbench.kit import (
    PerceptualLoss,
    Training,
    discriminator_loss,
    frozen_logits,
    generator_loss,
    named_precision,
    pair_window,
    perceptual_network,
    ramp,
    rate_factor,
    seeded,
    set_rate,
    to_tensor,
    training_steps,
    validation_due,
)
from vpbench_keypoints.detector import KeypointDetector
from vpbench_keypoints.losses import changed_pixels, pixel_pyramid
from vpbench_keypoints.networks import ImageDiscriminator
from vpbench_keypoints.resident import DeviceBatch, ResidentPairs
from vpbench_keypoints.schedule import ADAM_BETAS, AHEAD, AUGMENTS, named_augment, sharpness_at
from vpbench_keypoints.translator import KeypointTranslator, map_sharpness
from vpbench_keypoints.validation import Translation, Validator
from vpbench_keypoints.warps import draw_warp

_CALIBRATION_BATCHES = 4
_CALIBRATION_PAIRS = 32
"""The perceptual loss finds the scales of its layers, which differ by orders of magnitude, on 4 x
32 pairs of frames."""


class FirstStage:
    """One training of Q, T and D_im.

    A batch serves both networks: the discriminator learns from the detached result, then the
    generator from the same one (the authors drew a batch for each).

    Args:
        detector: trained too if it stands in `ctx.trains`, else frozen.
    """

    def __init__(
        self, detector: Any, translator: KeypointTranslator, data: TrainView, ctx: FitContext
    ) -> None:
        self.p: Mapping[str, Any] = translator.params
        self.data, self.ctx = data, ctx
        self.detector, self.translator = detector, translator
        self.joint = "detector" in ctx.trains and isinstance(detector, KeypointDetector)
        with seeded(ctx.seed):
            self.discriminator = (
                ImageDiscriminator(
                    int(self.p["image_discriminator"]), int(self.p["image_discriminator_depth"])
                )
                .to(ctx.device)
                .to(memory_format=torch.channels_last)
            )
        self.precision = named_precision(str(self.p["precision"]))
        self.window = pair_window(str(self.p["pair_gap"]), ctx.task.horizon)
        self.augment, self.resident = named_augment(str(self.p["augment"]), AUGMENTS)
        if self.resident and not self.joint:
            raise Refused(
                "clips lie on the device only where the detector of 'ours' is trained too.",
                fix="Take augment=light.",
            )
        self.steps, self.batch = int(self.p["steps"]), int(self.p["batch"])
        self.perceptual = self._perceptual()

    def run(self) -> bool:
        """Train to the end; False when asked to stop before."""
        networks = self._fresh_networks()
        self.optimiser = torch.optim.Adam(
            [w for net in networks.values() for w in net.parameters()], betas=ADAM_BETAS
        )
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), betas=ADAM_BETAS
        )
        training = Training(
            "ours:keypoints",
            {**networks, "discriminator": self.discriminator},
            {"generator": self.optimiser, "discriminator": self.discriminator_optimiser},
            self.steps,
            ("batch", "translator_decoder", "detector_decoder"),
        )
        translation = Translation(self.detector, self.translator, self.perceptual)
        validator = Validator(translation, networks, self.data, self.ctx, training)
        with training:
            for step, batch in self._training_steps(training):
                losses = self._step(step, *self._pair(batch))
                done = training.log(losses, batch.index)
                if validation_due(done, self.steps):
                    validator.validate(done)
        if training.finished:
            validator.finish()
        return training.finished

    def _fresh_networks(self) -> dict[str, nn.Module]:
        """The networks of the generating side, drawn from the seed, on the device."""
        # what is drawn depends on the seed of each network alone, not on this order; the
        # optimiser's state does depend on it
        if self.joint:
            self.detector.reset(self.ctx.seed)
        self.translator.reset(self.ctx.seed + 1)
        networks: dict[str, nn.Module] = {"translator": self.translator.net}
        if self.joint:
            networks["detector"] = self.detector.net
        for net in networks.values():
            net.to(self.ctx.device).train()
        self.discriminator.train()
        return networks

    def _training_steps(self, training: Training) -> Iterator[tuple[int, Batch | DeviceBatch]]:
        if not self.resident:
            return training_steps(self.ctx, training, self._batches, AHEAD)
        seed, device = self.ctx.seed, self.ctx.device
        pairs = ResidentPairs(self.data, device, self.window, self.batch, self.augment, seed)
        return training_steps(self.ctx, training, pairs.batches)

    def _batches(self, done: int) -> Iterator[Batch]:
        return self.data.batches("train", self.window, self.batch, self.augment, start_step=done)

    def _pair(self, batch: Batch | DeviceBatch) -> tuple[Tensor, Tensor, Any]:
        """Source and target [B,3,H,W] in [-1,1] on the device, and joints where there are any."""
        if isinstance(batch, DeviceBatch):
            frames, pose = batch.values, None
        else:
            frames, pose = to_tensor(batch.frames, self.ctx.device), batch.pose
        frames = frames * 2.0 - 1.0
        return frames[:, 0], frames[:, 1], pose

    # -- one step -----------------------------------------------------------------------------

    def _step(self, step: int, source: Tensor, target: Tensor, pose: Any) -> dict[str, Tensor]:
        """Update both sides once and return the losses, where they were computed."""
        factor = rate_factor(str(self.p["schedule"]), step, self.steps)
        set_rate(self.optimiser, float(self.p["rate"]) * factor)
        set_rate(self.discriminator_optimiser, float(self.p["discriminator_rate"]) * factor)
        n = len(source)
        points, bent = self._points(source, target, pose)
        final_sharpness = map_sharpness(source.shape[-1])
        sharpness = sharpness_at(step, self.steps, final_sharpness, float(self.p["wide_maps"]))
        fake, _, mask = self.translator.draw(
            source, points[:n], points[n:], sharpness, self.precision
        )
        terms = self._distances(fake, source, target)
        if bent is not None:
            terms["equivariance"] = float(self.p["equivariance_weight"]) * bent
        weight = float(self.p["adversarial_weight"]) * ramp(
            step, self.steps, float(self.p["adversarial_start"])
        )
        figures: dict[str, Tensor] = {}
        if weight > 0:
            figures["discriminator"] = self._update_discriminator(target, fake.detach())
            terms["adversarial"] = weight * generator_loss(frozen_logits(self.discriminator, fake))
        total = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        figures |= {name: value.detach() for name, value in terms.items()}
        if mask is not None:
            figures["mask"] = mask.detach().mean()
        return figures

    def _points(self, source: Tensor, target: Tensor, pose: Any) -> tuple[Tensor, Tensor | None]:
        """Keypoints [2N,K,2] of both frames, and how far the detector is from equivariance."""
        if not self.joint:
            return self._frozen_points(source, target, pose), None
        images, warp = [source, target], None
        if float(self.p["equivariance_weight"]) > 0:
            some = target[: max(1, len(target) // 2)]  # half of a batch is enough, and costs half
            warp = draw_warp(len(some), some.device)
            images.append(warp.images(some))
        points = self.detector.points(torch.cat(images), self.precision)
        n = len(source)
        if warp is None:
            return points, None
        bent = points[2 * n :]
        return points[: 2 * n], (warp.places(bent) - points[n : n + len(bent)]).abs().mean()

    @torch.no_grad()
    def _frozen_points(self, source: Tensor, target: Tensor, pose: Any) -> Tensor:
        frames = torch.stack([source, target], 1) / 2.0 + 0.5
        joints = None if pose is None else torch.from_numpy(np.array(pose)).to(frames.device)
        points = self.detector.detect(frames, joints)[..., :2]
        return torch.cat([points[:, 0], points[:, 1]])

    def _distances(self, fake: Tensor, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if float(self.p["pixel_weight"]) > 0:
            changed = changed_pixels(source, target).to(fake)
            weight = 1.0 + float(self.p["changed_weight"]) * changed
            terms["pixels"] = float(self.p["pixel_weight"]) * pixel_pyramid(fake, target, weight)
        if self.perceptual is not None:
            distance = self.perceptual(fake / 2.0 + 0.5, target / 2.0 + 0.5)
            terms["perceptual"] = float(self.p["perceptual_weight"]) * distance
        return terms

    def _update_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """One step of the discriminator; `fake` carries no gradient. Returns its loss."""
        logits = self.discriminator(
            torch.cat([real, fake]).contiguous(memory_format=torch.channels_last)
        )
        loss = discriminator_loss(*logits.chunk(2))
        self.discriminator_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimiser.step()
        return loss.detach()

    def _perceptual(self) -> PerceptualLoss | None:
        """The perceptual loss, its scales calibrated on training frames."""
        name = str(self.p["perceptual"])
        if name == "none" or float(self.p["perceptual_weight"]) <= 0:
            return None
        network = perceptual_network(name, self.ctx.weights(name))
        loss = PerceptualLoss(network).to(self.ctx.device).to(memory_format=torch.channels_last)
        batches = self.data.batches("train", self.window, _CALIBRATION_PAIRS, stream="calibration")
        frames = [to_tensor(next(batches).frames) for _ in range(_CALIBRATION_BATCHES)]
        pairs = torch.cat(frames).to(self.ctx.device)
        loss.calibrate(pairs.flatten(0, 1), pairs[:, 0], pairs[:, 1])
        return loss
