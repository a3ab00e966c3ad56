"""The stage graph: what has to be trained for a method, and under which key it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from vpbench.api.errors import UsageError
from vpbench.api.specs import StageSpec
from vpbench.core.hashing import digest
from vpbench.core.methods import ResolvedComponent, ResolvedMethod, resolve
from vpbench.core.names import safe_name
from vpbench.core.registry import Registry


@dataclass(frozen=True)
class StageNode:
    """One trained (or labelled) thing.

    Attributes:
        owner: name of the method or component that trains.
        mode: "method" calls the method's `fit`, "component" the component's own, "labels" lets
            the harness store the detector's keypoints.
        method: the method whose `fit` is called or in whose slots the component stands.
        trains: slots that are trained, without frozen ones.
        needs: keys of the nodes that must be there first.
    """

    owner: str
    stage: str
    version: int
    mode: Literal["method", "component", "labels"]
    method: ResolvedMethod
    trains: tuple[str, ...]
    needs: tuple[str, ...]
    key: str
    fit_seed: int

    @property
    def folder(self) -> str:
        """Name below RUNS/<task>/stages."""
        return f"{safe_name(self.owner)}.{self.stage}-{self.key}"

    @property
    def label(self) -> str:
        """owner:stage, as specs and messages write it."""
        return f"{self.owner}:{self.stage}"


def stage_key(
    task: Mapping[str, Any], owner: str, stage: StageSpec, trained: Any, needs: tuple[str, ...],
    fit_seed: int,
) -> str:  # fmt: skip
    """16 hex digits of all that a trained stage depends on by name, not by content."""
    fields = {k: v for k, v in task.items() if k not in ("limit", "n", "split_hash")}
    return digest([fields, owner, stage.name, stage.version, trained, sorted(needs), fit_seed])[:16]


def stage_graph(
    method: ResolvedMethod, task: Mapping[str, Any], size: int, registry: Registry, fit_seed: int
) -> list[StageNode]:
    """All stages that a method needs, in an order in which they can be made.

    Args:
        method: with parameters and slots filled in.
        task: `Task.fields()`.
        size: the task's size in pixels, for the presets of foreign owners.

    Raises:
        UsageError: a stage needs one that does not exist, or stages need each other.
    """
    builder = _Builder(task, size, registry, fit_seed)
    builder.method(method)
    return list(builder.nodes.values())


class _Builder:
    def __init__(
        self, task: Mapping[str, Any], size: int, registry: Registry, fit_seed: int
    ) -> None:
        self.task, self.size, self.registry, self.fit_seed = task, size, registry, fit_seed
        self.nodes: dict[str, StageNode] = {}
        self._open: list[str] = []

    def method(self, method: ResolvedMethod) -> list[StageNode]:
        """Nodes of all its stages and of components that are trained elsewhere."""
        made = [self.own(method, stage.name) for stage in method.spec.stages]
        made += [self.foreign(method, part) for part in method.slots.values()]
        return [node for node in made if node is not None]

    def own(self, method: ResolvedMethod, name: str) -> StageNode | None:
        """The node of one of the method's stages; None when nothing in it is left to train."""
        stage = next((s for s in method.spec.stages if s.name == name), None)
        if stage is None:
            raise UsageError(f"{method.spec.name} has no stage {name!r}.")
        label = f"{method.spec.name}:{name}"
        if label in self._open:
            raise UsageError(f"the stages {' -> '.join([*self._open, label])} need each other.")
        self._open.append(label)
        try:
            return self._own(method, stage, label)
        finally:
            self._open.pop()

    def _own(self, method: ResolvedMethod, stage: StageSpec, label: str) -> StageNode | None:
        if stage.kind == "labels":
            return self.labels(method, stage)
        trains = tuple(s for s in stage.trains if method.slots[s].spec.trained_by == label)
        if stage.trains and not trains:
            return None
        needs = [self._needed(method, need) for need in stage.needs]
        needs += [self.foreign(method, method.slots[s]) for s in stage.trains if s not in trains]
        trained: Any = [method.own_params(), [method.slots[s].identity() for s in trains]]
        if not stage.trains:
            trained = [method.spec.factory, dict(method.params)]
        owner = method.spec.name
        return self._add(owner, stage, "method", method, trains, _keys(needs), trained)

    def _needed(self, method: ResolvedMethod, need: str) -> StageNode | None:
        owner, _, stage = need.rpartition(":")
        if not owner or owner == method.spec.name:
            return self.own(method, stage)
        return self.own(resolve(owner, self.registry, self.size), stage)

    def labels(self, method: ResolvedMethod, stage: StageSpec) -> StageNode:
        """The node that stores the keypoints of the method's detector."""
        if "detector" not in method.slots:
            raise UsageError(f"{method.spec.name}:{stage.name} needs a slot called detector.")
        detector = method.slots["detector"]
        makers = [self.trainer(method, detector)]
        trained = detector.identity()
        return self._add(
            detector.spec.name, replace(stage, name=f"{stage.name}"), "labels", method, (),
            _keys(makers), trained,
        )  # fmt: skip

    def trainer(self, method: ResolvedMethod, part: ResolvedComponent) -> StageNode | None:
        """The node that trains what stands in a slot; None if it is not trained."""
        by = part.spec.trained_by
        if by and by.partition(":")[0] == method.spec.name:
            return self.own(method, by.partition(":")[2])
        return self.foreign(method, part)

    def foreign(self, method: ResolvedMethod, part: ResolvedComponent) -> StageNode | None:
        """The node of a component that another owner, or the component itself, trains."""
        by = part.spec.trained_by
        if by is None or by.partition(":")[0] == method.spec.name:
            return None
        if by != "self":
            owner, _, stage = by.partition(":")
            return self.own(resolve(owner, self.registry, self.size), stage)
        needs: list[StageNode | None] = []
        if part.slot == "motion":
            stage = next((s for s in method.spec.stages if s.kind == "labels"), None)
            needs = [self.labels(method, stage or StageSpec("labels", kind="labels"))]
        elif part.slot == "translator":
            needs = [self.trainer(method, method.slots["detector"])]
        spec = StageSpec("fit", part.spec.version, trains=(part.slot,))
        return self._add(
            part.spec.name, spec, "component", method, (part.slot,), _keys(needs), part.identity()
        )

    def _add(
        self, owner: str, stage: StageSpec, mode: Literal["method", "component", "labels"],
        method: ResolvedMethod, trains: tuple[str, ...], needs: tuple[str, ...], trained: Any,
    ) -> StageNode:  # fmt: skip
        key = stage_key(self.task, owner, stage, trained, needs, self.fit_seed)
        if key not in self.nodes:
            self.nodes[key] = StageNode(
                owner, stage.name, stage.version, mode, method, trains, needs, key, self.fit_seed
            )
        return self.nodes[key]


def _keys(nodes: list[StageNode | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.key for node in nodes if node is not None))
