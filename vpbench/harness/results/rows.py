"""Rows of a comparison as JSON: figures over all runs of a method, and the notes beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from vpbench.core import schema, stats
from vpbench.core.acceptance import StageNotes, not_comparable_notes
from vpbench.core.options import TRAIN
from vpbench.core.records import RunInputs, ScoreRecord
from vpbench.harness.results.finished_runs import FinishedRun, training
from vpbench.harness.results.ranking import Column, Row, per_clip
from vpbench.harness.scoring.score import clip_interval


def fill_floors(rows: Sequence[schema.RowJson], columns: Mapping[str, Column]) -> None:
    """The floor of a set metric is the value of other real clips in the same column."""
    for name, column in columns.items():
        floor = next((r["scores"][name]["value"] for r in rows if r["kind"] == "floor"), None)
        if column.kind == "set" and floor is not None:
            for row in rows:
                if row["scores"][name]["value"] is not None:
                    row["scores"][name]["floor"] = floor


def row_json(
    row: Row, frames: int, columns: Mapping[str, Column], inputs: RunInputs
) -> schema.RowJson:
    """A row of one table; a method without a run has a dash with the reason in every column."""
    if not row.runs:
        why = f"not run: `{run_command(row.name, inputs)}`"
        if row.failed:
            why = f"failed: {row.failed}"
        elif row.unable:
            why = f"n/a ({row.unable})"
        scores = {
            name: schema.score_json(None, n=0, fingerprint=c.short_fingerprint, reason=why)
            for name, c in columns.items()
        }
        return {
            "method": row.name,
            "kind": "method",
            "conditioning_frames": None,
            "uses": [],
            "n": None,
            "samples": None,
            "seeds": [],
            "fit_seeds": [],
            "checkpoint": None,
            "scores": scores,
            "notes": [] if scores else [why],
            "not_comparable": [],
        }
    first = row.runs[0].inputs
    return {
        "method": row.name,
        "kind": first["kind"],
        "conditioning_frames": first["conditioning_frames"],
        "uses": first["uses"],
        "n": first["task"]["n"],
        "samples": first["samples"],
        "seeds": sorted({r.inputs["seed"] for r in row.runs}),
        "fit_seeds": sorted({s for r in row.runs if (s := r.inputs["fit_seed"]) is not None}),
        "checkpoint": training(row.runs[0]),
        "scores": {name: _score(row, frames, c) for name, c in columns.items()},
        "notes": _notes(row),
        "not_comparable": _not_comparable(row),
    }


def run_command(method: str, inputs: RunInputs) -> str:
    """The command that makes a missing run of a task."""
    task = inputs["task"]
    named = f"'{method}'" if "[" in method else method
    dataset = inputs["dataset"]
    quoted = f"'{dataset}'" if any(c in dataset for c in "[ ") else dataset
    own = (
        ""
        if dataset.startswith("folder:") or task["name"] == dataset
        else f" --task {task['name']}"
    )
    limit = f" --limit {task['limit']}" if task["limit"] else ""
    return f"vpbench run {named} --dataset {quoted}{own}{limit}"


def _notes(row: Row) -> list[str]:
    """What a reader of the row must know, each once."""
    notes = [
        f"{text}: `{run_command(row.name, row.runs[0].inputs)}` checks it" for text in row.doubts
    ]
    for run in row.runs:
        notes += run.manifest["notes"]
        notes += not_comparable_notes(_limited(run))
        if run.train_on != TRAIN:
            notes.append(f"trained on {run.train_on}")
        for stage in run.stages:
            notes += StageNotes.of(stage).table_notes(stage["stage"])
        notes += run.inputs["notes"]
    if row.runs[0].inputs["kind"] == "oracle":
        notes.append("oracle: sees the true future")
    return list(dict.fromkeys(notes))


def _not_comparable(row: Row) -> list[str]:
    """Why the row may not be ranked, each reason once; empty for a row that may."""
    reasons: list[str] = []
    for run in row.runs:
        reasons += _limited(run)
        for stage in run.stages:
            reasons += StageNotes.of(stage).not_comparable
    return list(dict.fromkeys(reasons))


def _limited(run: FinishedRun) -> list[str]:
    limit = run.inputs["task"]["limit"]
    return [f"--limit {limit}"] if limit else []


def _score(row: Row, frames: int, column: Column) -> schema.ScoreJson:
    """A figure over all runs of a row: their mean, and an interval where one is due."""
    records = row.records(column.metric, frames, column.short_fingerprint)
    if not records:
        return schema.score_json(
            None, n=0, fingerprint=column.short_fingerprint, reason="not scored"
        )
    values = [r["value"] for r in records if r["value"] is not None]
    first = records[0]
    if not values:
        return schema.score_json(
            None, n=first["n"], fingerprint=column.short_fingerprint, reason=first["reason"]
        )
    fits = {r.inputs["fit_seed"] for r in row.runs}
    se: float | None = first["se"]
    interval = (first["ci95"][0], first["ci95"][1]) if first["ci95"] else None
    if len(records) > 1:
        over_runs = _interval(row, records, column, len(fits))
        se, interval = None, None
        if over_runs is not None and over_runs.low is not None and over_runs.high is not None:
            se, interval = over_runs.se, (over_runs.low, over_runs.high)
    return schema.score_json(
        sum(values) / len(values),
        n=first["n"],
        fingerprint=column.short_fingerprint,
        reason=first["reason"],
        se=se,
        ci95=interval,
        floor=first["floor"],
        p=first["p"] if len(records) == 1 else None,
    )


def _interval(
    row: Row, records: Sequence[ScoreRecord], column: Column, fits: int
) -> stats.Interval | None:
    if fits >= 3:
        by_fit: dict[int | None, list[float]] = defaultdict(list)
        for run in row.runs:
            record = run.scores.get((column.metric, records[0]["frames"]))
            if (
                record is not None
                and record["fp8"] == column.short_fingerprint
                and record["value"] is not None
            ):
                by_fit[run.inputs["fit_seed"]].append(record["value"])
        return stats.t_interval([sum(v) / len(v) for v in by_fit.values()])
    if fits == 1 and column.kind == "clip":
        merged = per_clip(records)
        clusters = records[0]["clusters"]
        interval, _ = clip_interval(list(merged.values()), [clusters.get(k, "") for k in merged])
        return interval
    return None
