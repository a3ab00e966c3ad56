"""Optimisers that are stepped by hand: gradients computed apart, clipped, applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def clip_each(gradients: Iterable[Tensor | None], longest: float) -> None:
    """Shorten every tensor's gradient to a length on its own (TF-slim's clip_gradient_norms)."""
    for gradient in gradients:
        if gradient is not None:
            gradient.mul_((longest / gradient.norm().clamp_min(longest)).clamp(max=1.0))


def ramp_down(step: int, steps: int, part: float) -> float:
    """Factor of a learning rate: 1, then a straight line towards 0 over the last `part`."""
    return min(1.0, (steps - step) / steps / part) if part > 0 else 1.0


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def apply(
    optimiser: torch.optim.Optimizer, weights: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> None:
    """One step of an optimiser with gradients that were computed apart."""
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
