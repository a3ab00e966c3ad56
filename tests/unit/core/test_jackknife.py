"""The jackknife against closed forms: what it takes off, and the error of what is left."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.pairs import corrected_difference
from vpbench.core.intervals import MIN_CLUSTERS
from vpbench.core.jackknife import corrected, jackknife


def rng(seed=0):
    return np.random.default_rng(seed)


def left_out(statistic, values, groups=None):
    groups = np.arange(len(values)) if groups is None else np.array(groups)
    return {str(g): statistic(values[groups != g]) for g in dict.fromkeys(groups)}


@pytest.mark.parametrize("n", [2, 3, 8, 25])
def test_the_bias_of_a_variance_over_n_is_found_exactly(n):
    """var(ddof=0) has the bias -sigma^2/n; without it the jackknife gives var(ddof=1)."""
    values = rng(n).normal(2, 3, n)
    found = corrected(left_out(np.var, values).values(), float(np.var(values)))
    assert found.corrected == pytest.approx(np.var(values, ddof=1), rel=1e-12)
    assert found.bias == pytest.approx(np.var(values) - np.var(values, ddof=1), rel=1e-10)
    assert found.value == found.corrected + found.bias == pytest.approx(np.var(values))
    assert found.n == n
    assert (found.se is None) == (n < MIN_CLUSTERS)


@pytest.mark.parametrize("n", [8, 25])
def test_a_mean_has_no_bias_and_its_usual_error(n):
    values = rng(n).normal(2, 3, n)
    found = corrected(left_out(np.mean, values).values(), float(values.mean()))
    se = values.std(ddof=1) / math.sqrt(n)
    half = scipy_stats.t.ppf(0.975, n - 1) * se
    assert (found.bias, found.corrected) == (0, found.value)
    assert found.se == pytest.approx(se)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert found.se == pytest.approx(jackknife(left_out(np.mean, values).values(), 0.0)[0])


def test_unequal_groups_with_their_shares():
    """The bias of a statistic a + c/n is found exactly, whatever the sizes of the groups."""
    sizes = np.array([1, 2, 3, 5, 8, 13, 4, 4, 4])
    n = sizes.sum()
    left = 7 + 11 / (n - sizes)
    found = corrected(left, 7 + 11 / n, shares=list(sizes / n))
    assert found.bias == pytest.approx(11 / n, rel=1e-12)
    assert found.corrected == pytest.approx(7, rel=1e-12)
    assert corrected(left, 7 + 11 / n).bias != pytest.approx(11 / n, rel=1e-3)
    equal = corrected(left, 1.0, shares=[1 / 9] * 9)
    assert equal.se == pytest.approx(corrected(left, 1.0).se)
    assert equal.bias == pytest.approx(corrected(left, 1.0).bias)


def test_groups_of_like_values_are_worth_one_each():
    """Where the clips of a group are all equal, the error is that of a weighted mean of groups."""
    sizes = rng(1).integers(1, 9, 200)
    errors, values = [], []
    for seed in range(200):
        means = rng(seed).normal(size=200)
        clips, groups = np.repeat(means, sizes), np.repeat(np.arange(200), sizes)
        left = left_out(np.mean, clips, groups).values()
        errors.append(corrected(left, float(clips.mean()), shares=list(sizes / sizes.sum())).se)
        values.append(clips.mean())
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.15)


@pytest.mark.parametrize("n, m", [(20, 20), (9, 41)])
def test_independent_sets_add_up(n, m):
    """A difference of two variances over n: biases -s1/n and s2/m, errors of each set."""
    x, y = rng(n).normal(0, 1, n), rng(m).normal(0, 3, m)
    value = float(np.var(x) - np.var(y))
    left = [np.var(np.delete(x, k)) - np.var(y) for k in range(n)]
    left += [np.var(x) - np.var(np.delete(y, k)) for k in range(m)]
    strata = ["x"] * n + ["y"] * m
    found = corrected(left, value, strata=strata, shares=[1 / n] * n + [1 / m] * m)
    assert found.corrected == pytest.approx(np.var(x, ddof=1) - np.var(y, ddof=1), rel=1e-10)
    alone = [corrected(left_out(np.var, v).values(), float(np.var(v))).se for v in (x, y)]
    assert found.se == pytest.approx(math.hypot(*alone))
    half = scipy_stats.t.ppf(0.975, n + m - 2) * found.se
    assert found.high - found.corrected == pytest.approx(half)
    assert corrected(left, value, strata=strata).corrected == pytest.approx(found.corrected)


@pytest.mark.parametrize(
    "both, real, fake", [(50, 1, 0), (49, 0, 1), (48, 1, 1), (40, 1, 20), (1, 40, 30)]
)
def test_one_clip_without_a_partner_takes_neither_bias_nor_error_away(both, real, fake):
    """|mean x - mean y|^2 of pairs and single clips: its bias is the variance of the difference."""
    draws, dims, rho, apart = 1000, 4, 0.6, 0.5
    n, m = both + fake, both + real
    x, y = rng(both).normal(size=(2, draws, max(n, m), dims))
    y[:, :both] = rho * x[:, :both] + math.sqrt(1 - rho**2) * y[:, :both]
    x, y = x[:, :n], y[:, :m] + apart
    sums = x.sum(1), y.sum(1)
    value = ((sums[0] / n - sums[1] / m) ** 2).sum(-1)
    names = [(k, k) for k in range(both)] + [(k, None) for k in range(both, n)]
    names += [(None, k) for k in range(both, m)]
    left, shares, strata = [], [], []
    for i, j in names:
        one = sums[0] / n if i is None else (sums[0] - x[:, i]) / (n - 1)
        two = sums[1] / m if j is None else (sums[1] - y[:, j]) / (m - 1)
        left.append(((one - two) ** 2).sum(-1))
        parts = [1 / size for size, k in ((n, i), (m, j)) if k is not None]
        shares.append(sum(parts) / len(parts))
        strata.append("both" if len(parts) == 2 else "real" if i is None else "predicted")
    found = [
        corrected(rest, v, shares=shares, strata=strata)
        for rest, v in zip(np.array(left).T.tolist(), value.tolist(), strict=True)
    ]
    truth, bias = dims * apart**2, dims * (1 / n + 1 / m - 2 * rho * both / (n * m))
    rests = np.array([f.corrected for f in found])
    assert rests.mean() == pytest.approx(truth, abs=4 * rests.std() / math.sqrt(draws))
    assert np.mean([f.bias for f in found]) == pytest.approx(bias, rel=0.06)
    assert np.mean([f.se**2 for f in found]) == pytest.approx(rests.var(ddof=1), rel=0.2)
    covered = np.mean([f.low <= truth <= f.high for f in found])
    assert 0.92 <= covered <= 0.97


def test_strata_of_two_and_more_stay_apart():
    """By the definition of each: none is joined with another."""
    left, shares = rng(6).normal(size=11).tolist(), rng(7).uniform(0.05, 0.2, 11).tolist()
    strata = ["both"] * 7 + ["predicted"] * 2 + ["real"] * 2
    bias = variance = 0.0
    for name in set(strata):
        rows = [k for k in range(11) if strata[k] == name]
        own = sum((1 - shares[k]) * (left[k] - 0.3) for k in rows)
        part = own / sum(shares[k] for k in rows)
        moves = [(1 - shares[k]) * (0.3 - left[k]) + shares[k] * part for k in rows]
        bias += own
        variance += len(rows) / (len(rows) - 1) * sum(m * m for m in moves)
    found = corrected(left, 0.3, shares=shares, strata=strata)
    assert (found.bias, found.se) == pytest.approx((bias, math.sqrt(variance)))


def test_difference_is_paired_and_without_bias():
    x, y = rng(1).normal(0, 1, 40), rng(2).normal(0, 5, 40)
    a, b = left_out(np.var, x), left_out(np.var, y)
    found = corrected_difference(a, b, float(np.var(x)), float(np.var(y)))
    assert found.mean == pytest.approx(np.var(x, ddof=1) - np.var(y, ddof=1))
    same = corrected_difference(a, a, 1.5, 1.5)
    assert (same.mean, same.se, same.n) == (0, 0, 40)
    with pytest.raises(ValueError, match="differ in 1 clusters, such as '3'"):
        corrected_difference(a, {k: v for k, v in b.items() if k != "3"}, 0.0, 0.0)
    assert corrected_difference({"a": 1.0}, {"a": 2.0}, 1.0, 2.0) is None
    few = corrected_difference({"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 2.0}, 1.0, 2.0)
    assert few.mean is not None and few.se is None


def test_any_order_gives_the_same_bits():
    left, shares = rng(3).normal(size=20), rng(4).dirichlet(np.ones(20))
    found = corrected(left, 0.1, shares=list(shares))
    order = rng(5).permutation(20)
    assert corrected(left[order], 0.1, shares=list(shares[order])) == found


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_groups_say_nothing(count):
    assert corrected([1.0] * count, 1.0, strata=["a"] * count) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_nan_and_infinity_are_refused(bad):
    with pytest.raises(ValueError, match="must be finite"):
        corrected([1.0, bad], 1.0)
    with pytest.raises(ValueError, match="must be finite"):
        corrected([1.0, 2.0], bad)
    with pytest.raises(ValueError, match="must be finite"):
        corrected_difference({"a": bad, "b": 1.0}, {"a": 1.0, "b": 1.0}, 1.0, 1.0)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        corrected([1.0, 2.0], 1.0, level=95)
    with pytest.raises(ValueError, match="as many shares"):
        corrected([1.0, 2.0], 1.0, shares=[1.0])
    with pytest.raises(ValueError, match="shares of groups"):
        corrected([1.0, 2.0], 1.0, shares=[0.0, 1.0])
    with pytest.raises(ValueError, match="as many shares"):
        corrected([1.0, 2.0], 1.0, strata=["a"])
