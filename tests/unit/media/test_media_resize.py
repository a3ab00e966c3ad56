import hashlib
from fractions import Fraction
from math import floor

import cv2
import numpy as np
import pytest
from PIL import Image

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.media.resize import (
    RULES,
    _product,
    _quantised,
    centre_crop,
    fit,
    fitted,
    resize,
    weights,
)

SIZES = [(1, 1), (1, 2), (2, 1), (3, 7), (7, 3), (16, 16), (64, 128), (128, 64), (5, 224), (97, 31)]


def random_frames(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("tf1", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]),
        ("half-pixel", [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        ("antialias", [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        ("align-corners", [3 * i / 7 for i in range(8)]),
        ("nearest", [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
)
def test_published_vectors(rule, expected):
    assert weights(rule, 4, 8) @ np.arange(4.0) == pytest.approx(expected, abs=1e-12)


def source_position(rule, i, n_in, n_out):
    """The definitions, once more, in exact fractions."""
    if rule == "half-pixel":
        position = (i + Fraction(1, 2)) * n_in / n_out - Fraction(1, 2)
    elif rule == "tf1":
        position = Fraction(i * n_in, n_out)
    else:
        position = Fraction(i * (n_in - 1), max(n_out - 1, 1))
    return min(max(position, Fraction(0)), Fraction(n_in - 1))


@pytest.mark.parametrize("rule", ["half-pixel", "tf1", "align-corners"])
@pytest.mark.parametrize(("n_in", "n_out"), SIZES)
def test_two_neighbour_rules_interpolate_at_their_definition(rule, n_in, n_out):
    found = weights(rule, n_in, n_out)
    for i in range(n_out):
        position = source_position(rule, i, n_in, n_out)
        low = floor(position)
        expected = np.zeros(n_in)
        expected[low] += float(1 - (position - low))
        expected[min(low + 1, n_in - 1)] += float(position - low)
        np.testing.assert_allclose(found[i], expected, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n_in", "n_out"), SIZES)
def test_weights_are_shares(rule, n_in, n_out):
    found = weights(rule, n_in, n_out)
    assert found.shape == (n_out, n_in)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_constants_stay_constant(rule, level):
    for n_in, n_out in SIZES:
        frames = np.full((2, n_in, n_out, 3), level, np.uint8)
        assert (resize(frames, n_out, n_in, rule) == level).all()


@pytest.mark.parametrize("rule", RULES)
def test_same_size_is_the_identity(rule):
    frames = random_frames(0, 2, 224, 224, 3)
    assert np.array_equal(resize(frames, 224, 224, rule), frames)
    np.testing.assert_array_equal(weights(rule, 224, 224), np.eye(224))
    one_axis = random_frames(1, 7, 224, 3)
    squeezed = resize(resize(one_axis, 7, 224, rule), 7, 224, rule)
    assert np.array_equal(squeezed, one_axis)


def test_antialias_agrees_with_pillow_within_one_grey_level():
    rng = np.random.default_rng(3)
    for _ in range(40):
        h, w, oh, ow = rng.integers(1, 90, 4)
        frame = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        pillow = np.array(Image.fromarray(frame).resize((ow, oh), Image.Resampling.BILINEAR))
        ours = resize(frame, oh, ow)
        assert ours.shape == (oh, ow, 3)
        assert np.abs(ours.astype(int) - pillow).max() <= 1


def test_half_pixel_agrees_with_opencv():
    rng = np.random.default_rng(4)
    for _ in range(40):
        h, w, oh, ow = (int(n) for n in rng.integers(1, 90, 4))
        frame = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        exact = cv2.resize(frame.astype(np.float64), (ow, oh), interpolation=cv2.INTER_LINEAR)
        ours = resize(frame, oh, ow, "half-pixel")
        assert np.abs(ours - exact.reshape(oh, ow, 3)).max() <= 0.51


def test_nearest_copies_the_pixel_under_the_centre():
    rng = np.random.default_rng(10)
    for _ in range(40):
        h, w, oh, ow = (int(n) for n in rng.integers(1, 90, 4))
        frame = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        rows = [floor((i + Fraction(1, 2)) * h / oh) for i in range(oh)]
        columns = [floor((i + Fraction(1, 2)) * w / ow) for i in range(ow)]
        assert np.array_equal(resize(frame, oh, ow, "nearest"), frame[rows][:, columns])


def test_antialiasing_is_what_differs_when_shrinking():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resize(stripes, 16, 16)[:, 1:-1].astype(int)) <= 1
    assert np.unique(resize(stripes, 16, 16, "tf1")).tolist() == [255]


@pytest.mark.parametrize("rule", RULES)
def test_float_products_equal_integer_arithmetic(rule):
    """One rounding, half up, of an exact sum: nothing is left to the order of additions."""
    rng = np.random.default_rng(5)
    for _ in range(8):
        h, w, oh, ow = (int(n) for n in rng.integers(1, 70, 4))
        frame = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        rows, columns = integers(weights(rule, h, oh)), integers(weights(rule, w, ow))
        total = np.einsum("ih,jw,hwc->ijc", rows, columns, frame.astype(np.int64))
        assert np.array_equal(resize(frame, oh, ow, rule), (total + 2**31) // 2**32)


def integers(shares):
    """Largest remainder rounding to 2^-16, ties to the left."""
    scaled = shares * 65536
    whole = np.floor(scaled + 1e-9).astype(np.int64)
    rest = np.round(scaled - whole, 6)
    for row, left in zip(whole, rest, strict=True):
        order = sorted(range(len(row)), key=lambda j: -left[j])
        for j in order[: 65536 - row.sum()]:
            row[j] += 1
    return whole


def test_bytes_are_pinned():
    """The same bytes on every machine: a change here changes every score."""
    y, x, c, t = np.mgrid[:61, :83, :3, :2]
    frames = ((x * 7919 + y * 104729 + c * 1299709 + t * 15485863) % 251).astype(np.uint8)
    frames = np.ascontiguousarray(frames.transpose(3, 0, 1, 2))
    digest = hashlib.sha256()
    for rule in RULES:
        digest.update(resize(frames, 37, 29, rule).tobytes())
        digest.update(resize(frames, 128, 91, rule).tobytes())
    assert digest.hexdigest() == (
        "5fd93c9ed2d64dc5ddcf3bb5b32e6acbf4e71aa35ad8159a6c5874f4c1285675"
    )


def test_many_frames_equal_single_frames():
    frames = random_frames(6, 3, 5, 33, 47, 3)
    whole = resize(frames, 16, 24)
    assert whole.shape == (3, 5, 16, 24, 3)
    for i in range(3):
        for j in range(5):
            assert np.array_equal(whole[i, j], resize(frames[i, j], 16, 24))
    assert resize(frames[:0], 16, 24).shape == (0, 5, 16, 24, 3)
    assert np.array_equal(resize(frames[:, ::-1], 16, 24), whole[:, ::-1])


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (270, 480, 128, (128, 228)),  # 227.55
        (480, 270, 128, (228, 128)),
        (64, 64, 64, (64, 64)),
        (2, 5, 1, (1, 3)),  # 2.5 goes up
        (5, 2, 1, (3, 1)),
        (1, 1, 9, (9, 9)),
        (3, 4, 64, (64, 85)),  # 85.33
    ],
)
def test_fit_keeps_the_aspect_ratio(height, width, size, expected):
    assert fitted(height, width, size) == expected
    assert fit(random_frames(7, 2, height, width, 3), size).shape == (2, *expected, 3)


def test_centre_crop_takes_the_smaller_margin_first():
    frames = random_frames(8, 2, 7, 10, 3)
    assert np.array_equal(centre_crop(frames, 7), frames[:, :, 1:8])
    assert np.array_equal(centre_crop(frames, 4), frames[:, 1:5, 3:7])
    with pytest.raises(UsageError, match="8x8 px out of 10x7"):
        centre_crop(frames, 8)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_video_is_refused(frames):
    with pytest.raises(BadData):
        resize(frames, 4, 4)
    with pytest.raises(BadData):
        fit(frames, 4)


def test_wrong_arguments_are_refused():
    frames = random_frames(9, 4, 4, 3)
    with pytest.raises(UsageError, match="at least 1"):
        resize(frames, 0, 4)
    with pytest.raises(UnknownName, match="antialias"):
        resize(frames, 4, 4, "antialiased")  # type: ignore[arg-type]
    with pytest.raises(UnknownName):
        weights("bicubic", 4, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sizes", [(256, 17), (301, 300), (257, 1), (300, 640)])
def test_leaving_out_zeros_changes_nothing(rule, sizes):
    source, target = sizes
    values = np.random.default_rng(source).integers(0, 256, (2, source, 5)).astype(np.uint8)
    matrix = _quantised(rule, source, target)
    whole = matrix @ values.astype(np.float64)
    assert np.array_equal(_product(matrix, values), whole)
