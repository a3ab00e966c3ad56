"""How long a training will take, said before it starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vpbench.api.costs import Effort
from vpbench.api.errors import VpbenchError
from vpbench.api.specs import MethodSpec
from vpbench.core.checkpoints import StagePlan
from vpbench.core.plan import Plan, RunPlan
from vpbench.core.rundir import read_object
from vpbench.core.training_time import CORE, GPU, span, training_time

Basis = Literal["here", "declared", "at least", ""]
"""Measured on this machine; as the plugin declares it; a bound by its steps; not known."""

_CORES, _GPU = "2 CPU cores", "an H100"
"""What declared times are for."""


@dataclass(frozen=True)
class TrainingEstimate:
    """The training of one method, all fit seeds together.

    Attributes:
        preset: "" for a method without any.
        steps: None where the plugin does not declare them.
        hours: None where nothing is known.
        other: a preset that takes less, with its hours.
        in_part: some stages are trained already; steps and declared times are those of all.
    """

    method: str
    preset: str
    steps: int | None
    hours: float | None
    basis: Basis
    where: str
    runs: int
    other: tuple[str, float] | None = None
    in_part: bool = False

    def text(self) -> str:
        """`my-method: trains preset paper: 600,000 steps, at least 48 h on 2 CPU cores; ...`."""
        trained = f"preset {self.preset}" if self.preset else "it first"
        what = f"{self.method}: trains {'a part of ' if self.in_part else ''}{trained}"
        what += f" {self.runs} times" if self.runs > 1 else ""
        steps = f"{self.steps:,} steps" if self.steps else ""
        time = "no time is known for it"
        if self.hours is not None:
            about = "at least" if self.basis == "at least" else "about"
            time = f"{about} {span(self.hours)} on {self.where}"
        text = f"{what}: {', '.join(part for part in (steps, time) if part)}"
        return text + (f"; --preset {self.other[0]}: {span(self.other[1])}" if self.other else "")


def training_estimates(plan: Plan, device: str) -> list[TrainingEstimate]:
    """One for each method of which a stage is to be fitted, in the order of the plan.

    Args:
        device: "auto", "cpu" or "cuda:N".
    """
    by_method: dict[str, list[RunPlan]] = {}
    for run in plan.runs:
        if any(stage.origin == "to fit" for stage in run.stages):
            by_method.setdefault(run.name, []).append(run)
    on_gpu = device.startswith("cuda") or (device == "auto" and _has_gpu())
    size = plan.task.spec.size
    return [_estimate(runs, size, on_gpu=on_gpu) for runs in by_method.values()]


def preset_costs(spec: MethodSpec) -> list[tuple[str, str, str, str]]:
    """Preset, steps, time on two CPU cores and on a GPU, as texts, for all presets of a method."""
    rows: list[tuple[str, str, str, str]] = []
    for preset, effort in spec.effort.items():
        times: list[str] = []
        for on_gpu in (False, True):
            hours, basis = _declared(effort, spec, on_gpu=on_gpu)
            hours = effort.hours(on_gpu=on_gpu) if preset == "smoke" else hours
            least = "at least " if basis == "at least" else ""
            times.append("-" if hours is None else f"{least}{span(hours)}")
        rows.append((preset or "-", f"{effort.steps:,}", times[0], times[1]))
    return rows


def _estimate(runs: Sequence[RunPlan], size: int, *, on_gpu: bool) -> TrainingEstimate:
    method = runs[0].method
    todo = {s.folder.path: s for run in runs for s in run.stages if s.origin == "to fit"}
    seeds = len({run.fit_seed for run in runs})
    efforts = method.spec.effort
    in_part = bool(method.preset) and any(_is_trained(s) for run in runs for s in run.stages)
    effort = None if in_part else efforts.get(method.preset)
    seconds = _measured(list(todo.values()))
    hours, basis, where = None, "", _GPU if on_gpu else _CORES
    if seconds is not None:
        hours, basis, where = seconds / 3600, "here", "this machine"
    elif (counted := _counted(list(todo.values()), size, on_gpu=on_gpu)) is not None:
        hours, basis = counted, "declared"
    elif effort is not None:
        hours, basis = _declared(effort, method.spec, on_gpu=on_gpu)
        hours = None if hours is None else hours * seeds
    return TrainingEstimate(
        method=method.name,
        preset=method.preset,
        steps=effort.steps if effort else None,
        hours=hours,
        basis=basis,
        where=where,
        runs=seeds,
        other=None if in_part else _shorter(method.spec, method.preset, hours, on_gpu=on_gpu),
        in_part=in_part,
    )


def _is_trained(stage: StagePlan) -> bool:
    """Whether a training is there already; the keypoints of clips are no training."""
    return stage.node.mode != "labels" and stage.origin not in ("to fit", "not needed")


def _counted(stages: Sequence[StagePlan], size: int, *, on_gpu: bool) -> float | None:
    """Hours by the operations of a step; None unless all stages say what one takes."""
    times = [training_time(stage.node, size) for stage in stages if stage.node.mode != "labels"]
    known = [time.hours for time in times if time is not None]
    if not known or len(known) < len(times):
        return None
    return sum(h[GPU] for h in known) if on_gpu else sum(h[CORE] for h in known) / 2


def _declared(
    effort: Effort, spec: MethodSpec, *, on_gpu: bool
) -> tuple[float | None, Literal["declared", "at least", ""]]:
    """Hours of one training. Where none are declared, those of another preset by its steps.

    A preset without a time has never been trained because its networks are larger, so that this is
    a bound.
    """
    own = effort.hours(on_gpu=on_gpu)
    if own is not None:
        return own, "declared"
    rates = [h / e.steps for e in _serious(spec).values() if (h := e.hours(on_gpu=on_gpu))]
    return (max(rates) * effort.steps, "at least") if rates else (None, "")


def _shorter(
    spec: MethodSpec, preset: str, hours: float | None, *, on_gpu: bool
) -> tuple[str, float] | None:
    """The preset that takes longest of those that take less than half the time."""
    known = {n: h for n, e in _serious(spec).items() if (h := e.hours(on_gpu=on_gpu)) is not None}
    less = {n: h for n, h in known.items() if n != preset and (hours is None or h < hours / 2)}
    return max(less.items(), key=lambda item: item[1]) if less else None


def _serious(spec: MethodSpec) -> dict[str, Effort]:
    """What the presets cost, without that of the few steps that only try everything out."""
    return {name: effort for name, effort in spec.effort.items() if name != "smoke"}


def _measured(stages: Sequence[StagePlan]) -> float | None:
    """Seconds that the same stages with other seeds took here; None unless all are known."""
    total = 0.0
    for stage in stages:
        node = stage.node
        if node.mode == "labels":
            continue
        seconds = _seconds_of(stage)
        if seconds is None:
            return None
        total += seconds
    return total


def _seconds_of(stage: StagePlan) -> float | None:
    node, folder = stage.node, stage.folder.path
    start = folder.name.rpartition("-")[0]
    for path in sorted(folder.parent.glob(f"{start}-*/stage.json")):
        try:
            record = read_object(path)
        except (OSError, VpbenchError):
            continue
        if record.get("method") == node.method.name and record.get("seconds"):
            return float(record["seconds"])
    return None


def _has_gpu() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return bool(visible.strip())
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))
