"""The one line that makes frames of an array, tried: what it says gives the right pixels."""

import re

import numpy as np
import pytest

from vpbench.api import BadData
from vpbench.media import decode
from vpbench.media.array_advice import cast_advice, guessed_axes, shape_problem
from vpbench.media.kinds import Reading

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3)).astype(np.uint8)
FRAMES[0, 0, 0] = 0, 1, 255


def tried(advice, a):
    """The expression of an advice, computed."""
    expression = re.match(r"Save (.+?)(:|\.$)", advice)[1]
    return eval(expression, {"a": a, "np": np})


@pytest.mark.parametrize(
    ("array", "right"),
    [
        (FRAMES > 99, (FRAMES > 99) * 255),
        (FRAMES / np.float32(255), FRAMES),
        (FRAMES / 127.5 - 1, FRAMES),
        (FRAMES.astype(np.float32), FRAMES),
        (FRAMES.astype(np.int64), FRAMES),
        (FRAMES.astype(np.int16), FRAMES),
        ((FRAMES > 99).astype(np.int64), (FRAMES > 99) * 255),
        (FRAMES.astype(np.uint16) * 257, FRAMES),
        ((FRAMES.astype(np.int64) * 4095 // 255).astype(np.uint16), FRAMES),
        ((FRAMES.astype(np.int64) * 1023 // 255).astype(np.uint16), FRAMES),
        ((FRAMES.astype(np.int16) - 128).astype(np.int8), FRAMES),
    ],
)
def test_the_advice_fits_type_and_range(array, right):
    made = tried(cast_advice(array), array)
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - right).max() <= 1


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 4, 4, 3), np.nan),
        np.array([np.inf, 0.5]),
        FRAMES * 3.5,
        FRAMES - 500.0,
        FRAMES.astype(np.int64) * 1000,
        np.zeros(3, complex),
        np.zeros((0, 4)),
    ],
)
def test_no_wrong_advice(array):
    advice = cast_advice(array)
    assert "astype" not in advice and advice


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((16, 64, 64, 3), "THWC"),
        ((3, 16, 64, 64), "CTHW"),
        ((16, 3, 64, 64), "TCHW"),
        ((16, 64, 64, 1), "THWC"),
        ((16, 64, 64), "THW"),
        ((20, 10000, 64, 64), "TNHW"),
        ((5, 16, 64, 64, 3), "NTHWC"),
        ((5, 16, 3, 64, 64), "NTCHW"),
        ((5, 3, 16, 64, 64), "NCTHW"),
        ((7,), ""),
        ((2, 9, 9, 2), ""),
    ],
)
def test_axes_are_guessed_for_the_hint_only(tmp_path, shape, axes):
    assert guessed_axes(shape) == axes
    error = shape_problem(tmp_path / "a.npy", shape, "")
    assert (f"axes={axes}" in error.fix) == bool(axes)
    if axes and np.prod(shape) < 1e6:
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        with pytest.raises(BadData):
            decode.probe(tmp_path / "a.npy")
        assert decode.probe(tmp_path / "a.npy", Reading(axes=axes)).frames in (16, 20)
