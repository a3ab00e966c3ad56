"""Diversity of samples against closed forms and against all pairs, one by one."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from vpbench.api import ClipInfo
from vpbench.metrics.diversity import Diversity, total_difference


def clip(name="a"):
    return ClipInfo(name, 9, 4, 4, None)


def score(*clips, parts=1):
    """Clips uint8 [S,T,H,W,3], in so many instances that are merged."""
    metrics = [Diversity(None, {}, None) for _ in range(parts)]
    for k, fake in enumerate(clips):
        metrics[k % parts].update(fake, np.zeros(fake.shape[1:], np.uint8), clip(f"c{k}"))
    for other in metrics[1:]:
        metrics[0].merge(other)
    return metrics[0].result()


@pytest.mark.parametrize("samples", [2, 3, 4, 7])
def test_every_pair_counts_once(samples):
    rng = np.random.default_rng(samples)
    fake = rng.integers(0, 256, (samples, 3, 5, 4, 3), np.uint8)
    pairs = [abs(a - b) for a, b in itertools.combinations(fake.astype(int), 2)]
    assert total_difference(fake) == sum(pair.sum() for pair in pairs)
    frames = np.mean([pair.mean((1, 2, 3)) for pair in pairs], axis=0) * 100 / 255
    result = score(fake)
    assert np.allclose(result.per_frame["c0"], frames, rtol=1e-12)
    assert result.value == pytest.approx(frames.mean(), rel=1e-12)


def test_black_and_white_are_all_of_the_range_apart_and_equal_samples_nothing():
    still = np.full((3, 2, 4, 4, 3), 77, np.uint8)
    contrast = np.stack([np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)])
    assert score(still).value == 0
    assert score(contrast).value == pytest.approx(100)
    # Two of four samples black: 4 of 6 pairs differ.
    assert score(np.concatenate([contrast, contrast])).value == pytest.approx(100 * 4 / 6)


def test_independent_uniform_samples_are_a_third_of_the_range_apart():
    fake = np.random.default_rng(0).integers(0, 256, (8, 4, 64, 64, 3), np.uint8)
    # E|a - b| of uniform levels 0..255 is (256^2 - 1) / (3 * 256).
    assert score(fake).value == pytest.approx(100 / 255 * (256**2 - 1) / 768, rel=2e-3)


def test_one_sample_has_no_diversity_and_says_what_to_do():
    result = score(np.zeros((1, 2, 4, 4, 3), np.uint8))
    assert result.value is None
    assert "--samples 2" in (result.reason or "")


@pytest.mark.parametrize("parts", [2, 7])
def test_shards_merge_to_the_same_bits(parts):
    rng = np.random.default_rng(1)
    clips = [rng.integers(0, 256, (3, 2, 4, 5, 3), np.uint8) for _ in range(9)]
    assert score(*clips, parts=parts) == score(*clips)


class Context:
    device = "cpu"

    def weights(self, name):
        return Path(name)


def test_the_learned_distance_is_that_of_every_pair(monkeypatch):
    """With the mean absolute difference of pixels as its network, it is the other metric."""
    pytest.importorskip("lpips", reason="lpips is not installed")
    from vpbench.metrics.networks import perceptual
    from vpbench.metrics.networks.diversity import LpipsDiversity

    def network(*_):
        return lambda a, b: (a - b).abs().mean((1, 2, 3))

    monkeypatch.setattr(perceptual, "_network", network)
    fake = np.random.default_rng(2).integers(0, 256, (4, 6, 32, 33, 3), np.uint8)
    metric = LpipsDiversity(None, {}, Context())
    info = ClipInfo("c0", 6, 32, 33, None)
    metric.update(fake, np.zeros_like(fake[0]), info)
    learned, plain = metric.result(), score(fake)
    # Pixels in [-1,1] have twice the range of those in [0,1], and plain is in percent.
    assert learned.value == pytest.approx(plain.value / 50, rel=1e-5)
    assert learned.per_frame["c0"] == pytest.approx([v / 50 for v in plain.per_frame["c0"]])
    for frames, said in ((fake[:1], "--samples 2"), (fake[:, :, :30], "smaller than 31 px")):
        small = LpipsDiversity(None, {}, Context())
        small.update(frames, frames[0], info)
        assert small.result().value is None and said in (small.result().reason or "")
