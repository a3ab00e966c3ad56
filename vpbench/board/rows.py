"""Entries as runs: what tables are made of, so that an entry stands in one beside runs."""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vpbench.board.entry import Entry, EntryRun
from vpbench.board.scores import score_record
from vpbench.board.structure import TIME_FORMAT
from vpbench.core import schema
from vpbench.core.records import Manifest, RunInputs, ScoreRecord
from vpbench.core.rundir import RunDir
from vpbench.harness.results.finished_runs import FinishedRun


def runs_of_entry(entry: Entry) -> list[FinishedRun]:
    """The runs of an entry as `compare` takes them; none of them is on the disk.

    Their values of clips are those of the runs, so that differences and their intervals are, too.
    """
    return [_run(entry, run) for run in entry.runs]


def _run(entry: Entry, run: EntryRun) -> FinishedRun:
    records = [score_record(entry, score, run.manifest_sha256) for score in run.scores]
    whole = [record for record in records if "subset" not in record]
    subsets: dict[str, list[ScoreRecord]] = {}
    for record in records:
        if "subset" in record:
            subsets.setdefault(record["subset"]["name"], []).append(record)
    return FinishedRun(
        RunDir(Path(entry.id)),
        _inputs(entry, run),
        _manifest(entry, run),
        {(record["metric"], record["frames"]): record for record in whole},
        {
            name: {(record["metric"], record["frames"]): record for record in part}
            for name, part in subsets.items()
        },
        entry=entry.id,
    )


def _inputs(entry: Entry, run: EntryRun) -> RunInputs:
    method = entry.method
    return {
        "method": method.name,
        "kind": method.kind,
        "spec": {"name": method.name, "factory": method.factory, "params": dict(method.params)},
        "preset": method.preset,
        "task": task_record(entry),
        "data": entry.task.dataset_version,
        "dataset": entry.task.dataset,
        "gives": {"label": entry.task.label, "pose": entry.task.pose},
        "seed": run.seed,
        "fit_seed": run.fit_seed,
        "samples": method.samples,
        "uses": list(method.uses),
        "notes": list(method.notes),
        "conditioning_frames": method.conditioning_frames,
        "stages": [],
    }


_NOT_IN_RECORD = ("dataset", "dataset_version", "split_sha256", "label", "pose")


def task_record(entry: Entry) -> dict[str, Any]:
    """The task as run.json has it."""
    task = asdict(entry.task)
    record = {name: value for name, value in task.items() if name not in _NOT_IN_RECORD}
    for name in ("train_on", "trained_as", "notes"):
        if not record[name]:
            del record[name]
    return {**record, "split_hash": entry.task.split_sha256}


def _manifest(entry: Entry, run: EntryRun) -> Manifest:
    return {
        "schema": schema.MANIFEST,
        "vpbench": run.vpbench,
        "run": run.key,
        "method": entry.method.name,
        "task": entry.task.id,
        "seed": run.seed,
        "n": len(entry.clips),
        "samples": entry.method.samples,
        "shards": [],
        "stages": [
            {
                "stage": stage.stage,
                "origin": stage.origin,
                "checks": [asdict(check) for check in stage.checks],
                "notes": list(stage.notes),
                "not_comparable": list(stage.not_comparable),
                "seconds": stage.seconds,
                "device": stage.device,
                "threads": stage.threads,
            }
            for stage in run.stages
        ],
        "inputs": [],
        "notes": [f"leaderboard entry, {entry.trust.level}", *run.notes],
        "closed": float(calendar.timegm(time.strptime(run.closed, TIME_FORMAT))),
        "sha256": run.manifest_sha256,
    }


def named_apart(runs: Sequence[FinishedRun], sources: Sequence[str]) -> list[FinishedRun]:
    """Runs of several sources; where two say something else of the same, their names differ.

    What is in two sources stands there once.

    Args:
        sources: where each is from, such as the name of its file.
    """
    known: dict[Any, str] = {}
    kept: list[FinishedRun] = []
    for run, source in zip(runs, sources, strict=True):
        sha = run.manifest["sha256"]
        if known.get(run.key) == sha:
            continue
        named = run
        if run.key in known:
            name = f"{run.inputs['method']} ({source})"
            named = replace(run, inputs={**run.inputs, "method": name})
        known[named.key] = sha
        kept.append(named)
    return kept
