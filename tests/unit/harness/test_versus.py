"""Differences to one row of a table, ties with the best value, and what n clips could show."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from stored_rows import (
    COLUMNS,
    FRAMES,
    FVD,
    PSNR,
    clip_record,
    rng,
    row,
    run,
    set_record,
    shown,
)

from vpbench.core.samples import Difference
from vpbench.harness.results.versus import POWER, detectable, versus


def against(chosen, *rows, columns=None):
    columns = columns or {"psnr": PSNR}
    entries, _ = shown(*rows, columns=columns)
    made = versus(chosen, rows, entries, FRAMES, columns)
    return made, {(p["method"], p["metric"]): p for p in made["pairs"]}


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
