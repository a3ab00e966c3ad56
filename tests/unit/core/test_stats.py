"""Statistics against closed forms, published figures and simulation."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.pairs import jackknife_difference, paired_difference
from vpbench.core import stats
from vpbench.core.jackknife import jackknife


def rng(seed=0):
    return np.random.default_rng(seed)


# Bootstrap.


@pytest.mark.parametrize("n", [20, 89, 90, 501])
def test_bootstrap_se_is_the_analytic_one_on_gaussian_data(n):
    values = rng(n).normal(3.0, 2.0, n)
    got = stats.bootstrap_mean(values)
    se = values.std(ddof=1) / math.sqrt(n)
    half = scipy_stats.t.ppf(0.975, n - 1) * se
    assert got.n == n
    assert got.mean == pytest.approx(values.mean(), abs=1e-14)
    assert got.se == pytest.approx(se, rel=0.03)
    assert got.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_bootstrap_agrees_with_scipy():
    values = rng(4).gamma(2.0, 3.0, 400)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=rng(9)
    )
    got = stats.bootstrap_mean(values)
    assert got.se == pytest.approx(theirs.standard_error, rel=0.03)
    assert got.low == pytest.approx(theirs.confidence_interval.low, abs=0.1 * got.se)
    assert got.high == pytest.approx(theirs.confidence_interval.high, abs=0.1 * got.se)


def test_equal_clusters_are_worth_their_means():
    means = rng(1).normal(size=30)
    values = np.repeat(means, 4)
    clusters = [f"person {k // 4}" for k in range(120)]
    clustered, plain = stats.bootstrap_mean(values, clusters), stats.bootstrap_mean(means)
    assert clustered.mean == pytest.approx(plain.mean)
    assert clustered.se == pytest.approx(plain.se, rel=0.05)
    assert clustered.se > 1.8 * stats.bootstrap_mean(values).se


def test_unequal_clusters_follow_the_ratio_estimator():
    sizes = rng(2).integers(1, 9, 60)
    values = np.concatenate([rng(k).normal(k % 5, 1, s) for k, s in enumerate(sizes)])
    clusters = [f"c{k}" for k, s in enumerate(sizes) for _ in range(s)]
    residual = (
        np.array([values[[c == f"c{k}" for c in clusters]].sum() for k in range(60)])
        - values.mean() * sizes
    )
    linear = math.sqrt(60 * residual.var(ddof=1)) / sizes.sum()
    assert stats.bootstrap_mean(values, clusters).se == pytest.approx(linear, rel=0.08)


@pytest.mark.parametrize("n", [2, 3, 17, 90, 91])
def test_bootstrap_does_not_depend_on_the_order(n):
    values = rng(n).normal(size=n) * 10.0 ** rng(n + 1).integers(-3, 4, n)
    clusters = [("", "a", "b")[k % 3] for k in range(n)]
    order = rng(5).permutation(n)
    for names in (None, clusters):
        turned = names and [names[k] for k in order]
        assert stats.bootstrap_mean(values[order], turned) == stats.bootstrap_mean(values, names)


def test_blocks_of_resamples_are_used_up(monkeypatch):
    values = rng(6).normal(size=50)
    whole = stats.bootstrap_mean(values)
    monkeypatch.setattr(stats, "_BLOCK", 50 * 999)
    parts = stats.bootstrap_mean(values)
    assert parts == stats.bootstrap_mean(values)
    assert parts.se == pytest.approx(whole.se, rel=0.05)


def test_another_seed_gives_another_interval_with_the_same_mean():
    values = rng(7).normal(size=40)
    a, b = stats.bootstrap_mean(values), stats.bootstrap_mean(values, seed=1)
    assert a.mean == b.mean
    assert a.low != b.low


def test_tiny_bootstrap():
    assert stats.bootstrap_mean([]) == stats.Interval(None, None, None, None, 0)
    assert stats.bootstrap_mean([2.5]) == stats.Interval(2.5, None, None, None, 1)
    assert stats.bootstrap_mean([1.0, 2.0], ["a", "a"]) == stats.Interval(1.5, None, None, None, 2)
    two = stats.bootstrap_mean([1.0, 2.0])
    assert (two.mean, two.low, two.high) == (1.5, 1.0, 2.0)
    assert two.se == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("n", [3, 7, 90])
def test_equal_values_leave_no_doubt(n):
    assert stats.bootstrap_mean([0.1] * n) == stats.Interval(0.1, 0.0, 0.1, 0.1, n)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        stats.bootstrap_mean([1.0, bad])
    with pytest.raises(ValueError, match="finite"):
        paired_difference({"a": bad}, {"a": 1.0})
    with pytest.raises(ValueError, match="finite"):
        jackknife([1.0, bad], 1.0)
    with pytest.raises(ValueError, match="finite"):
        jackknife([1.0, 2.0], bad)
    with pytest.raises(ValueError, match="finite"):
        stats.t_interval([1.0, 2.0, bad])
    with pytest.raises(ValueError, match="finite"):
        stats.tie_groups([1.0, bad], "up", lambda i, j: True)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="clusters"):
        stats.bootstrap_mean([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="n_resamples"):
        stats.bootstrap_mean([1.0, 2.0], n_resamples=1)
    with pytest.raises(ValueError, match="level"):
        stats.bootstrap_mean([1.0, 2.0], level=1.0)


# Paired differences.


def test_difference_uses_common_clips_with_both_values():
    a = {"x": 1.0, "y": 2.0, "z": None, "only-a": 9.0}
    b = {"y": 1.0, "z": 1.0, "x": 0.5, "only-b": -9.0}
    got = paired_difference(a, b)
    assert (got.mean, got.n) == (0.75, 2)
    assert paired_difference(b, a).mean == -0.75
    assert paired_difference(a, {}) == stats.Interval(None, None, None, None, 0)


def test_pairing_removes_what_the_clips_share():
    clips = rng(3).normal(0, 10, 90)
    noise = rng(4).normal(0, 0.1, 90)
    a = {f"c{k}": float(v) for k, v in enumerate(clips)}
    b = {f"c{k}": float(v) for k, v in enumerate(clips + 0.1 + noise)}
    got = paired_difference(a, b)
    assert got.excludes(0)
    assert got.se == pytest.approx(noise.std(ddof=1) / math.sqrt(90), rel=0.03)


def test_difference_does_not_depend_on_the_order():
    a = {f"c{k}": float(v) for k, v in enumerate(rng(1).normal(size=45))}
    b = {f"c{k}": float(v) for k, v in enumerate(rng(2).normal(size=45))}
    clusters = {f"c{k}": ("", "p", "q", "r")[k % 4] for k in range(40)}
    turned = dict(reversed(a.items())), dict(sorted(b.items(), key=lambda kv: kv[1]))
    assert paired_difference(*turned, clusters) == paired_difference(a, b, clusters)


def test_a_method_does_not_differ_from_itself():
    a = {f"c{k}": float(v) for k, v in enumerate(rng(1).normal(size=45))}
    got = paired_difference(a, a)
    assert got == stats.Interval(0.0, 0.0, 0.0, 0.0, 45)
    assert not got.excludes(0)


@pytest.mark.parametrize(("n", "lowest"), [(90, 0.90), (10, 0.90)])
def test_interval_of_equal_methods_covers_zero(n, lowest):
    covered = 0
    for k in range(300):
        pair = rng(10_000 + k).gamma(2.0, 1.0, (2, n))
        a, b = ({str(i): float(v) for i, v in enumerate(side)} for side in pair)
        covered += not paired_difference(a, b, n_resamples=1000).excludes(0)
    assert lowest <= covered / 300 <= 0.98


# Jackknife.


@pytest.mark.parametrize("n", [2, 3, 40, 91])
def test_jackknife_of_a_mean_is_its_standard_error(n):
    values = rng(n).normal(size=n)
    left_out = [(values.sum() - v) / (n - 1) for v in values]
    se, low, high = jackknife(left_out, float(values.mean()))
    theirs = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert se == pytest.approx(values.std(ddof=1) / math.sqrt(n), rel=1e-9)
    assert (low, high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_jackknife_does_not_depend_on_the_order_and_needs_two():
    parts = rng(3).normal(size=33)
    assert jackknife(parts, 0.0) == jackknife(parts[::-1], 0.0)
    assert jackknife([], 1.0) == jackknife([1.0], 1.0) == (None, None, None)


def test_jackknife_difference_is_paired():
    values = rng(5).normal(size=(2, 30))
    a, b = ({str(k): float((v.sum() - x) / 29) for k, x in enumerate(v)} for v in values)
    got = jackknife_difference(a, b, *(float(v.mean()) for v in values))
    difference = values[0] - values[1]
    assert got.mean == pytest.approx(difference.mean())
    assert got.se == pytest.approx(difference.std(ddof=1) / math.sqrt(30))
    assert got.n == 30
    with pytest.raises(ValueError, match="differ in 1 clusters, such as '3'"):
        jackknife_difference(a, {k: v for k, v in b.items() if k != "3"}, 0.0, 0.0)


# Fit seeds.


def test_t_interval_is_students():
    values = [1.0, 2.0, 4.0]
    theirs = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    got = stats.t_interval(values)
    assert (got.low, got.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert got.se == pytest.approx(scipy_stats.sem(values))
    assert got == stats.t_interval(reversed(values))


@pytest.mark.parametrize(("values", "mean"), [([], None), ([3.0], 3.0), ([1.0, 2.0], 1.5)])
def test_fewer_than_three_fits_have_no_interval(values, mean):
    assert stats.t_interval(values) == stats.Interval(mean, None, None, None, len(values))


# Proportions and tests.


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0, 27.75),
        (10, 10, 72.25, 100),
        (50, 100, 40.38, 59.62),
        (62, 90, 58.72, 77.51),
        (57, 90, 53.0, 72.6),
        (33, 70, 35.9, 58.7),
        (36, 90, 30.5, 50.3),
        (14, 90, 9.5, 24.4),
    ],
)
def test_wilson_published(k, n, low, high):
    got = stats.wilson(k, n)
    assert got == (pytest.approx(low / 100, abs=6e-4), pytest.approx(high / 100, abs=6e-4))


@pytest.mark.parametrize("n", [1, 2, 9, 90])
def test_wilson_agrees_with_scipy(n):
    for k in range(n + 1):
        theirs = scipy_stats.binomtest(k, n).proportion_ci(method="wilson")
        got = stats.wilson(k, n)
        assert got == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))
        assert 0 <= got[0] <= k / n <= got[1] <= 1


def test_wilson_edges():
    assert stats.wilson(0, 0) == (0.0, 1.0)
    for k, n in ((-1, 3), (4, 3), (0, -1)):
        with pytest.raises(ValueError, match="must lie in"):
            stats.wilson(k, n)


@pytest.mark.parametrize(
    ("b", "c", "p"), [(5, 0, 0.0625), (6, 0, 0.03125), (15, 10, 0.424356), (0, 0, 1), (3, 3, 1)]
)
def test_mcnemar_published(b, c, p):
    assert stats.mcnemar_exact(b, c) == stats.mcnemar_exact(c, b) == pytest.approx(p, abs=5e-7)


def test_mcnemar_agrees_with_the_binomial_test():
    for b, c in ((1, 0), (7, 2), (30, 51), (400, 700)):
        theirs = scipy_stats.binomtest(b, b + c, 0.5).pvalue
        assert stats.mcnemar_exact(b, c) == pytest.approx(theirs, rel=1e-9)
    with pytest.raises(ValueError, match="negative"):
        stats.mcnemar_exact(-1, 2)


def test_holm():
    assert stats.holm([]) == []
    assert stats.holm([0.03]) == [0.03]
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8, 0.0]) == [1.0, 1.0, 0.0]
    for bad in (math.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="not in"):
            stats.holm([0.5, bad])


# Ranks.


def test_ranks_without_ties():
    assert stats.tie_groups([3.0, 1.0, 2.0], "up", lambda i, j: True) == ["1", "3", "2"]
    assert stats.tie_groups([3.0, 1.0, 2.0], "down", lambda i, j: True) == ["3", "1", "2"]


def test_ranks_with_ties():
    def far(i, j):
        return abs(values[i] - values[j]) > 1

    values = [10.0, 9.5, 5.0, None]
    assert stats.tie_groups(values, "up", far) == ["1–2", "1–2", "3", None]
    values = [3.0, 2.0, 1.0]
    # The middle one is like both others, which differ.
    assert stats.tie_groups(values, "down", far) == ["2–3", "1–3", "1–2"]
    assert stats.tie_groups([1.0, 1.0], "up", lambda i, j: True) == ["1–2", "1–2"]


def test_tiny_ranks():
    assert stats.tie_groups([], "up", lambda i, j: True) == []
    assert stats.tie_groups([None], "up", lambda i, j: True) == [None]
    assert stats.tie_groups([None, 2.0], "up", lambda i, j: True) == [None, "1"]
    with pytest.raises(ValueError, match="direction"):
        stats.tie_groups([1.0], "left", lambda i, j: True)


def test_pairs_are_asked_once_in_order():
    asked = []
    stats.tie_groups([1.0, None, 3.0, 2.0], "up", lambda i, j: asked.append((i, j)) or True)
    assert asked == [(0, 2), (0, 3), (2, 3)]
