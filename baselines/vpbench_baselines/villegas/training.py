"""How the generator is trained: pairs of frames, four losses, a discriminator of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vpbench.api import FitContext, TrainView
from vpbench.kit import Made, Prefetch, Training, perceptual_network, seeded, to_tensor, train
from vpbench_baselines.common.gradients import apply, set_rate
from vpbench_baselines.villegas.detector import PoseDetector, make_network, regression_loss
from vpbench_baselines.villegas.heatmaps import HeatMapNetwork
from vpbench_baselines.villegas.losses import (
    FeatureLoss,
    fooling_loss,
    matching_loss,
    next_turns,
    squared_loss,
)
from vpbench_baselines.villegas.networks import PairDiscriminator
from vpbench_baselines.villegas.poses import Poses
from vpbench_baselines.villegas.schedule import augment_of, pair_of, precision_of, rate_factor
from vpbench_baselines.villegas.validation import Watcher

if TYPE_CHECKING:
    from vpbench_baselines.villegas.translator import AnalogyTranslator

_BETAS = (0.5, 0.999)
_CALIBRATION = 64
"""Frames that the feature losses are scaled on."""
_REGRESSOR_RATE = 4e-3
_SPREAD, _SEEN = 1.0, 0.1
"""Of the regressor's heat maps, as those of the detector."""
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
        translator: whose network is trained.
    """

    def __init__(self, translator: AnalogyTranslator, data: TrainView, ctx: FitContext) -> None:
        self.p, self.translator, self.data, self.ctx = translator.params, translator, data, ctx
        p, detector = self.p, ctx.component("detector")
        self.poses = Poses(detector, ctx.task, ctx.device)
        self.steps, self.batch = int(p["steps"]), int(p["batch"])
        self.window, self.augment = pair_of(str(p["pair_gap"])), augment_of(p)
        self.precision = precision_of(str(p["precision"]))
        first, self.count = self._calibration()
        self.net = translator.reset(self.count, self.poses.limbs, ctx.seed).to(ctx.device).train()
        with seeded(ctx.seed + 1):
            self.discriminator = self._discriminator().to(ctx.device).train()
        self.regressor, self.before = self._regressor(detector)
        self._frames = first
        self.generic = self._generic(first)
        self.pose_loss: FeatureLoss | None = None
        self._optimisers()

    def _discriminator(self) -> PairDiscriminator:
        channels = 3 + self.net.pose[0].in_channels  # pyright: ignore[reportOperatorIssue]
        width = int(self.p["discriminator_width"])
        made = PairDiscriminator(int(channels), width, self.ctx.task.size)
        return made.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def _regressor(self, detector: Any) -> tuple[HeatMapNetwork, int]:
        """The network of the pose features, and for how many steps it has to learn."""
        if isinstance(detector, PoseDetector):
            return detector.net, 0
        made = make_network(self.count, int(self.p["regressor_width"]), self.ctx.seed + 2)
        return made.to(self.ctx.device), int(self.p["regressor_steps"])

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

    def _optimisers(self) -> None:
        rate = float(self.p["rate"])
        self.drawn_by = list(self.net.parameters())
        self.judged_by = list(self.discriminator.parameters())
        self.adam = torch.optim.Adam(self.drawn_by, rate, betas=_BETAS)
        self.rival = torch.optim.Adam(self.judged_by, rate, betas=_BETAS)
        self.optimisers = {"generator": self.adam, "discriminator": self.rival}
        self.players: dict[str, nn.Module] = {
            "generator": self.net,
            "discriminator": self.discriminator,
        }
        if self.before:
            self.players["regressor"] = self.regressor
            self.learner = torch.optim.Adam(self.regressor.parameters(), _REGRESSOR_RATE)
            self.optimisers["regressor"] = self.learner

    def run(self) -> bool:
        """Train to the end; False when asked to stop before."""
        self.training = Training(
            "villegas-translator:fit",
            self.players,
            self.optimisers,
            self.before + self.steps,
            ("batch", "width"),
            {"moves": {"discriminator": True, "generator": True}},
        )
        watcher = Watcher(self.translator, self.poses, self.data, self.ctx)
        return train(
            self.ctx, self.training, self._begin, lambda k: watcher.after(k, self.training)
        )

    def _begin(self, done: int) -> Any:
        batches = Prefetch(
            self.data.batches("train", self.window, self.batch, self.augment, done), 3
        )

        def make(step: int) -> Made:
            batch = next(batches)
            frames = to_tensor(batch.frames, self.ctx.device)
            poses = self.poses.true(batch, frames)
            images = frames * 2 - 1
            if step < self.before:
                return Made(self._learn(step, images, poses), batch.index)
            return Made(self._step(step - self.before, images, poses), batch.index)

        return make

    # -- one step -----------------------------------------------------------------------------

    def _learn(self, step: int, images: Tensor, poses: Tensor) -> dict[str, float]:
        """Teach the regressor the points of both frames."""
        set_rate(self.learner, _REGRESSOR_RATE * rate_factor("cosine", step, self.before))
        self.regressor.train()
        loss = regression_loss(
            self.regressor,
            images.flatten(0, 1),
            poses.flatten(0, 1),
            self.precision,
            _SPREAD,
            _SEEN,
        )
        self.learner.zero_grad(set_to_none=True)
        loss.backward()
        self.learner.step()
        return {"regressor": float(loss.detach())}

    def _step(self, step: int, images: Tensor, poses: Tensor) -> dict[str, float]:
        """Move both players once; tells the losses."""
        factor = rate_factor(str(self.p["schedule"]), step, self.steps)
        for optimiser in (self.adam, self.rival):
            set_rate(optimiser, float(self.p["rate"]) * factor)
        source, target = (self._laid(images[:, k]) for k in (0, 1))
        reference, wanted = (self.translator.maps(poses[:, k]) for k in (0, 1))
        moves = self.training.extra["moves"]
        with self._low():
            fake = self.net(source, reference, wanted)
        fake = fake.float()
        terms = self._distances(fake, target)
        figures: dict[str, float] = {}
        if step >= float(self.p["adversarial_start"]) * self.steps:
            told = self._judge(source, target, fake.detach(), wanted, moves["discriminator"])
            figures |= told
            with self._low():
                logits = self.discriminator(fake, wanted)
            terms["adversarial"] = float(self.p["adversarial_weight"]) * fooling_loss(
                logits.float()
            )
            self.training.extra["moves"] = next_turns(
                moves, (told["judged_real"], told["judged_fake"]), float(self.p["margin"])
            )
        if moves["generator"]:
            total = torch.stack(list(terms.values())).sum()
            apply(self.adam, self.drawn_by, torch.autograd.grad(total, self.drawn_by))
        return {**figures, **{name: float(value.detach()) for name, value in terms.items()}}

    def _judge(
        self, source: Tensor, target: Tensor, fake: Tensor, wanted: Tensor, moves: bool
    ) -> dict[str, float]:
        """The discriminator's losses, after which it moves if it may."""
        with self._low():
            # each kind by itself: the statistics of a batch are those of one kind
            real, made, wrong = (
                self.discriminator(image, wanted) for image in (target, fake, source)
            )
        losses = matching_loss(real.float(), made.float(), wrong.float())
        if moves:
            total = losses["real"] + losses["fake"]
            apply(self.rival, self.judged_by, torch.autograd.grad(total, self.judged_by))
        return {f"judged_{name}": float(value.detach()) for name, value in losses.items()}

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
            self.pose_loss = FeatureLoss(self._regressed, self._frames)
        return self.pose_loss

    def _regressed(self, images: Tensor) -> Tensor:
        with self._low():
            return self.regressor.features(images)

    def _laid(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last)

    def _low(self) -> torch.autocast:
        low = self.precision != torch.float32
        return torch.autocast(self.ctx.device, self.precision, enabled=low)
