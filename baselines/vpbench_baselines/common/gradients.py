"""Clipping as TensorFlow does it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_each(gradients: Iterable[Tensor | None], longest: float) -> None:
    """Shorten every tensor's gradient to a length on its own (TF-slim's clip_gradient_norms)."""
    for gradient in gradients:
        if gradient is not None:
            gradient.mul_((longest / gradient.norm().clamp_min(longest)).clamp(max=1.0))
