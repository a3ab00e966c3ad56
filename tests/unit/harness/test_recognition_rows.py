"""Recognised actions of a whole table: per class, per stream, confusion, McNemar."""

import json

import pytest
from scipy import stats as scipy_stats
from stored_rows import record, row, run, score

from vpbench.core.stats import mcnemar_exact, wilson
from vpbench.harness.results.ranking import Column
from vpbench.harness.results.recognition import recognition_json
from vpbench.harness.results.rows import row_json
from vpbench.render.recognition import recognition_lines

ACTION = Column("action", "cc", {}, "up", "", "clip")
COLUMNS = {"action": ACTION}
CLASSES = ["bow", "jump", "wave"]


def recognised(answers, streams=(), clusters=None):
    """A score over clips whose class is their number modulo 3 and which are taken for `answers`."""
    softmax = {f"{k:03}": [one_hot(a) for a in own] for k, own in enumerate(answers)}
    label = {f"{k:03}": k % 3 for k in range(len(answers))}
    shares = {c: sum(r.index(1.0) == label[c] for r in s) / len(s) for c, s in softmax.items()}
    found = {
        "classes": CLASSES,
        "label": label,
        "softmax": softmax,
        "streams": {name: softmax for name in streams},
    }
    value = sum(shares.values()) / len(shares)
    groups = clusters or {c: f"clip:{c}" for c in shares}
    return record(ACTION, shares, value, clusters=groups, recognition=found)


def one_hot(k):
    return [float(k == c) for c in range(3)]


def table(*rows):
    entries = [
        row_json(r, 16, COLUMNS, {"task": {"name": "t", "limit": None}, "dataset": "d"})
        for r in rows
    ]
    return recognition_json(rows, entries, 16, COLUMNS)


def test_counts_per_class_and_stream_with_wilsons_intervals():
    answers = [[k % 3] if k < 9 else [0] for k in range(12)]
    found = table(row("a", run(recognised(answers, streams=("temporal",)), method="a")))["action"]
    assert (found["classes"], found["chance"], found["pairs"]) == (CLASSES, 1 / 3, [])
    (only,) = found["rows"]
    assert only["confusion"] == [[4, 0, 0], [1, 3, 0], [1, 0, 3]]
    assert [(s["correct"], s["n"]) for s in only["classes"]] == [(4, 4), (3, 4), (3, 4)]
    assert only["overall"] == {"correct": 10, "n": 12, "share": 10 / 12, "ci95": [*wilson(10, 12)]}
    assert only["streams"] == {"temporal": only["overall"]}
    json.dumps(found, allow_nan=False)


def test_only_methods_are_paired_and_clips_are_paired_by_name():
    right = [[k % 3] for k in range(12)]
    some = [[k % 3 if k < 5 else (k + 1) % 3] for k in range(12)]
    found = table(
        row("a", run(recognised(right), method="a")),
        row("real", run(recognised(right), method="real", kind="ceiling")),
        row("b", run(recognised(some), method="b")),
    )["action"]
    assert [r["method"] for r in found["rows"]] == ["a", "real", "b"]
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"], pair["only_a"], pair["only_b"]) == ("a", "b", 7, 0)
    assert pair["p"] == pair["p_holm"] == mcnemar_exact(7, 0)


@pytest.mark.parametrize("kind", ["seeds", "samples", "groups"])
def test_clips_that_are_counted_more_than_once_have_counts_but_no_wilson_interval(kind):
    right = [[k % 3] for k in range(12)]
    runs = {
        "seeds": [run(recognised(right), seed=s) for s in (0, 1)],
        "samples": [run(recognised([a * 2 for a in right]))],
        "groups": [
            run(recognised(right, clusters={f"{k:03}": f"group:{k // 2}" for k in range(12)}))
        ],
    }[kind]
    (only,) = table(row("mine", *runs))["action"]["rows"]
    assert only["overall"]["n"] == (12 if kind == "groups" else 24)
    assert only["overall"]["share"] == 1 and only["overall"]["ci95"] is None


def test_predictions_of_one_clip_are_paired_by_clips():
    """As wrong labels of a clip are: all eight of a clip right or wrong together are one trial."""
    groups = {f"{k:03}": f"clip:{k // 8}" for k in range(96)}
    right = [[k % 3] for k in range(96)]
    some = [[k % 3 if k < 72 else (k + 1) % 3] for k in range(96)]
    found = table(
        row("a", run(recognised(right, clusters=groups), method="a")),
        row("b", run(recognised(some, clusters=groups), method="b")),
    )["action"]
    (pair,) = found["pairs"]
    theirs = scipy_stats.ttest_1samp([0.0] * 9 + [1.0] * 3, 0).pvalue
    assert (pair["test"], pair["p"]) == ("groups", pytest.approx(theirs))
    said = recognition_lines("action", found)[-2:]
    assert said[0].startswith("Tests on common clips (exact McNemar, or t over groups of clips)")
    assert "only the first 24, only the second 0 of 96; t over groups, p = 0.08" in said[1]


RIGHT = [[k % 3] for k in range(20)]
WRONG = [[1], [0], *RIGHT[2:]]
"""Two of 20 are wrong."""


@pytest.mark.parametrize(
    ("seeds", "low", "high"),
    [
        ([RIGHT, RIGHT], wilson(20, 20)[0], 1.0),
        ([WRONG, WRONG], *wilson(18, 20)),
        # Two clips are half right. The expanded tail of 20 clips is 1.6 %; that many resamples draw
        # them more than five times, for P(Bin(20, 0.1) >= 5) = 4.3 %, P(>= 6) = 1.1 %.
        ([RIGHT, WRONG], 1 - 5 * 0.5 / 20, 1.0),
    ],
)
def test_the_interval_of_a_share_over_seeds_stays_in_its_range(seeds, low, high):
    several = row("a", *(run(recognised(own), seed=k) for k, own in enumerate(seeds)))
    assert score(several, ACTION)["ci95"] == pytest.approx([low, high])


def test_the_interval_of_a_share_over_training_runs_stays_in_its_range():
    mixed = [run(recognised(own), fit_seed=k) for k, own in enumerate((RIGHT, WRONG, RIGHT))]
    got = score(row("a", *mixed), ACTION)
    assert got["ci95"][1] == 1.0 and got["ci95"][0] < got["value"] - 2 * got["se"]
    same = [run(recognised(RIGHT), fit_seed=k) for k in range(3)]
    assert score(row("a", *same), ACTION)["ci95"] == [*wilson(20, 20)]


def test_columns_without_distributions_are_left_out():
    plain = {k: v for k, v in recognised([[0]] * 9).items() if k != "recognition"}
    assert table(row("a", run(plain)), row("b")) == {}
