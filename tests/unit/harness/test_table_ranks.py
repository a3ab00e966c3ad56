"""Ranks and marks of rows, from stored scores."""

import json
import math

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

from vpbench.harness.results.ranking import Column, row_difference

# Ranks and marks.


def table(*rows, columns=COLUMNS):
    entries, comparisons = shown(*rows, columns=columns)
    ranks = {e["method"]: {k: s["rank"] for k, s in e["scores"].items()} for e in entries}
    return entries, ranks, comparisons


def level(name, mean, seed, *, kind="method", fit_seed=None, n=90, **more):
    return run(
        clip_record(mean + rng(99).normal(0, 1, n) + rng(seed).normal(0, 0.3, n)),
        method=name,
        kind=kind,
        fit_seed=fit_seed,
        **more,
    )


def test_methods_are_ranked_and_nulls_are_not():
    rows = [
        row("a", level("a", 21, 1)),
        row("b", level("b", 23, 2)),
        row("c", level("c", 23, 3)),
        row("copy-last", level("copy-last", 20, 4, kind="null")),
    ]
    _, ranks, comparisons = table(*rows, columns={"psnr": PSNR})
    assert ranks == {
        "a": {"psnr": "3"},
        "b": {"psnr": "1–2"},
        "c": {"psnr": "1–2"},
        "copy-last": {"psnr": None},
    }
    assert comparisons == {"nulls": 3, "pairs": 3, "level": 0.05}


@pytest.mark.parametrize(("fits", "ranked"), [(1, False), (2, False), (3, True)])
def test_trained_methods_are_ranked_from_three_fits_on(fits, ranked):
    rows = [
        row(name, *(level(name, mean, 10 * k, fit_seed=k) for k in range(fits)))
        for name, mean in (("a", 20), ("b", 25))
    ]
    _, ranks, _ = table(*rows, columns={"psnr": PSNR})
    assert ranks["b"]["psnr"] == ("1" if ranked else None)


def test_the_order_of_fits_decides_nothing():
    """A's first fit is its best one; its mean is worse than B's."""

    def fitted(name, levels):
        return row(name, *(level(name, v, 50 + k, fit_seed=k) for k, v in enumerate(levels)))

    a, b = fitted("a", (30.0, 20.0, 20.1)), fitted("b", (24.0, 24.1, 23.9))
    got = row_difference(a, b, FRAMES, PSNR)
    assert got.estimate == pytest.approx(-2 / 3 + 0.03, abs=0.1)
    assert got.interval()[0] < 0 < got.interval()[1]


def test_unequal_conditioning_is_not_ranked_together():
    rows = [row("a", level("a", 20, 1)), row("b", level("b", 25, 2, uses=("label",)))]
    assert table(*rows, columns={"psnr": PSNR})[1]["b"]["psnr"] is None
    limited = [row("a", level("a", 20, 1)), row("b", level("b", 25, 2, limit=8))]
    assert table(*limited, columns={"psnr": PSNR})[1]["b"]["psnr"] is None


def test_marks_against_nulls():
    rows = [
        row("worse", level("worse", 18, 1)),
        row("same", level("same", 20, 2)),
        row("better", level("better", 22, 3)),
        row("copy-last", level("copy-last", 20, 4, kind="null")),
        row("noise", level("noise", 8, 5, kind="null")),
        row("real-other", level("real-other", 8, 6, kind="floor")),
    ]
    entries, _, comparisons = table(*rows, columns={"psnr": PSNR})
    notes = {e["method"]: e["notes"] for e in entries}
    assert notes["worse"] == ["worse than copy-last (psnr)"]
    assert notes["same"] == ["not better than copy-last (psnr)"]
    assert notes["better"] == notes["copy-last"] == notes["real-other"] == []
    assert comparisons["nulls"] == 6
    against = {n["null"]: n for n in entries[0]["nulls"]}
    one, other = (rows[k].runs[0].scores["psnr", FRAMES]["per_clip"] for k in (0, 3))
    paired = scipy_stats.ttest_rel(list(one.values()), list(other.values()))
    got = against["copy-last"]
    assert got["claim"] == "worse" and got["metric"] == "psnr"
    assert got["difference"] == pytest.approx(-2.0, abs=0.2)
    assert got["se"] == pytest.approx(got["difference"] / paired.statistic)
    assert got["ci95"] == pytest.approx(list(paired.confidence_interval()))
    assert against["noise"]["claim"] == "better"


def test_a_set_metric_is_judged_without_its_bias():
    """Two rows of equal population, one paired with its targets: the plain values differ by far."""
    spread = rng(11).normal(0, 3, 90)

    def biased(bias, seed):
        value, own = 500.0 + bias, spread + rng(seed).normal(0, 1, 90)
        left = {f"{k:03}": value + (bias + own[k] - own.mean()) / 89 for k in range(90)}
        return record(FVD, left, value)

    rows = [
        row("a", run(biased(400.0, 1))),
        row("b", run(biased(150.0, 2))),
        row("copy-last", run(biased(270.0, 3), kind="null")),
    ]
    entries, ranks, _ = table(*rows, columns={"fvd": FVD})
    assert [e["scores"]["fvd"]["corrected"] for e in entries] == pytest.approx([500.0] * 3)
    assert ranks["a"]["fvd"] == ranks["b"]["fvd"] == "1–2"
    assert entries[0]["nulls"][0]["difference"] == pytest.approx(0.0, abs=1e-6)
    assert entries[0]["notes"] == ["not better than copy-last (fvd)"]


def test_holm_spans_all_metrics_and_nulls():
    """One borderline difference is a claim alone, and none among twelve."""
    noise = rng(12).normal(0, 1, 90)
    noise -= noise.mean()
    shift = 2.3 * noise.std(ddof=1) / math.sqrt(90)
    metrics = {f"m{k}": Column(f"m{k}", f"f{k}", {}, "up", "", "clip") for k in range(6)}

    def rows(names):
        own = [clip_record(noise + shift if k == "m0" else noise * 1.01, metrics[k]) for k in names]
        still = [clip_record(np.zeros(90), metrics[k]) for k in names]
        other = [clip_record(np.zeros(90), metrics[k]) for k in names]
        return [
            row("a", run(*own)),
            row("copy-last", run(*still, kind="null")),
            row("blur-copy", run(*other, kind="null")),
        ]

    alone, _, _ = table(*rows(["m0"])[:2], columns={"m0": metrics["m0"]})
    assert alone[0]["nulls"][0]["claim"] == "better"
    many, _, comparisons = table(*rows(metrics), columns=metrics)
    assert {n["claim"] for n in many[0]["nulls"]} == {"not better"}
    assert comparisons["nulls"] == 12


def test_other_clips_of_a_set_are_no_comparison():
    rows = [
        row("a", run(set_record(rng(1).normal(size=30)))),
        row("copy-last", run(set_record(rng(2).normal(size=29)), kind="null")),
    ]
    entries, _, comparisons = table(*rows, columns={"fvd": FVD})
    (against,) = entries[0]["nulls"]
    assert (against["claim"], against["reason"]) == (None, "scored over different clips")
    assert comparisons["nulls"] == 0 and entries[0]["notes"] == []


def degenerate(kind, k):
    """Two columns of a row of which little can be said."""
    values = {
        "two clips": rng(k).normal(20, 1, 2),
        "one clip": rng(k).normal(20, 1, 1),
        "identical rows": np.arange(20.0),
        "all equal": np.full(20, 7.0),
        "zeros": np.zeros(20),
        "one cluster": rng(k).normal(20, 1, 20),
        "huge": rng(k).normal(1e300, 1e290, 20),
        "no common clips": rng(k).normal(20, 1, 20),
        "gaps": np.where(np.arange(20) % 3 == k, math.nan, rng(k).normal(20, 1, 20)),
    }[kind]
    clusters = {f"{j:03}": "all" for j in range(20)} if kind == "one cluster" else None
    one = clip_record(values, clusters=clusters)
    if kind == "no common clips":
        one["per_clip"] = {f"{k}-{name}": v for name, v in one["per_clip"].items()}
    known = values[~np.isnan(values)]
    other = set_record(known) if len(known) > 1 and kind != "huge" else record(FVD, {}, None)
    return one, other


@pytest.mark.parametrize(
    "kind",
    [
        "two clips",
        "one clip",
        "identical rows",
        "all equal",
        "zeros",
        "one cluster",
        "huge",
        "no common clips",
        "gaps",
    ],
)
def test_what_little_is_known_has_a_reason_and_is_never_nan(kind):
    rows = [
        row("a", run(*degenerate(kind, 0), method="a")),
        row("b", run(*degenerate(kind, 1), method="b")),
        row("copy-last", run(*degenerate(kind, 2), method="copy-last", kind="null")),
    ]
    entries, ranks, comparisons = table(*rows)
    json.dumps([entries, comparisons], allow_nan=False)
    against = [n for e in entries for n in e["nulls"]]
    assert all((n["se"] is None) == (n["claim"] is None) == bool(n["reason"]) for n in against)
    if kind in ("identical rows", "all equal", "zeros"):
        assert ranks["a"] == ranks["b"] == {"psnr": "1–2", "fvd": "1–2"}
        assert {n["claim"] for n in against} == {"not better"}
        assert {(n["difference"], n["se"]) for n in against} == {(0.0, 0.0)}
    if kind in ("two clips", "one clip", "one cluster", "no common clips"):
        assert ranks["a"]["psnr"] is None
        assert all(n["claim"] is None for n in against if n["metric"] == "psnr")
