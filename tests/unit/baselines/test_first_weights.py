"""First weights under which a network hands its picture on."""

import pytest
import torch
from torch import nn

from vpbench.kit import seeded
from vpbench_baselines.common import first_weights
from vpbench_baselines.common.first_weights import pass_on
from vpbench_baselines.villegas.networks import AnalogyGenerator, decoder, encoder

INNER = (slice(None), slice(None), slice(6, -6), slice(6, -6))
"""Away from the border, where zeros come in."""


def plain(colours, size=32):
    """One colour each: [N,3,size,size]."""
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, size, size)


@pytest.mark.parametrize("width", [6, 8, 16])
@pytest.mark.parametrize("pools", [2, 3])
def test_an_image_of_one_colour_comes_through_as_it_is(monkeypatch, width, pools):
    # multiples of 3 and others: the copies of the three colours need not be equally many
    monkeypatch.setattr(first_weights, "_RANDOM", 0.0)
    way = nn.Sequential(encoder(3, width, pools), decoder(width, pools))
    pass_on(way)
    image = plain([[0.9, -0.4, 0.2], [-1.0, 1.0, 0.0]], 64)
    found = way(image)
    inner = (slice(None), slice(None), slice(24, -24), slice(24, -24))
    assert torch.allclose(found[inner], torch.tanh(image)[inner], atol=1e-5)


def test_unsigned_images_are_copied_without_their_negative(monkeypatch):
    monkeypatch.setattr(first_weights, "_RANDOM", 0.0)
    way = nn.Sequential(
        nn.Conv2d(3, 7, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(7, 14, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(14, 7, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(7, 3, 3, 1, 1),
    )
    for layer in way:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
    pass_on(way, signed=False)
    image = torch.rand(2, 3, 9, 8)
    assert torch.allclose(way(image), image, atol=1e-6)


def test_a_doubling_layer_interpolates(monkeypatch):
    monkeypatch.setattr(first_weights, "_RANDOM", 0.0)
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


def test_a_generator_can_start_with_them_and_then_copies_roughly():
    def error(init):
        with seeded(0), torch.inference_mode():
            net = AnalogyGenerator(48, 16, 2, init)
            image = plain([[0.5, -0.5, 0.0], [-0.3, 0.3, 0.6]])
            pose = torch.zeros(2, 48, 32, 32)
            return float((net(image, pose, pose) - torch.tanh(image))[INNER].abs().mean())

    assert error("identity") < 0.6 * error("xavier")
