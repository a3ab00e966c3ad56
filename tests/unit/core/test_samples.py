"""Paired differences of table rows against closed forms, scipy, statsmodels and simulation."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.pairs import corrected_difference
from vpbench.core.jackknife import corrected
from vpbench.core.samples import MIN_CLUSTERS, clip_sample, difference, figure, set_sample


def rng(seed=0):
    return np.random.default_rng(seed)


def clips(*rows, clusters=None):
    return clip_sample([{f"{k:03}": v for k, v in enumerate(row)} for row in rows], clusters)


def jackknifed(statistic, *columns):
    """(values, leave-one-out values) of a statistic of each column of clips."""
    left = [{f"{k:03}": statistic(np.delete(x, k, axis=0)) for k in range(len(x))} for x in columns]
    return [statistic(x) for x in columns], left


def plugged_in(x):
    """A variance with 1/n: its jackknife bias is known in closed form."""
    return float(((x - x.mean()) ** 2).mean())


# Clips.


@pytest.mark.parametrize("n", [8, 9, 90, 91])
def test_lone_clips_give_the_paired_t_test(n):
    a, b = rng(n).normal(0.3, 1, n), rng(n + 1).normal(0, 1, n)
    got = difference(clips(a), clips(b))
    assert (got.df, got.n, got.reason) == (n - 1, n, "")
    for mine, side in ((got.p_apart(), "two-sided"), (got.p_above(), "greater")):
        assert mine == pytest.approx(scipy_stats.ttest_rel(a, b, alternative=side).pvalue, rel=1e-9)
    assert got.p_below() == pytest.approx(
        scipy_stats.ttest_rel(a, b, alternative="less").pvalue, rel=1e-9
    )
    theirs = scipy_stats.ttest_rel(a, b).confidence_interval(0.9)
    assert got.interval(0.9) == pytest.approx((theirs.low, theirs.high))


def test_groups_count_as_wholes():
    """Equal groups are worth their means; unequal ones give the cluster-robust error."""
    means = rng(1).normal(0.5, 1, 20)
    groups = {f"{k:03}": f"person {k // 4}" for k in range(80)}
    zero = clips(np.zeros(80), clusters=groups)
    got = difference(clips(np.repeat(means, 4), clusters=groups), zero)
    alone = scipy_stats.ttest_1samp(means, 0)
    assert got.n == 20
    assert got.p_apart() == pytest.approx(alone.pvalue)


def test_unequal_groups_agree_with_statsmodels():
    regression = pytest.importorskip("statsmodels.api")
    sizes = rng(2).integers(1, 9, 30)
    label = np.repeat(np.arange(30), sizes)
    values = rng(3).normal(size=len(label)) + rng(4).normal(size=30)[label]
    groups = {f"{k:03}": f"g{g}" for k, g in enumerate(label)}
    got = difference(clips(values, clusters=groups), clips(np.zeros(len(label)), clusters=groups))
    fit = regression.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": label, "use_correction": False}
    )
    assert got.estimate == pytest.approx(values.mean())
    assert got.se == pytest.approx(fit.bse[0] * math.sqrt(30 / 29))


def test_clips_that_one_side_lacks_are_left_out_of_both():
    a = {f"{k}": float(k) for k in range(10)} | {"gone": 1e6, "none": None}
    b = {f"{k}": float(k * k) for k in range(10)} | {"none": 1e6, "other": -1e6}
    got = difference(clip_sample([a]), clip_sample([b]))
    assert got.n == 10
    assert got.estimate == pytest.approx(np.mean([k - k * k for k in range(10)]))
    apart = difference(clip_sample([{"a": 1.0}]), clip_sample([{"b": 1.0}]))
    assert (apart.estimate, apart.se, apart.reason) == (None, None, "no clips in common")
    assert apart.p_apart() is None and apart.interval() is None


def test_an_order_of_clips_changes_no_bit():
    a, b = rng(5).normal(size=30), rng(6).normal(size=30)
    groups = {f"{k:03}": ("", "x", "y")[k % 3] for k in range(30)}
    turned = [
        clip_sample([dict(sorted(s.items(), reverse=True))], dict(reversed(groups.items())))
        for s in ({f"{k:03}": v for k, v in enumerate(x)} for x in (a, b))
    ]
    assert difference(*turned) == difference(clips(a, clusters=groups), clips(b, clusters=groups))


# Set metrics.


@pytest.mark.parametrize("n", [8, 9, 90])
def test_a_set_metric_is_compared_without_its_bias(n):
    """The jackknife of a plug-in variance is the unbiased variance."""
    x, y = rng(n).normal(0, 2, n), rng(n + 1).normal(0, 1, n)
    sides = [jackknifed(plugged_in, c) for c in (x, y)]
    one, other = (set_sample(*s) for s in sides)
    got = difference(one, other)
    assert got.estimate == pytest.approx(x.var(ddof=1) - y.var(ddof=1), rel=1e-9)
    assert abs(got.estimate - (plugged_in(x) - plugged_in(y))) > 0.01 / n
    values, left = zip(*((v[0], loo[0]) for v, loo in sides), strict=True)
    theirs = corrected_difference(*left, *values, 0.9)
    assert got.estimate == pytest.approx(theirs.mean)
    assert got.se == pytest.approx(theirs.se)
    assert got.interval(0.9) == pytest.approx((theirs.low, theirs.high))


def test_a_set_figure_is_the_corrected_one():
    values, left = jackknifed(plugged_in, rng(7).gamma(2, 1, 40))
    theirs = corrected(left[0].values(), values[0])
    got = figure(set_sample(values, left))
    assert got.estimate == pytest.approx(theirs.corrected)
    assert (got.se, got.interval()) == (
        pytest.approx(theirs.se),
        pytest.approx((theirs.low, theirs.high)),
    )


def test_groups_of_unequal_shares_give_the_delete_m_jackknife():
    sizes = [1, 2, 3, 4, 5, 1, 2, 3, 4]
    label = np.repeat(np.arange(9), sizes)
    x = rng(8).normal(size=len(label))
    left = {f"{g}": plugged_in(x[label != g]) for g in range(9)}
    shares = {f"{g}": s / len(x) for g, s in enumerate(sizes)}
    theirs = corrected(
        [left[k] for k in sorted(left)], plugged_in(x), shares=[shares[k] for k in sorted(left)]
    )
    assert figure(set_sample([plugged_in(x)], [left], shares)).estimate == pytest.approx(
        theirs.corrected
    )


def test_other_clips_of_a_set_are_no_comparison():
    values, left = jackknifed(plugged_in, rng(9).normal(size=10))
    fewer = set_sample(*jackknifed(plugged_in, rng(9).normal(size=9)))
    got = difference(set_sample(values, left), fewer)
    assert (got.estimate, got.reason) == (None, "scored over different clips")
    assert difference(fewer, clips(np.zeros(9))).reason == "two kinds of metric"
    assert set_sample([1.0, 2.0], [left[0], {**left[0], "more": 1.0}]) is None
    assert set_sample([1.0], [{"a": 1.0}]) is None
    assert set_sample([1.0], [{"a": 1.0, "b": None}]) is None
    assert set_sample([], []) is None


# Several fits.


def fits(count, n, seed, mean=0.0, between=0.3, clip=0.5, both=0.1, truth=None):
    """[count, n] values: a fit's own level, what all fits share of a clip, and what they do not."""
    draw = rng(seed)
    shared = draw.normal(0, clip, n) if truth is None else truth
    own = draw.normal(0, between, count)[:, None]
    return mean + own + shared + draw.normal(0, both, (count, n))


def test_one_and_two_fits_say_nothing_of_others():
    """Their mean is compared clip by clip; nothing is added for the variance between them."""
    a, b = fits(2, 30, 1, between=5.0), fits(1, 30, 2)
    assert difference(clips(*a), clips(*b)).p_apart() == pytest.approx(
        scipy_stats.ttest_rel(a.mean(axis=0), b[0]).pvalue
    )


def test_the_mean_of_fits_is_compared_not_the_first():
    """Fits A 1000/1200/1400, B 1100/1000/900: A is worse by 200, though its first is better."""
    noise = rng(3).normal(0, 1, 90)
    a, b = (
        [{f"{k}": v - noise[k] / 89 for k in range(90)} for v in values]
        for values in ((1000.0, 1200.0, 1400.0), (1100.0, 1000.0, 900.0))
    )
    one = set_sample((1000.0, 1200.0, 1400.0), a)
    other = set_sample((1100.0, 1000.0, 900.0), b)
    got = difference(one, other)
    assert got.estimate == pytest.approx(200 + 0.0, abs=1e-6)
    low, high = got.interval()
    assert low < 0 < high
    assert got.se == pytest.approx(math.sqrt((200**2 + 100**2) / 3), rel=1e-6)


def test_without_clip_noise_it_is_welchs_test():
    """Constant clips: all variance is between fits, and the degrees of freedom are Welch's."""
    a, b = np.array([1.0, 2.0, 4.0]), np.array([2.5, 3.0, 2.8, 4.1, 3.3])
    got = difference(clips(*(np.full(20, v) for v in a)), clips(*(np.full(20, v) for v in b)))
    welch = scipy_stats.ttest_ind(a, b, equal_var=False)
    assert got.df == pytest.approx(welch.df)
    assert got.p_apart() == pytest.approx(welch.pvalue)


def test_clips_shared_by_all_fits_stay_in_the_error():
    """Welch on means of fits alone is too narrow by what one method finds hard on these clips."""
    hard = rng(4).normal(0, 1, 40)
    a = hard + rng(5).normal(0, 1e-3, (3, 1))
    b = np.zeros(40) + rng(6).normal(0, 1e-3, (3, 1))
    got = difference(clips(*a), clips(*b))
    assert got.se == pytest.approx(hard.std(ddof=1) / math.sqrt(40), rel=1e-3)
    assert got.df == pytest.approx(39, rel=1e-3)
    welch = scipy_stats.ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False)
    assert welch.pvalue < 1e-3 or abs(hard.mean()) < 0.01
    assert got.se > 50 * math.sqrt(a.mean(axis=1).var(ddof=1) / 3)


@pytest.mark.parametrize("groups", [False, True])
def test_a_bootstrap_of_fits_and_clips_agrees(groups):
    """Fits and clips drawn independently, as the cross-check of both parts together."""
    a, b = fits(8, 60, 10, between=0.2), fits(7, 60, 11, mean=0.2, between=0.1)
    label = np.arange(60) // 2 if groups else np.arange(60)
    names = {f"{k:03}": f"g{g}" for k, g in enumerate(label)}
    got = difference(clips(*a, clusters=names), clips(*b, clusters=names))
    draw, means = rng(12), []
    count = label.max() + 1
    members = [np.flatnonzero(label == g) for g in range(count)]
    for _ in range(4000):
        chosen = np.concatenate([members[g] for g in draw.integers(0, count, count)])
        sides = [x[draw.integers(0, len(x), len(x))][:, chosen].mean() for x in (a, b)]
        means.append(sides[0] - sides[1])
    # A draw of 8 of 8 fits has 7/8 of their variance.
    spread = [x.mean(axis=1).var(ddof=1) / len(x) for x in (a, b)]
    missing = spread[0] / 8 + spread[1] / 7
    assert got.estimate == pytest.approx(a.mean() - b.mean())
    assert got.se**2 == pytest.approx(np.var(means) + missing, rel=0.12)


def coverage(between, draws=400):
    """How often a difference of 0 is called one, with fits that differ by `between` dB."""
    wrong = 0
    for k in range(draws):
        draw = rng(1000 * k + int(10 * between))
        sides = [
            clips(*fits(3, 40, draw.integers(2**32), between=between, both=0.2)) for _ in range(2)
        ]
        wrong += difference(*sides).p_apart() < 0.05
    return wrong / draws


@pytest.mark.parametrize("between", [0.0, 0.1, 0.5])
def test_equal_methods_differ_in_one_table_of_twenty(between):
    assert coverage(between) <= 0.075


def test_untrained_rows_bring_no_variance_of_fits():
    a = fits(3, 30, 20)
    still = fits(1, 30, 21)
    got = difference(clips(*a), clips(*still))
    between = a.mean(axis=1).var(ddof=1) / 3
    paired = (a.mean(axis=0) - still[0]).var(ddof=1) / 30
    assert max(between, paired) <= got.se**2 <= between + paired


# Too little to say anything.


@pytest.mark.parametrize("n", [1, 2, MIN_CLUSTERS - 1])
def test_few_clusters_have_no_interval_and_say_so(n):
    a, b = rng(1).normal(size=n), rng(2).normal(size=n)
    got = difference(clips(a), clips(b))
    assert got.estimate == pytest.approx(a.mean() - b.mean())
    assert (got.se, got.df, got.n, got.p_apart(), got.interval()) == (None, None, n, None, None)
    plural = "s" * (n > 1)
    assert got.reason == f"{n} independent group{plural} of clips, 8 are needed"
    many = rng(3).normal(size=40)
    one = {f"{k:03}": "the same person" for k in range(40)}
    assert difference(clips(many, clusters=one), clips(many + 1, clusters=one)).se is None


def test_a_row_against_itself_is_a_tie():
    values = rng(4).normal(size=20) * 1e3
    for a, b in (
        (clips(values), clips(values)),
        (clips(values), clips(values * (1 + 1e-15))),
        (set_sample(*jackknifed(plugged_in, values)), set_sample(*jackknifed(plugged_in, values))),
    ):
        got = difference(a, b)
        assert (got.estimate, got.se) == (0.0, 0.0)
        assert (got.p_apart(), got.p_above(), got.p_below()) == (1.0, 1.0, 1.0)
        assert got.interval() == (0.0, 0.0)


def test_the_same_difference_on_every_clip_is_certain():
    got = difference(clips(np.full(9, 1.5)), clips(np.full(9, 0.5)))
    assert (got.estimate, got.se) == (1.0, 0.0)
    assert (got.p_above(), got.p_below(), got.p_apart()) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        clip_sample([{"a": bad}])
    with pytest.raises(ValueError, match="finite"):
        set_sample([bad], [{"a": 1.0, "b": 2.0}])
    with pytest.raises(ValueError, match="finite"):
        set_sample([1.0], [{"a": bad, "b": 2.0}])


def test_nothing_to_compare():
    assert clip_sample([]) is None
    assert clip_sample([{}]) is None
    assert clip_sample([{"a": None}]) is None
    assert clip_sample([{"a": 1.0}, {"b": 1.0}]) is None
