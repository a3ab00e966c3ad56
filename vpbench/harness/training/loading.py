"""Makes methods and components and loads what they have learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vpbench.api.errors import MethodFailed, MissingDependency, UsageError, VpbenchError
from vpbench.api.types import TaskInfo
from vpbench.core.checkpoints import filled_slot
from vpbench.core.loading import first_line
from vpbench.core.methods import ResolvedComponent, ResolvedMethod
from vpbench.core.plan import StagePlan
from vpbench.core.registry import Registry
from vpbench.core.rundir import StageDir
from vpbench.core.stages import StageNode


def make_slots(method: ResolvedMethod, info: TaskInfo, registry: Registry) -> dict[str, Any]:
    """The components of a method, untrained."""
    return {
        slot: make_component(part, info, registry) for slot, part in sorted(method.slots.items())
    }


def make_component(part: ResolvedComponent, info: TaskInfo, registry: Registry) -> Any:
    """One component, untrained.

    Raises:
        MethodFailed: its constructor raised.
    """
    factory = registry.factory("component", part.registered)
    try:
        component = factory(info, dict(part.params), part.space)
    except (VpbenchError, ImportError):
        raise
    except Exception as error:  # a plugin may raise anything
        raise MethodFailed(
            f"the component {part.spec.name} could not be created: {describe_error(error)}"
        ) from error
    _annotate(component, part)
    return component


def _annotate(component: Any, part: ResolvedComponent) -> None:
    """Expose what the spec declares on the instance, unless the instance has its own."""
    for name in ("capabilities", "space"):
        if not hasattr(component, name):
            setattr(component, name, getattr(part, name))


def make_method(
    method: ResolvedMethod, info: TaskInfo, registry: Registry, slots: Mapping[str, Any]
) -> Any:
    """The method with its components, untrained.

    Raises:
        MethodFailed: its constructor raised.
        MissingDependency: a package that it imports is not installed.
    """
    factory = registry.factory("method", method.registered)
    try:
        return factory(info, dict(method.params), dict(slots))
    except VpbenchError:
        raise
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{method.name} needs the Python package {error.name!r}.",
            fix=f"pip install {(error.name or '').partition('.')[0]}",
        ) from error
    except Exception as error:  # a plugin may raise anything
        raise MethodFailed(
            f"{method.name} could not be created: {describe_error(error)}"
        ) from error


def load_stages(
    instance: Any,
    slots: Mapping[str, Any],
    method: ResolvedMethod,
    stages: Sequence[StagePlan],
    device: str,
) -> None:
    """Load trained stages in graph order, into the method or into its components.

    Stages that the run does not need may be missing.

    Raises:
        HashMismatch: a checkpoint is not what was written.
        UsageError: the method has stages but no `load`.
    """
    for stage in stages:
        if not stage.needed:
            continue
        stage.folder.read()
        load_node(instance, slots, method, stage.node, stage.folder, device)


def load_node(
    instance: Any,
    slots: Mapping[str, Any],
    method: ResolvedMethod,
    node: StageNode,
    folder: StageDir,
    device: str,
) -> None:
    """Load one trained stage."""
    if node.mode == "labels":
        return
    if node.mode == "component":
        slot = filled_slot(node, method)
        if slot is not None:
            slots[slot].load(folder.checkpoint, device)
    elif node.method.name == method.name:
        if not hasattr(instance, "load"):
            raise UsageError(f"{method.name} has stages but no load(stage, folder, device).")
        instance.load(node.stage, folder.checkpoint, device)
    else:
        for slot, part in method.slots.items():
            if part.spec.trained_by == node.label:
                slots[slot].load(folder.checkpoint / slot, device)


def describe_error(error: BaseException) -> str:
    """Type, first line and place of an exception, for one-sentence messages."""
    return first_line(error)
