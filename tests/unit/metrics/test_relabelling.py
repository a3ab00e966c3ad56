"""p-values of any distance by relabelling: against scipy, and uniform where nothing differs."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.api.types import ClipInfo
from vpbench.metrics.motion.metric import Motion
from vpbench.metrics.relabelling import distance_p


def apart(x, y, in_x, in_y):
    """Squared distance of the means."""
    return float(np.square(x.mean(0) - y.mean(0)).sum())


def gauss(n, d=3, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def names(n, prefix=""):
    return [f"{prefix}{k}" for k in range(n)]


@pytest.mark.parametrize(
    ("n", "m", "paired", "shift"),
    [(8, 8, True, 0.0), (7, 7, True, 0.5), (6, 5, False, 0.4), (5, 6, False, 0.0)],
)
def test_against_scipy(n, m, paired, shift):
    x, y = gauss(n, 1, 1), gauss(m, 1, 2, shift)
    clusters = names(n), names(m) if paired else names(m, "y")
    got = distance_p(apart, x, y, clusters, 4000)
    known = scipy_stats.permutation_test(
        (x[:, 0], y[:, 0]),
        lambda a, b: (a.mean() - b.mean()) ** 2,
        permutation_type="samples" if paired else "independent",
        alternative="greater",
        n_resamples=np.inf,
    )
    drawn = 0.0 if paired else 4 * np.sqrt(0.25 / 4000)  # all swaps are made, permutations drawn
    assert got == pytest.approx(known.pvalue, abs=drawn + 1e-12)


def test_clusters_change_sides_as_a_whole():
    """Three people of four clips each: four swaps, up to all at once, and no smaller p."""
    x = gauss(12, seed=1)
    people = [f"p{k // 4}" for k in range(12)]
    got = distance_p(apart, x, x + 5, (people, people), 2000)
    assert got == 1 / 4
    assert distance_p(apart, x, x + 5, (names(12), names(12)), 2047) == 1 / 2048
    assert distance_p(apart, x, x + 5, (names(12), names(12)), 2046) != 1 / 2048


def test_what_cannot_change_sides_has_no_p():
    x = gauss(4)
    assert distance_p(apart, x, x, (["a"] * 4, ["b"] * 4), 9) is None
    assert distance_p(lambda *_: None, x, x, (names(4), names(4)), 9) is None
    assert distance_p(apart, x, x, (names(4), names(4)), 9) == 1.0
    with pytest.raises(ValueError, match="0 permutations"):
        distance_p(apart, x, x, (names(4), names(4)), 0)


@pytest.mark.parametrize("paired", [True, False])
def test_p_is_uniform_where_nothing_differs(paired):
    rng = np.random.default_rng(3)
    draws = []
    for _ in range(100):
        shared = rng.normal(size=(12, 2)) if paired else 0.0  # pairs resemble each other
        x, y = (shared + rng.normal(size=(12, 2)) for _ in range(2))
        own = names(12), names(12) if paired else names(12, "y")
        p = distance_p(apart, x, y, own, 39)
        draws.append(p - rng.uniform() / 40)  # p is one of 1/40, ..., 1
    assert scipy_stats.kstest(draws, "uniform").pvalue > 0.01


class Context:
    device, workers, recompute, training = "cpu", 1, False, None

    def __init__(self, root):
        self.root = root

    def cache(self, kind, key):
        return self.root / kind / key


def test_a_set_metric_tests_its_own_features(tmp_path):
    """The same p for any order and any division of the clips; every relabelling by hand."""
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (5, 1, 24, 24, 3), np.uint8)
    moving = np.concatenate([np.roll(still, 2 * t, axis=3) for t in range(5)], axis=1)
    fakes, reals = np.repeat(still, 5, axis=1), moving
    info = [ClipInfo(f"c{k}", 5, 24, 24, None) for k in range(5)]

    def fed(order):
        metric = Motion(None, {}, Context(tmp_path))
        for k in order:
            metric.update(fakes[k][None], reals[k], info[k])
        return metric

    got = fed(range(5)).permutation_p(300)
    parts = fed([4, 2])
    parts.merge(fed([3, 0, 1]))
    assert parts.permutation_p(300) == got
    values = []
    for swaps in itertools.product((False, True), repeat=5):
        metric = Motion(None, {}, Context(tmp_path))
        for k, swap in enumerate(swaps):
            one, two = (reals[k], fakes[k]) if swap else (fakes[k], reals[k])
            metric.update(one[None], two, info[k])
        values.append(metric.result().value)
    exact = np.mean(np.array(values) >= values[0] - 1e-9)
    assert got == pytest.approx(exact, abs=0.06) and exact == 2 / 32
    assert fed([0]).permutation_p(9) is None
