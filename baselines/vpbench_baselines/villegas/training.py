"""How the generator is trained: pairs of frames, four losses, a discriminator of pairs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api import FitContext, TrainView
from vpbench.kit import (
    Training,
    apply_gradients,
    autocast,
    generator_loss,
    named_precision,
    pair_window,
    perceptual_network,
    rate_factor,
    seeded,
    to_tensor,
    training_steps,
    validation_due,
)
from vpbench_baselines.common.batches import as_tensors, tensor_batches
from vpbench_baselines.common.figures import read
from vpbench_baselines.common.graphs import GraphedStep, note_refusal
from vpbench_baselines.common.optimisers import adam, set_rate
from vpbench_baselines.villegas.detector import PoseDetector, make_network, regression_loss
from vpbench_baselines.villegas.drawer import AnalogyDrawer
from vpbench_baselines.villegas.heatmaps import HeatMapNetwork
from vpbench_baselines.villegas.losses import FeatureLoss, matching_loss, next_turns, squared_loss
from vpbench_baselines.villegas.networks import PairDiscriminator
from vpbench_baselines.villegas.poses import Poses
from vpbench_baselines.villegas.settings import augment_of
from vpbench_baselines.villegas.validation import N_PICTURES, draw_validation

_BETAS = (0.5, 0.999)
"""Of both Adams, as in the authors' code."""
_CALIBRATION = 64
"""Frames that the feature losses are scaled on."""
_REGRESSOR_RATE = 4e-3
"""Where the cosine of the regressor begins: the rate of preset `cpu` of the detector."""
_SPREAD, _VISIBLE_WEIGHT = 1.0, 0.1
"""Of the regressor's heat maps; the detector's defaults."""
_LAYERS: dict[str, dict[str, Any]] = {
    "vgg16-hed": {"layers": ("relu5_3",)},
    "efficientnet-lite0": {"strides": (8,)},
}
"""Where the generic features are taken."""


class GeneratorTraining:
    """One training of the generator and its discriminator.

    The pose features are those of the detector where it is the method's own; for another one a
    regressor learns its points in the first steps, and is frozen then.

    Args:
        drawer: whose network is trained.
    """

    def __init__(self, drawer: AnalogyDrawer, data: TrainView, ctx: FitContext) -> None:
        self.p, self.drawer, self.data, self.ctx = drawer.params, drawer, data, ctx
        p, detector = self.p, ctx.component("detector")
        self.poses = Poses(detector, ctx.task, ctx.device)
        self.steps, self.batch = int(p["steps"]), int(p["batch"])
        self.window, self.augment = pair_window(str(p["pair_gap"])), augment_of(p)
        self.precision = named_precision(str(p["precision"]))
        first, self.count = self._calibration()
        self.net = drawer.reset(self.count, self.poses.limbs, ctx.seed).to(ctx.device).train()
        with seeded(ctx.seed + 1):
            self.discriminator = self._discriminator().to(ctx.device).train()
        self.regressor, self.regressor_steps = self._regressor(detector)
        self._frames = first
        self.generic = self._generic(first)
        self.pose_loss: FeatureLoss | None = None
        self.training = self._training()

    def _discriminator(self) -> PairDiscriminator:
        channels = 3 + self.net.pose[0].in_channels  # pyright: ignore[reportOperatorIssue]
        width = int(self.p["discriminator_width"])
        network = PairDiscriminator(int(channels), width, self.ctx.task.size)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def _regressor(self, detector: Any) -> tuple[HeatMapNetwork, int]:
        """The network of the pose features, and for how many steps it has to learn."""
        if isinstance(detector, PoseDetector):
            return detector.net, 0
        network = make_network(self.count, int(self.p["regressor_width"]), self.ctx.seed + 2)
        return network.to(self.ctx.device), int(self.p["regressor_steps"])

    def _calibration(self) -> tuple[Tensor, int]:
        """Real frames [N,3,H,W] in [-1,1], and how many points the detector finds."""
        batches = self.data.batches("train", self.window, _CALIBRATION // 2, stream="calibration")
        batch = next(batches)
        frames = to_tensor(batch.frames, self.ctx.device)
        count = self.poses.true(batch, frames).shape[2]
        return frames.flatten(0, 1) * 2 - 1, count

    def _generic(self, frames: Tensor) -> FeatureLoss | None:
        name = str(self.p["features"])
        if name == "none" or float(self.p["generic_weight"]) <= 0:
            return None
        path = self.ctx.weights(name)
        network = perceptual_network(name, path, **_LAYERS.get(name, {})).to(self.ctx.device)
        return FeatureLoss(lambda images: network(images / 2 + 0.5)[-1], frames)

    def _training(self) -> Training:
        """Networks, optimisers and whose turn it is, as they are stored and resumed."""
        rate = float(self.p["rate"])
        self.generator_weights = list(self.net.parameters())
        self.discriminator_weights = list(self.discriminator.parameters())
        device = self.ctx.device
        self.optimiser = adam(self.generator_weights, rate, device, _BETAS)
        self.discriminator_optimiser = adam(self.discriminator_weights, rate, device, _BETAS)
        optimisers = {"generator": self.optimiser, "discriminator": self.discriminator_optimiser}
        networks: dict[str, nn.Module] = {
            "generator": self.net,
            "discriminator": self.discriminator,
        }
        if self.regressor_steps:
            networks["regressor"] = self.regressor
            self.regressor_optimiser = torch.optim.Adam(
                self.regressor.parameters(), _REGRESSOR_RATE
            )
            optimisers["regressor"] = self.regressor_optimiser
        return Training(
            "villegas-translator:fit",
            networks,
            optimisers,
            self.regressor_steps + self.steps,
            ("batch", "width"),
            {"moves": {"discriminator": True, "generator": True}},
        )

    def run(self) -> bool:
        """Train to the end; False when asked to stop before."""
        source = tensor_batches(self.data, self.ctx, self.window, self.batch, self.augment)
        # whose turn it is depends on losses, which a recorded step cannot look at
        eager = float(self.p["margin"]) > 0
        self.graphs = [
            GraphedStep(step, self.ctx.device, eager) for step in (self._plain, self._adversarial)
        ]
        with self.training:
            for step, made in training_steps(self.ctx, self.training, *source):
                batch = as_tensors(made, self.ctx.device)
                poses, images = self.poses.true(batch, batch.frames), batch.frames * 2 - 1
                if step < self.regressor_steps:
                    losses = self._regressor_step(step, images, poses)
                else:
                    losses = self._step(step - self.regressor_steps, images, poses)
                done = self.training.log(read(losses, self.training), batch.index)
                if validation_due(done, self.training.steps, N_PICTURES, at_end=False):
                    draw_validation(self.drawer, self.poses, self.data, self.ctx)
        for graphed in self.graphs:
            note_refusal(self.ctx, graphed)
        return self.training.finished

    # -- one step -----------------------------------------------------------------------------

    def _regressor_step(self, step: int, images: Tensor, poses: Tensor) -> dict[str, Tensor]:
        """Teach the regressor the points of both frames."""
        rate = _REGRESSOR_RATE * rate_factor("cosine", step, self.regressor_steps)
        set_rate(self.regressor_optimiser, rate)
        self.regressor.train()
        loss = regression_loss(
            self.regressor,
            images.flatten(0, 1),
            poses.flatten(0, 1),
            self.precision,
            _SPREAD,
            _VISIBLE_WEIGHT,
        )
        self.regressor_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.regressor_optimiser.step()
        return {"regressor": loss.detach()}

    def _step(self, step: int, images: Tensor, poses: Tensor) -> dict[str, Tensor]:
        """Update both networks once, where it is their turn, and return the losses."""
        rate = float(self.p["rate"]) * rate_factor(str(self.p["schedule"]), step, self.steps)
        for optimiser in (self.optimiser, self.discriminator_optimiser):
            set_rate(optimiser, rate)
        begun = step >= float(self.p["adversarial_start"]) * self.steps
        figures = self.graphs[begun](images=images, poses=poses)
        margin = float(self.p["margin"])
        if begun and margin > 0:
            judged = float(figures["judged_real"]), float(figures["judged_fake"])
            turns = next_turns(self.training.extra["moves"], judged, margin)
            self.training.extra["moves"] = turns
        return figures

    def _plain(self, images: Tensor, poses: Tensor) -> dict[str, Tensor]:
        """A step without the discriminator."""
        fake, target, _, _ = self._drawn(images, poses)
        return self._update(self._distances(fake, target))

    def _adversarial(self, images: Tensor, poses: Tensor) -> dict[str, Tensor]:
        """A step of both."""
        fake, target, source, wanted = self._drawn(images, poses)
        terms = self._distances(fake, target)
        turn = self.training.extra["moves"]["discriminator"]
        judged = self._judge(source, target, fake.detach(), wanted, turn)
        with self._autocast():
            logits = self.discriminator(fake, wanted)
        terms["adversarial"] = float(self.p["adversarial_weight"]) * generator_loss(logits.float())
        return {**judged, **self._update(terms)}

    def _drawn(self, images: Tensor, poses: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is drawn, the true frame, the frame before, and the maps of the wanted pose."""
        source, target = (_channels_last(images[:, k]) for k in (0, 1))
        reference, wanted = (self.drawer.maps(poses[:, k]) for k in (0, 1))
        with self._autocast():
            fake = self.net(source, reference, wanted)
        return fake.float(), target, source, wanted

    def _update(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Move the generator where it is its turn; the losses."""
        if self.training.extra["moves"]["generator"]:
            total = torch.stack(list(terms.values())).sum()
            gradients = torch.autograd.grad(total, self.generator_weights)
            apply_gradients(self.optimiser, self.generator_weights, gradients)
        return {name: value.detach() for name, value in terms.items()}

    def _judge(
        self, source: Tensor, target: Tensor, fake: Tensor, wanted: Tensor, update: bool
    ) -> dict[str, Tensor]:
        """The discriminator's losses; it is updated where it is its turn."""
        with self._autocast():
            # each kind by itself: the statistics of a batch are those of one kind
            real, drawn, wrong = (
                self.discriminator(image, wanted) for image in (target, fake, source)
            )
        losses = matching_loss(real.float(), drawn.float(), wrong.float())
        if update:
            total = losses["real"] + losses["fake"]
            gradients = torch.autograd.grad(total, self.discriminator_weights)
            apply_gradients(self.discriminator_optimiser, self.discriminator_weights, gradients)
        return {f"judged_{name}": value.detach() for name, value in losses.items()}

    def _distances(self, fake: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Pixels, generic features, pose features; each with its weight."""
        p = self.p
        terms = {"pixels": float(p["pixel_weight"]) * squared_loss(fake, target)}
        some = max(1, round(float(p["feature_share"]) * len(fake)))
        pair = (fake[:some], target[:some])
        if self.generic is not None:
            terms["generic"] = float(p["generic_weight"]) * self.generic(*pair)
        if float(p["pose_weight"]) > 0:
            terms["pose"] = float(p["pose_weight"]) * self._pose_features()(*pair)
        return terms

    def _pose_features(self) -> FeatureLoss:
        """The loss on the regressor's features, once it has learned what it has to."""
        if self.pose_loss is None:
            self.regressor.eval().requires_grad_(False)
            self.pose_loss = FeatureLoss(self._regressor_features, self._frames)
        return self.pose_loss

    def _regressor_features(self, images: Tensor) -> Tensor:
        with self._autocast():
            return self.regressor.features(images)

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.ctx.device, self.precision)


def _channels_last(images: Tensor) -> Tensor:
    """As a CPU convolves fastest."""
    return images.contiguous(memory_format=torch.channels_last)
