"""Rows over several seeds and training runs, ranks and marks, from stored scores."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.core.jackknife import corrected, jackknife
from vpbench.core.rundir import RunDir
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.ranking import Column, Row, judge, row_difference
from vpbench.harness.results.rows import fill_floors, row_json

FRAMES = 16
PSNR = Column("psnr", "aa", {}, "up", "dB", "clip")
FVD = Column("fvd", "bb", {}, "down", "", "set")
COLUMNS = {"psnr": PSNR, "fvd": FVD}


def rng(seed=0):
    return np.random.default_rng(seed)


def record(column, per_clip, value, **more):
    fields = {
        "metric": column.metric,
        "kind": column.kind,
        "fp8": column.short_fingerprint,
        "fingerprint": {},
        "direction": column.direction,
        "unit": column.unit,
        "frames": FRAMES,
        "value": value,
        "reason": None,
        "se": 1.0,
        "ci95": [value - 2, value + 2] if value is not None else None,
        "n": len(per_clip),
        "p": None,
        "floor": None,
        "per_clip": per_clip,
        "clusters": {},
    }
    return {**fields, **more}


def clip_record(values, column=PSNR, clusters=None, **more):
    per_clip = {f"{k:03}": None if math.isnan(v) else float(v) for k, v in enumerate(values)}
    known = [v for v in per_clip.values() if v is not None]
    value = sum(known) / len(known) if known else None
    return record(column, per_clip, value, clusters=clusters or {}, **more)


def variance(x):
    return float(((x - x.mean()) ** 2).mean())


def set_record(x, column=FVD, **more):
    """A set metric of clips x: their plug-in variance, whose bias is known."""
    left = {f"{k:03}": variance(np.delete(x, k)) for k in range(len(x))}
    return record(column, left, variance(x), **more)


def run(*records, method="mine", kind="method", seed=0, fit_seed=None, uses=(), limit=None):
    stage = {
        "stage": "s",
        "origin": "fitted",
        "seconds": 1.0,
        "device": "cpu",
        "threads": 1,
        "checks": [],
        "notes": [],
        "not_comparable": [],
    }
    inputs = {
        "method": method,
        "kind": kind,
        "task": {"id": "t", "n": 90, "limit": limit},
        "conditioning_frames": 1,
        "uses": list(uses),
        "samples": 1,
        "seed": seed,
        "fit_seed": fit_seed,
        "notes": [],
        "dataset": "d",
    }
    manifest = {"notes": [], "stages": [] if fit_seed is None else [stage], "closed": 0.0}
    scores = {(r["metric"], r["frames"]): r for r in records}
    return FinishedRun(RunDir(Path("/nowhere")), inputs, manifest, scores)


def row(name, *runs):
    return Row(name, list(runs))


def shown(*rows, columns=COLUMNS):
    inputs = {"task": {"limit": None, "name": "t"}, "dataset": "d"}
    entries = [row_json(r, FRAMES, columns, inputs) for r in rows]
    return entries, judge(rows, entries, FRAMES, columns)


def score(row_, column=PSNR):
    name = column.metric
    return shown(row_, columns={name: column})[0][0]["scores"][name]


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
