"""Random smooth warps of images, for the equivariance loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vpbench_keypoints.layers import grid

_WAVES = 3


@dataclass(frozen=True)
class Warp:
    """A map from places in the warped image to places in the original: affine, plus sine waves.

    Attributes:
        matrix: [N,2,2].
        shift: [N,2].
        height: of the waves, [N,2,W].
        number: wave numbers, [N,2,W,2].
        phase: [N,2,W].
    """

    matrix: Tensor
    shift: Tensor
    height: Tensor
    number: Tensor
    phase: Tensor

    def places(self, points: Tensor) -> Tensor:
        """[N,P,2] in the warped image -> [N,P,2] in the original, both in [-1,1]."""
        straight = points @ self.matrix.transpose(1, 2) + self.shift[:, None]
        angle = (points[:, :, None, None] * self.number[:, None]).sum(-1) + self.phase[:, None]
        return straight + (self.height[:, None] * angle.sin()).sum(-1)

    def images(self, images: Tensor) -> Tensor:
        """[N,3,H,W] warped; what lies outside is mirrored in."""
        height, width = images.shape[-2:]
        y, x = torch.meshgrid(grid(height, images), grid(width, images), indexing="ij")
        raster = torch.stack([x, y], -1).view(1, -1, 2).expand(len(images), -1, -1)
        places = self.places(raster).view(len(images), height, width, 2)
        return F.grid_sample(images, places, padding_mode="reflection", align_corners=True)


def draw_warp(
    n: int,
    device: torch.device,
    *,
    turn_deg: float = 15.0,
    scale: float = 0.15,
    shift: float = 0.15,
    height: float = 0.06,
) -> Warp:
    """Draw `n` warps from torch's global generator.

    Args:
        turn_deg: largest rotation.
        scale: largest logarithm of a side's scaling.
        shift: largest shift, as a part of half the side.
        height: standard deviation of the waves' height, as a part of half the side.
    """

    def uniform(*shape: int) -> Tensor:
        return (2.0 * torch.rand(*shape) - 1.0).to(device, non_blocking=True)

    angle = uniform(n) * math.radians(turn_deg)
    sides = torch.exp(uniform(n, 2) * scale)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([cos * sides[:, 0], -sin], 1), torch.stack([sin, cos * sides[:, 1]], 1)]
    return Warp(
        matrix=torch.stack(rows, 1),
        shift=uniform(n, 2) * shift,
        height=torch.randn(n, 2, _WAVES).to(device, non_blocking=True) * height,
        number=uniform(n, 2, _WAVES, 2) * 3.0,
        phase=uniform(n, 2, _WAVES) * math.pi,
    )
