"""What will run, what is refused and why: decided before any compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.capabilities import unmet
from vpbench.api.errors import Refused, UsageError
from vpbench.core.checkpoints import CheckpointSources, StagePlan, find_given, plan_stages
from vpbench.core.hashing import digest
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef, safe_name
from vpbench.core.options import RunOptions
from vpbench.core.records import RunInputs
from vpbench.core.registry import Registry
from vpbench.core.resolve import expand, resolve
from vpbench.core.rundir import RunDir, read_object
from vpbench.core.stages import stage_graph
from vpbench.core.tasks import Task

REFERENCES = (
    "real",
    "real-other",
    "nearest-train",
    "class-random",
    "real-shuffled",
    "copy-last",
    "linear",
    "blur-copy",
    "noise",
)
"""The rows that every table has, from the ceiling down."""

RETRIEVES = ("floor", "reference")
"""Kinds of methods that show clips of the training split, unless they see the true future."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One run: a method on a task with one seed and one fit seed.

    Attributes:
        key: the run id, 64 hex digits over all that is declared up front: task, data, method,
            parameters, seeds, samples, stages. Its first 8 name the folder.
        requested: named by the user, not only added as a reference.
    """

    method: ResolvedMethod
    seed: int
    fit_seed: int
    samples: int
    stages: tuple[StagePlan, ...]
    key: str
    folder: RunDir
    requested: bool

    @property
    def name(self) -> str:
        """Canonical name of the method."""
        return self.method.name

    def inputs(self, task: Task) -> RunInputs:
        """The frozen inputs, as `run.json` stores them before anything has run."""
        given = self.method.capabilities.given(task.spec.window.n_max)
        return {
            "method": self.name,
            "kind": row_kind(self.method),
            "spec": self.method.identity(),
            "preset": self.method.preset,
            "task": task.fields(trained=bool(self.stages)),
            "data": task.clips_hash,
            "dataset": task.dataset,
            "gives": {"label": task.has_label, "pose": task.has_pose},
            "names": task.names,
            "seed": self.seed,
            "fit_seed": self.fit_seed if self.stages else None,
            "samples": self.samples,
            "uses": _uses(self.method, task),
            "notes": self.method.notes,
            "conditioning_frames": 0 if _shows_real_clips(self.method) else given,
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


def make_plan(
    methods: Sequence[MethodRef],
    options: RunOptions,
    task: Task,
    registry: Registry,
    runs: Path,
    cache: Path | None = None,
) -> Plan:
    """Resolve names, check capabilities, find trained stages, name run folders.

    Args:
        methods: as requested; references are added where the options want them.
        cache: where checkpoints with a URL are kept; None ignores them.

    Raises:
        UnknownName, UsageError: a name or parameter is wrong.
    """
    planned: dict[Path, RunPlan] = {}
    refused: dict[tuple[str, int, int], Refusal] = {}
    for ref, requested in _refs(methods, options, registry):
        try:
            method = resolve(ref, registry, task.spec.size, options.preset if requested else None)
        except Refused as error:
            refused[(str(ref), 0, 0)] = Refusal(
                str(ref), "method", (error.message,), requested, options.seed, options.fit_seed
            )
            continue
        reasons = _reasons(method, task)
        for fit_seed in _fit_seeds(method, options):
            for seed in _seeds(method, options):
                run = None
                try:
                    if not reasons:
                        run = _run(
                            method, seed, fit_seed, options, task, registry, runs, cache, requested
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


def _refs(
    methods: Sequence[MethodRef], options: RunOptions, registry: Registry
) -> list[tuple[MethodRef, bool]]:
    """Each method to run, and whether it was requested by name."""
    refs = [(r, True) for method in methods for r in expand(method, registry)]
    if options.references:
        named = {str(r) for r, _ in refs}
        refs += [(MethodRef(n, {}), False) for n in REFERENCES if n not in named]
    return refs


def _reasons(method: ResolvedMethod, task: Task) -> list[str]:
    reasons = unmet(
        method.capabilities,
        n_max=task.spec.window.n_max,
        horizon=task.horizon,
        size=task.spec.size,
        has_label=task.has_label,
        has_pose=task.has_pose,
    )
    if retrieves(method) and not task.items["train"]:
        reasons.append("needs training clips, but the dataset has none")
    return reasons


def _seeds(method: ResolvedMethod, options: RunOptions) -> Sequence[int]:
    """A method without randomness has one run, with seed 0, whatever seeds are requested."""
    return options.seeds if method.capabilities.stochastic else (0,)


def _fit_seeds(method: ResolvedMethod, options: RunOptions) -> Sequence[int]:
    return options.fit_seeds if _is_trained(method) else (0,)


def _is_trained(method: ResolvedMethod) -> bool:
    return bool(method.spec.stages) or any(p.spec.trained_by for p in method.slots.values())


def _run(
    method: ResolvedMethod,
    seed: int,
    fit_seed: int,
    options: RunOptions,
    task: Task,
    registry: Registry,
    runs: Path,
    cache: Path | None,
    requested: bool,
) -> RunPlan:
    nodes = stage_graph(method, task.stage_fields(), task.spec.size, registry, fit_seed)
    given = find_given(options.checkpoint) if options.checkpoint and requested else {}
    sources = CheckpointSources(
        runs / task.trained_as / "stages",
        cache,
        given,
        options.refit,
        task.training_hash,
        task.training_label_hash,
        task.names,
    )
    stages = plan_stages(nodes, method, sources)
    if given and not any(s.origin == "given" for s in stages) and stages:
        raise UsageError(
            f"{options.checkpoint} holds no stage of {method.name}; it has {', '.join(given)}."
        )
    samples = options.samples if method.capabilities.stochastic else 1
    key = digest(
        [
            task.fields(trained=bool(stages)),
            task.clips_hash,
            [task.training_hash, task.training_pose_hash] if _reads_training(method) else None,
            method.identity(),
            seed if method.capabilities.stochastic else 0,
            fit_seed if stages else None,
            samples,
            [[s.node.key, _given_hash(s)] for s in stages],
        ]
    )
    return RunPlan(
        method=method,
        seed=seed,
        fit_seed=fit_seed,
        samples=samples,
        stages=stages,
        key=key,
        folder=RunDir(runs / task.id / safe_name(method.name) / key[:8]),
        requested=requested,
    )


def _reads_training(method: ResolvedMethod) -> bool:
    """Whether training clips move its predictions: it learns from them, or shows some of them."""
    return _is_trained(method) or retrieves(method)


def _shows_real_clips(method: ResolvedMethod) -> bool:
    """Whether a row is real clips, for which no given frame counts."""
    sees_future = method.spec.kind == "reference" and method.capabilities.oracle
    return sees_future or method.spec.kind in ("ceiling", "floor")


def retrieves(method: ResolvedMethod) -> bool:
    """Whether it shows clips of the training split, which it is then bound to."""
    return method.spec.kind in RETRIEVES and not method.capabilities.oracle


def _given_hash(stage: StagePlan) -> str:
    return digest(read_object(stage.folder.record))[:16] if stage.origin == "given" else ""
