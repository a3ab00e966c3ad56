"""Blocks of convolutions and of attention that models of whole clips are made of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.kit import conv3x3

HEAD = 32
"""Channels of an attention head."""
WAVES = 16
"""Frequencies that `waves` shows a number with."""


class Residual(nn.Module):
    """Two convolutions beside the way straight on, which is all there is at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv3x3(width, width), conv3x3(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,h,w], the same shape out."""
        return x + self.second(F.silu(self.first(F.silu(x))))


class Pyramid(nn.Module):
    """Images [N,C,H,W] -> features of 1/2, 1/4 and 1/8 of the size: width, twice, four times."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        widths = (4 * inputs, width, 2 * width, 4 * width)
        self.levels = nn.ModuleList(
            nn.Sequential(conv3x3(a, b, 2 if k else 1), Residual(b))
            for k, (a, b) in enumerate(itertools.pairwise(widths))
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """The three feature maps, from fine to coarse."""
        maps = [F.pixel_unshuffle(images, 2)]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps[1:]


def waves(x: Tensor) -> Tensor:
    """Numbers [...] in about [0,1] as sines and cosines [...,2*16] of rising frequency."""
    turns = x[..., None] * torch.logspace(0, 6, WAVES, 2, device=x.device)
    return torch.cat([turns.sin(), turns.cos()], -1)


def modulated(x: Tensor, by: Sequence[Tensor]) -> Tensor:
    """Each token normalised, scaled by 1 + by[1] and shifted by by[0]."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + by[1]) + by[0]


class SpaceTimeBlock(nn.Module):
    """Attention within each frame, then along time at each place, then a network for each token.

    What the whole sample is (time of the flow, label, image) shifts, scales and gates all of it.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(6, hidden))
        self.read = nn.ModuleList(nn.Linear(hidden, 3 * hidden) for _ in range(2))
        self.write = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        inner, outer = nn.Linear(hidden, 3 * hidden), nn.Linear(3 * hidden, hidden)
        self.each, self.drop = nn.Sequential(inner, nn.GELU("tanh"), outer), nn.Dropout(dropout)

    def forward(self, x: Tensor, sample: Tensor) -> Tensor:
        """Tokens [B,T,P,D] and modulation [B,6,D] -> tokens."""
        by = (self.table + sample)[:, :, None, None].unbind(1)
        for way in (0, 1):
            y = modulated(x, by).transpose(1, 2) if way else modulated(x, by)
            parts = self.read[way](y).flatten(0, 1).unflatten(2, (3, -1, HEAD))
            seen = F.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4).unbind(0))
            y = self.write[way](seen.transpose(1, 2).reshape(y.shape))
            x = x + by[2] * self.drop(y.transpose(1, 2) if way else y)
        return x + by[5] * self.drop(self.each(modulated(x, by[3:])))
