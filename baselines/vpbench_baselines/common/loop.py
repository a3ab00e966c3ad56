"""A training loop that can be killed at any step and goes on to the same weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vpbench.api import FitContext, MethodFailed
from vpbench.kit import deterministic, from_arrays, seeded, to_arrays

_LOGGED = 200
_STORED = 20


@dataclass(frozen=True)
class Training:
    """What is trained, and for how long.

    Attributes:
        who: "owner:stage", for messages.
        modules, optimisers: all that changes from step to step, by name.
        steps: how many to make.
    """

    who: str
    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    steps: int

    def state(self, done: int) -> dict[str, object]:
        """All that the next step depends on."""
        return {
            "done": done,
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
        }


Step = Callable[[int], Mapping[str, float]]
"""Makes step k (from 0) and tells its figures. All chance in it follows from the stage's seed and
k, through the global generators or batches that start at k."""


def train(ctx: FitContext, training: Training, begin: Callable[[int], Step]) -> bool:
    """Make the steps that are left, from the last checkpoint where there is one.

    Args:
        begin: given the number of steps made before, tells how to make the next ones.

    Returns:
        Whether all steps are made; not when the job was asked to stop.

    Raises:
        MethodFailed: a figure is NaN or infinite; nothing of that step is kept.
    """
    done = _resumed(ctx, training)
    kept = done
    make = begin(done)
    every = max(1, training.steps // _STORED)
    told = max(1, training.steps // _LOGGED)
    with deterministic():
        while done < training.steps and not ctx.should_stop:
            with seeded(step_seed(ctx.seed, done)):
                figures = make(done)
            _check(figures, training, done, kept)
            done = ctx.step(training.steps)
            if done == 1 or done % told == 0:
                ctx.log(figures)
            if done % every == 0 or done == training.steps or ctx.should_stop:
                ctx.checkpoint(*to_arrays(training.state(done)))
                kept = done
    return done >= training.steps


def step_seed(seed: int, step: int) -> int:
    """The seed of one step."""
    word = hashlib.sha256(f"step\x1f{seed}\x1f{step}".encode()).digest()[:8]
    return int.from_bytes(word, "big")


def _resumed(ctx: FitContext, training: Training) -> int:
    stored = ctx.resume()
    if stored is None:
        return 0
    state = from_arrays(*stored, device=ctx.device)  # pyright: ignore[reportArgumentType]
    for name, module in training.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimiser in training.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    return int(state["done"])


def _check(figures: Mapping[str, float], training: Training, done: int, kept: int) -> None:
    bad = [f"{name} = {value}" for name, value in figures.items() if not math.isfinite(value)]
    if bad:
        raise MethodFailed(
            f"{training.who} stopped at step {done + 1} of {training.steps}: {', '.join(bad)}; "
            f"the last good state is that of step {kept}.",
            fix="Lower its learning rates, or look at the clips.",
        )


@torch.no_grad()
def clip_each(gradients: Iterable[Tensor | None], longest: float) -> None:
    """Shorten every tensor's gradient to a length on its own (TF-slim's clip_gradient_norms)."""
    for gradient in gradients:
        if gradient is not None:
            length = gradient.norm()
            gradient.mul_((longest / length.clamp_min(longest)).clamp(max=1.0))


def ramp_down(step: int, steps: int, part: float) -> float:
    """Factor of a learning rate: 1, then a straight line towards 0 over the last `part`."""
    left = (steps - step) / steps
    return min(1.0, left / part) if part > 0 else 1.0


def set_rates(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def apply(optimiser: torch.optim.Optimizer, weights: Sequence[Tensor],
          gradients: Sequence[Tensor | None]) -> None:  # fmt: skip
    """One step of an optimiser with gradients that were computed apart."""
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
