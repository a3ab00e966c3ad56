"""The flow model (3D-cVAE): sixteen flows from one image and one random code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

FRAMES = 16
"""Flows that are drawn at once; four halvings in time lead to 1, so this is not a parameter."""

_IN_TIME = 3
"""Stages that halve (or double) time together with height and width."""

_FAINT = 0.1


def halvings(size: int) -> int:
    """Stages from `size` px down to the smallest map, of 4 px or a little more."""
    count = 0
    while size % 2 == 0 and size >= 8:
        size, count = size // 2, count + 1
    return count


def stage_widths(size: int, width: int) -> tuple[int, ...]:
    """Channels of the stages of an encoder: 64, 64, 128, 256, 512 at 128 px and width 64.

    Each halving of the size takes away one of the stages that leave time alone.
    """
    flat = halvings(size) - _IN_TIME
    return (width,) * flat + (2 * width, 4 * width, 8 * width)


_Layer = TypeVar("_Layer", nn.Conv2d, nn.ConvTranspose3d)


def _started(layer: _Layer, gain: float = 1.0) -> _Layer:
    """First weights after which rectified signals keep their size (He et al. 2015), times `gain`.

    The image's code has no normalisation on its way, and what it gates is as large as it is.
    """
    taken = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else _taken(layer)
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / taken))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _taken(layer: nn.ConvTranspose3d) -> float:
    """Inputs that meet in one output: each stride leaves out its part of the kernel."""
    return layer.weight[:, 0].numel() / math.prod(layer.stride)


def _normed(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.BatchNorm3d(channels), nn.ReLU(inplace=True)]


class PosteriorEncoder(nn.Module):
    """Image and flows to mean and log-variance of the code; only in training.

    Args:
        size: height and width.
        width: channels of the first stage; 64 in the original.
        latent: numbers of a code; 2000 in the original.
        flow_max: largest flow that can be drawn, px; flows are divided by it.
    """

    def __init__(self, size: int, width: int, latent: int, flow_max: float) -> None:
        super().__init__()
        self.flow_max = flow_max
        widths = stage_widths(size, width)
        layers: list[nn.Module] = []
        channels = 5
        for k, wide in enumerate(widths):
            in_time = 2 if k >= len(widths) - _IN_TIME else 1
            layers += _normed(nn.Conv3d(channels, wide, 3, 1, 1), wide)
            layers.append(nn.MaxPool3d((in_time, 2, 2)))
            channels = wide
        self.body = nn.Sequential(*layers)
        side = size >> len(widths)
        self.mean = nn.Conv3d(channels, latent, (2, side, side))
        self.log_variance = nn.Conv3d(channels, latent, (2, side, side))

    def forward(self, image: Tensor, flows: Tensor) -> tuple[Tensor, Tensor]:
        """[B,3,H,W] in [0,1] and [B,16,2,H,W] px -> mean and log-variance, [B,latent] each."""
        still = image[:, :, None].expand(-1, -1, FRAMES, -1, -1)
        seen = torch.cat([still, flows.transpose(1, 2) / self.flow_max], 1)
        features = self.body(seen)
        return self.mean(features).flatten(1), self.log_variance(features).flatten(1)


def image_encoder(size: int, width: int, latent: int) -> nn.Sequential:
    """[B,3,H,W] -> [B,latent,1,1]: 4x4 convolutions of stride 2 without normalisation."""
    layers: list[nn.Module] = []
    channels = 3
    widths = stage_widths(size, width)
    for wide in widths:
        layers += [_started(nn.Conv2d(channels, wide, 4, 2, 1)), nn.ReLU(inplace=True)]
        channels = wide
    layers.append(_started(nn.Conv2d(channels, latent, size >> len(widths))))
    return nn.Sequential(*layers)


def flow_decoder(size: int, width: int, latent: int) -> nn.Sequential:
    """[B,latent,1,1,1] -> [B,2,16,H,W], before the bound."""
    stages = halvings(size)
    side, flat = size >> stages, stages - _IN_TIME
    kernels: list[tuple[int, int]] = [(4, 2)] * _IN_TIME + [(3, 1)] * flat
    widths: Sequence[int] = (4 * width, 2 * width, *[width] * flat)
    first = nn.ConvTranspose3d(latent, 8 * width, (2, side, side), (2, side, side))
    layers = _normed(_started(first), 8 * width)
    channels = 8 * width
    for k, (kernel, step) in enumerate(kernels):
        last = k == stages - 1
        wide = 2 if last else widths[k]
        up = nn.ConvTranspose3d(channels, wide, (kernel, 4, 4), (step, 2, 2), 1)
        up = _started(up, _FAINT if last else 1.0)  # most pixels stand still
        layers += [up] if last else _normed(up, wide)
        channels = wide
    return nn.Sequential(*layers)


class FlowGenerator(nn.Module):
    """What is left of the flow model at prediction: image encoder, gate and decoder.

    Args:
        As `PosteriorEncoder`.
    """

    def __init__(self, size: int, width: int, latent: int, flow_max: float) -> None:
        super().__init__()
        self.flow_max = flow_max
        self.image = image_encoder(size, width, latent)
        self.decoder = flow_decoder(size, width, latent)

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        """Flows of the sixteen frames after an image.

        Args:
            image: [B,3,H,W] in [0,1].
            z: [B,latent]; it gates the image's code, so that nothing is random without a code.

        Returns:
            [B,16,2,H,W], x before y, px, from frame i+1 back to frame i; |value| <= flow_max.
        """
        code = self.image(image).flatten(1)
        gated = (code + code * z)[:, :, None, None, None]
        return self.flow_max * torch.tanh(self.decoder(gated).float()).transpose(1, 2)


def draw_code(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """z = mean + deviation * noise (Kingma and Welling 2014)."""
    return mean + torch.exp(0.5 * log_variance) * noise


def divergences(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL from N(mean, variance) to N(0, 1) of each number, nats, the shape of `mean`."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
