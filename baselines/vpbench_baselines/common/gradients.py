"""Clipping as TensorFlow does it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_each(gradients: Iterable[Tensor | None], longest: float) -> None:
    """Shorten every tensor's gradient to a length on its own (TF-slim's clip_gradient_norms)."""
    there = [g for g in gradients if g is not None]
    if there and there[0].is_cuda:  # one kernel for many tensors
        lengths = torch.stack(torch._foreach_norm(there))  # pyright: ignore[reportPrivateImportUsage]
        factors = longest / lengths.clamp_min(longest)
        torch._foreach_mul_(  # pyright: ignore[reportPrivateImportUsage]
            there, list(factors.unbind())
        )
        return
    for gradient in there:
        gradient.mul_((longest / gradient.norm().clamp_min(longest)).clamp(max=1.0))
