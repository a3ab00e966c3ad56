"""Builds comparisons from stored scores. Never computes a score; never mixes two fingerprints."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpbench.api.errors import Incomparable, UnknownName
from vpbench.core import schema, stats
from vpbench.core.acceptance import StageNotes, not_comparable_notes
from vpbench.core.methods import expand
from vpbench.core.names import parse_name
from vpbench.core.plan import REFERENCES
from vpbench.core.registry import Registry
from vpbench.core.tasks import TRAIN
from vpbench.harness.inputs.task_data import absolute
from vpbench.harness.results.finished_runs import (
    FinishedRun,
    canonical,
    differing,
    newest,
    tasks_of,
    training,
    unable,
)
from vpbench.harness.results.ranking import Column, Row, note_nulls, per_clip, rank
from vpbench.harness.scoring.score import clip_interval


@dataclass(frozen=True)
class Request:
    """What is to be compared.

    Attributes:
        dataset: only runs of this dataset; None is every task that has a run of any method.
        metrics: only these; None is all that are stored.
        limit: prefer runs that were made with this `--limit`; None prefers complete ones.
        subsets: named parts of the test split to show besides; None is the one that always stands
            there, if the dataset has one.
    """

    methods: Sequence[str]
    dataset: str | None = None
    task: str | None = None
    metrics: Sequence[str] | None = None
    preset: str | None = None
    references: bool = True
    limit: int | None = None
    subsets: Sequence[str] | None = None


@dataclass
class Comparison:
    """Groups of comparable rows, and in what they differ from each other."""

    groups: list[schema.GroupJson] = field(default_factory=list[schema.GroupJson])
    differences: list[str] = field(default_factory=list[str])

    def json(self) -> schema.CompareJson:
        """As `--json` prints it."""
        return {"schema": schema.COMPARE, "groups": self.groups, "differences": self.differences}


def compare(request: Request, registry: Registry, runs: Path) -> Comparison:
    """One group for each task and number of frames.

    Raises:
        UnknownName: a method that is not installed and has no run, a subset that no run has.
        HashMismatch: a stored file is not what was written.
    """
    names = [n for text in request.methods for n in expand(text, registry)]
    comparison = Comparison()
    stored = _tasks(request, registry, runs, names)
    _check_names(names, registry, stored)
    _check_subsets(request, stored)
    for inputs, found in stored:
        comparison.groups += _groups(request, inputs, found, registry, names, comparison)
        for subset in _subsets(request, found):
            part = {key: run.over(subset) for key, run in found.items()}
            own = {
                **inputs,
                "task": {
                    **inputs["task"],
                    "subset": subset["name"],
                    "n": subset["n"],
                    "split_hash": subset["hash"],
                },
            }
            comparison.groups += _groups(request, own, part, registry, names, comparison)
    comparison.differences = [*_between(comparison.groups), *comparison.differences]
    return comparison


def _tasks(
    request: Request, registry: Registry, runs: Path, names: Sequence[str]
) -> list[tuple[dict[str, Any], dict[Any, FinishedRun]]]:
    """Tasks that have a run of any method asked for."""
    chosen: list[tuple[dict[str, Any], dict[Any, FinishedRun]]] = []
    for task_id, inputs in tasks_of(runs).items():
        if not _matches(request, inputs):
            continue
        size = inputs["task"]["size"]
        wanted = {canonical(n, registry, size, request.preset) for n in names}
        found = newest(runs, task_id, request.limit)
        if any(run.inputs["method"] in wanted for run in found.values()):
            chosen.append((inputs, found))
    return chosen


def _matches(request: Request, inputs: Mapping[str, Any]) -> bool:
    task = inputs["task"]
    if request.task is not None and request.task not in (task["id"], task["name"]):
        return False
    if request.dataset is None:
        return True
    return absolute(request.dataset) == inputs["dataset"] or request.dataset == task["id"]


def _subsets(request: Request, found: Mapping[Any, FinishedRun]) -> list[dict[str, Any]]:
    """Name, n and hash of the named subsets to show."""
    known: dict[str, dict[str, Any]] = {}
    for run in found.values():
        for name, scores in sorted(run.subsets.items()):
            known.setdefault(name, next(iter(scores.values()))["subset"])
    if request.subsets is None:
        return [subset for subset in known.values() if subset["shown"]]
    if "all" in request.subsets:
        return list(known.values())
    return [known[name] for name in request.subsets if name in known]


def _check_subsets(
    request: Request, stored: Sequence[tuple[Any, Mapping[Any, FinishedRun]]]
) -> None:
    known = {name for _, found in stored for run in found.values() for name in run.subsets}
    for name in request.subsets or ():
        if name not in known | {"all", "none"}:
            raise UnknownName(
                "subset",
                name,
                known | {"all", "none"},
                hint="`vpbench score METHOD` scores what is missing.",
            )


def _check_names(
    names: Sequence[str], registry: Registry, stored: Sequence[tuple[Any, dict[Any, FinishedRun]]]
) -> None:
    """A name that is neither installed nor in any run is a mistake, not a missing run."""
    have = {r.inputs["method"] for _, found in stored for r in found.values()}
    for name in names:
        base = parse_name(name).base
        if name not in have and base not in have and base not in registry.names("method"):
            raise UnknownName(
                "method",
                base,
                [*registry.names("method"), *have],
                hint="See all with: vpbench list methods",
            )


def _groups(
    request: Request,
    inputs: Mapping[str, Any],
    found: Mapping[Any, FinishedRun],
    registry: Registry,
    names: Sequence[str],
    comparison: Comparison,
) -> list[schema.GroupJson]:
    task = {k: v for k, v in inputs["task"].items() if k != "train_on"}  # that is a row's
    wanted = [canonical(n, registry, task["size"], request.preset) for n in names]
    shown = [*wanted, *(REFERENCES if request.references else ())]
    rows = [row for n in dict.fromkeys(shown) for row in _rows(n, found)]
    rows = [
        r if r.runs else Row(r.name, [], unable(r.name, registry, inputs))
        for r in rows
        if r.runs or r.name in wanted
    ]
    groups: list[schema.GroupJson] = []
    for frames in sorted({f for r in rows for run in r.runs for _, f in run.scores}):
        columns = _columns(rows, frames, request.metrics, comparison)
        groups.append(_group(task, frames, rows, columns, inputs))
    if not groups:
        groups.append(_group(task, task["horizon"], rows, {}, inputs))
    return groups


def _rows(name: str, found: Mapping[Any, FinishedRun]) -> list[Row]:
    """The runs of a method, those that were trained on other clips as a row of their own."""
    runs: dict[str, list[FinishedRun]] = {}
    for run in found.values():
        if run.inputs["method"] == name:
            runs.setdefault(run.train_on, []).append(run)
    return [Row(name, own) for _, own in sorted(runs.items())] or [Row(name, [])]


def _columns(
    rows: Sequence[Row], frames: int, metrics: Sequence[str] | None, comparison: Comparison
) -> dict[str, Column]:
    """One column a metric and fingerprint; `psnr#<fp8>` where several fingerprints are there."""
    by_metric: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        for run in row.runs:
            for (metric, count), record in run.scores.items():
                if count == frames and (metrics is None or metric in metrics):
                    by_metric[metric].setdefault(record["fp8"], record)
    columns: dict[str, Column] = {}
    for metric, versions in sorted(by_metric.items(), key=lambda kv: _order(kv[0])):
        for short_fingerprint, record in versions.items():
            name = metric if len(versions) == 1 else f"{metric}#{short_fingerprint}"
            columns[name] = Column(
                metric,
                short_fingerprint,
                record["fingerprint"],
                record["direction"],
                record["unit"],
                record["kind"],
            )
        first, *others = versions.values()
        for other in others:
            fields = differing(first["fingerprint"], other["fingerprint"])
            comparison.differences.append(
                f"{metric}#{first['fp8']} and {metric}#{other['fp8']} over {frames} frames differ "
                f"in {'; '.join(fields)}"
            )
    return columns


_FIRST = ("fvd", "kvd", "psnr", "ssim", "lpips", "fid", "action", "motion", "diversity")


def _order(metric: str) -> tuple[int, str]:
    base = metric.partition("@")[0]
    return (_FIRST.index(base) if base in _FIRST else len(_FIRST), metric)


def _group(
    task: dict[str, Any],
    frames: int,
    rows: Sequence[Row],
    columns: Mapping[str, Column],
    inputs: Mapping[str, Any],
) -> schema.GroupJson:
    shown = [_row_json(row, frames, columns, inputs) for row in rows]
    _fill_floors(shown, columns)
    for name, column in columns.items():
        rank(rows, shown, frames, name, column)
        note_nulls(rows, shown, frames, column)
    return {
        "task": {**task, "dataset": inputs["dataset"]},
        "frames": frames,
        "metrics": {
            name: {"fingerprint": c.short_fingerprint, "direction": c.direction, "unit": c.unit}
            for name, c in columns.items()
        },
        "rows": shown,
    }


def _fill_floors(rows: Sequence[schema.RowJson], columns: Mapping[str, Column]) -> None:
    """The floor of a set metric is the value of other real clips in the same column."""
    for name, column in columns.items():
        floor = next((r["scores"][name]["value"] for r in rows if r["kind"] == "floor"), None)
        if column.kind == "set" and floor is not None:
            for row in rows:
                if row["scores"][name]["value"] is not None:
                    row["scores"][name]["floor"] = floor


def _row_json(
    row: Row, frames: int, columns: Mapping[str, Column], inputs: Mapping[str, Any]
) -> schema.RowJson:
    if not row.runs:
        why = f"not run: `{run_command(row.name, inputs)}`"
        if row.unable:
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
        "fit_seeds": sorted({r.inputs["fit_seed"] for r in row.runs} - {None}),
        "checkpoint": training(row.runs[0]),
        "scores": {name: _score(row, frames, c) for name, c in columns.items()},
        "notes": _notes(row),
        "not_comparable": _not_comparable(row),
    }


def run_command(method: str, inputs: Mapping[str, Any]) -> str:
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
    notes: list[str] = []
    for run in row.runs:
        notes += not_comparable_notes(_limited(run))
        if run.train_on != TRAIN:
            notes.append(f"trained on {run.train_on}")
        for stage in run.stages:
            notes += StageNotes.of(stage).table_notes(stage["stage"])
        # runs of the first build call what the method's spec says of its parameters footnotes
        notes += run.inputs.get("notes", run.inputs.get("footnotes", []))
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
    interval: tuple[float, float] | None = tuple(first["ci95"]) if first["ci95"] else None
    if len(records) > 1:
        found = _interval(row, records, column, len(fits))
        se, interval = None, None
        if found is not None and found.low is not None and found.high is not None:
            se, interval = found.se, (found.low, found.high)
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
    row: Row, records: Sequence[Mapping[str, Any]], column: Column, fits: int
) -> stats.Interval | None:
    if fits >= 3:
        by_fit: dict[int, list[float]] = defaultdict(list)
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
        found, _ = clip_interval(list(merged.values()), [clusters.get(k, "") for k in merged])
        return found
    return None


def _between(groups: Sequence[schema.GroupJson]) -> list[str]:
    """One line for each neighbouring pair of groups: the fields that keep them apart."""
    lines: list[str] = []
    for a, b in itertools.pairwise(groups):
        one, other = ({**g["task"], "frames": g["frames"]} for g in (a, b))
        if one.get("subset") != other.get("subset"):  # then these differ, too
            one, other = ({k: v for k, v in g.items() if k not in _OF_SUBSET} for g in (one, other))
        fields = differing(one, other)
        if fields:
            lines.append(f"{_title(a)} and {_title(b)} differ in {'; '.join(fields)}")
    return lines


_OF_SUBSET = ("n", "split_hash", "notes")


def _title(group: schema.GroupJson) -> str:
    part = f" {group['task']['subset']}" if group["task"].get("subset") else ""
    return f"{group['task']['id']}{part} over {group['frames']} frames"


def one_table(comparison: Comparison) -> None:
    """Insist on one column group.

    Raises:
        Incomparable: names the fields that differ.
    """
    split = any("#" in name for g in comparison.groups for name in g["metrics"])
    if len(comparison.groups) > 1 or split:
        raise Incomparable(
            f"these runs cannot share one table: {'; '.join(comparison.differences)}."
        )
