"""Differences to one row of a table, ties with the best value, and what n clips could show."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from stored_rows import (
    COLUMNS,
    FRAMES,
    FVD,
    PSNR,
    clip_record,
    record,
    rng,
    row,
    run,
    set_record,
    shown,
)

from vpbench.core.samples import Difference
from vpbench.harness.results.row_names import place_of
from vpbench.harness.results.versus import POWER, detectable, versus


def against(chosen, *rows, columns=None):
    columns = columns or {"psnr": PSNR}
    entries, _ = shown(*rows, columns=columns)
    made = versus(place_of(chosen, rows), rows, entries, FRAMES, columns)
    return made, {(p["row"], p["metric"]): p for p in made["pairs"]}


@pytest.mark.parametrize("n", [9, 90])
def test_a_difference_is_that_of_a_paired_t_test(n):
    a, b = rng(1).normal(20, 1, n), rng(2).normal(20.4, 1, n)
    rows = [row(name, run(clip_record(x), method=name)) for name, x in (("a", a), ("b", b))]
    made, pairs = against("b", *rows)
    wanted = scipy_stats.ttest_rel(a, b)
    pair = pairs["a", "psnr"]
    assert pair["difference"] == pytest.approx(np.mean(a - b))
    assert pair["p"] == pytest.approx(wanted.pvalue)
    assert pair["ci95"] == pytest.approx(list(wanted.confidence_interval()))
    assert made["comparisons"] == 1 and set(pairs) == {("a", "psnr")}


@pytest.mark.parametrize("n", [9, 30, 90])
def test_the_detectable_difference_is_found_four_times_in_five(n):
    """By the noncentral t, which knows nothing of the approximation."""
    se = 0.7
    shift = detectable(Difference(0.0, se, n - 1.0, n))
    edge = scipy_stats.t.ppf(0.975, n - 1)
    power = scipy_stats.nct.sf(edge, n - 1, shift / se)
    assert power == pytest.approx(POWER, abs=0.02)
    assert detectable(Difference(0.0, None)) is None


@pytest.mark.parametrize(("comparisons", "part"), [(1, 0.80), (4, 0.61), (12, 0.46), (55, 0.28)])
def test_among_many_comparisons_it_is_found_less_often(comparisons, part):
    """The figures of docs/statistics.md, by the first step of Holm's procedure."""
    edge = scipy_stats.t.ppf(1 - 0.025 / comparisons, 89)
    shift = detectable(Difference(0.0, 1.0, 89.0, 90))
    assert scipy_stats.nct.sf(edge, 89, shift) == pytest.approx(part, abs=0.005)


def test_claims_are_one_family_and_follow_the_direction():
    x = rng(3).normal(20, 1, 90)
    rows = [row("base", run(clip_record(x), method="base"))]
    rows += [row(n, run(clip_record(x + d), method=n)) for n, d in (("up", 1.0), ("same", 0.0))]
    noise = rng(4).normal(0, 1, 90)
    noisy = x + noise - noise.mean() + 0.28  # p about 0.01 alone
    rows += [row("weak", run(clip_record(noisy), method="weak"))]
    rows += [row(f"w{k}", run(clip_record(noisy), method=f"w{k}")) for k in range(9)]
    _, pairs = against("base", *rows)
    assert pairs["up", "psnr"]["claim"] == "better"
    assert pairs["same", "psnr"]["claim"] == "not told apart"
    alone = scipy_stats.ttest_rel(noisy, x).pvalue
    assert alone < 0.05 < pairs["weak", "psnr"]["p"]
    assert pairs["weak", "psnr"]["claim"] == "not told apart"


def test_the_ceiling_and_what_has_no_error_are_left_out():
    few = [row(n, run(clip_record(rng(k).normal(20, 1, 5)), method=n)) for k, n in enumerate("ab")]
    few += [row("real", run(clip_record(rng(9).normal(50, 1, 5)), method="real", kind="ceiling"))]
    made, pairs = against("a", *few)
    assert set(pairs) == {("b", "psnr")} and made["comparisons"] == 0
    pair = pairs["b", "psnr"]
    assert pair["difference"] is not None and "8 are needed" in pair["reason"]
    assert pair["se"] is pair["p"] is pair["claim"] is pair["detectable"] is None


def test_set_metrics_are_compared_without_their_bias():
    x, y = rng(5).normal(0, 1, 60), rng(6).normal(0, 3, 60)
    rows = [row(n, run(set_record(v), method=n)) for n, v in (("a", x), ("b", y))]
    _, pairs = against("a", *rows, columns={"fvd": FVD})
    entries, _ = shown(*rows, columns={"fvd": FVD})
    corrected = [e["scores"]["fvd"]["value"] for e in entries]
    assert pairs["b", "fvd"]["difference"] > corrected[1] - corrected[0]  # the bias is below 0
    assert pairs["b", "fvd"]["claim"] == "worse"


KVD = replace(FVD, metric="kvd", fingerprint={"estimator": "unbiased-u-between-clusters"})


@pytest.mark.parametrize("kind", ["ceiling", "oracle"])
def test_a_biased_distance_has_no_test_against_the_true_future(kind):
    """Equal distributions differ from the same clips in what the jackknife leaves of the bias."""
    columns = {"psnr": PSNR, "fvd": FVD, "kvd": KVD}

    def scored(name, seed, distance, **more):
        # A distance of n clips with a bias of 300 / n, of which the jackknife finds 95 %.
        n = 90
        left = distance + rng(seed).normal(0, 0.1, n) + (distance * 0.95) / (n - 1)
        sets = [
            record(column, {f"{k:03}": float(v) for k, v in enumerate(left)}, distance)
            for column in (FVD, KVD)
        ]
        return row(name, run(clip_record(rng(seed).normal(20, 1, n)), *sets, method=name, **more))

    rows = [
        scored("real", 1, 0.0, kind=kind),
        scored("mine", 2, 400.0),
        scored("real-other", 3, 400.0, kind="floor"),
    ]
    made, pairs = against("real", *rows, columns=columns)
    for name in ("mine", "real-other"):
        pair = pairs[name, "fvd"]
        assert pair["difference"] == pytest.approx(20, abs=5) and pair["se"] > 0
        assert pair["claim"] is pair["p"] is pair["detectable"] is pair["ci95"] is None
        assert pair["reason"].startswith("not tested, since real has little or none of the bias")
        assert pairs[name, "kvd"]["p"] is not None and pairs[name, "kvd"]["reason"] is None
    assert made["comparisons"] == 4  # PSNR and KVD of two rows
    # Against any other row nothing changes, and what is not tested is not in Holm's family.
    _, pairs = against("real-other", *rows, columns=columns)
    assert pairs["mine", "fvd"]["p"] is not None
    without = {name: column for name, column in columns.items() if name != "fvd"}
    _, alone = against("real", *rows, columns=without)
    _, together = against("real", *rows, columns=columns)
    assert all(together[key]["p"] == pair["p"] for key, pair in alone.items())


def ties(*rows, columns=COLUMNS):
    entries, _ = shown(*rows, columns=columns)
    return {entry["method"]: entry["tied"] for entry in entries}


def test_methods_that_are_not_told_apart_from_the_best_value_are_tied():
    x = rng(7).normal(20, 1, 90)
    noise = rng(8).normal(0, 0.5, 90)
    near = x - 0.01 + noise - noise.mean()
    rows = [
        row("best", run(clip_record(x), method="best", uses=["label"])),
        row("near", run(clip_record(near), method="near")),
        row("far", run(clip_record(x - 1), method="far")),
        row("copy-last", run(clip_record(x), method="copy-last", kind="null")),
        row("small", run(clip_record(x, limit=8), method="small", limit=8)),
    ]
    got = ties(*rows, columns={"psnr": PSNR})
    assert got == {"best": [], "near": ["psnr"], "far": [], "copy-last": [], "small": []}
