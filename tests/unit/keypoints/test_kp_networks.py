"""Read-outs, blending, the latent's divergence, and what the motion generator depends on."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vpbench.kit import seeded
from vpbench_keypoints.networks import (
    MotionNetwork,
    SequenceDiscriminator,
    active_units,
    blend,
    kl_to_normal,
    soft_argmax_marginal,
    soft_argmax_plane,
)

READERS = {"marginal": soft_argmax_marginal, "plane": lambda v: soft_argmax_plane(v, 1.0)}


@pytest.mark.parametrize("reader", READERS)
def test_a_bright_column_is_read_as_x(reader):
    logits = torch.zeros(1, 2, 128, 128)
    logits[0, 0, :, 127] = 1e4
    logits[0, 1, 0, :] = 1e4
    (column, row) = READERS[reader](logits)[0]
    torch.testing.assert_close(column, torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(row, torch.tensor([0.0, -1.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 9)])
def test_read_outs_against_numpy(height, width):
    rng = np.random.default_rng(height)
    logits = rng.standard_normal((2, 3, height, width)) * 3

    def soft(v, axes):
        e = np.exp(v - v.max(axes, keepdims=True))
        return e / e.sum(axes, keepdims=True)

    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    px, py = soft(logits.mean(2), -1), soft(logits.mean(3), -1)
    wanted = np.stack([px @ x, py @ y], -1)
    found = soft_argmax_marginal(torch.from_numpy(logits))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)
    plane = soft(logits / 0.3, (-2, -1))
    wanted = np.stack([plane.sum(2) @ x, plane.sum(3) @ y], -1)
    found = soft_argmax_plane(torch.from_numpy(logits), 0.3)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)


def test_a_single_peak_is_found_where_it_is_in_the_plane():
    rng = np.random.default_rng(1)
    for _ in range(5):
        y, x = rng.integers(0, 16, 2)
        logits = torch.zeros(1, 1, 16, 16)
        logits[0, 0, y, x] = 50.0
        wanted = torch.tensor([-1 + 2 * x / 15, -1 + 2 * y / 15], dtype=torch.float32)
        torch.testing.assert_close(soft_argmax_plane(logits, 1.0)[0, 0], wanted, atol=1e-5, rtol=0)


def test_the_mask_keeps_the_source_where_it_is_one():
    rng = torch.Generator().manual_seed(0)
    image, coarse = torch.rand(2, 2, 3, 4, 4, generator=rng)
    ones = torch.ones(2, 1, 4, 4)
    assert torch.equal(blend(image, coarse, ones), image)
    assert torch.equal(blend(image, coarse, 0 * ones), coarse)
    assert blend(image, coarse, None) is coarse
    torch.testing.assert_close(blend(image, coarse, 0.25 * ones), 0.25 * image + 0.75 * coarse)


def test_divergence_from_the_normal():
    assert float(kl_to_normal(torch.zeros(3, 16), torch.ones(3, 16))) == pytest.approx(0, abs=1e-6)
    with seeded(5):
        mean, deviation = torch.randn(4, 16), torch.rand(4, 16) + 0.2
        found = float(kl_to_normal(mean, deviation))
        exact = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1).mean()
        assert found == pytest.approx(float(exact), rel=1e-5)
        z = mean + deviation * torch.randn(20000, 4, 16)
        ratio = Normal(mean, deviation).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
        drawn = ratio.sum(2).mean(1)
    assert found == pytest.approx(float(drawn.mean()), abs=6 * float(drawn.std()) / math.sqrt(2e4))


def network(points=4, classes=3, residual=False, relu_heads=False, hidden=12, latent=5):
    with seeded(6):
        return MotionNetwork(
            points, classes, hidden, latent, 8, residual=residual, relu_heads=relu_heads
        )


def conditions(points=4, classes=3, n=2, latent=5):
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(n, latent, generator=rng)
    first = torch.rand(n, 2 * points, generator=rng) - 0.5
    label = torch.eye(classes)[:n] if classes else torch.zeros(n, 0)
    return z, first, label


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("horizon", [1, 2, 40])
@pytest.mark.parametrize(("points", "classes"), [(1, 0), (4, 3), (61, 2)])
@torch.no_grad()
def test_any_number_of_points_classes_and_frames(points, classes, horizon, residual):
    net = network(points, classes, residual)
    given = conditions(points, classes)
    path = net.decode(*given, horizon)
    assert path.shape == (2, horizon, 2 * points) and bool(path.isfinite().all())
    mean, deviation = net.encode(path, *given[1:])
    assert mean.shape == deviation.shape == (2, 5) and float(deviation.min()) > 0


@pytest.mark.parametrize("residual", [False, True])
@torch.no_grad()
def test_a_longer_path_begins_like_a_shorter_one(residual):
    net, given = network(residual=residual), conditions()
    torch.testing.assert_close(net.decode(*given, 40)[:, :7], net.decode(*given, 7))


@pytest.mark.parametrize("residual", [False, True])
@torch.no_grad()
def test_noise_first_pose_and_class_each_matter(residual):
    net, (z, first, label) = network(residual=residual), conditions()
    path = net.decode(z, first, label, 6)
    for changed in ((z + 1, first, label), (z, first + 0.3, label), (z, first, label.flip(0))):
        assert float((net.decode(*changed, 6) - path).abs().max()) > 1e-5
    for at in ((first + 0.3, label), (first, label.flip(0))):
        assert not torch.equal(net.encode(path, *at)[0], net.encode(path, first, label)[0])


@torch.no_grad()
def test_only_the_first_step_of_the_published_decoder_has_an_input():
    net, (z, first, label) = network(), conditions()
    entry = net.entry(torch.cat([z, first, label], 1)).relu()
    steps = torch.zeros(2, 6, net.inlet)
    steps[:, 0] = entry
    wanted = torch.tanh(net.decoder(steps)[0] @ net.out.weight.T + net.out.bias)
    torch.testing.assert_close(net.decode(z, first, label, 6), wanted)
    steps[:] = entry[:, None]
    wanted = first[:, None] + net.decoder(steps)[0] @ net.out.weight.T + net.out.bias
    residual = network(residual=True)
    residual.load_state_dict(net.state_dict())
    torch.testing.assert_close(residual.decode(z, first, label, 6), wanted)


@torch.no_grad()
def test_a_residual_decoder_that_says_nothing_stands_still():
    net, (z, first, label) = network(residual=True), conditions()
    net.out.weight.zero_()
    assert torch.equal(net.decode(z, first, label, 9), first[:, None].expand(-1, 9, -1))


@torch.no_grad()
def test_heads_with_a_rectifier_are_a_switch():
    given = conditions()
    plain, cut = network(), network(relu_heads=True)
    path = plain.decode(*given, 6)
    raw = plain.posterior(torch.cat([plain.encoder(path)[0][:, -1], *given[1:]], 1))
    mean, deviation = plain.encode(path, *given[1:])
    torch.testing.assert_close(mean, raw[:, :5])
    torch.testing.assert_close(deviation, torch.exp(raw[:, 5:] / 2))
    mean, deviation = cut.encode(path, *given[1:])
    torch.testing.assert_close(mean, raw[:, :5].clamp_min(0))
    torch.testing.assert_close(deviation, raw[:, 5:].clamp_min(0))
    assert float(mean.min()) == 0.0


@torch.no_grad()
def test_the_sequence_discriminator_judges_by_its_last_step():
    with seeded(7):
        net = SequenceDiscriminator(4, 12)
        cut = SequenceDiscriminator(4, 12, relu_head=True)
        path = torch.randn(8, 6, 8)
    cut.load_state_dict(net.state_dict())
    logits = net(path)
    wanted = net.lstm(path)[0][:, 5] @ net.head.weight[0] + net.head.bias
    torch.testing.assert_close(logits, wanted)
    torch.testing.assert_close(cut(path), logits.clamp_min(0))
    assert logits.shape == (8,) and float(logits.min()) < 0


def test_active_units_are_those_whose_mean_varies():
    """Variances of known size: 0, just below 0.01, just above, 1; a shift is no activity."""
    n = 4001
    wave = torch.linspace(-1, 1, n, dtype=torch.float64) * math.sqrt(3)  # variance 1
    scale = torch.tensor([0.0, 0.099, 0.101, 1.0], dtype=torch.float64)
    mean = wave[:, None] * scale + torch.tensor([5.0, 5.0, 5.0, -3.0])
    assert active_units(mean) == 2
    assert active_units(mean[:, :2]) == 0 and active_units(mean, least=0.5) == 1
    assert active_units(mean[:1]) == 0 and active_units(mean[:0]) == 0
