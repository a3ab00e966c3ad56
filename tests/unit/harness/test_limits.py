"""Which rows take a method's error apart, and what is shown of them, from made scores."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from stored_rows import (
    FVD,
    PSNR,
    clip_record,
    record,
    rng,
    run,
    set_record,
    shown,
)

from vpbench.api.errors import MissingData
from vpbench.core.names import MethodRef
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph
from vpbench.harness.figures.limit_rows import LimitGroup, LimitRow, limit_groups
from vpbench.harness.figures.limit_scores import LimitScores
from vpbench.harness.figures.limits import limits_figure
from vpbench.harness.results.ranking import Row

TASK = SimpleNamespace(id="t", name="t", dataset="d", horizon=16)


@pytest.fixture(scope="module")
def plugins():
    return registry(())


def groups(plugins, *names, preset=None):
    refs = [MethodRef.parse(name) for name in names]
    return {g.title: g.rows for g in limit_groups(refs, plugins, 64, preset)}


# Which rows.


def test_a_composed_method_has_its_oracle_and_reference_motions(plugins):
    (rows,) = groups(plugins, "ours").values()
    assert {(r.method, r.mark, r.label) for r in rows} == {
        ("ours", "method", "as it is"),
        ("ours-oracle", "oracle", "ours-oracle"),
        ("ours[motion=class-mean]", "reference", "motion=class-mean"),
        ("ours[motion=nearest-train]", "reference", "motion=nearest-train"),
    }
    assert rows[0].mark == "method"


@pytest.mark.parametrize(
    "name",
    [
        "ours[preset=gpu]",
        "ours[preset=gpu,skips=on,residual=on]",
        "ours[n_keypoints=20,steps=30]",
        "ours[preset=smoke,motion=frozen]",
    ],
)
def test_oracles_and_reference_motions_share_the_methods_own_stages(plugins, name):
    def keys(method):
        graph = stage_graph(method, {"id": "x"}, 64, plugins, 0)
        return {node.label: node.key for node in graph}

    def of(text):
        return keys(resolve(MethodRef.parse(text), plugins, 64))

    own = of(name)
    for row in groups(plugins, name)[resolve(MethodRef.parse(name), plugins, 64).name]:
        assert of(row.method)["ours:keypoints"] == own["ours:keypoints"], row.method


def test_a_method_with_a_switch_is_its_own_oracle(plugins):
    shown = groups(plugins, "li[refiner=off]", "li", "li[oracle=on]", "copy-last", preset="gpu")
    assert {k: [(r.method, r.mark, r.label) for r in v] for k, v in shown.items()} == {
        "li[refiner=off]": [
            ("li[refiner=off]", "method", "as it is"),
            ("li[refiner=off,oracle=on]", "oracle", "oracle=on"),
            ("li", "variant", "refiner=on"),
            ("li[oracle=on]", "oracle", "oracle=on, refiner=on"),
        ],
        "copy-last": [("copy-last", "method", "as it is")],
    }


def test_an_oracle_that_is_named_alone_heads_its_group(plugins):
    assert [r.mark for r in groups(plugins, "ours-oracle")["ours-oracle"]] == ["oracle"]
    both = groups(plugins, "ours-oracle[preset=smoke]", "ours")
    assert [r.method for r in both["ours"]][-1] == "ours-oracle[preset=smoke]"


def test_a_motion_model_that_is_a_reference_already_is_not_repeated(plugins):
    (rows,) = groups(plugins, "ours[motion=class-mean]").values()
    assert [r.method for r in rows].count("ours[motion=class-mean]") == 1
    assert rows[0].mark == "method"


# What is shown of them.


def scores(metric, column, **rows):
    """Tables of rows that have records; `None` for one that was not run."""
    made = [
        Row(name, [] if records is None else [run(*records, method=name)])
        for name, records in rows.items()
    ]
    entries, comparisons = shown(*made, columns={metric: column})
    fields = {"fingerprint": column.short_fingerprint, "direction": column.direction, "unit": ""}
    group = {
        "task": {},
        "frames": 16,
        "metrics": {metric: fields},
        "rows": entries,
        "comparisons": comparisons,
    }
    return LimitScores(group, [one for row in made for one in row.runs], TASK, metric)


def figure(table, *names):
    rows = [LimitRow(name, "variant", name) for name in names]
    return limits_figure([LimitGroup(SimpleNamespace(name=names[0]), rows)], table)


def stored_set(x):
    """A variance with its bias taken off, as scoring stores it; the truth is known: ddof=1."""
    n, half = len(x), 1.96 * 0.1
    value = float(x.var(ddof=1))
    more = {"bias": -value / n, "corrected": value, "corrected_se": 0.1}
    return set_record(x, **more, corrected_ci95=[value - half, value + half])


def test_values_stand_without_bias_and_differences_are_paired():
    x = rng(3).normal(0, 1, 40)
    y = x * 0.7 + rng(4).normal(0, 0.05, 40)
    table = scores("fvd", FVD, mine=[stored_set(x)], oracle=[stored_set(y)], real=None)
    drawn = figure(table, "mine", "oracle")
    made = drawn.record
    mine, oracle = made["groups"][0]["rows"]
    assert made["corrected"] and made["direction"] == "down"
    assert [mine["value"], oracle["value"]] == pytest.approx([x.var(ddof=1), y.var(ddof=1)])
    assert mine["difference"] is None and mine["difference_ci95"] is None
    assert oracle["difference"] == pytest.approx(y.var(ddof=1) - x.var(ddof=1))
    # by pseudo-values of the difference, whose mean has Student's interval
    n = len(x)
    left = [np.delete(y, k).var() - np.delete(x, k).var() for k in range(n)]
    pseudo = n * (y.var() - x.var()) - (n - 1) * np.array(left)
    theirs = scipy_stats.ttest_1samp(pseudo, 0).confidence_interval(0.95)
    assert oracle["difference_ci95"] == pytest.approx([theirs.low, theirs.high])
    plot = drawn.sheets["limits"]
    assert "without bias" in plot.axis and plot.groups[0].rows[1].value == oracle["value"]


@pytest.mark.parametrize("n", [9, 90])
def test_a_metric_of_clips_is_shown_as_it_is(n):
    x, y = rng(1).normal(20, 1, n), rng(2).normal(22, 1, n)
    table = scores("psnr", PSNR, mine=[clip_record(x)], oracle=[clip_record(y)])
    made = figure(table, "mine", "oracle").record
    theirs = scipy_stats.ttest_rel(y, x).confidence_interval(0.95)
    row = made["groups"][0]["rows"][1]
    assert not made["corrected"] and row["value"] == pytest.approx(y.mean())
    assert row["difference_ci95"] == pytest.approx([theirs.low, theirs.high])


def test_what_is_missing_is_named_with_the_command_that_makes_it():
    x = rng(5).normal(0, 1, 20)
    rows = {
        "mine": [stored_set(x)],
        "mine[oracle=on]": None,
        "scored": [],
        "linear": [record(FVD, {}, 3.0)],
    }
    table = scores("fvd", FVD, **rows)
    drawn = figure(table, "mine", "mine[oracle=on]", "scored", "unheard")
    run_it = "vpbench run '{}' --dataset d --task t".format
    wanted = {
        "mine[oracle=on]": ("not run", run_it("mine[oracle=on]")),
        "scored": ("not scored", "vpbench score scored --dataset d --task t --metrics fvd"),
        "unheard": ("not run", run_it("unheard").replace("'", "")),
        "real-other": ("not run", run_it("real-other").replace("'", "")),
        "copy-last": ("not run", run_it("copy-last").replace("'", "")),
        "linear": ("too few clips for a figure without bias", None),
    }
    missing = {m["method"]: (m["reason"], m["command"]) for m in drawn.record["missing"]}
    assert missing == wanted
    texts = [row.note for row in drawn.sheets["limits"].groups[0].rows]
    assert texts == ["", *(": ".join(wanted[n]) for n in list(wanted)[:3])]


@pytest.mark.parametrize("metric", ["fvd", "psnr"])
def test_without_any_score_there_is_no_figure(metric):
    table = scores("psnr", PSNR, mine=[clip_record(rng().normal(20, 1, 9))], other=None)
    with pytest.raises(MissingData, match=r"no row has a score of psnr: other is not run"):
        figure(table, "other")
    table.group["metrics"] = {}
    with pytest.raises(MissingData, match=f"has a score of {metric}") as error:
        LimitScores(table.group, table.runs, TASK, metric)
    assert error.value.fix.endswith(f"vpbench score mine --dataset d --task t --metrics {metric}")


def test_rows_that_may_not_be_ranked_say_so():
    made = [clip_record(rng(k).normal(20, 1, 9)) for k in (0, 1)]
    table = scores("psnr", PSNR, mine=[made[0]], short=[made[1]])
    table.rows["short"]["not_comparable"].append("a few training steps only")
    drawn = figure(table, "mine", "short")
    assert [r.label for r in drawn.sheets["limits"].groups[0].rows] == [
        "mine",
        "short (not comparable)",
    ]
    (_, row) = drawn.record["groups"][0]["rows"]
    assert row["not_comparable"] == ["a few training steps only"]
