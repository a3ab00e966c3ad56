"""A dot that is drawn, warped with its image, and found again where the map says."""

import math

import pytest
import torch

from vpbench.kit import seeded
from vpbench_keypoints.layers import gaussian_maps, grid
from vpbench_keypoints.warps import draw_warp

CPU = torch.device("cpu")
SIZE = 129


def dots(points):
    """[N,2] -> images [N,3,SIZE,SIZE] with a round dot each."""
    return gaussian_maps(points[:, None], SIZE, 12.0).expand(-1, 3, -1, -1).contiguous()


def located(images):
    """The brightest pixel of each image, [N,2]."""
    best = images[:, 0].flatten(1).argmax(1)
    axis = grid(SIZE, images)
    return torch.stack([axis[best % SIZE], axis[best // SIZE]], 1)


@pytest.mark.parametrize("strength", [{}, {"height": 0.0}, {"turn_deg": 40.0, "shift": 0.3}])
def test_a_dot_and_its_keypoint_move_alike(strength):
    with seeded(11):
        warp = draw_warp(8, CPU, **strength)
        seen = torch.rand(8, 2) * 0.8 - 0.4  # where it shall be in the warped image
    origin = warp.places(seen[:, None])[:, 0]
    kept = origin.abs().amax(1) < 0.6  # else mirrored copies of the dot come into view
    assert int(kept.sum()) >= 4
    found = located(warp.images(dots(origin)))
    pixel = 2 / (SIZE - 1)
    assert float((found - seen)[kept].abs().max()) < 1.5 * pixel
    again = warp.places(found[:, None])[:, 0]  # what the loss compares
    assert float((again - origin)[kept].abs().max()) < 3 * pixel
    assert float((seen - origin)[kept].abs().max()) > 10 * pixel  # something did move


def test_a_rotation_alone_is_a_rotation():
    with seeded(2):
        warp = draw_warp(6, CPU, turn_deg=30.0, scale=0.0, shift=0.0, height=0.0)
    angle = torch.atan2(warp.matrix[:, 1, 0], warp.matrix[:, 0, 0])
    assert 5 < float(angle.abs().max()) * 180 / math.pi <= 30
    points = torch.tensor([[0.5, 0.0], [0.0, 0.5]]).expand(6, -1, -1)
    found = warp.places(points)
    cos, sin = 0.5 * angle.cos(), 0.5 * angle.sin()
    wanted = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    torch.testing.assert_close(found, wanted)


def test_no_strength_leaves_images_and_points():
    with seeded(3):
        warp = draw_warp(2, CPU, turn_deg=0.0, scale=0.0, shift=0.0, height=0.0)
        image, points = torch.rand(2, 3, 16, 12), torch.rand(2, 5, 2)
    torch.testing.assert_close(warp.images(image), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(warp.places(points), points)


def test_a_shift_by_one_pixel_is_exact_inside():
    with seeded(4):
        warp = draw_warp(1, CPU, turn_deg=0.0, scale=0.0, shift=0.0, height=0.0)
        image = torch.rand(1, 3, 9, 9)
    warp.shift.copy_(torch.tensor([[2 / 8, 0.0]]))  # each pixel shows its right neighbour
    found = warp.images(image)
    torch.testing.assert_close(found[..., :-1], image[..., 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[..., -1], image[..., -2], atol=1e-5, rtol=0)  # mirrored


def test_same_seed_same_warps_and_others_differ():
    def drawn(seed):
        with seeded(seed):
            return draw_warp(4, CPU).places(torch.zeros(4, 1, 2))

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))
    assert len({tuple(p) for p in drawn(1)[:, 0].tolist()}) == 4


def test_a_gradient_reaches_images_and_points():
    with seeded(5):
        warp = draw_warp(2, CPU)
        image = torch.rand(2, 3, 8, 8, requires_grad=True)
        points = torch.rand(2, 3, 2, requires_grad=True)
    (warp.images(image).sum() + warp.places(points).sum()).backward()
    assert bool(image.grad.abs().sum() > 0) and bool(points.grad.abs().sum() > 0)
