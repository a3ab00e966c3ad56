"""Building blocks with the conventions of the published code, which ran on TensorFlow 1.

Reference: Kim et al., "Unsupervised Keypoint Learning for Guiding Class-Conditional Video
Prediction", NeurIPS 2019.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis under TensorFlow's rule "SAME".

    The surplus goes after: on an even axis a stride-2 3x3 convolution gets (0, 1), where
    `padding=1` would give (1, 0) and shift the result by one pixel.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Conv(nn.Conv2d):
    """Convolution with "SAME" padding, Glorot-uniform weights and zero bias.

    Args:
        border: zeros added on every side before the padding of the rule.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int,
        stride: int = 1,
        *,
        bias: bool = True,
        border: int = 0,
    ) -> None:
        symmetric = kernel // 2 if stride == 1 and kernel % 2 else 0
        super().__init__(inside, outside, kernel, stride, padding=border + symmetric, bias=bias)
        self.border = border
        self.ruled = not symmetric
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """[B,inside,H,W] -> [B,outside,ceil((H + 2 border)/stride),...]."""
        if not self.ruled:
            return super().forward(input)
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(input.shape[-2] + 2 * self.border, kernel, stride)
        left, right = same_padding(input.shape[-1] + 2 * self.border, kernel, stride)
        edge = self.border
        padded = F.pad(input, (left + edge, right + edge, top + edge, bottom + edge))
        return F.conv2d(padded, self.weight, self.bias, self.stride)


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation (eps 1e-5), ReLU."""

    def __init__(
        self, inside: int, outside: int, kernel: int = 3, stride: int = 1, momentum: float = 0.001
    ) -> None:
        super().__init__(
            Conv(inside, outside, kernel, stride),
            nn.BatchNorm2d(outside, eps=1e-5, momentum=momentum),
            nn.ReLU(inplace=True),
        )


def blocks(widths: tuple[int, ...], momentum: float) -> nn.Sequential:
    """3x3 blocks of stride 1 from one width to the next."""
    return nn.Sequential(*(ConvBlock(a, b, momentum=momentum) for a, b in pairwise(widths)))


class Encoder(nn.Module):
    """e1 .. e8 of the detector, or e1 .. e6 of the translator's image encoder.

    Two blocks a level: 7x7 and 3x3 at full size, then stride 2 and stride 1, doubling the width.
    """

    def __init__(self, width: int, levels: int, momentum: float) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        inside = 3
        for level in range(levels):
            outside = width * 2**level
            first = ConvBlock(inside, outside, *((7, 1) if level == 0 else (3, 2)), momentum)
            self.levels.append(nn.Sequential(first, ConvBlock(outside, outside, 3, 1, momentum)))
            inside = outside

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B,3,H,W] -> one map a level, H, H/2, H/4, ..."""
        maps: list[Tensor] = []
        for level in self.levels:
            image = level(image)
            maps.append(image)
        return maps


def upsample(maps: Tensor) -> Tensor:
    """Twice the size, bilinear without half-pixel centres, as TensorFlow 1 did.

    out[2i] = in[i], out[2i+1] = (in[i] + in[i+1]) / 2, the last sample repeated. In whole copies of
    channels-last maps; torch's own interpolation takes four times as long backward.
    """
    return _denser(_denser(maps.permute(0, 2, 3, 1), 1), 2).permute(0, 3, 1, 2)


def _denser(maps: Tensor, axis: int) -> Tensor:
    """Between any two samples of an axis their mean; after the last one itself."""
    size = maps.shape[axis]
    after = torch.cat([maps.narrow(axis, 1, size - 1), maps.narrow(axis, size - 1, 1)], axis)
    return torch.stack([maps, torch.lerp(maps, after, 0.5)], axis + 1).flatten(axis, axis + 1)


def grid(size: int, like: Tensor) -> Tensor:
    """Coordinates of `size` pixels: -1 and 1 are the centres of the outer ones."""
    return torch.linspace(-1.0, 1.0, size, device=like.device, dtype=like.dtype)


def gaussian_maps(points: Tensor, size: int, sharpness: float) -> Tensor:
    """Isotropic bumps with peak 1: exp(-(sharpness * distance)^2).

    Args:
        points: [...,K,2 or 3] in [-1,1], x before y.
        size: width and height of the maps.
        sharpness: 14.3 on maps of 32 pixels, which is a sigma of 0.0494.

    Returns:
        [...,K,size,size].
    """
    axis = grid(size, points)
    x = torch.exp(-((sharpness * (axis - points[..., 0, None])) ** 2))
    y = torch.exp(-((sharpness * (axis - points[..., 1, None])) ** 2))
    return y[..., :, None] * x[..., None, :]


class Lstm(nn.LSTM):
    """Two-layer LSTM as TensorFlow's cell: Glorot over [input + hidden, 4 hidden], forget bias 1.

    torch has two bias vectors where TensorFlow has one; the second stays 0 and is not trained.
    """

    def __init__(self, inside: int, hidden: int, layers: int = 2) -> None:
        super().__init__(inside, hidden, layers, batch_first=True)
        for layer in range(layers):
            one: Tensor = getattr(self, f"weight_ih_l{layer}")
            two: Tensor = getattr(self, f"weight_hh_l{layer}")
            limit = (6.0 / (one.shape[1] + 5 * hidden)) ** 0.5
            nn.init.uniform_(one, -limit, limit)
            nn.init.uniform_(two, -limit, limit)
            bias: Tensor = getattr(self, f"bias_ih_l{layer}")
            nn.init.zeros_(bias)
            with torch.no_grad():
                bias[hidden : 2 * hidden] = 1.0
            spare: Tensor = getattr(self, f"bias_hh_l{layer}")
            nn.init.zeros_(spare)
            spare.requires_grad_(False)


def linear(inside: int, outside: int) -> nn.Linear:
    """Fully connected layer, Glorot-uniform, zero bias."""
    layer = nn.Linear(inside, outside)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def one_hot(label: Tensor | None, classes: int, like: Tensor) -> Tensor:
    """[B,A] for labels [B]; all zeros for a label that is not given, or without classes."""
    if label is None or not classes:
        return like.new_zeros(len(like), classes)
    return F.one_hot(label, classes).to(like)
