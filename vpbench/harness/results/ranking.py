"""Ranks, ties and nulls: which figures of a table differ significantly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from vpbench.core import schema, stats
from vpbench.core.records import ScoreRecord
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.scoring.score import clip_interval

NULLS = ("copy-last", "linear", "blur-copy", "noise")


@dataclass
class Column:
    """One metric with one fingerprint."""

    metric: str
    short_fingerprint: str
    fingerprint: dict[str, Any]
    direction: Literal["up", "down"]
    unit: str
    kind: str


@dataclass
class Row:
    """One method in one task: all its runs.

    Attributes:
        unable: why it has none and never will, such as "needs pose"; "" where it could.
        failed: why the last attempt failed; its earlier runs are not shown then.
        doubts: why its results may not be what a run would make now.
    """

    name: str
    runs: list[FinishedRun]
    unable: str = ""
    failed: str = ""
    doubts: list[str] = field(default_factory=list[str])

    def records(
        self, metric: str, frames: int, short_fingerprint: str | None = None
    ) -> list[ScoreRecord]:
        """Scores of all its runs, of one fingerprint where one is named."""
        scores = [r.scores[metric, frames] for r in self.runs if (metric, frames) in r.scores]
        return [s for s in scores if short_fingerprint is None or s["fp8"] == short_fingerprint]


def per_clip(records: Sequence[ScoreRecord]) -> dict[str, float]:
    """Mean over runs of each clip's value, for clips that have one in every run."""
    means: dict[str, float] = {}
    for clip in sorted(records[0]["per_clip"]):
        values = [r["per_clip"].get(clip) for r in records]
        if None not in values:
            means[clip] = sum(cast("list[float]", values)) / len(values)
    return means


def difference(a: Row, b: Row, frames: int, column: Column) -> stats.Interval | None:
    """The paired interval of a - b; None where the two have nothing in common."""
    one, other = (r.records(column.metric, frames, column.short_fingerprint) for r in (a, b))
    if not one or not other:
        return None
    if column.kind == "clip":
        mine, theirs = per_clip(one), per_clip(other)
        common = sorted(mine.keys() & theirs.keys())
        differences = [mine[k] - theirs[k] for k in common]
        return clip_interval(differences, [one[0]["clusters"].get(k, "") for k in common])[0]
    left, right = one[0], other[0]
    if left["per_clip"].keys() != right["per_clip"].keys() or left["value"] is None:
        return None
    if right["value"] is None or not left["per_clip"]:
        return None
    return stats.jackknife_difference(
        per_clip([left]), per_clip([right]), left["value"], right["value"]
    )


def rank(
    rows: Sequence[Row], shown: Sequence[schema.RowJson], frames: int, name: str, column: Column
) -> None:
    """Ranks of methods within equal conditioning; none where the training variance is not known."""
    pools: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for k, row in enumerate(shown):
        if row["kind"] == "method" and row["scores"][name]["value"] is not None:
            pools[row["conditioning_frames"], tuple(row["uses"])].append(k)
    for pool in pools.values():
        unknown_variance = any(
            shown[k]["checkpoint"] and len(shown[k]["fit_seeds"]) < 3 for k in pool
        )
        excluded = any(shown[k]["not_comparable"] for k in pool)
        if len(pool) < 2 or unknown_variance or excluded:
            continue

        def differ(i: int, j: int, pool: list[int] = pool) -> bool:
            interval = difference(rows[pool[i]], rows[pool[j]], frames, column)
            return interval is not None and interval.excludes(0.0)

        ranks = stats.tie_groups(
            [shown[k]["scores"][name]["value"] for k in pool], column.direction, differ
        )
        for k, rank in zip(pool, ranks, strict=True):
            shown[k]["scores"][name]["rank"] = rank


def note_nulls(
    rows: Sequence[Row], shown: Sequence[schema.RowJson], frames: int, column: Column
) -> None:
    """Note where a method is not distinguishable from a null."""
    nulls = [r for r in rows if r.name in NULLS and r.runs]
    for row, entry in zip(rows, shown, strict=True):
        if entry["kind"] != "method":
            continue
        for null in nulls:
            interval = difference(row, null, frames, column)
            if interval is not None and interval.low is not None and not interval.excludes(0.0):
                note = f"not distinguishable from {null.name} ({column.metric})"
                if note not in entry["notes"]:
                    entry["notes"].append(note)
