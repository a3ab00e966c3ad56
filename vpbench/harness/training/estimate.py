"""How long a training will take, said before it starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vpbench.api.costs import Effort
from vpbench.api.errors import VpbenchError
from vpbench.api.specs import MethodSpec
from vpbench.core.checkpoints import StagePlan
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef
from vpbench.core.plan import Plan, RunPlan
from vpbench.core.registry import Registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import read_object
from vpbench.core.stages import StageNode, stage_applies, stage_graph
from vpbench.core.training_time import CORE, GPU, span, training_steps, training_time

Basis = Literal["here", "declared", "at least", ""]
"""Measured on this machine; as the plugin declares it; a bound by its steps; not known."""

_EQUAL = 1e-6
"""Times that differ by less are the same: a bound is computed from a preset that has a time."""

_CORES, _GPU = "2 CPU cores", "an H100"
"""What declared times are for."""
_SIDE = 64
"""Pixels; declared times are for frames of this side. Larger ones take as many times longer as they
have more pixels."""


@dataclass(frozen=True)
class TrainingEstimate:
    """The training of one method, all fit seeds together.

    Attributes:
        preset: "" for a method without any.
        steps: None where the plugin does not declare them.
        hours: None where nothing is known.
        other: a preset that takes less, with its hours.
        own_steps: the name sets other numbers of steps than the preset has.
        other_stages: it has other stages than with the preset alone, or other components; steps are
            those of its own stages.
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
    own_steps: bool = False
    other_stages: bool = False

    def text(self) -> str:
        """`my-method: trains preset paper: 600,000 steps, at least 48 h on 2 CPU cores; ...`."""
        trained = f"preset {self.preset}" if self.preset else "it first"
        what = f"{self.method}: trains {'a part of ' if self.in_part else ''}{trained}"
        what += " with other stages" if self.other_stages else ""
        what += " with other numbers of steps" if self.own_steps else ""
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


@dataclass(frozen=True)
class PresetCost:
    """What the training of a preset costs, for `vpbench info`.

    Attributes:
        size: side of the frames that the times are for, in pixels.
        cpu, gpu: times on two CPU cores and on a GPU, as texts; "-" where nothing is known.
    """

    preset: str
    steps: int
    size: int
    cpu: str
    gpu: str


def preset_costs(method: ResolvedMethod, registry: Registry) -> list[PresetCost]:
    """All presets of a method, with times for frames of 64 px.

    A preset of which each stage says what a step costs has the times that `vpbench plan` shows, at
    the size that they were counted at.
    """
    rows: list[PresetCost] = []
    for preset, effort in method.spec.effort.items():
        size, times = _counted_times(method, preset, registry)
        if not times:
            size, times = _SIDE, [_text(preset, effort, method.spec, gpu) for gpu in (False, True)]
        rows.append(PresetCost(preset, effort.steps, size, *times))
    return rows


def _counted_times(
    method: ResolvedMethod, preset: str, registry: Registry
) -> tuple[int, list[str]]:
    """The smallest size at which all stages say what a step costs, and the times; [] for none."""
    for size in _counted_sizes(method):
        nodes = _nodes(method, preset, size, registry)
        hours = [_counted(nodes, size, on_gpu=on_gpu) for on_gpu in (False, True)]
        known = [span(h) for h in hours if h is not None]
        if len(known) == len(hours):
            return size, known
    return _SIDE, []


def _counted_sizes(method: ResolvedMethod) -> list[int]:
    """The sizes of frames that what a step costs is declared for."""
    parts = [part.spec for part in method.slots.values()]
    return sorted({cost.size for spec in (method.spec, *parts) for cost in spec.costs})


def _nodes(method: ResolvedMethod, preset: str, size: int, registry: Registry) -> list[StageNode]:
    """The stages of a method with nothing but a preset in its name."""
    ref = MethodRef(method.registered, {"preset": preset} if preset else {})
    return stage_graph(resolve(ref, registry, size), {}, size, registry, 0)


def _text(preset: str, effort: Effort, spec: MethodSpec, on_gpu: bool) -> str:
    hours, basis = _declared(effort, spec, on_gpu=on_gpu)
    hours = effort.hours(on_gpu=on_gpu) if preset == "smoke" else hours
    least = "at least " if basis == "at least" else ""
    return "-" if hours is None else f"{least}{span(hours)}"


def _estimate(runs: Sequence[RunPlan], size: int, *, on_gpu: bool) -> TrainingEstimate:
    method = runs[0].method
    todo = {s.folder.path: s for run in runs for s in run.stages if s.origin == "to fit"}
    seeds = len({run.fit_seed for run in runs})
    efforts = method.spec.effort
    in_part = bool(method.preset) and any(_is_trained(s) for run in runs for s in run.stages)
    own_steps, other_stages = _own_steps(method), _other_stages(method)
    whole = not in_part and not own_steps and not other_stages
    factor = seeds * _pixels(size)
    effort = efforts.get(method.preset) if whole else None
    nodes = [stage.node for stage in todo.values()]
    steps = effort.steps if effort else None
    if other_stages and not in_part and not own_steps:
        steps = _all_steps([node for node in nodes if node.fit_seed == nodes[0].fit_seed])
    seconds = _measured(list(todo.values()))
    hours, basis, where = None, "", _GPU if on_gpu else _CORES
    if seconds is not None:
        hours, basis, where = seconds / 3600, "here", "this machine"
    elif (counted := _counted(nodes, size, on_gpu=on_gpu)) is not None:
        hours, basis = counted, "declared"
    elif effort is not None:
        hours, basis = _declared(effort, method.spec, on_gpu=on_gpu)
        hours = None if hours is None else hours * factor
    return TrainingEstimate(
        method=method.name,
        preset=method.preset,
        steps=steps,
        hours=hours,
        basis=basis,
        where=where,
        runs=seeds,
        other=_shorter(method, hours, basis, factor, on_gpu=on_gpu) if whole else None,
        in_part=in_part,
        own_steps=own_steps,
        other_stages=other_stages,
    )


def _own_steps(method: ResolvedMethod) -> bool:
    """Whether a name sets numbers of steps that its preset has not, such as `steps=800`."""
    return any(name.endswith("steps") for name in method.ref.params)


def _other_stages(method: ResolvedMethod) -> bool:
    """Whether a name has other stages than its preset alone, or other components in its slots."""
    spec = method.spec
    plain = replace(method, params={**spec.params, **spec.presets.get(method.preset, {})})
    own, usual = ([s for s in spec.stages if stage_applies(s, m)] for m in (method, plain))
    return own != usual or any(slot in method.ref.params for slot in spec.slots)


def _all_steps(nodes: Sequence[StageNode]) -> int | None:
    """Of all stages together; None unless each says how many it makes."""
    each = [training_steps(node) for node in nodes if node.mode != "labels"]
    known = [steps for steps in each if steps is not None]
    return sum(known) if known and len(known) == len(each) else None


def _pixels(size: int) -> float:
    """How many times longer frames of a size take than those that declared times are for."""
    return max(1.0, (size / _SIDE) ** 2)


def _is_trained(stage: StagePlan) -> bool:
    """Whether a training is there already; the keypoints of clips are no training."""
    return stage.node.mode != "labels" and stage.origin not in ("to fit", "not needed")


def _counted(nodes: Sequence[StageNode], size: int, *, on_gpu: bool) -> float | None:
    """Hours by the operations of a step; None unless all stages say what one takes."""
    times = [training_time(node, size) for node in nodes if node.mode != "labels"]
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
    method: ResolvedMethod, hours: float | None, basis: Basis, factor: float, *, on_gpu: bool
) -> tuple[str, float] | None:
    """The preset that takes longest of those that take less than half the time.

    Where that time is only a bound, those that take no longer than it count too: a preset for
    another device, with larger batches, will take much more than its steps suggest.

    Args:
        factor: to the declared times, for the number of trainings and the size of frames.
    """
    declared = {n: e.hours(on_gpu=on_gpu) for n, e in _serious(method.spec).items()}
    known = {n: h * factor for n, h in declared.items() if h is not None}
    most = None if hours is None else hours * ((1 + _EQUAL) if basis == "at least" else 0.5)
    less = {n: h for n, h in known.items() if n != method.preset and (most is None or h <= most)}
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
