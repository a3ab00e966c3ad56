"""What will run, what is refused and why: decided before any compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpbench.api.capabilities import unmet
from vpbench.api.errors import Refused, UsageError
from vpbench.core.checkpoints import CheckpointSources, StagePlan, find_given, plan_stages
from vpbench.core.hashing import digest
from vpbench.core.methods import ResolvedMethod, expand, resolve
from vpbench.core.names import safe_name
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir, read_object
from vpbench.core.stages import stage_graph
from vpbench.core.tasks import Task

REFERENCES = (
    "real",
    "real-other",
    "nearest-train",
    "class-random",
    "copy-last",
    "blur-copy",
    "noise",
)
"""The rows that every table has, from the ceiling down."""


@dataclass(frozen=True)
class RunPlan:
    """One run: a method on a task with one seed and one fit seed."""

    method: ResolvedMethod
    seed: int
    fit_seed: int
    samples: int
    stages: tuple[StagePlan, ...]
    folder: RunDir
    requested: bool

    @property
    def name(self) -> str:
        """Canonical name of the method."""
        return self.method.name

    def record(self, task: Task) -> dict[str, Any]:
        """The frozen inputs: what `run.json` says before anything has run."""
        return {
            "method": self.name,
            "kind": row_kind(self.method),
            "spec": self.method.identity(),
            "preset": self.method.preset,
            "task": task.fields(trained=bool(self.stages)),
            "dataset": task.dataset,
            "gives": {"label": task.has_label, "pose": task.has_pose},
            "seed": self.seed,
            "fit_seed": self.fit_seed if self.stages else None,
            "samples": self.samples,
            "uses": _uses(self.method, task),
            "notes": self.method.notes,
            "conditioning_frames": self.method.capabilities.given(task.spec.window.n_max)
            if self.method.spec.kind not in ("ceiling", "floor")
            else 0,
            "stages": [
                {"stage": s.node.label, "folder": s.folder.path.name, "origin": s.origin}
                for s in self.stages
            ],
        }


def _uses(method: ResolvedMethod, task: Task) -> list[str]:
    """What the method is given besides frames, of what the dataset has."""
    there = {"label": task.has_label, "pose": task.has_pose}
    return [use for use in method.uses if there[use.partition(" ")[0]]]


@dataclass(frozen=True)
class Refusal:
    """A run that will not happen, with all reasons."""

    name: str
    kind: str
    reasons: tuple[str, ...]
    requested: bool
    seed: int
    fit_seed: int


@dataclass(frozen=True)
class Plan:
    """All runs and refusals of one command, in the order of the names given."""

    task: Task
    runs: tuple[RunPlan, ...]
    refused: tuple[Refusal, ...]


def row_kind(method: ResolvedMethod) -> str:
    """What the row of a method is: oracles are marked whatever their spec says."""
    if method.spec.kind == "method" and method.capabilities.oracle:
        return "oracle"
    return method.spec.kind


@dataclass(frozen=True)
class Wish:
    """What a command asks for."""

    methods: Sequence[str]
    seeds: Sequence[int] = (0,)
    fit_seeds: Sequence[int] = (0,)
    samples: int = 1
    preset: str | None = None
    references: bool = True
    checkpoint: Path | None = None
    refit: bool = False


def make_plan(
    wish: Wish, task: Task, registry: Registry, runs: Path, cache: Path | None = None
) -> Plan:
    """Resolve names, check capabilities, find trained stages, name run folders.

    Args:
        cache: where checkpoints with an address are kept; None leaves them out of account.

    Raises:
        UnknownName, UsageError: a name or parameter is wrong.
    """
    planned: dict[Path, RunPlan] = {}
    refused: dict[tuple[str, int, int], Refusal] = {}
    for text, requested in _names(wish, registry):
        try:
            method = resolve(text, registry, task.spec.size, wish.preset if requested else None)
        except Refused as error:
            refused[(text, 0, 0)] = Refusal(
                text, "method", (error.message,), requested, wish.seeds[0], wish.fit_seeds[0]
            )
            continue
        reasons = _reasons(method, task)
        for fit_seed in _fit_seeds(method, wish):
            for seed in _seeds(method, wish):
                run = None
                try:
                    if not reasons:
                        run = _run(
                            method, seed, fit_seed, wish, task, registry, runs, cache, requested
                        )
                except Refused as error:  # its stages need each other
                    reasons = [error.message]
                if run is not None:
                    planned.setdefault(run.folder.path, run)
                    continue
                refused[(method.name, seed, fit_seed)] = Refusal(
                    method.name, row_kind(method), tuple(reasons), requested, seed, fit_seed
                )
    return Plan(task, tuple(planned.values()), tuple(refused.values()))


def _names(wish: Wish, registry: Registry) -> list[tuple[str, bool]]:
    names = [(n, True) for text in wish.methods for n in expand(text, registry)]
    if wish.references:
        asked = {n for n, _ in names}
        names += [(n, False) for n in REFERENCES if n not in asked]
    return names


def _reasons(method: ResolvedMethod, task: Task) -> list[str]:
    reasons = unmet(
        method.capabilities,
        n_max=task.spec.window.n_max,
        horizon=task.horizon,
        size=task.spec.size,
        has_label=task.has_label,
        has_pose=task.has_pose,
    )
    if method.spec.kind in ("floor", "reference") and not task.items["train"]:
        reasons.append("needs training clips, the dataset has none")
    return reasons


def _seeds(method: ResolvedMethod, wish: Wish) -> Sequence[int]:
    """A method without randomness has one run, with seed 0, whatever seeds are asked for."""
    return wish.seeds if method.capabilities.stochastic else (0,)


def _fit_seeds(method: ResolvedMethod, wish: Wish) -> Sequence[int]:
    trained = bool(method.spec.stages) or any(p.spec.trained_by for p in method.slots.values())
    return wish.fit_seeds if trained else (0,)


def _run(
    method: ResolvedMethod,
    seed: int,
    fit_seed: int,
    wish: Wish,
    task: Task,
    registry: Registry,
    runs: Path,
    cache: Path | None,
    requested: bool,
) -> RunPlan:
    fields = task.fields()
    nodes = stage_graph(method, fields, task.spec.size, registry, fit_seed)
    given = find_given(wish.checkpoint) if wish.checkpoint and requested else {}
    places = CheckpointSources(runs / task.id / "stages", cache, given, wish.refit)
    stages = plan_stages(nodes, method, places)
    if given and not any(s.origin == "given" for s in stages) and stages:
        raise UsageError(
            f"{wish.checkpoint} holds no stage of {method.name}; it has {', '.join(given)}."
        )
    samples = wish.samples if method.capabilities.stochastic else 1
    key = digest(
        [
            task.fields(trained=bool(stages)),
            method.identity(),
            seed if method.capabilities.stochastic else 0,
            fit_seed if stages else None,
            samples,
            [[s.node.key, _given_hash(s)] for s in stages],
        ]
    )[:8]
    folder = RunDir(runs / task.id / safe_name(method.name) / key)
    return RunPlan(method, seed, fit_seed, samples, stages, folder, requested)


def _given_hash(stage: StagePlan) -> str:
    return digest(read_object(stage.folder.record))[:16] if stage.origin == "given" else ""
