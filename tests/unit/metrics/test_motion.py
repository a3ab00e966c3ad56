"""Metrics of motion: closed forms on moving textures, scipy's W1, controls on drawn figures."""

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from vpbench.api.errors import BadData, UsageError
from vpbench.api.types import ClipInfo
from vpbench.data.puppets.clips import render_clip
from vpbench.metrics.flow import flow_fields
from vpbench.metrics.motion import extract
from vpbench.metrics.motion.flow import sample, tracks, warping_error
from vpbench.metrics.motion.metric import Motion, MotionMmd
from vpbench.metrics.motion.specs import BUILTIN

SIDE = 96


class Context:
    device, workers, recompute = "cpu", 1, False

    def __init__(self, root):
        self.root = root

    def weights(self, name):
        raise AssertionError("motion needs no weights")

    def cache(self, kind, key):
        return self.root / kind / key


@pytest.fixture
def ctx(tmp_path):
    return Context(tmp_path)


@pytest.fixture
def weizmann(shared_clips):
    """72 clips uint8 [T,64,64,3] of real people, from strips."""
    paths = sorted((shared_clips / "weizmann").glob("*/*.jpg"))
    strips = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return [s.reshape(64, -1, 64, 3).transpose(1, 0, 2, 3) for s in strips]


def texture(seed, side=SIDE):
    noise = np.random.default_rng(seed).normal(size=(side, side, 3))
    smooth = gaussian_filter(noise, (3, 3, 0), mode="wrap")
    return 128 + 50 * smooth / smooth.std()


def moved(offsets, seed=0, side=SIDE):
    """A texture that goes on past the border, at offsets [T,2] px, uint8 [T,H,W,3]."""
    picture = texture(seed, side)
    wave = np.fft.fft2(picture, axes=(0, 1))
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]
    frames = [
        np.fft.ifft2(wave * np.exp(-2j * np.pi * (fx * x + fy * y))[..., None], axes=(0, 1)).real
        for x, y in offsets
    ]
    return np.stack(frames).round().clip(0, 255).astype(np.uint8)


def line(step, n=6):
    return np.arange(n)[:, None] * np.array(step, dtype=float)


def info(name, group=""):
    return ClipInfo(name, 6, SIDE, SIDE, None, group=group)


def scored(kind, ctx, fakes, reals, recipe=None, order=None):
    metric = kind(None, {"recipe": recipe} if recipe else {}, ctx)
    for k in order or range(len(fakes)):
        metric.update(fakes[k][None], reals[k], info(f"c{k}"))
    return metric


@pytest.mark.parametrize("step", [(3, 0), (0, -2), (1.5, 1.5)])
def test_flow_and_tracks_of_a_moving_texture(step):
    flow = flow_fields(moved(line(step)))
    assert flow.shape == (5, SIDE, SIDE, 2) and flow.dtype == np.float32
    inner = flow[:, 20:-20, 20:-20]
    assert np.median(inner[..., 0]) == pytest.approx(step[0], abs=0.05)
    assert np.median(inner[..., 1]) == pytest.approx(step[1], abs=0.05)
    places = tracks(flow)
    assert places.shape == (6, 256, 2)
    assert np.median(places[-1] - places[0], axis=0) == pytest.approx(5 * np.array(step), abs=0.3)


def test_bilinear_values_are_those_of_a_plane():
    y, x = np.mgrid[:7, :9]
    plane = np.stack([2 * x + y, x - 3 * y], -1).astype(np.float32)
    points = np.random.default_rng(0).uniform(0, 6, (50, 2))
    wanted = np.stack([2 * points[:, 0] + points[:, 1], points[:, 0] - 3 * points[:, 1]], axis=-1)
    assert sample(plane, points) == pytest.approx(wanted, abs=1e-9)
    assert sample(plane, np.array([[-5.0, 0.0], [99.0, 99.0]])) == pytest.approx(
        np.array([[0.0, 0.0], [22.0, -10.0]])
    )


@pytest.mark.parametrize("kind", ["farneback", "dis"])
def test_flow_does_not_depend_on_threads(kind):
    frames = moved(line((2, 1)))
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = flow_fields(frames, kind)
        cv2.setNumThreads(3)
        assert np.array_equal(flow_fields(frames, kind), one) and cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_a_feature_says_where_how_fast_and_whether_steadily():
    features = extract.MotionFeatures()
    steady = features(moved(line((2.5, 0)))[None])
    share = extract.speeds(steady)[0]
    assert share.sum() == pytest.approx(1)
    speed = 2.5 / SIDE
    assert extract.mean_speed(steady)[0] == pytest.approx(speed, rel=0.1)
    centre = (np.arange(extract.SPEEDS + 1) * extract.STEP) @ share
    assert centre == pytest.approx(extract.mean_speed(steady)[0], abs=extract.STEP)
    velocity, acceleration = np.split(extract.tracked(steady)[0], 2)
    octave = int(np.log2(speed / extract.SLOWEST))
    assert velocity.reshape(8, 6)[0, octave] > 0.7 and velocity.sum() < 1 + 1e-6
    assert acceleration.sum() < 0.25
    faster = moved(0.5 * np.arange(6)[:, None] ** 2 * np.array([0.0, -2.0]))  # 2 px a frame^2, up
    turning = np.split(extract.tracked(features(faster[None]))[0], 2)[1].reshape(8, 6)
    assert turning[6].sum() > 0.5 * turning.sum() > 0.25
    still = features(np.repeat(moved(line((0, 0), 1)), 5, axis=0)[None])
    assert extract.tracked(still).sum() == 0 == extract.mean_speed(still)[0]
    assert extract.warping(still)[0] == 0


def test_size_hardly_matters():
    features = extract.MotionFeatures()
    small = moved(line((2, 1)), side=64)
    large = np.stack([cv2.resize(f, (128, 128), interpolation=cv2.INTER_CUBIC) for f in small])
    one, two = (extract.mean_speed(features(x[None]))[0] for x in (small, large))
    assert one == pytest.approx(two, rel=0.25)  # the window of the flow is 15 px at any size


def test_error_of_warping_is_low_for_motion_and_high_for_flicker():
    frames = moved(line((2, 0)))
    flicker = frames.copy()
    flicker[1::2] = 255 - flicker[1::2]
    assert warping_error(frames, flow_fields(frames)) < 12
    assert warping_error(flicker, flow_fields(flicker)) > 30


@pytest.mark.parametrize("seed", range(4))
def test_w1_is_scipys_over_all_pixels(ctx, seed):
    random = np.random.default_rng(seed)
    fakes, reals = (
        [moved(line(random.uniform(-3, 3, 2)), seed=k + s) for k in range(3)] for s in (0, 90)
    )
    lengths = [
        np.concatenate([np.hypot(*np.moveaxis(flow_fields(c), -1, 0)).ravel() for c in clips])
        / SIDE
        for clips in (fakes, reals)
    ]
    metric = scored(Motion, ctx, fakes, reals)
    got = metric.result()
    assert got.value == pytest.approx(100 * wasserstein_distance(*lengths), abs=2e-3)
    assert got.per_clip["c1"] == pytest.approx(
        scored(Motion, ctx, fakes[::2], reals[::2]).result().value, abs=1e-9
    )


def test_share_of_still_clips_and_difference_of_warping(ctx):
    reals = [moved(line((2, 0)), seed=k) for k in range(4)]
    fakes = [np.repeat(reals[0][:1], 6, axis=0), *reals[1:]]
    assert scored(Motion, ctx, fakes, reals, "static").result().value == pytest.approx(25)
    features = extract.MotionFeatures()
    error = extract.warping(np.concatenate([features(r[None]) for r in reals]))
    wanted = error[0] / 4 * 100 / 255
    assert scored(Motion, ctx, fakes, reals, "warp").result().value == pytest.approx(wanted)


@pytest.mark.parametrize("kind", [Motion, MotionMmd])
def test_order_and_merging_change_no_bit(ctx, kind):
    reals = [moved(line((1 + k, 0)), seed=k) for k in range(4)]
    fakes = [moved(line((0, 1 + k)), seed=k) for k in range(4)]
    whole = scored(kind, ctx, fakes, reals).result()
    assert scored(kind, ctx, fakes, reals, order=[2, 0, 3, 1]).result() == whole
    one, two = (scored(kind, ctx, fakes, reals, order=part) for part in ([3, 0], [1, 2]))
    one.merge(two)
    assert one.result() == whole
    same = scored(kind, ctx, reals, reals).result()
    assert same.value == pytest.approx(0, abs=1e-9)


def test_refusals(ctx):
    with pytest.raises(UsageError, match="at least 3 frames"):
        scored(Motion, ctx, [moved(line((1, 0), 2))], [moved(line((1, 0), 2))])
    small = np.zeros((5, 12, 40, 3), np.uint8)
    with pytest.raises(BadData, match="at least 16 px, not 40 x 12"):
        scored(MotionMmd, ctx, [small], [small]).result()
    with pytest.raises(UsageError, match="recipe"):
        Motion(None, {"recipe": "fast"}, ctx)
    for spec in BUILTIN:
        assert not spec.weights and not spec.default


def controls(clips):
    random = np.random.default_rng(0)
    return {
        "frozen": [np.repeat(c[:1], len(c), axis=0) for c in clips],
        "shuffled": [c[random.permutation(len(c))] for c in clips],
        "half speed": [np.repeat(c[: len(c) // 2], 2, axis=0) for c in clips],
    }


@pytest.mark.e2e
def test_drawn_figures_are_told_from_frozen_shuffled_and_slowed_ones(ctx):
    reals = [render_clip("test", k).frames[-16:] for k in range(90)]
    for name, fakes in controls(reals).items():
        got = scored(MotionMmd, ctx, fakes, reals).result()
        assert got.p < 0.01 and got.value > 0.02, name
        speed = scored(Motion, ctx, fakes, reals).result()
        assert speed.value > 0.15, name  # of real halves 0.04
    one, two = reals[::2], reals[1::2]
    metric = MotionMmd(None, {}, ctx)
    for k, (a, b) in enumerate(zip(one, two, strict=True)):
        metric.update(a[None], None, info(f"a{k}"))
        metric.update(None, b, info(f"b{k}"))
    assert metric.result().p > 0.05


@pytest.mark.e2e
def test_real_people_are_told_from_frozen_shuffled_and_slowed_ones(ctx, weizmann):
    clips = [c[:16] for c in weizmann[::2]]
    assert len(clips) == 36
    for name, fakes in controls(clips).items():
        got = scored(MotionMmd, ctx, fakes, clips).result()
        assert got.p < 0.01, name
