"""Builds comparisons from stored scores. Never computes a score; never mixes two fingerprints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vpbench.api.errors import Incomparable, UnknownName
from vpbench.core import schema
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths
from vpbench.core.plan import REFERENCES
from vpbench.core.records import RunInputs, ScoreRecord, Subset
from vpbench.core.registry import Registry
from vpbench.core.resolve import expand
from vpbench.core.tasks import Task
from vpbench.harness.results.apart import between, name_datasets
from vpbench.harness.results.asked_metrics import check_metrics
from vpbench.harness.results.curves import curves_json
from vpbench.harness.results.finished_runs import (
    FinishedRun,
    Key,
    canonical,
    differing,
    doubt,
    failures,
    newest,
    unable,
)
from vpbench.harness.results.given import joined, names_of
from vpbench.harness.results.one_dataset import (
    OneDataset,
    Present,
    changed_clips,
    one_dataset_each,
)
from vpbench.harness.results.plausible import mark_implausible
from vpbench.harness.results.ranking import Column, Row, judge
from vpbench.harness.results.recognition import recognition_json
from vpbench.harness.results.row_names import place_of, point_to_others, rows_of
from vpbench.harness.results.rows import command_words, fill_floors, row_json, run_command
from vpbench.harness.results.run_state import Seen
from vpbench.harness.results.study_scores import add_studies
from vpbench.harness.results.versus import versus


@dataclass
class Comparison:
    """Groups of comparable rows, and in what they differ from each other.

    Attributes:
        runs: id and dataset of a task -> the runs that its groups were made from.
    """

    groups: list[schema.GroupJson] = field(default_factory=list[schema.GroupJson])
    differences: list[str] = field(default_factory=list[str])
    runs: dict[tuple[str, str], list[FinishedRun]] = field(
        default_factory=dict[tuple[str, str], list[FinishedRun]]
    )

    def behind(self, group: schema.GroupJson) -> list[FinishedRun]:
        """The runs that a group was made from, or another one of its task and dataset."""
        return self.runs.get((group["task"]["id"], group["task"]["dataset"]), [])

    def json(self) -> schema.CompareJson:
        """As `--json` prints it."""
        return {"schema": schema.COMPARE, "groups": self.groups, "differences": self.differences}


@dataclass(frozen=True)
class _Query:
    """The runs to compare, and where to look them up."""

    refs: Sequence[MethodRef]
    options: RunOptions
    task: TaskRef
    subsets: Sequence[str] | None
    registry: Registry
    paths: Paths
    failed: Mapping[str, str]
    folders: Collection[Path]
    versus: MethodRef | None
    more: Sequence[FinishedRun]
    curves: bool
    now: Task | None


def compare(
    methods: Sequence[MethodRef],
    options: RunOptions,
    registry: Registry,
    paths: Paths,
    task: TaskRef | None = None,
    subsets: Sequence[str] | None = None,
    failed: Mapping[str, str] | None = None,
    folders: Collection[Path] = (),
    versus: MethodRef | None = None,
    more: Sequence[FinishedRun] = (),
    curves: bool = False,
    now: Task | None = None,
) -> Comparison:
    """One group for each task, dataset and number of frames, that of its own horizon first.

    Args:
        methods: () for all that have a finished run.
        options: preset, metrics (None is all that are stored) and whether references are shown.
        task: only runs of this dataset and task; runs with its `limit` go first. None is every
            task that has a run of any method.
        subsets: named parts of the test split to show besides; None is the one that always stands
            there, if the dataset has one.
        failed: methods that have failed just now, with the reason: a dash stands for them.
        folders: runs that go before others of the same method and seeds.
        versus: the row that all others are compared with besides.
        more: runs of other places, bundles and entries to show besides; they go before those of
            the runs folder.
        curves: also metrics over time.
        now: only runs on the test clips of this task, which is open.

    Raises:
        UnknownName: a method or metric that is not installed and has no run, a subset that no run
            has, a row to compare with that no table has.
        HashMismatch: a stored file is not what was written.
    """
    refs = [r for method in methods for r in expand(method, registry)]
    query = _Query(
        refs,
        options,
        task or TaskRef(dataset=""),
        subsets,
        registry,
        paths,
        failed or {},
        folders,
        versus,
        more,
        curves,
        now,
    )
    comparison = Comparison()
    stored = _tasks(query)
    if not refs and not more:
        names = [str(run.inputs["method"]) for _, runs in stored for run in runs.values()]
        query = replace(query, refs=_without_references(names))
    _check_names(query, stored)
    check_metrics(options.metrics, [r for _, runs in stored for r in runs.values()], registry)
    _check_subsets(query, stored)
    for one, runs in stored:
        inputs = one.inputs
        groups = _groups(query, one, inputs, runs, comparison)
        if query.options.metrics is None or "study" in query.options.metrics:
            add_studies(groups, query.paths.runs / inputs["task"]["id"], runs)
        comparison.groups += groups
        behind = comparison.runs.setdefault((one.task, inputs["dataset"]), [])
        behind += runs.values()
        for subset in _subsets(query, runs):
            part = {key: run.over(subset) for key, run in runs.items()}
            own: RunInputs = {
                **inputs,
                "task": {
                    **inputs["task"],
                    "subset": subset["name"],
                    "n": subset["n"],
                    "split_hash": subset["hash"],
                },
            }
            comparison.groups += _groups(query, one, own, part, comparison)
    _check_versus(query, comparison)
    name_datasets(comparison.groups)
    comparison.differences = [*between(comparison.groups), *comparison.differences]
    return comparison


Runs = Mapping[Key, FinishedRun]


def _tasks(query: _Query) -> list[tuple[OneDataset, Runs]]:
    """Tasks that have a run of any requested method, on each dataset."""
    chosen: list[tuple[OneDataset, Runs]] = []
    present = Present(query.registry, query.paths)
    for one in one_dataset_each(query.paths.runs, query.more, query.task, present, query.now):
        size = one.inputs["task"]["size"]
        wanted = {canonical(r, query.registry, size, query.options.preset) for r in query.refs}
        limit, folders = query.task.limit, query.folders
        own = newest(one.found, query.registry, limit, folders, one.is_now)
        runs = {key: one.called(run) for key, run in own.items()}
        failed = wanted & set(query.failed)
        more = {run.key: run for run in one.more}
        everything = not wanted and not query.more
        asked = any(run.inputs["method"] in wanted for run in runs.values())
        if everything or failed or more or asked:
            chosen.append((one, joined(runs, more, wanted)))
    return chosen


def _without_references(names: Sequence[str]) -> list[MethodRef]:
    """Each method of some names once; the references stand in every table anyway."""
    return [MethodRef.parse(n) for n in sorted(set(names)) if n not in REFERENCES]


def _subsets(query: _Query, runs: Runs) -> list[Subset]:
    """Name, n and hash of the named subsets to show."""
    known: dict[str, Subset] = {}
    for run in runs.values():
        for name, scores in sorted(run.subsets.items()):
            subset = next(iter(scores.values())).get("subset")
            if subset is not None:
                known.setdefault(name, subset)
    if query.subsets is None:
        return [subset for subset in known.values() if subset.get("shown")]
    if "all" in query.subsets:
        return list(known.values())
    return [known[name] for name in query.subsets if name in known]


def _check_subsets(query: _Query, stored: Sequence[tuple[Any, Runs]]) -> None:
    known = {name for _, runs in stored for run in runs.values() for name in run.subsets}
    for name in query.subsets or ():
        if name not in known | {"all", "none"}:
            raise UnknownName(
                "subset",
                name,
                known | {"all", "none"},
                hint="`vpbench score METHOD` scores what is missing.",
            )


def _check_versus(query: _Query, comparison: Comparison) -> None:
    if query.versus is None or any("versus" in group for group in comparison.groups):
        return
    names = dict.fromkeys(row["row"] for g in comparison.groups for row in g["rows"])
    if names:
        raise UnknownName("row", str(query.versus), names, hint="--vs takes a row of the table.")


def _check_names(query: _Query, stored: Sequence[tuple[Any, Runs]]) -> None:
    """A name that is neither installed nor in any run is a mistake, not a missing run."""
    have = {r.inputs["method"] for _, runs in stored for r in runs.values()}
    for ref in query.refs:
        installed = query.registry.names("method")
        if str(ref) not in have and ref.base not in have and ref.base not in installed:
            raise UnknownName(
                "method", ref.base, [*installed, *have], hint="See all with: vpbench list methods"
            )


def _groups(
    query: _Query, one: OneDataset, inputs: RunInputs, runs: Runs, comparison: Comparison
) -> list[schema.GroupJson]:
    task = {k: v for k, v in inputs["task"].items() if k != "train_on"}  # that is a row's
    size, registry = task["size"], query.registry
    wanted = [canonical(r, registry, size, query.options.preset) for r in query.refs]
    wanted += names_of(query.more, runs)
    failed = failures(query.paths.runs, one.task, one.concerns)
    rows: list[Row] = []
    for name in dict.fromkeys([*wanted, *REFERENCES]):
        for row in _rows(query, name, runs, failed):
            if row.runs or name in wanted:
                row.unable = "" if row.runs else unable(name, registry, inputs)
                rows.append(row)
    seen: Seen = {}
    for row in rows:
        doubts = (
            changed_clips(run, one) or doubt(run, registry, query.paths, seen) for run in row.runs
        )
        row.doubts = [text for text in doubts if text]
    words = command_words(query.task, query.options, query.paths, runs)
    kept = [r for r in rows if query.options.references or r.name in wanted]
    horizon = task["horizon"]
    mark_implausible(rows, horizon, _columns(rows, horizon, ["psnr"], Comparison()))
    counts = sorted({f for r in kept for run in r.runs for _, f in run.scores})
    groups: list[schema.GroupJson] = []
    for frames in sorted(counts, key=lambda f: f != task["horizon"]) or [task["horizon"]]:
        columns = _columns(kept, frames, query.options.metrics, comparison)
        groups.append(_group(query, words, task, frames, rows, kept, columns, inputs))
    return groups


def _rows(
    query: _Query, name: str, runs: Runs, failures: Mapping[str, tuple[float, str]]
) -> list[Row]:
    """The rows of a method: one without runs where it failed after its newest finished run."""
    rows = rows_of(name, runs.values())
    when, reason = failures.get(name, (0.0, ""))
    since = reason if all(run.closed < when for row in rows for run in row.runs) else ""
    failed = query.failed.get(name) or since
    return [Row(name, [], failed=failed)] if failed else rows


def _columns(
    rows: Sequence[Row], frames: int, metrics: Sequence[str] | None, comparison: Comparison
) -> dict[str, Column]:
    """One column a metric and fingerprint; `psnr#<fp8>` where several fingerprints are there."""
    by_metric: dict[str, dict[str, ScoreRecord]] = defaultdict(dict)
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


_FIRST = (
    "fvd",
    "kvd",
    "psnr",
    "ssim",
    "lpips",
    "fid",
    "action",
    "action-2s",
    "motion",
    "diversity",
)


def _order(metric: str) -> tuple[int, str]:
    base = metric.partition("@")[0]
    return (_FIRST.index(base) if base in _FIRST else len(_FIRST), metric)


def _group(
    query: _Query,
    words: Sequence[str],
    task: dict[str, Any],
    frames: int,
    rows: Sequence[Row],
    kept: Sequence[Row],
    columns: Mapping[str, Column],
    inputs: RunInputs,
) -> schema.GroupJson:
    shown = [row_json(row, frames, columns, inputs, words) for row in rows]
    fill_floors(shown, columns)
    point_to_others(rows, shown)
    comparisons = judge(rows, shown, frames, columns)
    # References that are left out count in what is said about the others.
    shown = [s for s, row in zip(shown, rows, strict=True) if row in kept]
    rows = kept
    missing = [row.name for row in rows if not (row.runs or row.failed or row.unable)]
    group: schema.GroupJson = {
        "task": {**task, "dataset": inputs["dataset"]},
        "frames": frames,
        "metrics": {
            name: {"fingerprint": c.short_fingerprint, "direction": c.direction, "unit": c.unit}
            for name, c in columns.items()
        },
        "rows": shown,
        "comparisons": comparisons,
        "to_run": run_command(missing, inputs, words) if missing else "",
    }
    if query.versus is not None:
        size, preset = task["size"], query.options.preset
        chosen = canonical(query.versus, query.registry, size, preset)
        base = place_of(chosen, rows)
        if base is not None:
            group["versus"] = versus(base, rows, shown, frames, columns)
    if query.curves:
        group["curves"] = curves_json(rows, frames, columns)
    recognition = recognition_json(rows, shown, frames, columns)
    if recognition:
        group["recognition"] = recognition
    return group


def one_table(comparison: Comparison) -> None:
    """Require a single table.

    Raises:
        Incomparable: names the fields that differ.
    """
    split = any("#" in name for g in comparison.groups for name in g["metrics"])
    if len(comparison.groups) > 1 or split:
        raise Incomparable(
            f"these runs cannot share one table: {'; '.join(comparison.differences)}."
        )
