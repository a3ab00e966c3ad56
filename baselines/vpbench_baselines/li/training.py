"""How the two networks are trained, each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api import Clip, FitContext, TrainView
from vpbench.kit import (
    PerceptualLoss,
    Training,
    autocast,
    linear_decay,
    named_precision,
    perceptual_network,
    seeded,
    to_tensor,
    training_steps,
)
from vpbench_baselines.common.batches import ResidentClips, TensorBatch, resident
from vpbench_baselines.common.figures import read
from vpbench_baselines.common.graphs import GraphedStep, note_refusal
from vpbench_baselines.common.optimisers import adam, set_rate
from vpbench_baselines.li.flow_model import (
    FRAMES,
    FlowGenerator,
    PosteriorEncoder,
    divergences,
    draw_code,
)
from vpbench_baselines.li.flows import STEP, FlowBatch, FlowStore, flow_batches
from vpbench_baselines.li.refiner import Refiner, squared_distances
from vpbench_baselines.li.settings import Settings
from vpbench_baselines.li.teachers import make_teacher

_CALIBRATION = 8
"""Batches of pairs on which the perceptual loss finds the scales of its layers."""
_CALIBRATION_BATCH = 16
"""Pairs in each of them."""
_MOVES = 0.1
"""A place moves where the flow exceeds this part of the largest that can be drawn."""
_VGG_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Layers of the perceptual loss, as in the authors' code."""

_Source = tuple[Callable[[int], Iterator[Any]], int]
"""Steps that are made -> batches; and how many of them to make ahead."""


def open_store(settings: Settings, data: TrainView, ctx: FitContext) -> FlowStore:
    """The teacher's flow of the clips, kept in the user's cache.

    Raises:
        MissingDependency, MissingWeights: what the teacher needs is not here.
    """
    teacher = make_teacher(settings.teacher, ctx.weights, ctx.device)
    return FlowStore(data, teacher, ctx.cache("flow", settings.teacher))


def filled(flows: Tensor) -> Tensor:
    """[B,L,2,H,W] -> [B,16,2,H,W]: a shorter horizon has no flow after its end."""
    return F.pad(flows, (0, 0, 0, 0, 0, 0, 0, FRAMES - flows.shape[1]))


def mirrored(frames: Tensor, flows: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror some of the clips [B,L,3,H,W] and their flow [B,L',2,H,W], whose x turns round."""
    which = which.view(-1, 1, 1, 1, 1)
    turned = flows.flip(-1) * flows.new_tensor([-1.0, 1.0]).view(1, 1, 2, 1, 1)
    return torch.where(which, frames.flip(-1), frames), torch.where(which, turned, flows)


def flow_loss(drawn: Tensor, flows: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean absolute error of the first flows, as many as are known: [B,16,...], [B,L,...], px.

    Args:
        weight: [B,L,1,H,W], what each place counts.
    """
    drawn = drawn[:, : flows.shape[1]]
    if weight is None:
        return F.l1_loss(drawn, flows)
    return ((drawn - flows).abs() * weight).sum() / (weight.sum() * flows.shape[2])


def moving(flows: Tensor, bound: float, weight: float) -> Tensor | None:
    """[B,L,1,H,W]: 1, and `weight` more where flow [B,L,2,H,W] exceeds a tenth of `bound`.

    Most places stand still, so that no flow at all is nearly the best by the plain mean.
    """
    if weight == 0:
        return None
    return 1.0 + weight * (flows.abs().amax(2, keepdim=True) > _MOVES * bound)


def reduced(divergence: Tensor, reduction: str) -> Tensor:
    """KL [B,latent] to one number: "sum" over all, as in the original, or "mean"."""
    return divergence.sum() if reduction == "sum" else divergence.mean()


class Trainer:
    """Trains one stage on the teacher's flow.

    Args:
        store: gives clips with their flow.
    """

    def __init__(self, settings: Settings, store: FlowStore, ctx: FitContext) -> None:
        self.settings, self.store, self.ctx = settings, store, ctx

    def _autocast(self) -> AbstractContextManager[object]:
        """In which precision the layers of the networks compute."""
        return autocast(self.ctx.device, named_precision(self.settings.precision))

    def _clips(self, batch: FlowBatch | TensorBatch) -> tuple[Tensor, Tensor]:
        if isinstance(batch, TensorBatch):
            frames, flows = batch.frames, _stored(batch.extra)
        else:
            frames = to_tensor(batch.frames, self.ctx.device)
            flows = torch.from_numpy(batch.flows).to(self.ctx.device)
        if self.settings.flip:
            frames, flows = mirrored(frames, flows, torch.rand(len(frames)).to(frames.device) < 0.5)
        return frames, flows

    def _source(self, window: Clip, batch: int, ends: bool) -> _Source:
        """Batches of the harness with their flow; on a GPU they are drawn from clips there."""
        if resident(self.ctx.device):

            def flow_of(clip: int, stride: int) -> npt.NDArray[np.int16]:
                return self.store.whole("train", clip, stride * (window.length - 1 if ends else 1))

            clips = ResidentClips.of(self.store.data, self.ctx, window, flow_of)
            if clips is not None:
                kept = (0, window.length - 1) if ends else None
                return lambda done: _drawn(clips, batch, kept), 0
        return lambda done: flow_batches(self.store, "train", window, batch, done, ends=ends), 2

    def _run(
        self,
        training: Training,
        source: _Source,
        rate: float,
        decay: float,
        loss_of: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, dict[str, Tensor]]],
        noise: int = 0,
    ) -> bool:
        """Minimise a loss of frames, flows and noise; False when asked to stop before the end.

        Args:
            noise: normal numbers that it is given for each clip.
        """
        optimiser = training.optimisers["adam"]
        bound = self.settings.bound(self.ctx.task.size)

        def update(frames: Tensor, flows: Tensor, noise: Tensor) -> dict[str, Tensor]:
            loss, figures = loss_of(frames, flows, noise)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            return {**figures, "saturated": (flows.abs() >= bound).float().mean()}

        graphed = GraphedStep(update, self.ctx.device)
        with training:
            for step, batch in training_steps(self.ctx, training, *source):
                frames, flows = self._clips(batch)
                drawn = torch.randn(len(frames), noise).to(self.ctx.device)
                set_rate(optimiser, rate * linear_decay(step, training.steps, decay))
                figures = graphed(frames=frames, flows=flows, noise=drawn)
                training.log(read(figures, training), batch.index)
        note_refusal(self.ctx, graphed)
        return training.finished

    def flow(self, generator: FlowGenerator, posterior: PosteriorEncoder) -> bool:
        """First stage: draw the teacher's flow from the image and a code that has seen it."""
        s = self.settings
        bound = s.bound(self.ctx.task.size)
        modules: dict[str, nn.Module] = {"generator": generator, "posterior": posterior}
        for module in modules.values():
            module.train()
        weights = [w for module in modules.values() for w in module.parameters()]
        training = Training(
            "li:flow",
            modules,
            {"adam": adam(weights, s.rate, self.ctx.device)},
            s.steps,
            ("batch", "width", "latent"),
        )

        def loss_of(
            frames: Tensor, flows: Tensor, noise: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            with self._autocast():
                mean, log_variance = posterior(frames[:, 0], filled(flows))
                mean, log_variance = mean.float(), log_variance.float()
                z = draw_code(mean, log_variance, noise)
                drawn = generator(frames[:, 0], z)
            error = flow_loss(drawn, flows, moving(flows, bound, s.moving_weight))
            divergence = divergences(mean, log_variance)
            loss = error + s.kl_weight * reduced(divergence, s.kl_reduction)
            return loss, {
                "flow": flow_loss(drawn.detach(), flows),
                "loss": error.detach(),
                "zero_flow": flows.abs().mean(),
                "kl": divergence.detach().sum(1).mean(),
                "code_spread": mean.detach().std(0, correction=0).mean(),
            }

        window = s.clips(self.ctx.task)
        return self._run(
            training,
            self._source(window, s.batch, ends=False),
            s.rate,
            s.decay,
            loss_of,
            s.latent,
        )

    def refiner(self, refiner: Refiner) -> bool:
        """Second stage: redraw a frame from the one before and the teacher's flow.

        In a rollout the one before is the network's own, so that it learns what to do with it: what
        sharpens a true frame that a warp has blurred burns a frame that is sharp already.
        """
        s = self.settings
        refiner.train()
        distance = self._perceptual()
        training = Training(
            "li:refiner",
            {"refiner": refiner},
            {"adam": adam(refiner.parameters(), s.refiner_rate, self.ctx.device)},
            s.refiner_steps,
            ("refiner_batch", "refiner_width"),
        )

        def loss_of(
            frames: Tensor, flows: Tensor, noise: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            real = frames[:, 1:].flatten(0, 1)
            with self._autocast():
                fake = refiner.rollout(frames[:, 0], flows).flatten(0, 1)
            terms = {"colour": s.colour_weight * F.mse_loss(fake, real)}
            if distance is not None:
                apart = squared_distances(
                    distance.network(fake), distance.features(real), distance.scales
                )
                terms["perceptual"] = s.perceptual_weight * apart
            return torch.stack(list(terms.values())).sum(), {
                name: term.detach() for name, term in terms.items()
            }

        return self._run(
            training,
            self._source(s.pairs(), s.refiner_batch, ends=s.refiner_rollout == 1),
            s.refiner_rate,
            s.refiner_decay,
            loss_of,
        )

    def _perceptual(self) -> PerceptualLoss | None:
        """The frozen network, and the scale of each layer on training frames.

        The original's VGG-19 is one whose features have a mean of 1; so do these after scaling.
        """
        s, name = self.settings, self.settings.perceptual
        if name == "none" or s.perceptual_weight == 0:
            return None
        options = {"layers": _VGG_LAYERS} if name.startswith("vgg") else {}
        network = perceptual_network(name, self.ctx.weights(name), **options)
        loss = PerceptualLoss(network).to(self.ctx.device)
        batches = self.store.data.batches(
            "train", s.pairs(), _CALIBRATION_BATCH, stream="calibration"
        )
        frames = torch.cat([to_tensor(next(batches).frames) for _ in range(_CALIBRATION)])
        frames = frames.to(self.ctx.device)
        loss.calibrate(frames.flatten(0, 1), frames[:, 0], frames[:, -1])
        return loss


def _drawn(clips: ResidentClips, batch: int, kept: tuple[int, int] | None) -> Iterator[TensorBatch]:
    """Batches with their flow as it is stored, of all neighbours or of two frames of each."""
    for made in clips.batches(batch):
        frames, flows = made.frames, made.extra
        assert flows is not None  # they were made with it
        if kept is None:
            yield replace(made, extra=flows[:, :-1])
        else:
            yield replace(made, frames=frames[:, list(kept)], extra=flows[:, :1])


def _stored(flows: Tensor | None) -> Tensor:
    """Flow as it is stored, in px."""
    assert flows is not None  # as above
    return flows.float() / STEP


def new_flow_model(
    settings: Settings, size: int, seed: int
) -> tuple[FlowGenerator, PosteriorEncoder]:
    """Both halves of the flow model with their first weights."""
    shape = (size, settings.width, settings.latent, settings.bound(size))
    with seeded(seed):
        generator, posterior = FlowGenerator(*shape), PosteriorEncoder(*shape)
    # what a CPU convolves fastest; on a GPU it does no harm
    generator.image.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for module in (generator.decoder, posterior):
        module.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
    return generator, posterior


def new_refiner(settings: Settings, seed: int) -> Refiner:
    """The second network with its first weights."""
    with seeded(seed + 1):
        refiner = Refiner(settings.refiner_width, settings.refiner_levels, settings.refiner_start)
    # what a CPU convolves fastest; on a GPU it does no harm
    return refiner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
