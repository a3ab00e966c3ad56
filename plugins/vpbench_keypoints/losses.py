"""Loss terms of the first stage."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

CHANGED = 0.1
"""A pixel has changed when it differs by more than this in [-1,1], the mean over its channels."""


def changed_pixels(source: Tensor, target: Tensor) -> Tensor:
    """[N,3,H,W] twice, in [-1,1] -> bool [N,1,H,W]."""
    return (target - source).abs().mean(1, keepdim=True) > CHANGED


def pixel_pyramid(fake: Tensor, real: Tensor, weight: Tensor, scales: int = 3) -> Tensor:
    """Weighted mean absolute difference at full, half and quarter size, averaged.

    Args:
        fake, real: [N,3,H,W].
        weight: [N,1,H,W], positive.
    """
    total = fake.new_zeros(())
    for scale in range(scales):
        if scale:
            fake, real, weight = (F.avg_pool2d(v, 2) for v in (fake, real, weight))
        error = (fake - real).abs().mean(1, keepdim=True)
        total = total + (error * weight).sum() / weight.sum()
    return total / scales
