"""PSNR and SSIM against closed forms and independent implementations."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.api.protocols import Metric
from vpbench.api.types import ClipInfo
from vpbench.metrics.frames import Psnr, Ssim, _squared_errors, structural_similarity
from vpbench.metrics.specs import PSNR, SSIM

SIZES = [(11, 11), (12, 11), (11, 24), (33, 32), (64, 64), (74, 12), (75, 13), (139, 20)]


def video(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def natural(shape, seed=0):
    """A smooth clip and a noisy copy, so that SSIM lies well between 0 and 1."""
    random = np.random.default_rng(seed)
    time, height, width = shape
    y, x, t = np.mgrid[:height, :width, :time].transpose(0, 3, 1, 2)
    waves = [np.sin(x / (3 + c) + t) + np.cos(y / (4 + c)) for c in range(3)]
    real = np.stack(waves, axis=-1) * 50 + 128
    fake = real + random.normal(0, 12, real.shape)
    return fake.clip(0, 255).astype(np.uint8), real.clip(0, 255).astype(np.uint8)


def clip(name="a"):
    return ClipInfo(name, 16, 64, 64, None)


def metric(kind, **params):
    return kind(None, params, None)


def score(kind, pairs, **params):
    m = metric(kind, **params)
    for k, (fake, real) in enumerate(pairs):
        m.update(fake, real, clip(f"c{k}"))
    return m.result()


def one(kind, fake, real):
    return score(kind, [(fake[None], real)])


def test_specs_name_what_they_make():
    assert [spec.factory for spec in (PSNR, SSIM)] == [
        f"{kind.__module__}:{kind.__name__}" for kind in (Psnr, Ssim)
    ]
    for kind, spec in zip((Psnr, Ssim), (PSNR, SSIM), strict=True):
        assert isinstance(metric(kind), Metric)
        assert metric(kind).spec is spec
        assert metric(kind).fingerprint()["version"] == spec.version
        with pytest.raises(UsageError, match="has no parameters"):
            kind(None, {"window": 7}, None)


def test_specs_and_metrics_are_light():
    code = (
        "import sys, vpbench.metrics.specs\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
        "import vpbench.metrics.frames\n"
        "assert not {'torch', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Values.


def test_published_vectors():
    zeros, ones = np.zeros((2, 16, 16, 3), np.uint8), np.full((2, 16, 16, 3), 255, np.uint8)
    assert one(Psnr, zeros, ones).value == 0
    assert one(Psnr, zeros + 1, zeros).value == pytest.approx(48.1308036086791, abs=1e-12)
    assert one(Ssim, zeros, ones).value == pytest.approx(9.999000099990002e-05, abs=1e-15)
    assert one(Ssim, ones, ones).value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_psnr_agrees_with_skimage(size):
    skimage = pytest.importorskip("skimage.metrics")
    fake, real = natural((3, *size))
    got = one(Psnr, fake, real)
    theirs = skimage.peak_signal_noise_ratio
    frames = [theirs(y, x, data_range=255) for x, y in zip(fake, real, strict=True)]
    assert got.value == pytest.approx(theirs(real, fake, data_range=255), abs=1e-9)
    assert got.per_frame["c0"] == pytest.approx(frames, abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_psnr_agrees_with_torchmetrics(size):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.image import peak_signal_noise_ratio

    fake, real = natural((3, *size))
    a, b = (torch.from_numpy(v).double() for v in (fake, real))
    theirs = float(peak_signal_noise_ratio(a, b, data_range=255.0))
    # It takes the logarithm of the data range in float32, whatever the frames are.
    assert one(Psnr, fake, real).value == pytest.approx(theirs, abs=5e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [natural, lambda s: (video(*s, 3), video(*s, 3, seed=1))])
def test_ssim_agrees_with_skimage(size, make):
    skimage = pytest.importorskip("skimage.metrics")
    fake, real = make((3, *size))
    wanted = []
    for x, y in zip(fake, real, strict=True):
        _, full = skimage.structural_similarity(
            x,
            y,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
            full=True,
        )
        wanted.append(full[5:-5, 5:-5].mean())
    got = one(Ssim, fake, real)
    assert got.per_frame["c0"] == pytest.approx(wanted, abs=1e-9)
    assert got.value == pytest.approx(np.mean(wanted), abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_ssim_agrees_with_torchmetrics_away_from_the_border(size):
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.image import structural_similarity_index_measure

    fake, real = natural((2, *size))
    a, b = (torch.from_numpy(v).double().permute(0, 3, 1, 2) / 255 for v in (fake, real))
    _, full = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
    wanted = full[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))
    assert structural_similarity(fake, real) == pytest.approx(wanted.numpy(), abs=1e-9)


# Identical clips.

ONE_LEVEL = 48.1308036086791
"""PSNR where every value is one grey level off."""


def cap(values):
    """PSNR of half a grey level's error in one of so many values."""
    return 10 * math.log10(255**2 / (0.5**2 / values))


def test_an_identical_clip_is_at_the_cap():
    real = video(4, 12, 12, 3)
    got = one(Psnr, real, real)
    assert (got.reason, got.n) == ("identical", 1)
    assert got.value == got.per_clip["c0"] == pytest.approx(cap(4 * 12 * 12 * 3))
    assert got.per_frame["c0"] == [pytest.approx(cap(12 * 12 * 3))] * 4
    assert score(Psnr, [(real[None], real)] * 2).reason == "identical: all 2 clips"
    real[0, 0, 0, 0] |= 1
    least = real.copy()
    least[0, 0, 0, 0] ^= 1
    assert got.value - one(Psnr, least, real).value == pytest.approx(20 * math.log10(2))


def test_an_identical_frame_is_at_the_cap_in_the_curve_only():
    real = video(4, 12, 12, 3)
    fake = real.copy()
    fake[2:] = fake[2:] ^ 1
    got = one(Psnr, fake, real)
    assert got.per_frame["c0"] == pytest.approx([cap(432)] * 2 + [ONE_LEVEL] * 2)
    assert got.value == pytest.approx(ONE_LEVEL + 10 * math.log10(2))
    assert got.reason is None


@pytest.mark.parametrize("recipe", ["", "frames"])
@pytest.mark.parametrize("seed", range(4))
def test_to_become_perfect_never_lowers_a_mean(recipe, seed):
    random = np.random.default_rng(seed)
    pairs = []
    for k in range(6):
        real = video(3, 12, 12, 3, seed=10 * seed + k)
        noise = random.integers(0, 2 ** random.integers(1, 8), real.shape, dtype=np.uint8)
        pairs.append(((real ^ noise)[None], real))
    before = score(Psnr, pairs, recipe=recipe)
    for k in range(6):
        better = [(real[None] if k == j else fake, real) for j, (fake, real) in enumerate(pairs)]
        after = score(Psnr, better, recipe=recipe)
        assert after.value > before.value
        assert after.n == before.n == 6 == len([v for v in after.per_clip.values() if v])
        assert after.reason == "identical: 1 of 6 clips"


def test_identical_clips_and_samples_are_counted():
    real = video(2, 12, 12, 3)
    near = real ^ 1
    mixed = score(Psnr, [(np.stack([real, near]), real), (np.stack([real, real]), real)])
    top = cap(2 * 432)
    assert mixed.per_clip == {"c0": pytest.approx((ONE_LEVEL + top) / 2), "c1": pytest.approx(top)}
    assert mixed.samples["c0"] == pytest.approx([top, ONE_LEVEL])
    assert mixed.reason == "identical: 1 of 2 clips, 3 of 4 samples"
    assert mixed.n == 2


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_constant_clips_have_a_value(kind):
    for a, b in ((0, 0), (0, 255), (7, 7)):
        got = one(kind, np.full((2, 12, 12, 3), a, np.uint8), np.full((2, 12, 12, 3), b, np.uint8))
        assert got.value is not None and math.isfinite(got.value)


# The mean over frames.


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 64, 65), (1, 544, 960)])
def test_squared_errors_are_whole_numbers_to_the_last_unit(shape):
    for seed in range(20):
        random = np.random.default_rng(seed)
        real = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        fake = random.integers(0, 256 if seed % 2 else 3, (*shape, 3), dtype=np.uint8)
        exact = np.square(fake.astype(np.int64) - real).sum(axis=(1, 2, 3))
        strided = fake[:, ::-1]
        flipped = np.square(strided.astype(np.int64) - real).sum(axis=(1, 2, 3))
        assert np.array_equal(_squared_errors(fake, real), exact)
        assert np.array_equal(_squared_errors(strided, real), flipped)


@pytest.mark.parametrize("size", SIZES)
def test_psnr_of_frames_is_the_mean_of_each_frames(size):
    fake, real = natural((3, *size))
    fake[1] = 255 - fake[1]
    each = [one(Psnr, fake[t : t + 1], real[t : t + 1]).value for t in range(3)]
    mse = ((fake.astype(float) - real) ** 2).mean(axis=(1, 2, 3))
    assert each == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-10)
    got = score(Psnr, [(fake[None], real)], recipe="frames")
    assert got.value == pytest.approx(np.mean(each), abs=1e-10)
    assert got.per_frame["c0"] == pytest.approx(each, abs=1e-10)
    assert got.value >= one(Psnr, fake, real).value - 1e-9  # Jensen


def test_the_two_conventions_are_two_metrics():
    clip_mean, frame_mean = metric(Psnr), metric(Psnr, recipe="frames")
    assert clip_mean.fingerprint() != frame_mean.fingerprint()
    assert clip_mean.fingerprint()["version"] == 2
    with pytest.raises(UsageError, match="equal settings"):
        clip_mean.merge(frame_mean)
    with pytest.raises(UsageError, match="no recipe 'clips'"):
        metric(Psnr, recipe="clips")
    with pytest.raises(UsageError, match="no parameters"):
        Psnr(None, {"window": 3}, None)


# The best of several samples.


@pytest.mark.parametrize("kind", [Psnr, Ssim])
@pytest.mark.parametrize(("best", "samples"), [(3, 3), (3, 5), (5, 6), (5, 1)])
def test_best_of_n_is_the_mean_over_all_choices_of_n(kind, best, samples):
    pairs = []
    for k in range(3):
        fake, real = natural((2, 13, 12), seed=k)
        noise = np.random.default_rng(k).integers(0, 30, (samples, *real.shape))
        pairs.append(((fake + noise).clip(0, 255).astype(np.uint8), real))
    got = score(kind, pairs, recipe=f"best{best}")
    plain = score(kind, pairs)
    for name, values in plain.samples.items():
        chosen = itertools.combinations(range(samples), min(best, samples))
        top = [max(c, key=values.__getitem__) for c in chosen]
        assert got.per_clip[name] == pytest.approx(np.mean([values[s] for s in top]), abs=1e-12)
        fakes, real = pairs[int(name[1:])]
        curves = [one(kind, fakes[s], real).per_frame["c0"] for s in top]
        assert got.per_frame[name] == pytest.approx(np.mean(curves, axis=0), abs=1e-12)
    assert got.value >= plain.value - 1e-12 and got.samples == plain.samples
    assert (got.reason is None) == (samples > 1)


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_the_best_of_more_samples_than_there_are_has_no_value(kind):
    fake, real = natural((2, 12, 12))
    got = score(kind, [(np.stack([fake, fake]), real)], recipe="best5")
    assert got.value is None and "the best of 5 needs 5: run with --samples 5" in got.reason
    assert metric(kind, recipe="best5").fingerprint() != metric(kind, recipe="best3").fingerprint()
    assert metric(kind, recipe="best5").fingerprint() != metric(kind).fingerprint()


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_no_clips(kind):
    got = metric(kind).result()
    assert (got.value, got.n, got.reason) == (None, 0, "no clips")


# Samples, order, merging.


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_samples_are_scored_alone_and_averaged(kind):
    real, fake = video(3, 13, 17, 3), video(4, 3, 13, 17, 3, seed=1)
    got = score(kind, [(fake, real)])
    alone = [one(kind, sample, real) for sample in fake]
    assert got.samples["c0"] == [a.value for a in alone]
    assert got.value == got.per_clip["c0"] == math.fsum(got.samples["c0"]) / 4
    curves = np.array([a.per_frame["c0"] for a in alone])
    assert got.per_frame["c0"] == pytest.approx(curves.mean(axis=0), abs=1e-12)


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_order_and_merge_change_nothing(kind):
    pairs = [(video(2, 2, 12, 15, 3, seed=k), video(2, 12, 15, 3, seed=k + 50)) for k in range(7)]
    whole = score(kind, pairs)
    for order in itertools.islice(itertools.permutations(range(7)), 0, 5040, 999):
        parts = [metric(kind), metric(kind)]
        for place, k in enumerate(order):
            parts[place % 2].update(*pairs[k], clip(f"c{k}"))
        parts[1].merge(parts[0])
        got = parts[1].result()
        assert got == whole
        assert list(got.per_clip) == list(whole.per_clip)


def test_a_clip_counts_once_and_metrics_do_not_mix():
    fake, real = video(1, 2, 12, 12, 3), video(2, 12, 12, 3, seed=1)
    a, b = metric(Psnr), metric(Psnr)
    a.update(fake, real, clip())
    b.update(fake, real, clip())
    with pytest.raises(UsageError, match="clip 'a' twice"):
        a.update(fake, real, clip())
    with pytest.raises(UsageError, match="clip 'a' twice"):
        a.merge(b)
    with pytest.raises(UsageError, match="cannot be merged with Ssim"):
        a.merge(metric(Ssim))


# Refusals.


@pytest.mark.parametrize("kind", [Psnr, Ssim])
@pytest.mark.parametrize(
    ("fake", "real", "words"),
    [
        (np.zeros((1, 2, 12, 12, 3)), video(2, 12, 12, 3), "predicted clip 'walk/1' is float64"),
        (video(1, 2, 12, 12, 3), np.zeros((2, 12, 12, 3), np.int64), "real clip 'walk/1' is int64"),
        ([[1]], video(2, 12, 12, 3), "must be uint8"),
        (video(2, 12, 12, 3), video(2, 12, 12, 3), "must be .S,T,H,W,3."),
        (video(1, 2, 12, 12, 1), video(2, 12, 12, 1), "must be .S,T,H,W,3."),
        (video(0, 2, 12, 12, 3), video(2, 12, 12, 3), "has shape .0, 2, 12, 12, 3."),
        (video(1, 3, 12, 12, 3), video(2, 12, 12, 3), "clip 'walk/1' has predicted samples"),
    ],
)
def test_wrong_arrays_name_the_clip(kind, fake, real, words):
    with pytest.raises(BadData, match=words):
        metric(kind).update(fake, real, clip("walk/1"))


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_one_side_alone_is_refused(kind):
    for fake, real in ((None, video(2, 12, 12, 3)), (video(1, 2, 12, 12, 3), None)):
        with pytest.raises(UsageError, match="'a'"):
            metric(kind).update(fake, real, clip())


@pytest.mark.parametrize("height, width", [(10, 16), (16, 10), (1, 1)])
def test_ssim_has_no_value_for_frames_below_its_window(height, width):
    fake, real = video(1, 2, height, width, 3), video(2, height, width, 3)
    got = score(Ssim, [(fake, real)] * 2)
    assert (got.value, got.n, got.per_clip) == (None, 0, {"c0": None, "c1": None})
    assert got.reason == f"frames of {width} x {height} px are smaller than its window of 11 px"
    assert score(Psnr, [(fake, real)]).value is not None
