"""Clips with one thing wrong: what is wrong with them, and nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest

from vpbench.api.errors import UnknownName
from vpbench.core.seeding import seed_of
from vpbench.harness.references.controls import CONTROLS, NOISE
from vpbench.media.roundtrip import CODECS, round_trip


def clip(frames, height=24, width=32, seed=0):
    """Smooth, moving, away from black and white."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + 2 * t) / 5)[..., None] + np.cos(y / 7)[..., None] for t in range(frames)]
    colours = np.random.default_rng(seed).uniform(10, 30, 3)
    return np.rint(128 + np.stack(waves) * colours).astype(np.uint8)


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 17, 33), (7, 24, 31), (16, 32, 32)])
def test_every_control_is_a_clip_of_the_same_shape(name, shape):
    frames = clip(*shape)
    before = frames.copy()
    got = CONTROLS[name].change(frames, 5)
    assert got.shape == frames.shape and got.dtype == np.uint8
    assert np.array_equal(frames, before)
    assert np.array_equal(got, CONTROLS[name].change(frames, 5))


def changed(name, frames, seed=3):
    return CONTROLS[name].change(frames, seed)


@pytest.mark.parametrize("count", [5, 8])
def test_the_order_of_frames(count):
    frames = np.zeros((count, 16, 16, 3), np.uint8)
    frames += 10 * np.arange(count, dtype=np.uint8)[:, None, None, None]

    def times(name, seed=3):
        return (changed(name, frames, seed)[:, 0, 0, 0] / 10).tolist()

    assert times("frozen") == [0] * count
    assert times("reversed") == list(range(count))[::-1]
    assert times("doubled frames") == [0, 0, 1, 1, 2, 2, 3, 3][:count]
    assert times("half speed") == [k / 2 for k in range(count)]
    assert sorted(times("shuffled")) == list(range(count))
    assert len({tuple(times("shuffled", seed_of("control", f"clip {k}"))) for k in range(20)}) > 5


def test_noise_and_blur_are_as_strong_as_they_say():
    grey = np.full((8, 64, 64, 3), 128, np.uint8)
    error = changed("noise", grey).astype(float) - 128
    # 98304 values: the standard error of an SD is SD / sqrt(2 n), that of a mean SD / sqrt(n).
    assert error.std() == pytest.approx(np.sqrt(NOISE**2 + 1 / 12), abs=4 * NOISE / 443)
    assert abs(error.mean()) < 4 * NOISE / 313
    assert np.array_equal(changed("blurred", grey), grey)
    step = np.zeros((1, 64, 64, 3), np.uint8)
    step[:, :, 32:] = 200
    from scipy.ndimage import gaussian_filter1d

    wanted = gaussian_filter1d(step[0, 0, :, 0].astype(float), 1.0, mode="nearest")
    assert changed("blurred", step)[0, 0, :, 0] == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize("shape", [(1, 16, 16), (9, 31, 45)])
def test_what_codecs_take_away(shape):
    frames = clip(*shape)
    assert np.array_equal(round_trip(frames, "png"), frames)
    for codec in ("jpeg", "h264"):
        got = round_trip(frames, codec)
        error = np.sqrt(np.square(got.astype(float) - frames).mean())
        assert got.shape == frames.shape and 0 < error < 8, codec
    assert set(CODECS) == {"png", "jpeg", "h264"}
    with pytest.raises(UnknownName, match="codec 'h265'"):
        round_trip(frames, "h265")


@pytest.mark.e2e
def test_compression_does_not_depend_on_what_memory_held():
    """glibc fills new memory with a byte of one's choice."""
    code = (
        "import hashlib, numpy as np; from vpbench.media.roundtrip import h264\n"
        "y, x = np.mgrid[:32, :32]\n"
        "waves = [40 * np.sin((x + 2 * t) / 5) + 20 * np.cos(y / 7) for t in range(16)]\n"
        "f = np.repeat(128 + np.stack(waves)[..., None], 3, -1).astype(np.uint8)\n"
        "print(hashlib.sha256(h264(f).tobytes()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MALLOC_PERTURB_": str(byte)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for byte in (0, 85, 170)
    }
    assert len(seen) == 1
