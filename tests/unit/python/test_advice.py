"""The advice for an array is right for that array: it is followed, and gives the clip."""

import re

import numpy as np
import pytest

from vpbench.python.advice import axes_fix, describe_range, value_fix
from vpbench.python.clips import frames_of

VIDEO = np.random.default_rng(0).integers(0, 256, (5, 12, 9, 3), np.uint8)
VIDEO.flat[:2] = 0, 255


def follow(fix, a):
    return eval(fix, {"np": np, "a": a})


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (VIDEO > 127, (VIDEO > 127) * np.uint8(255)),
        (VIDEO / np.float32(255), VIDEO),
        ((VIDEO / 255).astype(np.float64), VIDEO),
        (VIDEO / np.float32(127.5) - 1, VIDEO),
        (VIDEO.astype(np.float32), VIDEO),
        (np.clip(VIDEO + 0.3, 0, 255), VIDEO),
        (VIDEO.astype(np.int64), VIDEO),
        (VIDEO.astype(np.uint16) * 257, VIDEO),
    ],
)
def test_values_become_the_clip(array, expected):
    sentence = value_fix(array)
    code = re.fullmatch(r"Pass (.*?)( with value_range=.*)?[.:]( its values.*)?", sentence)[1]
    ranged = "value_range" in sentence
    passed = array if code.startswith("value_range") else follow(code, array)
    made = frames_of(passed, "a", (0, 1) if ranged else None)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    "array",
    [
        np.full((1, 2), np.nan, np.float32),
        np.full((1, 2), np.inf),
        np.full((1, 2), -700),
        np.full((1, 2), 3e4, np.float32),
        np.zeros((0, 2), np.float32),
        np.zeros((1, 2), np.complex64),
    ],
)
def test_no_expression_where_none_is_right(array):
    assert "astype" not in value_fix(array) and "value_range" not in value_fix(array)
    assert str(array.dtype) in describe_range(array)


GREY = VIDEO.mean(-1).astype(np.uint8)
THREE = np.repeat(GREY[..., None], 3, -1)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (np.moveaxis(VIDEO, -1, -3), VIDEO),  # T,C,H,W
        (np.moveaxis(VIDEO, -1, 0), VIDEO),  # C,T,H,W
        (GREY, THREE),
        (GREY[..., None], THREE),
        (GREY[:, None], THREE),
        (GREY[None], THREE),
        (np.concatenate([VIDEO, VIDEO[..., :1]], -1), VIDEO),  # alpha
    ],
)
def test_axes_become_the_clip(clip, expected):
    np.testing.assert_array_equal(follow(axes_fix(clip.shape), clip), expected)
    np.testing.assert_array_equal(follow(axes_fix((2, *clip.shape), 5), clip[None])[0], expected)


def test_one_frame_and_one_clip_get_an_axis():
    assert follow(axes_fix(VIDEO[0].shape), VIDEO[0]).shape == (1, 12, 9, 3)
    assert follow(axes_fix(VIDEO.shape, 5), VIDEO).shape == (1, *VIDEO.shape)
    turned = np.moveaxis(VIDEO, -1, -3)
    np.testing.assert_array_equal(follow(axes_fix(turned.shape, 5), turned)[0], VIDEO)
    assert axes_fix((5, 12, 9, 2)) == axes_fix((3,)) == ""
