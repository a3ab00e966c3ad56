"""Maps, losses and first weights of Villegas et al."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.kit import layers, pass_on, seeded
from vpbench_baselines.villegas import losses, maps
from vpbench_baselines.villegas.heatmaps import (
    HeatMapNetwork,
    _cells,
    heat_map_loss,
    read_points,
)
from vpbench_baselines.villegas.networks import (
    AnalogyGenerator,
    decoder,
    encoder,
)

# -- maps ------------------------------------------------------------------------------------------

LIMBS = (
    ("head", "S"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("S", "H"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("right_hip", "right_knee"),
    ("left_knee", "left_ankle"),
    ("right_knee", "right_ankle"),
)


def limb_pixels(joints, size):
    """(x, y) in pixels, or None, for each of 48 channels: written as loops."""
    pixels = {
        name: None if c == 0 else ((x + 1) / 2 * (size - 1), (y + 1) / 2 * (size - 1))
        for name, (x, y, c) in zip(JOINT_NAMES, joints.tolist(), strict=True)
    }

    def place(name):
        if name not in ("S", "H"):
            return pixels[name]
        part = {"S": "shoulder", "H": "hip"}[name]
        sides = [pixels[f"{side}_{part}"] for side in ("left", "right")]
        if None in sides:
            return None
        return tuple((a + b) / 2 for a, b in zip(*sides, strict=True))

    found = []
    for first, second in LIMBS:
        a, b = place(first), place(second)
        for k in range(4):
            if a is not None and b is not None:
                found.append(tuple(p + (q - p) * k / 3 for p, q in zip(a, b, strict=True)))
            else:
                found.append(a if k == 0 else b if k == 3 else None)
    return found


@pytest.mark.parametrize(("size", "hidden"), [(16, 0), (17, 0.3), (33, 0.6)])
def test_limb_maps_are_48_gaussians_along_twelve_limbs(size, hidden):
    rng = np.random.default_rng(size)
    joints = rng.uniform(-1.2, 1.2, (3, 13, 3)).astype(np.float32)
    joints[..., 2] = rng.random((3, 13)) >= hidden
    joints[joints[..., 2] == 0, :2] = np.nan
    sigma = size / 32
    points = maps.limb_points(torch.from_numpy(joints), JOINT_NAMES)
    made = maps.point_maps(points, size, sigma).numpy()
    assert made.shape == (3, maps.LIMB_MAPS, size, size) == (3, 48, size, size)
    grid_y, grid_x = np.mgrid[:size, :size]
    for n in range(3):
        for channel, place in zip(made[n], limb_pixels(joints[n], size), strict=True):
            wanted = np.zeros((size, size))
            if place is not None:
                far = (grid_x - place[0]) ** 2 + (grid_y - place[1]) ** 2
                wanted = np.exp(-far / (2 * sigma**2))
            np.testing.assert_allclose(channel, wanted, atol=2e-5)


def test_a_limb_with_one_end_shows_that_end_alone():
    joints = torch.zeros(13, 3)
    joints[JOINT_NAMES.index("left_elbow")] = torch.tensor([0.5, -0.5, 1.0])
    points = maps.limb_points(joints, JOINT_NAMES)
    drawn = points[:, 2].nonzero().flatten().tolist()
    assert drawn == [2 * 4 + 3, 4 * 4]  # the end of the upper arm, the start of the forearm
    torch.testing.assert_close(points[drawn[0], :2], torch.tensor([0.5, -0.5]))


def test_a_point_has_height_one_at_its_pixel_and_none_where_it_is_missing():
    points = torch.tensor([[[-1.0, 1.0, 0.2], [0.0, 0.0, 0.0]]])
    made = maps.point_maps(points, 5, 0.7)
    assert float(made[0, 0, 4, 0]) == 1.0 and not made[0, 1].any()


def test_limbs_need_their_joints_by_name():
    assert maps.has_limbs(JOINT_NAMES) and maps.has_limbs((*JOINT_NAMES, "tail"))
    assert not maps.has_limbs(JOINT_NAMES[1:]) and not maps.has_limbs(())


# -- the heat-map regressor ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 24, 40])
def test_points_are_read_where_the_bumps_are(size):
    rng = np.random.default_rng(size)
    points = torch.from_numpy(rng.uniform(-0.85, 0.85, (4, 3, 3)).astype(np.float32))
    axis = torch.arange(size // 2, dtype=torch.float32)
    cells = _cells(points, size)
    far = (cells[..., None] - axis).square() / 2
    logits = -far[:, :, 1, :, None] - far[:, :, 0, None, :]
    # a second, lower bump elsewhere does not move the place
    far_off = logits.flatten(2).argmin(2, keepdim=True)
    logits = logits.flatten(2).scatter(2, far_off, -1.0).unflatten(2, (size // 2, size // 2))
    seen = torch.tensor([[3.0, -3.0, 0.0]]).expand(4, 3)
    found = read_points(logits, seen)
    assert float((found[..., :2] - points[..., :2]).abs().max()) * (size - 1) / 2 < 0.75
    sure = 1 / (1 + math.exp(-3))
    torch.testing.assert_close(found[..., 2], torch.tensor([[sure, 0.0, 0.5]]).expand(4, 3))


@pytest.mark.parametrize("corner", [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0)])
def test_points_at_the_border_stay_inside(corner):
    logits = torch.full((1, 1, 8, 8), -9.0)
    row, column = (7 if c > 0 else 0 for c in corner[::-1])
    logits[0, 0, row, column] = 9.0
    found = read_points(logits, torch.zeros(1, 1))[0, 0, :2]
    assert float((found - torch.tensor(corner)).abs().max()) < 0.1
    assert float(found.abs().max()) <= 1


def test_the_heat_map_loss_is_the_cross_entropy_and_missing_points_give_no_gradient():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(2, 3, 6, 6)).astype(np.float32)).requires_grad_()
    seen = torch.from_numpy(rng.normal(size=(2, 3)).astype(np.float32)).requires_grad_()
    points = torch.from_numpy(rng.uniform(-0.8, 0.8, (2, 3, 3)).astype(np.float32))
    points[..., 2] = torch.tensor([[1.0, 0.0, 0.4], [0.0, 0.0, 1.0]])
    points[0, 1, 0] = math.nan
    loss = heat_map_loss(logits, seen, points, 1.3, 0.5)
    loss.backward()
    there = points[..., 2].numpy() > 0
    assert logits.grad[torch.from_numpy(~there)].eq(0).all()
    costs = []
    for n, k in zip(*np.nonzero(there), strict=True):
        x, y = (points[n, k, :2].double().numpy() + 1) / 2 * 11  # pixels of 12
        row, column = np.mgrid[:6, :6] * 2 + 0.5  # centres of cells of two pixels
        target = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * (2 * 1.3) ** 2))
        chances = np.exp(logits[n, k].detach().double().numpy())
        costs.append(-(target / target.sum() * np.log(chances / chances.sum())).sum())
    chance = 1 / (1 + np.exp(-seen.detach().double().numpy()))
    told = -np.where(there, np.log(chance), np.log(1 - chance)).mean()
    assert math.isclose(float(loss.detach()), np.mean(costs) + 0.5 * told, rel_tol=1e-4)


def test_without_any_point_the_loss_is_finite():
    loss = heat_map_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2), torch.zeros(1, 2, 3), 1.0, 1.0)
    assert math.isclose(float(loss), math.log(2), rel_tol=1e-6)


def test_the_regressor_gives_maps_at_half_size_and_features_with_a_gradient():
    with seeded(0):
        net = HeatMapNetwork(7, 4).eval().requires_grad_(False)
    images = torch.rand(2, 3, 24, 24, requires_grad=True)
    maps_, seen = net(images)
    assert maps_.shape == (2, 7, 12, 12) and seen.shape == (2, 7)
    assert net.features(images).shape == (2, 8, 12, 12)
    net.features(images).sum().backward()
    assert images.grad.abs().sum() > 0


# -- losses ----------------------------------------------------------------------------------------


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target)).item()


def test_the_discriminator_is_taught_real_fake_and_wrong_pairs():
    """BCE(real, 1) + half of BCE(fake, 0) + half of BCE(real frame with the wrong pose, 0)."""
    with seeded(0):
        real, fake, wrong = torch.randn(3, 5, requires_grad=True)
        real, fake, wrong = (x.detach().requires_grad_() for x in (real, fake, wrong))
    told = losses.matching_loss(real, fake, wrong)
    assert math.isclose(told["real"].item(), bce(real, 1.0), rel_tol=1e-5)
    wanted = 0.5 * bce(fake, 0.0) + 0.5 * bce(wrong, 0.0)
    assert math.isclose(told["fake"].item(), wanted, rel_tol=1e-5)
    (told["real"] + told["fake"]).backward()
    assert (wrong.grad > 0).all() and (fake.grad > 0).all() and (real.grad < 0).all()


@pytest.mark.parametrize(
    ("moves", "told", "then"),
    [
        ((True, True), (0.5, 0.5), (True, True)),
        ((True, True), (0.2, 0.5), (False, True)),
        ((True, True), (0.5, 0.2), (False, True)),
        ((True, True), (0.5, 0.8), (True, False)),
        ((False, True), (0.5, 0.5), (False, True)),  # who waits goes on waiting
        ((True, False), (0.5, 0.5), (True, False)),
        ((False, True), (0.5, 0.8), (True, True)),  # until both would wait
        ((True, False), (0.2, 0.5), (True, True)),
        ((True, True), (0.2, 0.8), (True, True)),
    ],
)
def test_a_player_that_is_ahead_waits_until_both_would(moves, told, then):
    named = dict(zip(("discriminator", "generator"), moves, strict=True))
    after = losses.next_turns(named, told, 0.3)
    assert (after["discriminator"], after["generator"]) == then
    assert all(losses.next_turns(named, told, 0.0).values())


def test_the_pixel_loss_against_numpy():
    rng = np.random.default_rng(0)
    fake, real = (rng.uniform(-1, 1, (2, 3, 8, 7)).astype(np.float32) for _ in range(2))
    wanted = 0.5 * ((fake.astype(float) - real) ** 2).mean()
    found = losses.squared_loss(torch.from_numpy(fake), torch.from_numpy(real))
    assert math.isclose(float(found), wanted, rel_tol=1e-5)


def test_the_feature_loss_is_half_the_squared_difference_of_scaled_features():
    frames = torch.rand(4, 3, 6, 6)
    loss = losses.FeatureLoss(lambda x: 3 * F.avg_pool2d(x, 2), frames)
    pooled = F.avg_pool2d(frames, 2)
    fake, real = frames[:2].clone().requires_grad_(), frames[2:].clone().requires_grad_()
    found = loss(fake, real)
    wanted = 0.5 * ((pooled[:2] - pooled[2:]) / pooled.abs().mean()).square().mean()
    torch.testing.assert_close(found, wanted)
    found.backward()
    assert fake.grad.abs().sum() > 0 and real.grad is None


# -- first weights ---------------------------------------------------------------------------------

INNER = (slice(None), slice(None), slice(6, -6), slice(6, -6))
"""Away from the border, where zeros come in."""


def plain(colours, size=32):
    """One colour each: [N,3,size,size]."""
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, size, size)


@pytest.mark.parametrize("width", [6, 8, 16])
@pytest.mark.parametrize("pools", [2, 3])
def test_an_image_of_one_colour_comes_through_as_it_is(monkeypatch, width, pools):
    # multiples of 3 and others: the copies of the three colours need not be equally many
    monkeypatch.setattr(layers, "_RANDOM", 0.0)
    way = nn.Sequential(encoder(3, width, pools), decoder(width, pools))
    pass_on(way)
    image = plain([[0.9, -0.4, 0.2], [-1.0, 1.0, 0.0]], 64)
    found = way(image)
    inner = (slice(None), slice(None), slice(24, -24), slice(24, -24))
    assert torch.allclose(found[inner], torch.tanh(image)[inner], atol=1e-5)


def test_a_generator_can_start_with_them_and_then_copies_roughly():
    def error(init):
        with seeded(0), torch.inference_mode():
            net = AnalogyGenerator(48, 16, 2, init)
            image = plain([[0.5, -0.5, 0.0], [-0.3, 0.3, 0.6]])
            pose = torch.zeros(2, 48, 32, 32)
            return float((net(image, pose, pose) - torch.tanh(image))[INNER].abs().mean())

    assert error("identity") < 0.6 * error("xavier")
