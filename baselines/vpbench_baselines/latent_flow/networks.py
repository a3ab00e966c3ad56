"""The codec, the transformer, what each learns from, and the sampler."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.kit import conv3x3
from vpbench_baselines.common.blocks import (
    WAVES,
    Pyramid,
    Residual,
    SpaceTimeBlock,
    modulated,
    waves,
)

_ENLARGED = 4.0
"""What the encoder sees of a change: most are small, and a code has to exceed its noise."""
_NOISE, _SQUARES = 0.2, 10.0
"""Deviation of noise on codes in training, and weight of the squared error of pixels: absolute
errors alone would have it copy the first frame, which is right for most pixels."""


class Codec(nn.Module):
    """A frame as what changed since the first one: a code [latent,H/8,W/8], mean 0, variance 1.

    The decoder sees the first frame at all sizes and blends what it draws with it by a mask, so
    that a background at rest stays sharp. Codes are normalised over training frames, so that no
    encoder can hide what changes below the noise.
    """

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.look, self.encoder = Pyramid(3, width), Pyramid(6, width)
        self.code = nn.Sequential(conv3x3(4 * width, latent), nn.BatchNorm2d(latent, affine=False))
        self.mix, self.up = nn.ModuleList(), nn.ModuleList()
        widths = (4 * width, 2 * width, width, 4 * (width // 8 + 1))
        for k, (a, b) in enumerate(itertools.pairwise(widths)):
            taken = a if k else latent
            self.mix.append(nn.Sequential(conv3x3(taken + a, a), Residual(a), nn.SiLU()))
            self.up.append(nn.Sequential(conv3x3(a, 4 * b), nn.PixelShuffle(2)))
        last = conv3x3(b, 4)
        # at first a quarter of grey over the first frame: a shut mask would let nothing be learned
        nn.init.normal_(last.weight, std=0.01)
        last.bias = nn.Parameter(torch.tensor([0.5, 0.5, 0.5, -1.0]))
        self.draw = nn.Sequential(conv3x3(b + 3, b), nn.SiLU(), last)

    def encode(self, first: Tensor, frames: Tensor) -> Tensor:
        """First frames [B,3,H,W] and later ones [B,T,3,H,W] -> codes [B,T,latent,H/8,W/8]."""
        change = frames - first[:, None]
        pairs = torch.cat([2 * frames - 1, _ENLARGED * change], 2).flatten(0, 1)
        return self.code(self.encoder(pairs)[-1]).float().unflatten(0, frames.shape[:2])

    def decode(self, first: Tensor, codes: Tensor) -> Tensor:
        """First frames [B,3,H,W] and codes [B,T,latent,H/8,W/8] -> frames [B,T,3,H,W]."""
        times, x = codes.shape[1], codes.flatten(0, 1)
        for seen, mix, up in zip(self.look(first)[::-1], self.mix, self.up, strict=True):
            x = up(mix(torch.cat([x, seen.repeat_interleave(times, 0)], 1)))
        under = first.repeat_interleave(times, 0)
        drawn, mask = self.draw(torch.cat([x, under], 1)).float().split((3, 1), 1)
        return torch.lerp(under, drawn, mask.sigmoid()).unflatten(0, codes.shape[:2])

    def losses(self, video: Tensor) -> dict[str, Tensor]:
        """Error of frames [B,1+T,3,H,W] that are drawn from noisy codes."""
        first, real = video[:, 0], video[:, 1:]
        codes = self.encode(first, real)
        error = self.decode(first, codes + _NOISE * torch.randn_like(codes)) - real
        return {
            "pixels": error.abs().mean(),
            "edges": error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean(),
            "squares": _SQUARES * error.square().mean(),
        }


class FlowNet(nn.Module):
    """The velocity of codes on their way from noise (0) to data (1), given image and label.

    Label `classes` stands for none; `tube` frames are one token, which covers one place of a code.
    """

    def __init__(
        self, latent: int, classes: int, width: int, hidden: int, depth: int, tube: int, drop: float
    ) -> None:
        super().__init__()
        self.tube, self.classes = tube, classes
        self.image, self.look = Pyramid(3, width), nn.Conv2d(4 * width, hidden, 1)
        self.label, self.time = nn.Embedding(classes + 1, hidden), nn.Linear(2 * WAVES, hidden)
        self.place, self.sample = nn.Linear(6 * WAVES, hidden), nn.Linear(hidden, 6 * hidden)
        self.enter, self.leave = nn.Linear(tube * latent, hidden), nn.Linear(hidden, tube * latent)
        self.blocks = nn.ModuleList(SpaceTimeBlock(hidden, drop) for _ in range(depth))
        for part in (self.sample, self.leave):  # at first each block passes nearly everything on
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)

    def see(self, first: Tensor) -> Tensor:
        """What the transformer is to know of first frames [B,3,H,W]: [B,D,H/8,W/8]."""
        return self.look(F.silu(self.image(first)[-1]))

    def forward(self, codes: Tensor, time: Tensor, seen: Tensor, label: Tensor) -> Tensor:
        """Codes [B,T,C,h,w], T a multiple of `tube`, time [B], `see`, label [B] -> velocity."""
        _, t, c, h, w = codes.shape
        x = codes.unflatten(1, (-1, self.tube)).permute(0, 1, 4, 5, 2, 3).flatten(4)
        sizes = ((t // self.tube, 16), (h, h), (w, w))
        axes = [torch.arange(n, device=x.device) / whole for n, whole in sizes]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        x = self.enter(x) + self.place(waves(places).flatten(-2))
        x = (x + seen.permute(0, 2, 3, 1)[:, None]).flatten(2, 3)
        sample = self.time(waves(time)) + self.label(label) + seen.mean((2, 3))
        sample = self.sample(F.silu(sample)).unflatten(1, (6, -1))
        for block in self.blocks:
            x = block(x, sample)
        x = self.leave(modulated(x, sample[:, :2, None, None].unbind(1))).float()
        x = x.unflatten(2, (h, w)).unflatten(4, (self.tube, c))
        return x.permute(0, 1, 4, 5, 2, 3).flatten(1, 2)

    def losses(self, first: Tensor, codes: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Squared error of the velocity at a random time of each clip, more often in the middle."""
        time = torch.randn(len(codes), device=codes.device).sigmoid()
        noise = torch.randn_like(codes)
        between = torch.lerp(noise, codes, time[:, None, None, None, None])
        velocity = self(between, time, self.see(first), label)
        return {"velocity": F.mse_loss(velocity, codes - noise)}


def integrate(velocity: Callable[[Tensor, float], Tensor], x: Tensor, steps: int) -> Tensor:
    """From time 0 to 1 along a velocity v(x, time), by Heun's rule, of second order."""
    for k in range(steps):
        slope = velocity(x, k / steps)
        x = x + (slope + velocity(x + slope / steps, (k + 1) / steps)) / (2 * steps)
    return x
