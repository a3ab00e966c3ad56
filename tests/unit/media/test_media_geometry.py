import json

import numpy as np
import pytest

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.media.geometry import Geometry
from vpbench.media.resize import RULES

SIZES = [(270, 480), (480, 271), (271, 480), (65, 64), (64, 64), (31, 47), (90, 33), (128, 129)]


def centre_of_mass(picture):
    light = picture[..., 0].astype(np.float64)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "nearest"])
@pytest.mark.parametrize("size", [64, 63, 128])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_dot_is_found_at_its_joint(rule, size, height, width):
    geometry = Geometry(size, rule)
    short = min(height, width)
    radius = max(3, round(3 * short / size))  # seven pixels of the result, so rules agree on it
    rng = np.random.default_rng(height * 1000 + width + size)
    for _ in range(4):
        x = int(rng.integers((width - short) // 2 + 2 * radius, (width + short) // 2 - 2 * radius))
        y = int(
            rng.integers((height - short) // 2 + 2 * radius, (height + short) // 2 - 2 * radius)
        )
        frame = np.zeros((height, width, 3), np.uint8)
        frame[y - radius : y + radius + 1, x - radius : x + radius + 1] = 255
        joint = geometry.pose(np.array([[[x, y, 1]]], np.float32), height, width)[0, 0]
        pixel = (joint[:2] + 1) * (size - 1) / 2
        tolerance = 0.05 if rule == "antialias" else 0.6
        found = centre_of_mass(geometry.frames(frame))
        np.testing.assert_allclose(found, pixel, atol=tolerance)


@pytest.mark.parametrize("rule", ["antialias", "half-pixel", "nearest"])
def test_outer_edges_meet_for_half_pixel_rules(rule):
    """The outer edges, half a pixel outside the outer centres, stay the outer edges."""
    pose = np.array([[[-0.5, -0.5, 1], [99.5, 99.5, 1]]], np.float32)
    edge = 1 + 1 / 63
    np.testing.assert_allclose(
        Geometry(64, rule).pose(pose, 100, 100)[0, :, :2], [[-edge] * 2, [edge] * 2], atol=1e-6
    )


def test_native_sizes_map_the_outer_centres_to_one():
    pose = np.array([[[0, 0, 1], [63, 63, 0.5], [31.5, 31.5, 1]]], np.float32)
    expected = [[[-1, -1, 1], [1, 1, 0.5], [0, 0, 1]]]
    for rule in RULES:
        for native in (False, True):
            found = Geometry(64, rule, native).pose(pose, 64, 64)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_missing_joints_stay_missing_whatever_they_hold():
    pose = np.array([[[np.nan, 5, 0], [1, np.inf, 0], [7, 7, 1]]], np.float32)
    found = Geometry(8).pose(pose, 16, 20)
    assert np.array_equal(found[0, :2], np.zeros((2, 3)))
    assert found[0, 2, 2] == 1
    assert np.isnan(pose[0, 0, 0]), "the caller's array is not touched"


def test_joints_outside_the_crop_lie_beyond_one():
    found = Geometry(64).pose(np.array([[[0, 32, 1], [199, 32, 1]]], np.float32), 64, 200)
    assert found[0, 0, 0] < -1
    assert found[0, 1, 0] > 1


def test_what_fits_is_not_touched(clip):
    frames = clip(3, 64, 64)
    assert np.array_equal(Geometry(64).frames(frames), frames)
    assert np.array_equal(Geometry(64, native=True).frames(frames), frames)
    wide = clip(3, 64, 100)
    assert np.array_equal(Geometry(64).frames(wide), wide[:, :, 18:82])


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_uncropped_frames_crop_to_the_same_bytes(clip, height, width):
    geometry = Geometry(48)
    wide = geometry.frames(clip(2, height, width), crop=False)
    assert min(wide.shape[1:3]) == 48
    assert abs(wide.shape[2] / wide.shape[1] - width / height) < 0.05
    assert np.array_equal(geometry.cropped(wide), geometry.frames(clip(2, height, width)))


def test_native_refuses_other_sizes(clip):
    geometry = Geometry(64, native=True)
    with pytest.raises(BadData, match="64x64 px got frames of 66x64"):
        geometry.frames(clip(1, 64, 66))
    with pytest.raises(BadData, match="native"):
        geometry.pose(np.zeros((1, 1, 3), np.float32), 64, 66)


def test_bad_poses_and_sizes_are_refused():
    with pytest.raises(BadData, match="not finite"):
        Geometry(8).pose(np.array([[[np.nan, 0, 1]]], np.float32), 8, 8)
    with pytest.raises(BadData, match=r"\[\.\.\.,J,3\]"):
        Geometry(8).pose(np.zeros((4, 2), np.float32), 8, 8)
    with pytest.raises(UsageError):
        Geometry(0)
    with pytest.raises(UnknownName):
        Geometry(8, "bicubic")  # type: ignore[arg-type]


def test_tiny_sizes():
    assert Geometry(1).frames(np.full((1, 1, 1, 3), 9, np.uint8)).tolist() == [[[[9, 9, 9]]]]
    assert Geometry(1).pose(np.array([[[0, 0, 1]]], np.float32), 1, 1).tolist() == [[[0, 0, 1]]]
    assert Geometry(5).frames(np.full((1, 1, 3, 3), 9, np.uint8)).shape == (1, 5, 5, 3)


def test_fingerprint_tells_geometries_apart():
    some = [Geometry(64), Geometry(65), Geometry(64, "tf1"), Geometry(64, native=True)]
    prints = {json.dumps(geometry.fingerprint(), sort_keys=True) for geometry in some}
    assert len(prints) == 4
    assert Geometry(64).fingerprint() == Geometry(64).fingerprint()
