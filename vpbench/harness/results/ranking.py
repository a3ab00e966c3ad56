"""Ranks, ties and nulls: which figures of a table differ significantly."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vpbench.core import schema
from vpbench.core.estimators import has_bias
from vpbench.core.intervals import MIN_FITS
from vpbench.core.records import ScoreRecord
from vpbench.core.samples import (
    Difference,
    Direction,
    Sample,
    clip_sample,
    difference,
    set_sample,
)
from vpbench.core.simultaneous import (
    LEVEL,
    Cell,
    NullTest,
    PairTest,
    TableTests,
    judge_pairs,
    judge_table,
)
from vpbench.harness.results.finished_runs import FinishedRun

NULLS = ("copy-last", "linear", "blur-copy", "noise")


@dataclass
class Column:
    """One metric with one fingerprint."""

    metric: str
    short_fingerprint: str
    fingerprint: dict[str, Any]
    direction: Direction
    unit: str
    kind: str


@dataclass
class Row:
    """One method in one task: all its runs that may be averaged.

    Attributes:
        label: its name within the table, where each is there once; "" for that of the method.
        unable: why it has none and never will, such as "needs pose"; "" where it could.
        failed: why the last attempt failed; its earlier runs are not shown then.
        doubts: why its results may not be what a run would make now.
        implausible: its frames are those of the true future, nearly or exactly.
    """

    name: str
    runs: list[FinishedRun]
    unable: str = ""
    failed: str = ""
    doubts: list[str] = field(default_factory=list[str])
    implausible: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or self.name

    def fits(self, frames: int, column: Column) -> list[list[ScoreRecord]]:
        """Scores in one column: a list for each training run, with one entry a seed."""
        by_fit: dict[int | None, list[ScoreRecord]] = defaultdict(list)
        for run in self.runs:
            record = run.scores.get((column.metric, frames))
            if record is not None and record["fp8"] == column.short_fingerprint:
                by_fit[run.inputs["fit_seed"]].append(record)
        return list(by_fit.values())


def mean_value(records: Sequence[ScoreRecord]) -> float | None:
    """Mean of the values of several seeds; None where one has none."""
    values = [r["value"] for r in records]
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def mean_per_clip(records: Sequence[ScoreRecord]) -> dict[str, float | None]:
    """Mean over several seeds of each clip's value, or of each leave-one-out value.

    None for a clip that has none in one of them.
    """
    names = sorted(set[str]().union(*(r["per_clip"] for r in records)))
    means: dict[str, float | None] = {}
    for name in names:
        values = [r["per_clip"].get(name) for r in records]
        known = [v for v in values if v is not None]
        means[name] = sum(known) / len(known) if len(known) == len(values) else None
    return means


def sample_of(row: Row, frames: int, column: Column) -> Sample | None:
    """What differences of a row are computed from: training runs apart, seeds averaged.

    None where it has no figure that stands on clips.
    """
    fits = row.fits(frames, column)
    if not fits:
        return None
    clips = [mean_per_clip(records) for records in fits]
    if column.kind == "clip":
        return clip_sample(clips, fits[0][0]["clusters"])
    values = [v for records in fits if (v := mean_value(records)) is not None]
    first = fits[0][0]
    return set_sample(values, clips, first.get("shares"), biased=has_bias(first["fingerprint"]))


def row_difference(a: Row, b: Row, frames: int, column: Column) -> Difference | None:
    """The paired difference a - b; None where a row has no figure that stands on clips."""
    one, other = sample_of(a, frames, column), sample_of(b, frames, column)
    return None if one is None or other is None else difference(one, other)


def judge(
    rows: Sequence[Row],
    shown: Sequence[schema.RowJson],
    frames: int,
    columns: Mapping[str, Column],
) -> schema.ComparisonsJson:
    """Put ranks, and what stands against the nulls, into the rows of one table.

    Returns:
        How many comparisons there were.
    """
    names = list(columns)
    samples = samples_of(rows, shown, frames, columns)
    tests = judge_table(
        samples,
        [column.direction for column in columns.values()],
        [k for k, entry in enumerate(shown) if entry["kind"] == "method"],
        [k for k, row in enumerate(rows) if row.name in NULLS and row.runs],
        _pools(shown),
    )
    for (k, metric), rank in tests.ranks.items():
        shown[k]["scores"][names[metric]]["rank"] = rank
    for (k, null, metric), test in tests.nulls.items():
        shown[k]["nulls"].append(_null_json(names[metric], rows[null].label, test))
        note = _mark(test, rows[null].label, columns[names[metric]].metric)
        if note and note not in shown[k]["notes"]:
            shown[k]["notes"].append(note)
    _put_ties(samples, shown, columns, tests)
    return {"nulls": tests.n_nulls, "pairs": tests.n_pairs, "level": LEVEL}


def samples_of(
    rows: Sequence[Row],
    shown: Sequence[schema.RowJson],
    frames: int,
    columns: Mapping[str, Column],
) -> dict[Cell, Sample]:
    """(row, metric) -> what its figure stands on; cells without a figure or clips are left out."""
    samples: dict[Cell, Sample] = {}
    for k, row in enumerate(rows):
        for metric, (name, column) in enumerate(columns.items()):
            scored = shown[k]["scores"][name]["value"] is not None
            sample = sample_of(row, frames, column) if scored else None
            if sample is not None:
                samples[k, metric] = sample
    return samples


def _put_ties(
    samples: Mapping[Cell, Sample],
    shown: Sequence[schema.RowJson],
    columns: Mapping[str, Column],
    tests: TableTests,
) -> None:
    """Note in each method in which metrics it is not told apart from the best value shown.

    All pairs of methods are one family, whatever they are given: this ranks nothing. Where two
    methods are ranked with each other, their ranks decide.
    """
    methods = [
        k for k, row in enumerate(shown) if row["kind"] == "method" and not row["not_comparable"]
    ]
    apart = {
        (a, b, m): difference(samples[a, m], samples[b, m])
        for m in range(len(columns))
        for a, b in itertools.combinations(methods, 2)
        if (a, m) in samples and (b, m) in samples
    }
    directions: list[Direction] = [column.direction for column in columns.values()]
    sides: dict[tuple[int, int, int], Direction] = {key: directions[key[2]] for key in apart}
    pairs: dict[tuple[int, int, int], PairTest] = {
        **judge_pairs(apart, sides),
        **tests.pairs,
    }
    for m, name in enumerate(columns):
        known = {
            k: f for k in methods if (f := schema.compared(shown[k]["scores"][name])) is not None
        }
        if not known:
            continue
        best = (max if directions[m] == "up" else min)(known, key=lambda k: known[k])
        for k in known:
            test = pairs.get((min(k, best), max(k, best), m))
            if test is not None and test.p is not None and not test.better:
                shown[k]["tied"].append(name)


def _pools(shown: Sequence[schema.RowJson]) -> list[list[int]]:
    """Methods of equal conditioning; none where the variance between training runs is unknown."""
    pools: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for k, row in enumerate(shown):
        scored = any(score["value"] is not None for score in row["scores"].values())
        if row["kind"] == "method" and scored:
            pools[row["conditioning_frames"], tuple(row["uses"])].append(k)
    return [
        pool
        for pool in pools.values()
        if not any(shown[k]["not_comparable"] or _few_fits(shown[k]) for k in pool)
    ]


def _few_fits(row: schema.RowJson) -> bool:
    return row["checkpoint"] is not None and len(row["fit_seeds"]) < MIN_FITS


def _null_json(metric: str, null: str, test: NullTest) -> schema.NullJson:
    ends = test.difference.interval()
    return {
        "metric": metric,
        "null": null,
        "difference": test.difference.estimate,
        "se": test.difference.se,
        "ci95": None if ends is None else list(ends),
        "p": test.p,
        "claim": test.claim,
        "reason": test.difference.reason or None,
    }


def _mark(test: NullTest, null: str, metric: str) -> str:
    """What the row's notes say; "" where it is better, or where nothing can be said."""
    words = {"worse": "worse than", "not better": "not better than"}
    return f"{words[test.claim]} {null} ({metric})" if test.claim in words else ""
