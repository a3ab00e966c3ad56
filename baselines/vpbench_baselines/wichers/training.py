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
from vpbench.kit import Made, Prefetch, Training, seeded, to_tensor, train
from vpbench_baselines.common.gradients import apply, clip_each, ramp_down, set_rate
from vpbench_baselines.wichers.critic import Critic, Sequence, gradient_penalty
from vpbench_baselines.wichers.settings import Networks, Settings, make_critic

_CENTRED_ON = 16
"""Clips."""

_Loss = Callable[[Tensor, int], tuple[Tensor, dict[str, float]]]
"""Frames [B,L,3,H,W] and the step -> a loss and its figures."""


def latent_weight(step: int, highest: float, delay: int) -> float:
    """alpha(s): a sigmoid that rises around `delay`, so that encodings first learn to be drawn."""
    return highest / (1 + math.exp(-(step - delay) / (0.1 * delay)))


def rate_factor(step: int, s: Settings) -> float:
    """What the rate of the first stage is multiplied with: a rise over `warm`, then the fall."""
    return min(1.0, (step + 1) / max(1, s.warm)) * ramp_down(step, s.steps, s.decay)


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
        return Prefetch(self.data.batches("train", window, batch, self.settings.augment, start))

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
        s = self.settings
        weights = list(self.networks.parameters())
        adam = torch.optim.Adam(weights, s.rate)
        training = Training(
            f"wichers:{stage}", {"networks": self.networks}, {"adam": adam}, s.steps
        )

        def begin(done: int) -> Callable[[int], Made]:
            batches = self._batches(s.batch, done)

            def step(k: int) -> Made:
                batch = next(batches)
                loss, figures = loss_of(self._frames(batch), k)
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)
                clip_each(gradients, s.clip)
                set_rate(adam, s.rate * rate_factor(k, s))
                apply(adam, weights, gradients)
                return Made(figures, batch.index)

            return step

        return train(self.ctx, training, begin)

    def _encoded(self, frames: Tensor, unit: bool) -> Coded:
        times = chosen_times(frames.shape[1], self.settings.counted)
        return encode(self.networks, frames, self.given, times, unit)

    def _epva_loss(self, frames: Tensor, k: int) -> tuple[Tensor, dict[str, float]]:
        s, unit = self.settings, self.settings.unit("epva")
        coded = self._encoded(frames, unit)
        low = s.precision == "bf16"
        with torch.autocast(torch.device(self.ctx.device).type, torch.bfloat16, enabled=low):
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
        players = _Players(self.networks, critic, s)
        training = Training(
            "wichers:adversarial",
            {"networks": self.networks, "critic": critic},
            players.optimisers,
            s.adversarial_steps,
            ("adversarial_batch", "critic_steps"),
        )

        def begin(done: int) -> Callable[[int], Made]:
            batches = self._batches(s.adversarial_batch, done * (s.critic_steps + 1))

            def step(k: int) -> Made:
                players.slow_down(ramp_down(k, s.adversarial_steps, s.adversarial_decay))
                seen = [next(batches) for _ in range(s.critic_steps + 1)]
                figures: dict[str, float] = {}
                for batch in seen[:-1]:
                    figures |= players.judge(self._frames(batch), self.given)
                figures |= players.play(self._frames(seen[-1]), self.given)
                return Made(figures, np.concatenate([batch.index for batch in seen]))

            return step

        return train(self.ctx, training, begin)


class _Players:
    """The two sides of the second stage, each with its own optimiser.

    Encoder and predictor play against the critic; encoder and analogy network draw frames. The
    encoder belongs to both, and the analogy network learns nothing from the critic although its
    features of encodings are what the critic sees.
    """

    def __init__(self, networks: Networks, critic: Critic, settings: Settings) -> None:
        self.networks, self.critic, self.settings = networks, critic, settings
        self.rollers = [*networks.encoder.parameters(), *networks.predictor.parameters()]
        self.drawers = [*networks.encoder.parameters(), *networks.decoder.parameters()]
        self.judges = list(critic.parameters())
        s = settings
        self._rates = {"roll": s.rate_predictor, "draw": s.rate_decoder, "judge": s.rate_critic}
        self.optimisers = {
            "roll": torch.optim.Adam(self.rollers, s.rate_predictor),
            "draw": torch.optim.Adam(self.drawers, s.rate_decoder),
            "judge": torch.optim.Adam(self.judges, s.rate_critic),
        }

    def slow_down(self, factor: float) -> None:
        """Scale all learning rates."""
        for name, optimiser in self.optimisers.items():
            set_rate(optimiser, self._rates[name] * factor)

    def _sequences(self, frames: Tensor, given: int) -> _Played:
        """Encode a batch whole, roll it out with fresh noise, and gather what the critic sees."""
        networks = self.networks
        coded = encode(networks, frames, given, list(range(1, frames.shape[1])), True)
        shape = (len(frames), frames.shape[1] - 1, self.settings.noise)
        predicted = rollout(networks, coded, True, torch.randn(shape).to(frames.device))
        first = coded.given[:, :1]
        sequences = [torch.cat([first, rest], 1) for rest in (coded.true, predicted)]
        real, fake = (Sequence(codes, *networks.decoder.maps(codes)) for codes in sequences)
        return _Played(coded, predicted, real, fake)

    def judge(self, frames: Tensor, given: int) -> dict[str, float]:
        """One step of the critic; its gradient is not clipped."""
        with torch.no_grad():
            played = self._sequences(frames, given)
        gap = self._gap(played)
        penalty = gradient_penalty(self.critic, played.real, played.fake)
        loss = gap + self.settings.penalty * penalty
        apply(self.optimisers["judge"], self.judges, torch.autograd.grad(loss, self.judges))
        return {"critic": float(-gap.detach()), "penalty": float(penalty.detach())}

    def play(self, frames: Tensor, given: int) -> dict[str, float]:
        """One step of everything else, all gradients taken before any weight moves."""
        s = self.settings
        played = self._sequences(frames, given)
        latent, gap = latent_loss(played.coded, played.predicted), self._gap(played)
        few = played.coded.few(chosen_times(frames.shape[1], s.counted))
        drawing = image_loss(self.networks, few, few.true)
        rolling = s.adversarial_latent * latent - gap
        roll_by = torch.autograd.grad(rolling, self.rollers, retain_graph=True, allow_unused=True)
        draw_by = torch.autograd.grad(drawing, self.drawers, allow_unused=True)
        for gradients in (roll_by, draw_by):
            clip_each(gradients, s.clip)
        apply(self.optimisers["roll"], self.rollers, roll_by)
        apply(self.optimisers["draw"], self.drawers, draw_by)
        return {
            "image": float(drawing.detach()),
            "latent": float(latent.detach()),
            "gap": float(gap.detach()),
            **spreads(played.coded, played.predicted),
        }

    def _gap(self, played: _Played) -> Tensor:
        """E[C(fake)] - E[C(real)]."""
        return self.critic(played.fake).mean() - self.critic(played.real).mean()


@dataclass(frozen=True)
class _Played:
    """A batch as both players see it."""

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
