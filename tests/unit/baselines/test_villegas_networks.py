"""Networks of Villegas et al.: published sizes, and what they compute."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vpbench.api import UsageError
from vpbench.kit import seeded, upconv3x3
from vpbench_baselines.villegas.errors import joint_errors, masked_error
from vpbench_baselines.villegas.motion import numbers_of, points_of
from vpbench_baselines.villegas.networks import (
    AnalogyGenerator,
    PairDiscriminator,
    PoseLSTM,
)


def convs(*channels, kernel=3):
    """Weights and biases of convolutions with these (in, out) channels."""
    return sum(kernel**2 * a * b + b for a, b in channels)


def trained(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_the_generator_has_the_published_size(generator):
    def encoder(inputs):
        return convs((inputs, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 2)

    decoder = convs(*[(256, 256)] * 2, (256, 128), (128, 128), (128, 64), (64, 64), (64, 3))
    sizes = [trained(m) for m in (generator.image, generator.pose, generator.decode)]
    assert sizes == [encoder(3), encoder(48), decoder] == [1_735_488, 1_761_408, 1_735_235]
    assert round(sum(sizes) / 1e6, 2) == 5.23


def test_two_pools_have_the_parameters_of_three():
    with torch.device("meta"):
        assert trained(AnalogyGenerator(48, 8, 2)) == trained(AnalogyGenerator(48, 8, 3))
    with pytest.raises(UsageError, match="pools=4"):
        AnalogyGenerator(48, 8, 4)


def test_the_pose_lstm_has_the_published_size():
    with torch.device("meta"):
        size = trained(PoseLSTM(26, 32, 1024))
    assert size == (26 * 32 + 32) + 4 * 1024 * (32 + 1024 + 1) + (1024 * 26 + 26) == 4_356_986


def test_the_discriminator_has_the_published_size():
    with torch.device("meta"):
        size = trained(PairDiscriminator(51, 64, 128))
    looks = convs((51, 64), (64, 128), (128, 256), (256, 512), kernel=5) + 2 * (128 + 256 + 512)
    assert size == looks + 8 * 8 * 512 + 1 == 4_417_921


# -- the generator ---------------------------------------------------------------------------------


def test_unpooling_with_zeros_and_convolving_is_one_transposed_convolution():
    with seeded(0):
        layer, x = upconv3x3(3, 5), torch.randn(2, 3, 6, 7)
        torch.nn.init.normal_(layer.bias)
    sparse = torch.zeros(2, 3, 12, 14)
    sparse[:, :, ::2, ::2] = x  # top left of each 2x2
    kernel = layer.weight.flip(2, 3).transpose(0, 1)
    torch.testing.assert_close(layer(x), F.conv2d(sparse, kernel, layer.bias, padding=1))


@pytest.mark.parametrize("pools", [2, 3])
@pytest.mark.parametrize("size", [16, 24])
def test_sizes_come_back(pools, size):
    with seeded(0):
        net = AnalogyGenerator(5, 2, pools)
    image, one, two = torch.rand(3, 3, size, size), *torch.rand(2, 3, 5, size, size)
    drawn = net(image, one, two)
    assert drawn.shape == image.shape and float(drawn.detach().abs().max()) < 1
    torch.testing.assert_close(net.draw(net.base(image, one), two), drawn)


def test_equal_poses_leave_the_pose_encoder_without_influence():
    """F_pose(p) - F_pose(p) is nothing: any pose, any pose encoder, the same frame."""
    with seeded(0):
        net = AnalogyGenerator(5, 3, 3)
        image, pose, other = torch.rand(2, 3, 16, 16), *torch.rand(2, 2, 5, 16, 16)
        alone = net.decode(net.image(image))
        same = net(image, pose, pose)
        torch.testing.assert_close(same, alone)
        assert not torch.allclose(net(image, pose, other), alone, atol=1e-4)
        for weight in net.pose.parameters():
            torch.nn.init.normal_(weight, std=0.2)
        torch.testing.assert_close(net(image, other, other), same)
    gradients = torch.autograd.grad(
        net(image, pose, pose).square().sum(), list(net.pose.parameters())
    )
    assert all(float(g.abs().max()) < 1e-3 for g in gradients)


def test_both_poses_go_through_one_encoder():
    with seeded(0):
        net = AnalogyGenerator(5, 3, 2)
        image, one, two = torch.rand(1, 3, 16, 16), *torch.rand(2, 1, 5, 16, 16)
    wanted = net.decode(net.image(image) + net.pose(two) - net.pose(one))
    torch.testing.assert_close(net(image, one, two), wanted)


def test_the_discriminator_looks_at_both_and_uses_the_batch_in_evaluation_too():
    with seeded(0):
        net = PairDiscriminator(5, 4, 20).eval()
        image, pose, other = torch.rand(4, 3, 20, 20), *torch.rand(2, 4, 2, 20, 20)
    logits = net(image, pose)
    assert logits.shape == (4,)
    assert not torch.allclose(logits, net(image, other))
    assert not torch.allclose(logits, net(image.flip(0), pose))
    torch.testing.assert_close(logits, net.train()(image, pose))
    assert not torch.allclose(logits[:2], net(image[:2], pose[:2]))


# -- the pose LSTM ---------------------------------------------------------------------------------


def test_the_lstm_is_the_formula_with_nothing_fed_in_the_future():
    with seeded(1):
        net = PoseLSTM(6, 4, 5)
        for weight in net.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.5)
        given = torch.rand(2, 3, 6) * 2 - 1
    p = {k: v.detach().double().numpy() for k, v in net.state_dict().items()}

    def sig(v):
        return 1 / (1 + np.exp(-v))

    h = c = np.zeros((2, 5))
    found = []
    for t in range(3 + 4):
        if t < 3:
            x = np.maximum(given[:, t].numpy() @ p["enter.weight"].T + p["enter.bias"], 0)
        else:  # a vector of zeros, not an embedded pose of zeros
            x = np.zeros((2, 4))
        i, f, g, o = np.split(
            x @ p["lstm.weight_ih_l0"].T + p["lstm.bias_ih_l0"] + h @ p["lstm.weight_hh_l0"].T, 4, 1
        )
        c = sig(f) * c + sig(i) * np.tanh(g)
        h = sig(o) * np.tanh(c)
        found.append(np.tanh(h @ p["leave.weight"].T + p["leave.bias"]))
    np.testing.assert_allclose(net(given, 4).detach(), np.stack(found[3:], 1), atol=1e-5)


def test_the_lstm_forgets_little_at_first_and_a_longer_horizon_begins_with_the_shorter():
    net = PoseLSTM(6, 4, 5)
    bias = net.lstm.bias_ih_l0.detach()
    assert bias[5:10].eq(1).all() and bias.sum() == 5 and not net.lstm.bias_hh_l0.any()
    given = torch.rand(2, 3, 6)
    torch.testing.assert_close(net(given, 9)[:, :4], net(given, 4))


def test_numbers_are_all_x_then_all_y_and_missing_points_are_zero():
    points = torch.tensor([[0.1, 0.2, 1.0], [math.nan, math.inf, 0.0], [0.5, 0.6, 0.3]])
    numbers = numbers_of(points)
    torch.testing.assert_close(numbers, torch.tensor([0.1, 0, 0.5, 0.2, 0, 0.6]))
    torch.testing.assert_close(points_of(numbers)[0], points[0, :2])
    rolled = torch.rand(2, 3, 5, 2)
    torch.testing.assert_close(points_of(torch.cat([rolled[..., 0], rolled[..., 1]], -1)), rolled)


def test_masked_joints_give_no_gradient_and_count_in_the_mean():
    rng = np.random.default_rng(0)
    true = torch.from_numpy(rng.uniform(-1, 1, (2, 3, 4, 3)).astype(np.float32))
    true[..., 2] = torch.from_numpy((rng.random((2, 3, 4)) < 0.5).astype(np.float32))
    hidden = true[..., 2] == 0
    true[..., 0][hidden] = math.nan  # wherever a missing joint is said to lie
    found = torch.zeros(2, 3, 4, 2, requires_grad=True)
    loss = masked_error(found, true)
    loss.backward()
    assert found.grad[hidden].eq(0).all() and found.grad[~hidden].ne(0).all()
    wanted = np.nansum(true.numpy()[..., :2][~hidden.numpy()] ** 2) / true[..., :2].numel()
    assert math.isclose(float(loss.detach()), wanted, rel_tol=1e-5)


def test_joint_errors_are_distances_of_joints_that_are_there():
    true = torch.tensor([[0.0, 0.0, 1], [0.3, 0.4, 1], [math.nan, 0, 0]])
    found = torch.tensor([[0.3, 0.4, 0.0], [0.3, 0.4, 1], [0, 0, 1]])
    torch.testing.assert_close(joint_errors(found, true), torch.tensor([0.5, 0.0]))
    also = torch.tensor([False, True, True])
    torch.testing.assert_close(joint_errors(found, true, also), torch.tensor([0.0]))
