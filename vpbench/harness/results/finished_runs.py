"""Finds finished runs below the runs folder, with every hash checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vpbench.api.capabilities import unmet
from vpbench.api.errors import MissingData, UsageError
from vpbench.core.hashing import digest
from vpbench.core.methods import resolve
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir, finished
from vpbench.core.tasks import TRAIN


@dataclass(frozen=True)
class FinishedRun:
    """One finished run.

    Attributes:
        inputs: the frozen inputs of run.json.
        scores: score records by (metric, frames).
        stages: origin, training, checks and notes of the stages that made the predictions.
        subsets: score records over named subsets, by name, then as `scores`.
    """

    folder: RunDir
    inputs: dict[str, Any]
    closed: float
    scores: dict[tuple[str, int], dict[str, Any]]
    stages: tuple[dict[str, Any], ...] = ()
    subsets: Mapping[str, dict[tuple[str, int], dict[str, Any]]] = field(
        default_factory=dict[str, dict[tuple[str, int], dict[str, Any]]]
    )

    @property
    def key(self) -> Key:
        """What one row value stands for."""
        return _key(self.inputs)

    @property
    def train_on(self) -> str:
        """What it was trained on."""
        return self.inputs["task"].get("train_on", TRAIN)

    def over(self, subset: Mapping[str, Any]) -> FinishedRun:
        """The run as if only a named subset had been there (its name, n and hash)."""
        task = {
            **self.inputs["task"],
            "subset": subset["name"],
            "n": subset["n"],
            "split_hash": subset["hash"],
        }
        scores = self.subsets.get(subset["name"], {})
        return replace(self, inputs={**self.inputs, "task": task}, scores=scores, subsets={})


Key = tuple[str, str, str, int | None, int]
"""Task, method, what it was trained on, fit seed, seed."""


def _key(inputs: Mapping[str, Any]) -> Key:
    task = inputs["task"]
    trained = task.get("train_on", TRAIN)
    return task["id"], inputs["method"], trained, inputs["fit_seed"], inputs["seed"]


def newest(runs: Path, task: str, limit: int | None = None) -> dict[Key, FinishedRun]:
    """The newest complete run for each (task, method, trained on, fit seed, seed), verified.

    A run with the wanted `limit` (None: a run over all clips) goes before any other one.

    Raises:
        HashMismatch: a shard, manifest or score is not what was written; names the file.
    """
    latest: dict[tuple[Any, ...], tuple[tuple[bool, float], RunDir, dict[str, Any]]] = {}
    for folder, inputs in finished(runs, task):
        key = _key(inputs)
        merit = (inputs["task"]["limit"] == limit, folder.manifest.stat().st_mtime)
        if key not in latest or merit > latest[key][0]:
            latest[key] = (merit, folder, inputs)
    found: dict[Key, FinishedRun] = {}
    for key, (merit, folder, inputs) in sorted(latest.items(), key=lambda kv: str(kv[0])):
        found[key] = _verified(folder, inputs, merit[1])
    return found


def _verified(folder: RunDir, inputs: dict[str, Any], closed: float) -> FinishedRun:
    manifest = folder.check()
    parts = folder.read_subset_scores(manifest["sha256"])
    return FinishedRun(
        folder,
        inputs,
        closed,
        _by_metric(folder.read_scores(manifest["sha256"])),
        _stages(manifest),
        {name: _by_metric(scores) for name, scores in parts.items()},
    )


def _by_metric(scores: Sequence[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    return {(s["metric"], s["frames"]): s for s in scores}


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


def unable(name: str, registry: Registry, inputs: Mapping[str, Any]) -> str:
    """Why a method cannot do the task of a run at all, as "needs pose"; "" where it can.

    Args:
        inputs: of any run of that task.
    """
    task, gives = inputs["task"], inputs.get("gives")
    try:
        method = resolve(name, registry, task["size"])
    except UsageError:
        return ""
    if gives is None:  # of an earlier version
        return ""
    reasons = unmet(
        method.capabilities,
        n_max=task["n_max"],
        horizon=task["horizon"],
        size=task["size"],
        has_label=gives["label"],
        has_pose=gives["pose"],
    )
    return "; ".join(reason.partition(", the ")[0] for reason in reasons)


def training(run: FinishedRun) -> str | None:
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


def stored_run(path: Path) -> FinishedRun:
    """The run in a folder, verified.

    Raises:
        MissingData: there is no complete run.
    """
    folder = RunDir(path)
    inputs = folder.read_record().get("inputs")
    if inputs is None:
        raise MissingData(f"{path} holds no run.")
    folder.read_manifest()
    return _verified(folder, inputs, folder.manifest.stat().st_mtime)


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
