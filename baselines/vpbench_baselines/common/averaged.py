"""A training that ends with averaged weights, those that did best on validation clips."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vpbench.api import FitContext
from vpbench.kit import (
    Training,
    autocast,
    named_precision,
    rate_factor,
    round_weights,
    seeded,
    set_rate,
    training_steps,
    validation_due,
)
from vpbench_baselines.common.windows import Source, Windows

Net = TypeVar("Net", bound=nn.Module)

_DECAY = 0.999
"""Of the moving average of the weights; smaller in the first steps."""
_LONGEST = 1.0
"""Longest gradient of all weights together."""
_VALIDATIONS, _DRAWS = 10, 2
"""Validations in a training, and passes over the clips in each, with other random numbers."""


class AveragedTraining:
    """Adam with decoupled decay, a cosine rate, and a moving average of the weights.

    Buffers, such as the statistics of a normalisation, are taken over as they are.

    Nothing is asked of the device between two logged steps, so that a GPU never waits.

    Args:
        who: "owner:stage".
        held_out: validation clips, on which the average with the smallest losses is kept; None
            keeps the last one.
        lower: parameters to lower when memory does not suffice.
    """

    def __init__(
        self,
        who: str,
        ctx: FitContext,
        steps: int,
        rate: float,
        precision: str,
        held_out: Windows | None,
        lower: tuple[str, ...] = ("batch",),
    ) -> None:
        self.who, self.ctx, self.steps, self.rate = who, ctx, steps, rate
        self.precision, self.held_out, self.lower = named_precision(precision), held_out, lower

    def run(
        self,
        net: Net,
        losses_of: Callable[[Net, Windows], dict[str, Tensor]],
        source: Source,
        batch: int,
    ) -> Net | None:
        """Minimise the sum of the losses.

        Args:
            losses_of: asked with the network in training mode for a step, and with the average in
                evaluation mode for validation.

        Returns:
            The rounded average in evaluation mode, or None when asked to stop before the end.
        """
        average = copy.deepcopy(net).eval().requires_grad_(False)
        weights = list(net.parameters())
        on_gpu = torch.device(self.ctx.device).type == "cuda"
        adam = torch.optim.AdamW(weights, self.rate, weight_decay=0.01, fused=on_gpu)
        training = Training(
            self.who,
            {"net": net.train(), "average": average},
            {"adam": adam},
            self.steps,
            self.lower,
            {"kept": {"best": None, "weights": None}},
        )
        with training:
            for step, windows in training_steps(
                self.ctx, training, lambda done: source.batches(batch, done), source.ahead
            ):
                set_rate(adam, self.rate * rate_factor("cosine", step, self.steps))
                with autocast(self.ctx.device, self.precision):
                    losses = losses_of(net, windows)
                adam.zero_grad(set_to_none=True)
                torch.stack(list(losses.values())).sum().backward()
                nn.utils.clip_grad_norm_(weights, _LONGEST)
                adam.step()
                move = get_ema_multi_avg_fn(min(_DECAY, (1 + step) / (10 + step)))
                move([*average.parameters()], [*weights], 0)
                for kept, new in zip(average.buffers(), net.buffers(), strict=True):
                    kept.copy_(new)
                done = training.log(self._figures(step + 1, losses), windows.index)
                if validation_due(done, self.steps, _VALIDATIONS):
                    self._validate(average, losses_of, training)
        if not training.finished:
            return None
        if training.extra["kept"]["weights"] is not None:
            average.load_state_dict(training.extra["kept"]["weights"])
        round_weights(average)
        return average

    def _figures(self, done: int, losses: dict[str, Tensor]) -> dict[str, float]:
        """Losses as numbers, at steps that are logged or stored; reading them makes a GPU wait."""
        due = done % max(1, self.steps // 200) == 0 or done % max(1, self.steps // 40) == 0
        if not due and done not in (1, self.steps):
            return {}
        return {name: float(value.detach()) for name, value in losses.items()}

    def _validate(
        self,
        average: Net,
        losses_of: Callable[[Net, Windows], dict[str, Tensor]],
        training: Training,
    ) -> None:
        if self.held_out is None:
            return
        with torch.no_grad(), seeded(0):  # the same random numbers each time
            losses = [
                torch.stack([*losses_of(average, self.held_out).values()]) for _ in range(_DRAWS)
            ]
        score = float(torch.stack(losses).sum() / _DRAWS)
        self.ctx.log({"val_score": score})
        best = training.extra["kept"]["best"]
        if best is None or score < best:
            kept = {name: value.clone() for name, value in average.state_dict().items()}
            training.extra["kept"] = {"best": score, "weights": kept}
