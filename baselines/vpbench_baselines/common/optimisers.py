"""Adam as a recorded step can use it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def adam(
    weights: Iterable[nn.Parameter],
    rate: float,
    device: str | torch.device,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Adam:
    """Adam; on a GPU its rate and its count of steps are tensors there, so that graphs see them."""
    if torch.device(device).type != "cuda":
        return torch.optim.Adam(weights, rate, betas=betas)
    return torch.optim.Adam(
        weights, torch.tensor(rate, device=device), betas=betas, capturable=True, foreach=True
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters of an optimiser one learning rate, in place where it is a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
