"""The losses of adversarial trainings, on logits (Goodfellow et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def real_loss(logits: Tensor) -> Tensor:
    """BCE(D(x), 1), averaged: what a discriminator loses on what it is to call real.

    As the loss of a generator on its own results this is the non-saturating form.
    """
    return F.softplus(-logits).mean()


def fake_loss(logits: Tensor) -> Tensor:
    """BCE(D(x), 0), averaged: what a discriminator loses on what it is to call fake."""
    return F.softplus(logits).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """BCE(D(real), 1) + BCE(D(fake), 0) of logits, each averaged."""
    return real_loss(real) + fake_loss(fake)


def generator_loss(fake: Tensor) -> Tensor:
    """BCE(D(fake), 1) of logits, averaged: the non-saturating form."""
    return real_loss(fake)


def frozen_logits(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """Logits through which a gradient reaches `fake` but not the discriminator's weights."""
    trained = [w for w in discriminator.parameters() if w.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    logits = discriminator(fake)
    for weight in trained:
        weight.requires_grad_(True)
    return logits


def apply_gradients(
    optimiser: torch.optim.Optimizer,
    weights: list[nn.Parameter] | list[Tensor],
    gradients: tuple[Tensor | None, ...] | list[Tensor | None],
) -> None:
    """One step of an optimiser with gradients that were computed apart (`torch.autograd.grad`).

    So networks that share weights or losses can be updated after all gradients are taken.
    """
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
