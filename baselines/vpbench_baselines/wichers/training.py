"""How the three stages are trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
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
    set_rate,
    to_tensor,
    training_steps,
    warm_up,
)
from vpbench_baselines.common.gradients import clip_each
from vpbench_baselines.wichers.critic import Critic, Sequence, gradient_penalty
from vpbench_baselines.wichers.settings import Networks, Settings, make_critic

_CENTRED_ON = 16
"""Clips whose first encodings are given a mean of 0."""
_AHEAD = 2
"""Batches that are made while the networks compute."""

_Loss = Callable[[Tensor, int], tuple[Tensor, dict[str, float]]]
"""Frames [B,L,3,H,W] and the step -> a loss and its figures."""


def latent_weight(step: int, highest: float, delay: int) -> float:
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
        times: numbers of the frames that count.
        given: [B,n,E], encodings of the given frames.
        true: [B,len(times),E], encodings of the frames that count.
    """

    frames: Tensor
    times: list[int]
    given: Tensor
    true: Tensor

    def few(self, times: list[int]) -> Coded:
        """The same with fewer frames that count."""
        places = [self.times.index(t) for t in times]
        return Coded(self.frames, times, self.given, self.true[:, places])

    @property
    def wanted(self) -> Tensor:
        """The frames that count, [B,len(times),3,H,W]."""
        return self.frames[:, self.times]


def encode(networks: Networks, frames: Tensor, given: int, times: list[int], unit: bool) -> Coded:
    """Encode what is needed of [B,L,3,H,W], each frame once."""
    needed = sorted({*range(given), *times})
    codes = networks.encoder(frames[:, needed], unit)
    places = [needed.index(t) for t in times]
    return Coded(frames, times, codes[:, :given], codes[:, places])


def rollout(networks: Networks, coded: Coded, unit: bool, noise: Tensor | None = None) -> Tensor:
    """Predicted encodings of frames 1 to L-1, [B,L-1,E]."""
    return networks.predictor(coded.given, coded.frames.shape[1] - 1, noise, unit)


def latent_loss(coded: Coded, predicted: Tensor) -> Tensor:
    """Squared error of predicted encodings; its gradient reaches encoder and predictor alike."""
    return F.mse_loss(predicted[:, [t - 1 for t in coded.times]], coded.true)


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
        networks.train()

    def _batches(self, batch: int, start: int) -> Iterator[Batch]:
        window = self.settings.window(self.ctx.task)
        return self.data.batches("train", window, batch, self.settings.augment, start)

    def _grouped(self, batch: int, count: int, start: int) -> Iterator[list[Batch]]:
        """`count` batches a step, from step number `start` on."""
        batches = self._batches(batch, start * count)
        while True:
            yield [next(batches) for _ in range(count)]

    def _frames(self, batch: Batch) -> Tensor:
        return to_tensor(batch.frames, self.ctx.device)

    def epva(self) -> bool:
        """First stage: draw frames from true encodings, predict encodings."""
        if self.settings.centred:
            self._centre()
        return self._single("epva", self._epva_loss)

    def e2e(self) -> bool:
        """One loss on frames drawn from predicted encodings."""
        if self.settings.centred:
            self._centre()
        return self._single("e2e", self._e2e_loss)

    @torch.no_grad()
    def _centre(self) -> None:
        """Shift the first encodings of training frames to a mean of 0.

        What all frames have in common is by far the most of them at first. At length 1 nothing
        would be left for what changes from frame to frame.
        """
        window = self.settings.window(self.ctx.task)
        batches = self.data.batches("train", window, _CENTRED_ON, stream="centre")
        encoder = self.networks.encoder
        codes = encoder(self._frames(next(batches)))
        encoder.leave.bias -= codes.flatten(0, 1).mean(0)

    def _single(self, stage: str, loss_of: _Loss) -> bool:
        """Train all networks with one optimiser on one loss."""
        s = self.settings
        weights = list(self.networks.parameters())
        adam = torch.optim.Adam(weights, s.rate)
        training = Training(
            f"wichers:{stage}", {"networks": self.networks}, {"adam": adam}, s.steps
        )

        def batches(done: int) -> Iterator[Batch]:
            return self._batches(s.batch, done)

        with training:
            for step, batch in training_steps(self.ctx, training, batches, _AHEAD):
                loss, figures = loss_of(self._frames(batch), step)
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)
                clip_each(gradients, s.clip)
                set_rate(adam, s.rate * rate_factor(step, s))
                apply_gradients(adam, weights, gradients)
                training.log(figures, batch.index)
        return training.finished

    def _encoded(self, frames: Tensor, unit: bool) -> Coded:
        times = chosen_times(frames.shape[1], self.settings.counted)
        return encode(self.networks, frames, self.given, times, unit)

    def _epva_loss(self, frames: Tensor, k: int) -> tuple[Tensor, dict[str, float]]:
        s, unit = self.settings, self.settings.unit("epva")
        coded = self._encoded(frames, unit)
        with autocast(self.ctx.device, named_precision(s.precision)):
            drawn = image_loss(self.networks, coded, coded.true)
        predicted = rollout(self.networks, coded, unit)
        latent = latent_loss(coded, predicted)
        alpha = latent_weight(k, s.latent_weight, s.latent_delay)
        return drawn + alpha * latent, {
            "image": float(drawn.detach()),
            "latent": float(latent.detach()),
            "alpha": alpha,
            **spreads(coded, predicted),
        }

    def _e2e_loss(self, frames: Tensor, k: int) -> tuple[Tensor, dict[str, float]]:
        unit = self.settings.unit("e2e")
        coded = self._encoded(frames, unit)
        predicted = rollout(self.networks, coded, unit)
        loss = image_loss(self.networks, coded, predicted[:, [t - 1 for t in coded.times]])
        return loss, {"image": float(loss.detach()), **spreads(coded, predicted)}

    def adversarial(self) -> bool:
        """Second stage: a critic of whole sequences of encodings beside the latent loss."""
        s = self.settings
        with seeded(self.ctx.seed + 1):
            critic = make_critic(s, self.ctx.task.size).to(self.ctx.device)
        sides = Sides(self.networks, critic, s)
        training = Training(
            "wichers:adversarial",
            {"networks": self.networks, "critic": critic},
            sides.optimisers,
            s.adversarial_steps,
            ("adversarial_batch", "critic_steps"),
        )

        def batches(done: int) -> Iterator[list[Batch]]:
            return self._grouped(s.adversarial_batch, s.critic_steps + 1, done)

        with training:
            for step, group in training_steps(self.ctx, training, batches, _AHEAD):
                sides.set_rates(linear_decay(step, s.adversarial_steps, s.adversarial_decay))
                figures: dict[str, float] = {}
                for batch in group[:-1]:
                    figures |= sides.update_critic(self._frames(batch), self.given)
                figures |= sides.update_networks(self._frames(group[-1]), self.given)
                training.log(figures, np.concatenate([batch.index for batch in group]))
        return training.finished


class Sides:
    """The two sides of the second stage, each with its own optimiser.

    Encoder and predictor play against the critic; encoder and analogy network draw frames. The
    encoder belongs to both, and the analogy network learns nothing from the critic although its
    features of encodings are what the critic sees.
    """

    def __init__(self, networks: Networks, critic: Critic, settings: Settings) -> None:
        self.networks, self.critic, self.settings = networks, critic, settings
        self.predicting = [*networks.encoder.parameters(), *networks.predictor.parameters()]
        self.drawing = [*networks.encoder.parameters(), *networks.decoder.parameters()]
        self.judging = list(critic.parameters())
        s = settings
        self._rates = {
            "predictor": s.rate_predictor,
            "decoder": s.rate_decoder,
            "critic": s.rate_critic,
        }
        self.optimisers = {
            "predictor": torch.optim.Adam(self.predicting, s.rate_predictor),
            "decoder": torch.optim.Adam(self.drawing, s.rate_decoder),
            "critic": torch.optim.Adam(self.judging, s.rate_critic),
        }

    def set_rates(self, factor: float) -> None:
        """Multiply all learning rates with a factor."""
        for name, optimiser in self.optimisers.items():
            set_rate(optimiser, self._rates[name] * factor)

    def _sequences(self, frames: Tensor, given: int) -> _Sequences:
        """Encode a batch whole, roll it out with fresh noise, and gather what the critic sees."""
        networks = self.networks
        coded = encode(networks, frames, given, list(range(1, frames.shape[1])), True)
        shape = (len(frames), frames.shape[1] - 1, self.settings.noise)
        predicted = rollout(networks, coded, True, torch.randn(shape).to(frames.device))
        first = coded.given[:, :1]
        sequences = [torch.cat([first, rest], 1) for rest in (coded.true, predicted)]
        real, fake = (Sequence(codes, *networks.decoder.maps(codes)) for codes in sequences)
        return _Sequences(coded, predicted, real, fake)

    def update_critic(self, frames: Tensor, given: int) -> dict[str, float]:
        """One step of the critic; its gradient is not clipped."""
        with torch.no_grad():
            seen = self._sequences(frames, given)
        gap = self._gap(seen)
        penalty = gradient_penalty(self.critic, seen.real, seen.fake)
        loss = gap + self.settings.penalty * penalty
        gradients = torch.autograd.grad(loss, self.judging)
        apply_gradients(self.optimisers["critic"], self.judging, gradients)
        return {"critic": float(-gap.detach()), "penalty": float(penalty.detach())}

    def update_networks(self, frames: Tensor, given: int) -> dict[str, float]:
        """One step of everything else, all gradients taken before any weight moves."""
        s = self.settings
        seen = self._sequences(frames, given)
        latent, gap = latent_loss(seen.coded, seen.predicted), self._gap(seen)
        few = seen.coded.few(chosen_times(frames.shape[1], s.counted))
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
            "image": float(image.detach()),
            "latent": float(latent.detach()),
            "gap": float(gap.detach()),
            **spreads(seen.coded, seen.predicted),
        }

    def _gap(self, seen: _Sequences) -> Tensor:
        """E[C(fake)] - E[C(real)]."""
        return self.critic(seen.fake).mean() - self.critic(seen.real).mean()


@dataclass(frozen=True)
class _Sequences:
    """A batch as both sides see it."""

    coded: Coded
    predicted: Tensor
    real: Sequence
    fake: Sequence


@torch.no_grad()
def spreads(coded: Coded, predicted: Tensor) -> dict[str, float]:
    """The collapse alarm while training: standard deviation over time, mean over clips and numbers.

    `latent` falls to nothing both when prediction is good and when encoder and predictor have
    agreed on a constant; only the second takes these with it.
    """
    return {
        "spread": float(torch.cat([coded.given, coded.true], 1).std(1, correction=0).mean()),
        "spread_predicted": float(predicted.std(1, correction=0).mean()),
    }
