"""Rows over several seeds and training runs, from stored scores."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from stored_rows import (
    FVD,
    PSNR,
    clip_record,
    record,
    rng,
    row,
    run,
    score,
    set_record,
    shown,
    variance,
)

from vpbench.core.jackknife import corrected, jackknife
from vpbench.harness.results.rows import fill_floors

# Several runs of one row.


def test_a_single_run_is_shown_as_stored():
    stored = clip_record(rng().normal(20, 1, 90), se=0.123, ci95=[1.0, 2.0])
    got = score(row("a", run(stored)))
    assert (got["value"], got["se"], got["ci95"]) == (stored["value"], 0.123, [1.0, 2.0])


@pytest.mark.parametrize("n", [9, 90])
def test_seeds_are_averaged_and_keep_their_error(n):
    """The error is that of the mean over seeds of each clip, not of one seed nor of the seeds."""
    clips = rng(1).normal(20, 1, n) + rng(2).normal(0, 1, (3, n))
    got = score(row("a", *(run(clip_record(c), seed=k) for k, c in enumerate(clips))))
    assert got["value"] == pytest.approx(clips.mean())
    means = clips.mean(axis=0)
    assert got["se"] == pytest.approx(means.std(ddof=1) / math.sqrt(n))
    theirs = scipy_stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert got["ci95"] == pytest.approx([theirs.low, theirs.high])


@pytest.mark.parametrize("fits", [(0, 0, 0), (0, 1), (0, 0, 1)])
def test_jackknives_are_averaged_over_seeds_and_over_one_or_two_fits(fits):
    sets = rng(3).normal(0, 1, (len(fits), 40))
    runs = [
        run(set_record(x), seed=k, fit_seed=fit)
        for k, (x, fit) in enumerate(zip(sets, fits, strict=True))
    ]
    got = score(row("a", *runs), FVD)
    weights = np.array([1 / fits.count(f) / len(set(fits)) for f in fits])
    value = weights @ [variance(x) for x in sets]
    left = [weights @ [variance(np.delete(x, k)) for x in sets] for k in range(40)]
    theirs = corrected(left, value)
    se, low, high = jackknife(left, value)
    assert got["value"] == pytest.approx(value)
    assert (got["bias"], got["corrected"]) == pytest.approx((theirs.bias, theirs.corrected))
    assert (got["se"], got["corrected_se"]) == pytest.approx((se, theirs.se))
    assert got["ci95"] == pytest.approx([low, high])
    assert got["corrected_ci95"] == pytest.approx([theirs.low, theirs.high])


def test_three_fits_bring_the_variance_between_them():
    levels = np.array([20.0, 22.0, 21.0])
    noise = rng(4).normal(0, 0.5, 90)
    runs = [run(clip_record(level + noise), fit_seed=k) for k, level in enumerate(levels)]
    got = score(row("a", *runs))
    assert got["se"] ** 2 == pytest.approx(1 / 3 + noise.var(ddof=1) / 90, rel=1e-6)
    low, high = got["ci95"]
    assert (low + high) / 2 == pytest.approx(got["value"])
    assert high - low > 2 * 3 * got["se"]  # two degrees of freedom: t = 4.3


def test_seeds_of_one_fit_do_not_outweigh_those_of_another():
    flat = np.full(9, 1.0)
    runs = [
        run(clip_record(flat * level), seed=s, fit_seed=f)
        for level, s, f in ((10, 0, 0), (10, 1, 0), (10, 2, 0), (20, 0, 1))
    ]
    assert score(row("a", *runs))["value"] == pytest.approx(15.0)


def test_a_clip_that_one_seed_lacks_counts_nowhere_in_the_error():
    first, second = rng(5).normal(20, 1, 20), rng(6).normal(20, 1, 20)
    second[3] = math.nan
    got = score(row("a", run(clip_record(first), seed=0), run(clip_record(second, n=19), seed=1)))
    keep = np.delete((first + second) / 2, 3)
    assert got["n"] == 19
    assert got["se"] == pytest.approx(keep.std(ddof=1) / math.sqrt(19))


def test_a_mean_without_any_error_stays_without():
    """References have a KVD without ±; their mean over seeds has none either, but a p-value."""
    sets = rng(7).normal(0, 1, (3, 20))
    runs = [run(set_record(x, se=None, ci95=None, p=0.4), seed=k) for k, x in enumerate(sets)]
    got = score(row("real-other", *runs), FVD)
    assert got["value"] is not None
    assert (got["se"], got["ci95"], got["corrected_se"]) == (None, None, None)
    assert got["p"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("kind", "error"), [("floor", False), ("reference", False), ("null", True), ("method", True)]
)
def test_real_clips_with_a_p_value_have_no_error(kind, error):
    x = rng(8).normal(0, 1, 20)
    got = score(row("a", run(set_record(x, p=0.4), kind=kind)), FVD)
    assert (got["se"] is not None, got["ci95"] is not None) == (error, error)
    assert got["p"] == 0.4 and got["value"] == pytest.approx(variance(x))
    without = score(row("a", run(set_record(x), kind=kind)), FVD)
    assert without["se"] == 1.0


def test_few_groups_of_clips_have_no_interval():
    clips = rng(8).normal(20, 1, (2, 30))
    groups = {f"{k:03}": f"person {k % 7}" for k in range(30)}
    runs = [run(clip_record(c, clusters=groups), seed=k) for k, c in enumerate(clips)]
    got = score(row("a", *runs))
    assert got["value"] == pytest.approx(clips.mean())
    assert (got["se"], got["ci95"]) == (None, None)


def test_runs_without_a_value_leave_the_reason():
    none = record(PSNR, {"000": None}, None, reason="identical")
    got = score(row("a", run(none, seed=0), run(none, seed=1)))
    assert (got["value"], got["reason"]) == (None, "identical")
    assert score(row("a", run()))["reason"] == "not scored"


@pytest.mark.parametrize("seeds", [((0, 0), (0, 1)), ((0, 0), (1, 0))])
@pytest.mark.parametrize("order", [1, -1])
def test_the_figure_of_some_runs_is_not_that_of_the_row(seeds, order):
    there = clip_record(rng(9).normal(20, 1, 20))
    none = record(PSNR, {"000": None}, None, reason="needs 5 samples")
    pair = [there, none][::order]
    runs = [run(r, fit_seed=f, seed=s) for r, (f, s) in zip(pair, seeds, strict=True)]
    got = score(row("a", *runs))
    assert got["reason"] == "no value in 1 of 2 runs: needs 5 samples"
    assert all(got[k] is None for k in ("value", "se", "ci95", "corrected", "p", "rank"))


def test_a_training_run_without_a_score_leaves_the_row_without_a_figure():
    clips = rng(9).normal(20, 1, (2, 20))
    other = clip_record(clips[1], fp8="another fingerprint")
    got = score(row("a", run(clip_record(clips[0]), fit_seed=0), run(other, fit_seed=1)))
    assert (got["value"], got["reason"]) == (None, "scored for 1 of 2 training runs")
    seed_alone = score(row("a", run(clip_record(clips[0]), seed=0), run(seed=1)))
    assert seed_alone["value"] == pytest.approx(clips[0].mean())


def test_an_older_score_gets_its_bias_from_what_it_stored():
    x = rng(9).normal(0, 1, 30)
    old = "n = 30 < 256: mostly bias, compare with the floor; 30 predicted and 40 real clips"
    got = score(row("a", run(set_record(x, reason=old))), FVD)
    assert got["reason"] == "30 predicted and 40 real clips"
    assert got["corrected"] == pytest.approx(x.var(ddof=1))
    assert got["bias"] == pytest.approx(variance(x) - x.var(ddof=1))
    assert got["se"] == 1.0


# Floors.


def test_a_floor_stands_only_beside_as_many_clips():
    real, other = rng(10).normal(0, 1, (2, 30))
    floor = row("real-other", run(set_record(real), kind="floor"))
    same, fewer = row("a", run(set_record(other))), row("b", run(set_record(other[:20])))
    entries, _ = shown(floor, same, fewer, columns={"fvd": FVD})
    fill_floors(entries, {"fvd": FVD})
    got = [(e["scores"]["fvd"]["floor"], e["scores"]["fvd"]["floor_n"]) for e in entries[1:]]
    assert got == [(pytest.approx(variance(real)), 30), (None, None)]
