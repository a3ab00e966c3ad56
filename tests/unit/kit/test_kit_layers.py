"""Shared convolutions: how they start, and first weights that hand a picture on."""

import math

import pytest
import torch
from torch import nn

from vpbench.kit import conv3x3, glorot, layers, pass_on, seeded, upconv3x3


def test_a_doubling_layer_interpolates(monkeypatch):
    monkeypatch.setattr(layers, "_RANDOM", 0.0)
    layer = nn.ConvTranspose2d(5, 5, 3, 2, 1, 1, bias=False)
    pass_on(layer)
    values = torch.randn(1, 5, 6, 7)
    found = layer(values)
    assert torch.allclose(found[..., ::2, ::2], values, atol=1e-6)
    between = (values[..., :-1, :] + values[..., 1:, :]) / 2
    assert torch.allclose(found[..., 1:-1:2, ::2], between, atol=1e-6)


@pytest.mark.parametrize(("kind", "taps"), [(nn.Conv2d, 9), (nn.ConvTranspose2d, 9 / 4)])
def test_what_is_random_has_a_fifth_of_hes_deviation(kind, taps):
    with seeded(0):
        layer = kind(64, 64, 3, 2, 1)
        pass_on(layer)
    away = ~torch.eye(64, dtype=torch.bool)  # where no channel is handed on
    found = float(layer.weight.detach()[away].std(correction=0))
    assert found == pytest.approx(0.2 * (2 / (taps * 64)) ** 0.5, rel=0.02)


def test_an_image_is_copied_as_itself_and_its_negative_and_put_together(monkeypatch):
    monkeypatch.setattr(layers, "_RANDOM", 0.0)
    way = nn.Sequential(conv3x3(3, 7), nn.ReLU(), conv3x3(7, 14), nn.ReLU(), conv3x3(14, 7))
    way.extend([nn.ReLU(), conv3x3(7, 3)])
    pass_on(way)
    image = torch.rand(2, 3, 9, 8) * 2 - 1
    assert torch.allclose(way(image), image, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "fans"),
    [
        (conv3x3(30, 50), 9 * 30 + 9 * 50),
        (conv3x3(30, 50, 2), 9 * 30 + 9 * 50),
        (upconv3x3(30, 50), 9 * 30 + 9 * 50),
        (glorot(nn.Linear(300, 500)), 300 + 500),
    ],
)
def test_first_weights_are_glorots(layer, fans):
    bound = math.sqrt(6 / fans)
    highest = layer.weight.abs().max().item()
    assert 0.95 * bound < highest <= bound and not layer.bias.any()


def test_sizes_of_the_convolutions():
    x = torch.zeros(1, 4, 6, 8)
    assert conv3x3(4, 5)(x).shape == (1, 5, 6, 8)
    assert conv3x3(4, 5, 2)(x).shape == (1, 5, 3, 4)
    assert upconv3x3(4, 5)(x).shape == (1, 5, 12, 16)
    assert glorot(nn.Conv2d(4, 5, 3, bias=False)).bias is None
