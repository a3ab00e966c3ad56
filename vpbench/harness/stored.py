"""Finds finished runs below the runs folder, with every hash checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpbench.api.errors import MissingData, UsageError
from vpbench.core import schema
from vpbench.core.hashing import digest
from vpbench.core.methods import resolve
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir, runs_of


@dataclass(frozen=True)
class StoredRun:
    """One finished run.

    Attributes:
        inputs: the frozen inputs of run.json.
        scores: score records by (metric, frames).
        stages: origin, training, gates and marks of the stages that made the predictions.
    """

    folder: RunDir
    inputs: dict[str, Any]
    closed: float
    scores: dict[tuple[str, int], dict[str, Any]]
    stages: tuple[dict[str, Any], ...] = ()

    @property
    def key(self) -> tuple[str, str, int | None, int]:
        """What one row value stands for: task, method, fit seed, seed."""
        fields = self.inputs
        return fields["task"]["id"], fields["method"], fields["fit_seed"], fields["seed"]


def finished(runs: Path, task: str | None = None) -> Iterator[tuple[RunDir, dict[str, Any]]]:
    """Run folders with complete predictions, and the inputs of each; nothing is verified yet."""
    for folder in runs_of(runs, task):
        if folder.manifest.is_file():
            record = folder.read_record()
            if record.get("schema") == schema.RUN and "inputs" in record:
                yield folder, record["inputs"]


def newest(
    runs: Path, task: str, limit: int | None = None
) -> dict[tuple[str, str, int | None, int], StoredRun]:
    """The newest complete run for each (task, method, fit seed, seed), verified.

    A run with the wanted `limit` (None: a run over all clips) goes before any other one.

    Raises:
        HashMismatch: a shard, manifest or score is not what was written; names the file.
    """
    latest: dict[tuple[Any, ...], tuple[tuple[bool, float], RunDir, dict[str, Any]]] = {}
    for folder, inputs in finished(runs, task):
        key = (inputs["task"]["id"], inputs["method"], inputs["fit_seed"], inputs["seed"])
        merit = (inputs["task"]["limit"] == limit, folder.manifest.stat().st_mtime)
        if key not in latest or merit > latest[key][0]:
            latest[key] = (merit, folder, inputs)
    found: dict[tuple[str, str, int | None, int], StoredRun] = {}
    for key, (merit, folder, inputs) in sorted(latest.items(), key=lambda kv: str(kv[0])):
        manifest = folder.check()
        scores = {(s["metric"], s["frames"]): s for s in folder.read_scores(manifest["sha256"])}
        found[key] = StoredRun(folder, inputs, merit[1], scores, _stages(manifest))
    return found


def tasks_of(runs: Path) -> dict[str, dict[str, Any]]:
    """Task id -> inputs of one of its finished runs."""
    found: dict[str, dict[str, Any]] = {}
    for _, inputs in finished(runs):
        found.setdefault(inputs["task"]["id"], inputs)
    return found


def canonical(name: str, registry: Registry, size: int, preset: str | None = None) -> str:
    """The name under which runs of a method are stored; the typed one if it is not installed."""
    try:
        return resolve(name, registry, size, preset).name
    except UsageError:
        return name


def training(run: StoredRun) -> str | None:
    """Where a run's trained state comes from, with seconds, device and threads.

    Returns:
        "bundled (1800 s on cpu, 2 threads), fitted here (35 s on cpu, 1 thread)"; None for a
        method that is not trained.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for stage in run.stages:
        rows.setdefault(stage["origin"], []).append(stage)
    return ", ".join(f"{origin} ({_trained(rows[origin])})" for origin in sorted(rows)) or None


def _trained(stages: Sequence[dict[str, Any]]) -> str:
    devices = "/".join(sorted({s["device"] for s in stages}))
    threads = sorted({s["threads"] for s in stages})
    plural = "" if threads == [1] else "s"
    text = f"{sum(s['seconds'] for s in stages):.0f} s on {devices}"
    return f"{text}, {'/'.join(map(str, threads))} thread{plural}"


def stored_run(path: Path) -> StoredRun:
    """The run in a folder, verified.

    Raises:
        MissingData: there is no complete run.
    """
    folder = RunDir(path)
    inputs = folder.read_record().get("inputs")
    if inputs is None:
        raise MissingData(f"{path} holds no run.")
    manifest = folder.check()
    scores = {(s["metric"], s["frames"]): s for s in folder.read_scores(manifest["sha256"])}
    return StoredRun(
        folder, inputs, folder.manifest.stat().st_mtime, scores, _stages(manifest)
    )  # fmt: skip


def _stages(manifest: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple(manifest.get("stages", ()))


def differing(a: dict[str, Any], b: dict[str, Any], prefix: str = "") -> list[str]:
    """Names of the fields in which two nested records differ, with both values where short."""
    names: list[str] = []
    for key in sorted({*a, *b}):
        one, other = a.get(key), b.get(key)
        if digest(one) == digest(other):
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            names += differing(one, other, f"{prefix}{key}.")
        else:
            names.append(f"{prefix}{key}: {_brief(one)} against {_brief(other)}")
    return names


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:8]}…"
