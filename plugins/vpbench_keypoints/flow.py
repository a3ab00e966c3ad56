"""Keypoint flow matching: paths of keypoints from noise, along learned straight lines.

Not part of Kim et al. 2019. Flow matching (Lipman et al., ICLR 2023) learns the velocity that takes
noise to data along straight lines; sampling follows it from time 0 to 1. It has no posterior that
could collapse and no adversary.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TIMES = 16
"""Frequencies by which the networks see the time."""
_LEAST_VARIANCE = 1e-8
"""Directions in which no path moves are left at a finite scale, in squared units of half a side."""

Field = Callable[[Tensor, Tensor], Tensor]
"""Places [B,D] and times [B] -> velocities [B,D]."""


def integrate(field: Field, start: Tensor, steps: int) -> Tensor:
    """Follow a field from time 0 to 1 with Heun's method (second order).

    Args:
        field: velocities.
        start: [B,D].
        steps: of equal length; each asks the field twice.

    Returns:
        [B,D].
    """
    place, length = start, 1.0 / steps
    for k in range(steps):
        time = place.new_full((len(place),), k * length)
        here = field(place, time)
        there = field(place + length * here, time + length)
        place = place + 0.5 * length * (here + there)
    return place


def straight_line(noise: Tensor, data: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Place and velocity at a time on the line from noise to data.

    Args:
        noise, data: [B,D].
        time: [B] in [0,1].
    """
    return torch.lerp(noise, data, time[:, None]), data - noise


class PathSpace(nn.Module):
    """A linear code of displacements: principal components of training paths, each of variance 1.

    What components leave out is smaller than a detector's jitter, and any code is a smooth path.

    Attributes:
        mean: [T * 2K], of displacements.
        basis: [D, T * 2K], orthonormal rows.
        deviation: [D].
    """

    mean: Tensor
    basis: Tensor
    deviation: Tensor

    def __init__(self, numbers: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("basis", torch.eye(components, numbers))
        self.register_buffer("deviation", torch.ones(components))

    @torch.no_grad()
    def fit(self, displacements: Tensor) -> float:
        """Find the components of [N, T * 2K]; returns the part of the variance that they hold."""
        values = displacements.double().cpu()
        mean = values.mean(0)
        centred = values - mean
        variance, vectors = torch.linalg.eigh(centred.T @ centred / len(values))
        count = len(self.basis)
        largest = variance.flip(0)[:count].clamp_min(_LEAST_VARIANCE)
        self.mean.copy_(mean)
        self.basis.copy_(vectors.T.flip(0)[:count])
        self.deviation.copy_(largest.sqrt())
        return float(largest.sum() / variance.sum().clamp_min(_LEAST_VARIANCE))

    def encode(self, displacements: Tensor) -> Tensor:
        """[B, T * 2K] -> [B,D]."""
        return (displacements - self.mean) @ self.basis.T / self.deviation

    def decode(self, code: Tensor) -> Tensor:
        """[B,D] -> [B, T * 2K]."""
        return self.mean + (code * self.deviation) @ self.basis


class _Block(nn.Module):
    """A residual block; conditions shift and scale its normalised input (Perez et al. 2018)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(width, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        # a block that begins as the identity, so that depth does not slow the start
        for layer in (self.modulate, self.outer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B,width] twice -> [B,width]."""
        scale, shift = self.modulate(condition).chunk(2, 1)
        hidden = self.norm(x) * (1.0 + scale) + shift
        hidden = F.dropout(F.silu(self.inner(hidden)), self.dropout, self.training)
        return x + self.outer(hidden)


class FlowNetwork(nn.Module):
    """The velocity of a code, given first keypoints, class and time.

    Args:
        points: K.
        classes: A; 0 for none.
        horizon: T of the paths that it learns.
        components: D of the code; at most T * 2K.
        width: of the blocks.
        blocks: how many.
        dropout: of the units of each, while training.
    """

    def __init__(
        self,
        points: int,
        classes: int,
        horizon: int,
        components: int,
        width: int,
        blocks: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.horizon = horizon
        numbers = horizon * 2 * points
        self.space = PathSpace(numbers, min(components, numbers))
        self.entry = nn.Linear(len(self.space.basis), width)
        self.condition = nn.Linear(2 * points + classes + 2 * _TIMES, width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, len(self.space.basis))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, code: Tensor, time: Tensor, first: Tensor, label: Tensor) -> Tensor:
        """Velocities.

        Args:
            code: [B,D].
            time: [B] in [0,1].
            first: k_0, [B,2K].
            label: one-hot [B,A]; all zeros for a label that is not given.
        """
        waves = torch.exp(torch.linspace(0.0, math.log(64.0), _TIMES, device=code.device))
        angle = time[:, None] * waves
        given = torch.cat([first, label, angle.sin(), angle.cos()], 1)
        condition = F.silu(self.condition(given))
        x = self.entry(code)
        for block in self.blocks:
            x = block(x, condition)
        return self.out(self.norm(x))

    def sample(self, noise: Tensor, first: Tensor, label: Tensor, steps: int) -> Tensor:
        """Noise [B,D], k_0 [B,2K], one-hot [B,A] -> keypoints [B,T,2K]."""
        code = integrate(lambda x, t: self(x, t, first, label), noise, steps)
        return first[:, None] + self.space.decode(code).view(len(first), self.horizon, -1)
