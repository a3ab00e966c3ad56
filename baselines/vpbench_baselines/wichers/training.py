"""How the three stages are trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vpbench.api import Batch, FitContext, TrainView
from vpbench.kit import (
    Training,
    apply_gradients,
    autocast,
    linear_decay,
    named_precision,
    seeded,
    to_tensor,
    training_steps,
    warm_up,
)
from vpbench_baselines.common.batches import as_tensors, tensor_batches
from vpbench_baselines.common.figures import read
from vpbench_baselines.common.gradients import clip_each
from vpbench_baselines.common.graphs import GraphedStep, note_refusal
from vpbench_baselines.common.optimisers import adam, set_rate
from vpbench_baselines.wichers.critic import Critic, Sequence, judged, score_gap
from vpbench_baselines.wichers.settings import Networks, Settings, make_critic

_CENTRED_ON = 16
"""Clips whose first encodings are given a mean of 0."""
_LEAST_WEIGHT = 1e-30
"""Nothing is divided by less: a latent loss of weight 0 trains nothing."""

_Loss = Callable[..., tuple[Tensor, dict[str, Tensor]]]
"""frames [B,L,3,H,W], action, times and alpha -> a loss and its figures."""


def latent_weight(step: int, highest: float, delay: float) -> float:
    """alpha(s): a sigmoid that rises around `delay`, so that encodings first learn to be drawn."""
    return highest / (1 + math.exp(-(step - delay) / (0.1 * delay)))


def rate_factor(step: int, s: Settings) -> float:
    """What the rate of the first stage is multiplied with: a rise over `warm`, then the fall."""
    return warm_up(step, s.warm) * linear_decay(step, s.steps, s.decay)


def chosen_times(length: int, count: int) -> list[int]:
    """Numbers, from 1 on, of the frames that count in a step's losses; 0 is all of them."""
    if count == 0 or count >= length - 1:
        return list(range(1, length))
    return sorted((1 + torch.randperm(length - 1)[:count]).tolist())


@dataclass(frozen=True)
class Coded:
    """A batch whose needed frames are encoded: the given ones, and those that count.

    Attributes:
        frames: [B,L,3,H,W].
        times: int64, numbers of the frames that count.
        given: [B,n,E], encodings of the given frames.
        true: [B,len(times),E], encodings of the frames that count.
    """

    frames: Tensor
    times: Tensor
    given: Tensor
    true: Tensor

    def few(self, times: Tensor) -> Coded:
        """The same with fewer frames that count; all but the first count now."""
        return Coded(self.frames, times, self.given, chosen(self.true, times - 1))

    @property
    def wanted(self) -> Tensor:
        """The frames that count, [B,len(times),3,H,W]."""
        return self.frames[:, self.times]


def chosen(values: Tensor, places: Tensor) -> Tensor:
    """[B,T,E] -> [B,len(places),E], the values at some places.

    A product with zeros and ones: the same numbers as indexing gives, with a gradient that is a
    product again, which every device computes in one order and which can be recorded.
    """
    if len(places) == values.shape[1]:
        return values  # distinct and in order: all of them
    every = torch.arange(values.shape[1], device=places.device)
    return (places[:, None] == every).to(values) @ values


def encode(networks: Networks, frames: Tensor, given: int, times: Tensor, unit: bool) -> Coded:
    """Encode what is needed of [B,L,3,H,W].

    Where all frames count each is encoded once; where some do, one that is given too is encoded
    twice, so that their number is always the same.
    """
    if len(times) == frames.shape[1] - 1:
        codes = networks.encoder(frames, unit)
        return Coded(frames, times, codes[:, :given], codes[:, 1:])
    needed = torch.cat([torch.arange(given, device=times.device), times])
    codes = networks.encoder(frames[:, needed], unit)
    return Coded(frames, times, codes[:, :given], codes[:, given:])


def rollout(
    networks: Networks,
    coded: Coded,
    unit: bool,
    noise: Tensor | None = None,
    action: Tensor | None = None,
) -> Tensor:
    """Predicted encodings of frames 1 to L-1, [B,L-1,E]."""
    return networks.predictor(coded.given, coded.frames.shape[1] - 1, noise, unit, action)


def latent_loss(coded: Coded, predicted: Tensor) -> Tensor:
    """Squared error of predicted encodings; its gradient reaches encoder and predictor alike."""
    return F.mse_loss(chosen(predicted, coded.times - 1), coded.true)


def image_loss(networks: Networks, coded: Coded, codes: Tensor) -> Tensor:
    """Squared error of the frames that count, drawn from encodings [B,len(times),E]."""
    drawn = networks.decoder(coded.frames[:, 0], coded.given[:, 0], codes)
    return F.mse_loss(drawn, coded.wanted)


class Trainer:
    """Trains one stage of the networks it is given."""

    def __init__(
        self, settings: Settings, networks: Networks, data: TrainView, ctx: FitContext
    ) -> None:
        self.settings, self.networks, self.data, self.ctx = settings, networks, data, ctx
        self.given = settings.given(ctx.task)
        self.window = settings.window(ctx.task)
        networks.train()

    def _frames(self, batch: Batch) -> Tensor:
        return to_tensor(batch.frames, self.ctx.device)

    def _source(self, batch: int) -> tuple[Callable[[int], Iterator[Any]], int]:
        return tensor_batches(self.data, self.ctx, self.window, batch, self.settings.augment)

    def _inputs(self, batch: Any) -> tuple[dict[str, Tensor], npt.NDArray[np.int64]]:
        """What a step is made of: frames and actions; and the clips' numbers."""
        device = self.ctx.device
        made = as_tensors(batch, device)
        action = self.settings.actions(made.label, len(made.frames), self.ctx.task.n_classes)
        return {"frames": made.frames, "action": action.to(device)}, made.index

    def _times(self, inputs: dict[str, Tensor]) -> Tensor:
        """Numbers of the frames that count in a step."""
        times = chosen_times(inputs["frames"].shape[1], self.settings.counted)
        return torch.tensor(times).to(self.ctx.device)

    def epva(self) -> bool:
        """First stage: draw frames from true encodings, predict encodings."""
        return self._single("epva", self._epva_loss)

    def e2e(self) -> bool:
        """One loss on frames drawn from predicted encodings."""
        return self._single("e2e", self._e2e_loss)

    @torch.no_grad()
    def _centre(self) -> None:
        """Shift the first encodings of training frames to a mean of 0.

        What all frames have in common is by far the most of them at first. At length 1 nothing
        would be left for what changes from frame to frame.
        """
        batches = self.data.batches("train", self.window, _CENTRED_ON, stream="centre")
        encoder = self.networks.encoder
        codes = encoder(self._frames(next(batches)))
        encoder.leave.bias -= codes.flatten(0, 1).mean(0)

    def _single(self, stage: str, loss_of: _Loss) -> bool:
        """Train all networks with one optimiser on one loss."""
        s, device = self.settings, self.ctx.device
        if s.centred:
            self._centre()
        weights = list(self.networks.parameters())
        optimiser = adam(weights, s.rate, device)
        training = Training(
            f"wichers:{stage}", {"networks": self.networks}, {"adam": optimiser}, s.steps
        )
        apart = stage == "epva" and s.latent_for == "encoder"
        # the predictor has no other loss: its gradient without the weight is that of the loss as is
        predicting = {id(w) for w in self.networks.predictor.parameters()} if apart else set[int]()

        def update(alpha: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
            loss, figures = loss_of(alpha=alpha, **inputs)
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None and id(weight) in predicting:
                    gradient.div_(alpha.clamp_min(_LEAST_WEIGHT))
            clip_each(gradients, s.clip)
            apply_gradients(optimiser, weights, gradients)
            return figures

        graphed = GraphedStep(update, device)
        batches, ahead = self._source(s.batch)
        with training:
            for step, batch in training_steps(self.ctx, training, batches, ahead):
                inputs, index = self._inputs(batch)
                inputs["times"] = self._times(inputs)
                alpha = latent_weight(step, s.latent_weight, s.delay)
                set_rate(optimiser, s.rate * rate_factor(step, s))
                figures = graphed(alpha=torch.tensor(alpha, device=device), **inputs)
                shown = {"alpha": alpha} if stage == "epva" else {}
                training.log(read({**figures, **shown}, training), index)
        note_refusal(self.ctx, graphed)
        return training.finished

    def _epva_loss(
        self, frames: Tensor, action: Tensor, times: Tensor, alpha: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        s, unit = self.settings, self.settings.unit("epva")
        coded = encode(self.networks, frames, self.given, times, unit)
        with autocast(self.ctx.device, named_precision(s.precision)):
            drawn = image_loss(self.networks, coded, coded.true)
        predicted = rollout(self.networks, coded, unit, action=action)
        latent = latent_loss(coded, predicted)
        figures = {"image": drawn.detach(), "latent": latent.detach()}
        return drawn + alpha * latent, {**figures, **spreads(coded, predicted)}

    def _e2e_loss(
        self, frames: Tensor, action: Tensor, times: Tensor, alpha: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        unit = self.settings.unit("e2e")
        coded = encode(self.networks, frames, self.given, times, unit)
        predicted = rollout(self.networks, coded, unit, action=action)
        loss = image_loss(self.networks, coded, chosen(predicted, coded.times - 1))
        return loss, {"image": loss.detach(), **spreads(coded, predicted)}

    def adversarial(self) -> bool:
        """Second stage: a critic of whole sequences of encodings beside the latent loss."""
        s, device = self.settings, self.ctx.device
        with seeded(self.ctx.seed + 1):
            critic = make_critic(s, self.ctx.task.size).to(device)
        sides = Sides(self.networks, critic, s, self.given)
        training = Training(
            "wichers:adversarial",
            {"networks": self.networks, "critic": critic},
            sides.optimisers,
            s.adversarial_steps,
            ("adversarial_batch", "critic_steps"),
        )
        judge, draw = (GraphedStep(f, device) for f in (sides.update_critic, sides.update_networks))
        source, ahead = self._source(s.adversarial_batch)

        def batches(done: int) -> Iterator[list[Any]]:
            return _grouped(source(done * (s.critic_steps + 1)), s.critic_steps + 1)

        with training:
            for step, group in training_steps(self.ctx, training, batches, ahead):
                sides.set_rates(linear_decay(step, s.adversarial_steps, s.adversarial_decay))
                figures: dict[str, Tensor] = {}
                made = [self._inputs(batch) for batch in group]
                for inputs, _ in made[:-1]:
                    noise, share = self._noise(inputs), self._share(inputs)
                    figures |= judge(noise=noise, share=share, **inputs)
                if step >= s.lead:
                    inputs = made[-1][0]
                    noise, times = self._noise(inputs), self._times(inputs)
                    figures |= draw(noise=noise, times=times, **inputs)
                index = np.concatenate([index for _, index in made])
                training.log(read(figures, training), index)
        for graphed in (judge, draw):
            note_refusal(self.ctx, graphed)
        return training.finished

    def _noise(self, inputs: dict[str, Tensor]) -> Tensor:
        batch, length = inputs["frames"].shape[:2]
        return torch.randn(batch, length - 1, self.settings.noise).to(self.ctx.device)

    def _share(self, inputs: dict[str, Tensor]) -> Tensor:
        return torch.rand(len(inputs["frames"])).to(self.ctx.device)


def _grouped(batches: Iterator[Any], count: int) -> Iterator[list[Any]]:
    """`count` batches a step."""
    while True:
        yield [next(batches) for _ in range(count)]


class Sides:
    """The two sides of the second stage, each with its own optimiser.

    Encoder and predictor play against the critic; encoder and analogy network draw frames. The
    encoder belongs to both, and the analogy network learns nothing from the critic although its
    features of encodings are what the critic sees.
    """

    def __init__(self, networks: Networks, critic: Critic, settings: Settings, given: int) -> None:
        self.networks, self.critic, self.settings = networks, critic, settings
        self.given = given
        self.predicting = [*networks.encoder.parameters(), *networks.predictor.parameters()]
        self.drawing = [*networks.encoder.parameters(), *networks.decoder.parameters()]
        self.judging = list(critic.parameters())
        s = settings
        self._rates = {
            "predictor": s.rate_predictor,
            "decoder": s.rate_decoder,
            "critic": s.rate_critic,
        }
        device = self.judging[0].device
        self.optimisers = {
            "predictor": adam(self.predicting, s.rate_predictor, device),
            "decoder": adam(self.drawing, s.rate_decoder, device),
            "critic": adam(self.judging, s.rate_critic, device),
        }

    def set_rates(self, factor: float) -> None:
        """Multiply all learning rates with a factor."""
        for name, optimiser in self.optimisers.items():
            set_rate(optimiser, self._rates[name] * factor)

    def _sequences(self, frames: Tensor, action: Tensor, noise: Tensor) -> _Sequences:
        """Encode a batch whole, roll it out with noise, and gather what the critic sees."""
        networks = self.networks
        every = torch.arange(1, frames.shape[1], device=frames.device)
        coded = encode(networks, frames, self.given, every, True)
        predicted = rollout(networks, coded, True, noise, action)
        first = coded.given[:, :1]
        sequences = [torch.cat([first, rest], 1) for rest in (coded.true, predicted)]
        real, fake = (Sequence(codes, *networks.decoder.maps(codes)) for codes in sequences)
        return _Sequences(coded, predicted, real, fake)

    def update_critic(
        self, frames: Tensor, action: Tensor, noise: Tensor, share: Tensor
    ) -> dict[str, Tensor]:
        """One step of the critic; its gradient is not clipped."""
        with torch.no_grad():
            seen = self._sequences(frames, action, noise)
        gap, penalty = judged(self.critic, seen.real, seen.fake, share)
        loss = gap + self.settings.penalty * penalty
        gradients = torch.autograd.grad(loss, self.judging)
        apply_gradients(self.optimisers["critic"], self.judging, gradients)
        return {"critic": -gap.detach(), "penalty": penalty.detach()}

    def update_networks(
        self, frames: Tensor, action: Tensor, noise: Tensor, times: Tensor
    ) -> dict[str, Tensor]:
        """One step of everything else, all gradients taken before any weight moves."""
        s = self.settings
        seen = self._sequences(frames, action, noise)
        latent = latent_loss(seen.coded, seen.predicted)
        gap = score_gap(self.critic, seen.real, seen.fake)
        few = seen.coded.few(times)
        image = image_loss(self.networks, few, few.true)
        rollout_loss = s.adversarial_latent * latent - gap
        # the encoder is in both: its second gradient must not see the weights of the first step
        by_rollout = torch.autograd.grad(
            rollout_loss, self.predicting, retain_graph=True, allow_unused=True
        )
        by_image = torch.autograd.grad(image, self.drawing, allow_unused=True)
        for gradients in (by_rollout, by_image):
            clip_each(gradients, s.clip)
        apply_gradients(self.optimisers["predictor"], self.predicting, by_rollout)
        apply_gradients(self.optimisers["decoder"], self.drawing, by_image)
        return {
            "image": image.detach(),
            "latent": latent.detach(),
            "gap": gap.detach(),
            **spreads(seen.coded, seen.predicted),
        }


@dataclass(frozen=True)
class _Sequences:
    """A batch as both sides see it."""

    coded: Coded
    predicted: Tensor
    real: Sequence
    fake: Sequence


@torch.no_grad()
def spreads(coded: Coded, predicted: Tensor) -> dict[str, Tensor]:
    """The collapse alarm while training: standard deviation over time, mean over clips and numbers.

    `latent` falls to nothing both when prediction is good and when encoder and predictor have
    agreed on a constant; only the second takes these with it.
    """
    return {
        "spread": torch.cat([coded.given, coded.true], 1).std(1, correction=0).mean(),
        "spread_predicted": predicted.std(1, correction=0).mean(),
    }
