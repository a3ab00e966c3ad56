"""Augmentation: frames and points move together, and only as the seed says."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from vpbench.api import NO_AUGMENT, Augment, UsageError
from vpbench.media.augment import (
    FILTERS,
    Warp,
    apply_filter,
    augment,
    draw_warp,
    mirror_pairs,
    recolour,
)

ALL = Augment(flip=True, rotate_deg=20, crop=0.3, colour=0.4, filters=True)
SIZES = [(64, 64), (63, 63), (48, 65), (33, 20)]


def clip(seed=0, t=3, h=24, w=25):
    return np.random.default_rng(seed).integers(0, 256, (t, h, w, 3), dtype=np.uint8)


def points(seed=0, t=3, j=6):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.uniform(-0.9, 0.9, (t, j, 2)), np.ones((t, j, 1))], -1, dtype=np.float32
    )


def dots(places, height, width, sigma=0.9):
    """One frame a point, bright at the point; sub-pixel."""
    y, x = np.mgrid[:height, :width]
    px = (places[:, 0] + 1) / 2 * (width - 1)
    py = (places[:, 1] + 1) / 2 * (height - 1)
    square = (x - px[:, None, None]) ** 2 + (y - py[:, None, None]) ** 2
    grey = np.exp(-square / (2 * sigma**2)) * 255
    return np.repeat(grey[..., None], 3, -1).round().astype(np.uint8)


def brightest(frame):
    """(x, y) in pixels of the light around the brightest pixel."""
    grey = frame[..., 0].astype(float)
    row, column = np.unravel_index(grey.argmax(), grey.shape)
    y, x = np.mgrid[row - 4 : row + 5, column - 4 : column + 5]
    light = grey[row - 4 : row + 5, column - 4 : column + 5]
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


def disagreements(frames, moved, height, width):
    """(x, y) in pixels from points to their dots, for those that lie well inside."""
    pixels = (moved[..., :2] + 1) / 2 * [width - 1, height - 1]
    inside = (pixels >= 5).all(-1) & (pixels <= [width - 6, height - 6]).all(-1)
    return np.array([brightest(frames[i]) - pixels[i] for i in np.flatnonzero(inside)])


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "spec",
    [
        Augment(flip=True),
        Augment(rotate_deg=30),
        Augment(crop=0.4),
        Augment(flip=True, rotate_deg=30, crop=0.4),
    ],
    ids=["flip", "rotate", "crop", "all"],
)
def test_a_dot_moves_with_its_point(height, width, seed, spec):
    grid = np.stack(np.meshgrid(np.linspace(-0.7, 0.7, 7), np.linspace(-0.7, 0.7, 7)), -1)
    places = np.concatenate([grid.reshape(-1, 1, 2), np.ones((49, 1, 1))], -1, dtype=np.float32)
    out, (moved,) = augment(dots(places[:, 0], height, width), [places], spec, seed, [()])
    found = disagreements(out, moved[:, 0], height, width)
    assert len(found) >= 6 and np.abs(found).max() < 0.1
    assert np.abs(found.mean(0)).max() < 0.04  # no offset that all share


def test_rotation_is_a_rotation_of_pixels_whatever_the_shape():
    warp = Warp(41, 81, angle=np.pi / 2)
    moved = warp.points(np.array([[[0.5, 0, 1], [0, -1, 1]]], np.float32))
    # 20 px right of the centre comes 20 px below it: clockwise
    assert np.allclose(moved[0], [[0, 1, 1], [0.5, 0, 1]], atol=1e-6)


def test_crop_keeps_what_it_says():
    warp = Warp(65, 65, scale=0.5, shift=(0.5, -0.5))
    corners = np.array([[[0, -1, 1], [1, 0, 1], [0.5, -0.5, 1], [-0.1, -0.5, 1]]], np.float32)
    moved = warp.points(corners)[0]
    assert np.allclose(moved[:3], [[-1, -1, 1], [1, 1, 1], [0, 0, 1]]) and moved[3, 2] == 0
    frame = clip(t=1, h=65, w=65)
    assert np.array_equal(warp.frames(frame)[0, ::2, ::2], frame[0, :33, 32:])


@pytest.mark.parametrize("width", [24, 25])
def test_flipping_twice_is_the_identity(width):
    frames, pose = clip(w=width), points()
    pose[0, 2] = (1.3, 0.2, 1)  # outside from the start: it does not leave
    seed = next(s for s in range(20) if draw_warp(Augment(flip=True), s, 24, width).flip)
    pairs = ((0, 3), (4, 2))
    once, (moved, keys) = augment(frames, [pose, pose], Augment(flip=True), seed, [pairs, ()])
    assert np.array_equal(once, frames[:, :, ::-1]) and once.flags.c_contiguous
    assert np.array_equal(moved[:, [0, 3, 4, 2, 1, 5]], pose[:, [3, 0, 2, 4, 1, 5]] * [-1, 1, 1])
    assert np.array_equal(keys, pose * [-1, 1, 1])
    back, (pose2, keys2) = augment(once, [moved, keys], Augment(flip=True), seed, [pairs, ()])
    assert back.tobytes() == frames.tobytes()
    assert pose2.tobytes() == pose.tobytes() and keys2.tobytes() == pose.tobytes()


def test_nothing_asked_nothing_changed():
    frames, pose = clip(), points()
    out, moved = augment(frames, [pose, None], NO_AUGMENT, 3, [(), ()])
    assert out is frames and moved[0] is pose and moved[1] is None


def test_inputs_are_never_changed_and_may_be_read_only():
    frames, pose = clip(), points()
    kept = frames.copy(), pose.copy()
    frames.flags.writeable = pose.flags.writeable = False
    for seed in range(20):
        out, moved = augment(frames, [pose, None], ALL, seed, [((0, 1),), ()])
        assert out.shape == frames.shape and out.dtype == np.uint8 and out.flags.c_contiguous
        assert moved[0].shape == pose.shape and moved[0].dtype == np.float32 and moved[1] is None
    assert np.array_equal(frames, kept[0]) and np.array_equal(pose, kept[1])


def test_same_seed_same_bytes_other_seed_other_bytes():
    frames, pose = clip(), points()
    results = set()
    for seed in [*range(12), -1, 2**63, 2**63 + 2**32]:
        first = augment(frames, [pose], ALL, seed, [()])
        again = augment(frames.copy(), [pose.copy()], ALL, seed, [()])
        assert first[0].tobytes() == again[0].tobytes()
        assert first[1][0].tobytes() == again[1][0].tobytes()
        results.add(first[0].tobytes())
    assert len(results) == 15


def test_every_frame_gets_the_same_change():
    still = np.repeat(clip(t=1), 4, 0)
    for seed in range(20):
        out, _ = augment(still, [], ALL, seed, [])
        assert (out == out[:1]).all()


def test_effects_have_streams_of_their_own():
    for seed in range(20):
        alone = draw_warp(Augment(rotate_deg=10), seed, 9, 9).angle
        both = draw_warp(Augment(flip=True, rotate_deg=10, crop=0.2), seed, 9, 9)
        assert both.angle == alone and abs(alone) <= np.radians(10)
        assert both.flip == draw_warp(Augment(flip=True), seed, 9, 9).flip


def test_draws_fill_their_ranges():
    spec = Augment(flip=True, rotate_deg=10, crop=0.25)
    warps = [draw_warp(spec, s, 9, 9) for s in range(2000)]
    degrees = np.degrees([w.angle for w in warps])
    assert -10 <= degrees.min() < -9.5 and 9.5 < degrees.max() <= 10 and abs(degrees.mean()) < 0.5
    cuts = np.array([1 - w.scale for w in warps])
    assert 0 <= cuts.min() < 0.01 and 0.24 < cuts.max() < 0.25
    shifts = np.array([w.shift for w in warps])
    assert (np.abs(shifts) <= cuts[:, None]).all() and abs(shifts.mean()) < 0.01
    assert 0.46 < np.mean([w.flip for w in warps]) < 0.54
    assert abs(np.corrcoef(degrees, cuts)[0, 1]) < 0.07


def test_points_that_leave_lose_their_confidence():
    pose = np.zeros((1, 4, 3), np.float32)
    pose[0] = [(0.9, 0.9, 1), (0, 0, 1), (-0.95, 0, 0.5), (np.inf, np.nan, 0)]
    moved = Warp(32, 32, scale=0.8).points(pose)
    assert moved[0, :, 2].tolist() == [0, 1, 0, 0]
    edge = np.array([[[-1, 0, 1], [1, 1, 1]]], np.float32)
    assert Warp(32, 32, flip=True).points(edge)[0, :, 2].tolist() == [1, 1]


def test_borders_are_repeated():
    white = np.full((1, 32, 32, 3), 200, np.uint8)
    assert (Warp(32, 32, angle=0.7).frames(white) == 200).all()
    for name in FILTERS[:6]:
        assert (apply_filter(white, name, 0.5) == 200).all()


def test_tiny_frames():
    for shape in [(1, 1, 1, 3), (2, 1, 5, 3), (1, 2, 2, 3)]:
        frames = np.full(shape, 90, np.uint8)
        for seed in range(8):
            spec = Augment(flip=True, rotate_deg=20, crop=0.5)
            out, (moved,) = augment(frames, [points(t=shape[0])], spec, seed, [()])
            assert (out == 90).all() and np.isfinite(moved).all()


def pillow(frame, name, factor):
    """The same filter by Pillow."""
    image = Image.fromarray(frame)
    if hasattr(ImageFilter, name.upper()):
        return np.asarray(image.filter(getattr(ImageFilter, name.upper())))
    enhancer = {"colour": "Color"}.get(name, name.title())
    return np.asarray(getattr(ImageEnhance, enhancer)(image).enhance(factor))


def smooth_scene():
    """Like a picture: large structures, some noise."""
    small = np.random.default_rng(4).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    big = np.asarray(Image.fromarray(small).resize((40, 36), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(5).integers(-20, 20, big.shape)
    return np.clip(big + noise, 0, 255).astype(np.uint8)[None]


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("amount", [0.0, 0.37, 0.999])
def test_filters_agree_with_pillow(name, amount):
    low, high = {
        "sharpness": (0, 5),
        "brightness": (0.7, 2),
        "colour": (0, 5),
        "contrast": (0.7, 3),
    }.get(name, (0, 0))
    factor = round(low + int(amount * (round((high - low) * 10) + 1)) / 10, 1)
    scene = smooth_scene()
    ours = apply_filter(scene, name, amount)[0].astype(int)
    theirs = pillow(scene[0], name, factor).astype(int)
    # Pillow cuts off where we round, leaves two rows of border alone, rounds the mean of contrast
    difference = np.abs(ours - theirs)[2:-2, 2:-2]
    assert difference.max() <= (2 if name == "contrast" else 1)
    if amount and factor != 1:
        assert np.abs(ours - scene[0])[2:-2, 2:-2].max() > 5


@pytest.mark.parametrize("name", FILTERS[:6])
def test_kernels_are_exact_to_the_border(name):
    size, scale, _, weights = getattr(ImageFilter, name.upper()).filterargs
    frames, half = clip(t=2), size[0] // 2
    wide = np.pad(frames.astype(np.int64), ((0, 0), (half, half), (half, half), (0, 0)), "edge")
    total = sum(
        weight * wide[:, i // size[0] :, i % size[0] :][:, : frames.shape[1], : frames.shape[2]]
        for i, weight in enumerate(weights)
    )
    exact = np.clip((2 * total + scale) // (2 * scale), 0, 255)
    ours = apply_filter(frames, name, 0.0)
    assert np.array_equal(ours, exact) and ours.flags.c_contiguous


def test_ten_filters_on_half_of_the_clips_all_equally_often():
    assert len(FILTERS) == len(set(FILTERS)) == 10
    frames = smooth_scene()[:, :16, :16]
    expected = {apply_filter(frames, n, 0.0).tobytes(): n for n in FILTERS[:6]}
    assert len(expected) == 6
    counts = dict.fromkeys([*FILTERS[:6], "factor", "none"], 0)
    for seed in range(2000):
        out, _ = augment(frames, [], Augment(filters=True), seed, [])
        name = "none" if out is frames else expected.get(out.tobytes(), "factor")
        counts[name] += 1
    assert 930 < counts["none"] < 1070 and 340 < counts["factor"] < 460
    assert all(60 < counts[n] < 145 for n in FILTERS[:6])
    with pytest.raises(UsageError, match="emboss"):
        apply_filter(frames, "emboss", 0.1)


def test_colour():
    frames = smooth_scene()
    assert np.array_equal(recolour(frames, 1, 1, 1), frames)
    grey = recolour(frames, 1, 1, 0)
    assert (grey == grey[..., :1]).all() and grey.std() > 10
    flat = recolour(frames, 1, 0, 1)
    assert np.ptp(flat) <= 1 and abs(float(flat.mean()) - grey.mean()) < 1
    assert recolour(frames, 0, 1, 1).max() == 0
    changed = [augment(frames, [], Augment(colour=0.3), s, [])[0] for s in range(30)]
    means = np.array([c.mean() for c in changed]) / frames.mean()
    assert means.min() > 0.65 and means.max() < 1.35 and np.ptp(means) > 0.3


def test_mirror_pairs_of_named_joints():
    names = ("head", "left_wrist", "right_wrist", "Right Knee", "left knee", "left_eye")
    assert mirror_pairs(names) == ((1, 2), (4, 3))


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (Augment(crop=1.0), {}),
        (Augment(colour=1.5), {}),
        (Augment(rotate_deg=-3), {}),
        (ALL, {"frames": clip().astype(np.float32)}),
        (ALL, {"frames": clip()[0]}),
        (ALL, {"points": [points(t=2)]}),
        (ALL, {"points": [points()[..., :2]]}),
        (ALL, {"flip_pairs": []}),
        (ALL, {"flip_pairs": [((0, 6),)]}),
        (ALL, {"flip_pairs": [((0, 1), (1, 2))]}),
    ],
)
def test_impossible_wishes_are_refused(spec, change):
    call = {"frames": clip(), "points": [points()], "flip_pairs": [()]} | change
    with pytest.raises(UsageError):
        augment(call["frames"], call["points"], spec, 1, call["flip_pairs"])
