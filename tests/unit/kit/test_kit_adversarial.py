"""Adversarial losses against torch's own; steps with gradients that were computed apart."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vpbench.kit import (
    apply_gradients,
    discriminator_loss,
    fake_loss,
    frozen_logits,
    generator_loss,
    real_loss,
)


def test_adversarial_losses_are_binary_cross_entropies():
    rng = torch.Generator().manual_seed(0)
    real, fake = 8 * torch.randn(2, 4, 1, 6, 6, generator=rng)
    one, zero = torch.ones_like(real), torch.zeros_like(real)
    bce = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(discriminator_loss(real, fake), bce(real, one) + bce(fake, zero))
    torch.testing.assert_close(generator_loss(fake), bce(fake, one))
    torch.testing.assert_close(real_loss(real), bce(real, one))
    torch.testing.assert_close(fake_loss(fake), bce(fake, zero))
    undecided = torch.zeros(3)
    assert float(discriminator_loss(undecided, undecided)) == pytest.approx(2 * np.log(2))
    assert float(generator_loss(torch.tensor([-1e4]))) == pytest.approx(1e4)


def test_a_frozen_weight_stays_frozen():
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    frozen_logits(net, torch.ones(3, 2, requires_grad=True)).sum().backward()
    assert net.weight.grad is None
    assert net.weight.requires_grad and not net.bias.requires_grad


def test_gradients_that_were_computed_apart_are_applied_and_forgotten():
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))]
    sgd = torch.optim.SGD(weights, 0.5)
    apply_gradients(sgd, weights, (torch.full((2,), 2.0), None))
    assert weights[0].tolist() == [0, 0] and weights[1].tolist() == [1, 1, 1]
    assert all(w.grad is None for w in weights)
    with pytest.raises(ValueError, match="zip"):
        apply_gradients(sgd, weights, (torch.ones(2),))
