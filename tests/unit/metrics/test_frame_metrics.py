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
from vpbench.metrics.frames import Psnr, Ssim, structural_similarity
from vpbench.metrics.specs import BUILTIN

SIZES = [(11, 11), (12, 11), (11, 24), (33, 32), (64, 64)]


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


def metric(kind):
    return kind(None, {}, None)


def score(kind, pairs):
    m = metric(kind)
    for k, (fake, real) in enumerate(pairs):
        m.update(fake, real, clip(f"c{k}"))
    return m.result()


def one(kind, fake, real):
    return score(kind, [(fake[None], real)])


def test_specs_name_what_they_make():
    assert [spec.factory for spec in BUILTIN] == [
        f"{kind.__module__}:{kind.__name__}" for kind in (Psnr, Ssim)
    ]
    for kind, spec in zip((Psnr, Ssim), BUILTIN, strict=True):
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


# Nulls.


def test_identical_clip_has_no_psnr():
    real = video(4, 12, 12, 3)
    got = one(Psnr, real, real)
    assert (got.value, got.reason, got.n) == (None, "identical", 1)
    assert got.per_clip == {"c0": None}
    assert got.samples == {"c0": [None]}
    assert got.per_frame == {"c0": [None] * 4}


def test_identical_frame_is_a_hole_in_the_curve_only():
    real = video(4, 12, 12, 3)
    fake = real.copy()
    fake[2:] = fake[2:] ^ 1
    got = one(Psnr, fake, real)
    assert got.per_frame["c0"] == [None, None, *[pytest.approx(48.1308036086791)] * 2]
    assert got.value == pytest.approx(48.1308036086791 + 10 * math.log10(2))
    assert got.reason is None


def test_nulls_are_counted_and_left_out_of_the_mean():
    real = video(2, 12, 12, 3)
    near, far = real ^ 1, real ^ 255
    got = score(Psnr, [(real[None], real), (near[None], real), (far[None], real)])
    assert got.n == 3
    assert got.value == pytest.approx((got.per_clip["c1"] + got.per_clip["c2"]) / 2)
    assert got.reason == "identical: 1 of 3 clips"
    mixed = score(Psnr, [(np.stack([real, near]), real), (np.stack([real, real]), real)])
    assert mixed.per_clip == {"c0": pytest.approx(48.1308036086791), "c1": None}
    assert mixed.samples["c0"] == [None, mixed.per_clip["c0"]]
    assert mixed.reason == "identical: 1 of 2 clips, 3 of 4 samples"


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


def test_ssim_refuses_frames_below_its_window():
    with pytest.raises(UsageError, match="at least 11 x 11 px; clip 'a' has 16 x 10"):
        metric(Ssim).update(video(1, 2, 10, 16, 3), video(2, 10, 16, 3), clip())
