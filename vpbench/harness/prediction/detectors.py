"""The trained keypoint detector of a method, or a detector component on its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from vpbench.api.errors import Refused, UnknownName, UsageError
from vpbench.api.specs import Value
from vpbench.api.types import Frames, Pose
from vpbench.core.checkpoints import filled_slot
from vpbench.core.methods import ResolvedComponent
from vpbench.core.names import MethodRef, parse_value
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan, StagePlan
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.harness.inputs.fetch import fetch_for_run
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.loaded import check_trained, plan_loaded
from vpbench.harness.training.loading import load_node, make_component, make_method, make_slots

SLOT = "detector"


@dataclass(frozen=True)
class LoadedDetector:
    """A detector that is ready to detect.

    Attributes:
        name: of the method, or of the component, with its parameters.
        component: name of the component.
        stages: the trained stages that it holds.
    """

    name: str
    component: str
    instance: Any
    takes_pose: bool
    stages: tuple[str, ...]
    device: str

    def detect(self, frames: Frames, pose: Pose | None) -> Pose:
        """Keypoints float32 [B,T,K,3] of uint8 [B,T,H,W,3]; a pose only where it takes one.

        Raises:
            MethodFailed: the detector raised, or made no keypoints.
        """
        from vpbench.kit.detection import detect

        given = pose if self.takes_pose else None
        return detect(self.instance, frames, given, self.device, self.component)


def load_detector(
    text: MethodRef,
    options: RunOptions,
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
    report: Report = silent,
) -> LoadedDetector:
    """Load the detector that a name stands for: a method's, or a component of that slot.

    Only the stages that train the detector are loaded. A component that a method trains is taken
    from that method; one that trains itself, from the method that has it in its slot by default.

    Raises:
        UnknownName: neither a method nor a component has that name.
        Refused: it has no keypoint detector.
        MissingData: it is not trained yet.
    """
    untrained, ref = _host(text, registry)
    if untrained is not None:
        instance = make_component(untrained, task_data.task.info, registry)
        return LoadedDetector(
            str(text), untrained.spec.name, instance, _takes_pose(untrained), (), "cpu"
        )
    (run,) = plan_loaded([ref], options, task_data, registry, paths)
    part = run.method.slots.get(SLOT)
    if part is None:
        raise Refused(
            f"{run.name} has no keypoint detector.",
            fix="Name a method with a detector, or a component: vpbench list components",
        )
    stages = tuple(stage for stage in run.stages if _trains(stage, run))
    own = replace(run, stages=stages)
    check_trained(own, task_data)
    fetch_for_run(own, paths, report)
    where = _device(options.device) if stages else "cpu"
    info = task_data.task.info
    slots = make_slots(run.method, info, registry)
    # Stages of the method itself are read by the method.
    method = make_method(run.method, info, registry, slots)
    for stage in stages:
        stage.folder.read()
        load_node(method, slots, run.method, stage.node, stage.folder, where)
    labels = tuple(f"{stage.node.label} {stage.node.key}" for stage in stages)
    shown = run.name if ref is text else str(text)
    return LoadedDetector(shown, part.spec.name, slots[SLOT], _takes_pose(part), labels, where)


def _device(name: str) -> str:
    from vpbench.kit.threads import pick_device, set_threads

    set_threads(1)  # what is measured must not depend on the number of cores
    return pick_device(name)


def _takes_pose(part: ResolvedComponent) -> bool:
    return part.capabilities.pose in ("required", "optional")


def _trains(stage: StagePlan, run: RunPlan) -> bool:
    """Whether a stage has trained the detector of a run."""
    node, part = stage.node, run.method.slots[SLOT]
    if node.mode == "labels" or not stage.needed:
        return False
    if node.mode == "component":
        return filled_slot(node, run.method) == SLOT
    if node.method.name == run.method.name:
        return SLOT in node.trains
    return part.spec.trained_by == node.label


def _host(text: MethodRef, registry: Registry) -> tuple[ResolvedComponent | None, MethodRef]:
    """A component that nothing trains, or else the method whose detector is meant."""
    if text.base in registry.names("method"):
        return None, text
    if text.base not in registry.names("component"):
        known = [*registry.names("method"), *_detectors(registry)]
        raise UnknownName("method or component", text.base, known)
    spec = registry.component(text.base)
    if spec.slot != SLOT:
        raise Refused(f"{spec.name} is a {spec.slot}; only detectors are probed.")
    owner = (spec.trained_by or "").partition(":")[0]
    if not owner:
        params: dict[str, Value] = dict(spec.params)
        for key, value in text.params.items():
            if key not in params:
                raise UnknownName(f"parameter of {spec.name}", key, params)
            params[key] = parse_value(key, value, params[key])
        return ResolvedComponent(SLOT, spec, params, text.base), text
    if owner == "self":
        hosts = [
            name
            for name in registry.names("method")
            if registry.method(name).slots.get(SLOT) == spec.name
        ]
        if not hosts:
            raise UsageError(
                f"no method uses the component {spec.name}.",
                fix=f"Name a method that has it: vpbench probe 'METHOD[detector={spec.name}]'",
            )
        owner = hosts[0]
    host = registry.method(owner)
    wanted: dict[str, object] = {}
    if host.slots.get(SLOT) != spec.name:
        wanted[SLOT] = text.base
    for key, value in text.params.items():
        wanted[key if key in host.params or key == "preset" else f"{SLOT}.{key}"] = value
    return None, MethodRef(owner, {}).with_params(wanted)


def _detectors(registry: Registry) -> list[str]:
    return [name for name in registry.names("component") if registry.component(name).slot == SLOT]
