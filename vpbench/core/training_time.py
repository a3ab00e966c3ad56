"""How long a training takes, from what its spec says about one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vpbench.api.specs import ComponentSpec, MethodSpec, Value
from vpbench.core.stages import StageNode

CORE, GPU = "one CPU core", "an H100"
DEVICES: Mapping[str, float] = {CORE: 0.1, GPU: 20.0}
"""Device -> 10^12 floating-point operations a second that a training sustains there.

The core is measured: `benchmarks/published_step.py`, one thread of an AMD EPYC, 0.06 to 0.15 for
the networks of preset paper. The GPU is not: 20 is what convolutions of this size may be expected
to sustain in TF32, of a peak of 495 (NVIDIA's data sheet, without sparsity). Small batches and
recurrent networks, which launch many small kernels, may take several times as long.
"""


@dataclass(frozen=True)
class TrainingTime:
    """An estimate for one stage.

    Attributes:
        steps: how many the training makes.
        hours: device -> hours, to the order of magnitude.
        gib: memory of a step on a processor.
    """

    steps: int
    hours: Mapping[str, float]
    gib: float


def training_time(node: StageNode, size: int) -> TrainingTime | None:
    """How long a stage trains; None where its spec does not say for these parameters and size.

    Args:
        size: side of the task's frames, in pixels.
    """
    if node.mode == "component" and not _usual_slots(node):
        return None
    spec, stage, params = _trained(node)
    for cost in spec.costs:
        if (cost.stage, cost.size) != (stage, size) or cost.steps not in params:
            continue
        counted = {**spec.params, **spec.presets.get(cost.preset, {})}
        if all(counted.get(k) == v for k, v in params.items() if k != cost.steps):
            steps = int(params[cost.steps])
            hours = {name: steps * cost.tflop / rate / 3600 for name, rate in DEVICES.items()}
            return TrainingTime(steps, hours, cost.gib)
    return None


def training_steps(node: StageNode) -> int | None:
    """Steps of a stage with any parameters; None where its spec does not say, or not beside these
    components."""
    if node.mode == "component" and not _usual_slots(node):
        return None
    spec, stage, params = _trained(node)
    names = {cost.steps for cost in spec.costs if cost.stage == stage and cost.steps in params}
    return int(params[names.pop()]) if len(names) == 1 else None


def _usual_slots(node: StageNode) -> bool:
    """Whether a component stands beside those that its costs were counted with.

    What it learns, and how long, may depend on the detector that the others learn from.
    """
    usual = node.method.spec.slots
    return all(part.registered == usual[slot] for slot, part in node.method.slots.items())


def _trained(
    node: StageNode,
) -> tuple[MethodSpec | ComponentSpec, str, Mapping[str, Value]]:
    """Whose spec tells of a stage, under which name, and the parameters that its training sees."""
    if node.mode == "component":
        part = node.method.slots[node.trains[0]]
        return part.spec, "fit", part.params
    spec = node.method.spec
    stage = next((s for s in spec.stages if s.name == node.stage), None)
    own = node.method.own_params(node.trains)
    if stage is None or stage.params is None:
        return spec, node.stage, own
    return spec, node.stage, {k: v for k, v in own.items() if k in stage.params}


def span(hours: float) -> str:
    """A time as people say it: "40 s", "53 min", "2.5 h", "48 h", "12 days"."""
    if hours < 1.5 / 60:
        return f"{max(1, round(hours * 3600))} s"
    if hours < 1.5:
        return f"{round(hours * 60)} min"
    if hours < 10:
        return f"{hours:.1f} h"
    return f"{hours:.0f} h" if hours < 96 else f"{hours / 24:,.0f} days"
