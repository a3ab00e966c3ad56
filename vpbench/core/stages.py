"""The stage graph: what has to be trained for a method, and under which key it is kept."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from vpbench.api.errors import Refused, UnknownName, UsageError
from vpbench.api.specs import StageSpec
from vpbench.api.version import KIT_TRAINING
from vpbench.core.hashing import digest
from vpbench.core.methods import ResolvedComponent, ResolvedMethod, counted_params
from vpbench.core.names import MethodRef, parse_value, safe_name
from vpbench.core.registry import Registry
from vpbench.core.resolve import resolve, trainer_of


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
    task: Mapping[str, Any],
    owner: str,
    stage: StageSpec,
    trained: Any,
    needs: tuple[str, ...],
    fit_seed: int,
) -> str:
    """16 hex digits of all that a trained stage depends on by name, not by content."""
    fields = {k: v for k, v in task.items() if k not in ("limit", "n", "split_hash", "notes")}
    later = [] if KIT_TRAINING == 1 else [KIT_TRAINING]
    key = [fields, owner, stage.name, stage.version, trained, sorted(needs), fit_seed, *later]
    return digest(key)[:16]


def stage_applies(stage: StageSpec, method: ResolvedMethod) -> bool:
    """Whether a method with these parameters has the stage."""
    params = method.params
    rules = [rule.partition("=")[::2] for rule in stage.when]
    return not rules or any(
        key in params and parse_value(key, text, params[key]) == params[key] for key, text in rules
    )


def _only(params: Mapping[str, Any], stage: StageSpec) -> dict[str, Any]:
    """The parameters that a stage depends on."""
    return {k: v for k, v in params.items() if stage.params is None or k in stage.params}


def stage_graph(
    method: ResolvedMethod, task: Mapping[str, Any], size: int, registry: Registry, fit_seed: int
) -> list[StageNode]:
    """All stages that a method needs, in an order in which they can be made.

    Args:
        method: with parameters and slots filled in.
        task: `Task.fields()`.
        size: the task's size in pixels, for the presets of foreign owners.

    Raises:
        UnknownName: a stage needs one that does not exist.
        Refused: stages need each other.
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
        there = [s for s in method.spec.stages if stage_applies(s, method)]
        nodes = [self.own(method, stage.name) for stage in there]
        nodes += [self.foreign(method, part) for part in method.slots.values()]
        return [node for node in nodes if node is not None]

    def own(self, method: ResolvedMethod, name: str) -> StageNode | None:
        """The node of one of the method's stages; None when nothing in it is left to train."""
        stage = _stage(method, name)
        method = self._joint(method, stage)
        with self._opened(f"{method.spec.name}:{name}") as label:
            if stage.kind == "labels":
                return self.labels(method, stage)
            trains = tuple(s for s in stage.trains if method.slots[s].spec.trained_by == label)
            if stage.trains and not trains:
                return None
            nodes, frozen = self._before(method, stage, trains)
        identities = [method.slots[s].identity() for s in trains]
        own = counted_params(method.spec, method.own_params(stage.trains))
        trained: Any = [_only(own, stage), identities, frozen]
        if not stage.trains:
            params = counted_params(method.spec, method.params)
            trained = [method.spec.factory, _only(params, stage), frozen]
        return self._add(method.spec.name, stage, "method", method, trains, _keys(nodes), trained)

    def _joint(self, method: ResolvedMethod, stage: StageSpec) -> ResolvedMethod:
        """The method that trains a joint stage.

        A detector that is trained together with a translator keeps its usual partner when another
        translator, which is trained on this detector, stands in the slot.
        """
        detector, translator = method.slots.get("detector"), method.slots.get("translator")
        if (
            detector is None
            or translator is None
            or not {"detector", "translator"} <= {*stage.trains}
        ):
            return method
        label = f"{method.spec.name}:{stage.name}"
        if translator.spec.trained_by != "self" or detector.spec.trained_by != label:
            return method
        ref = method.ref
        kept = {k: v for k, v in ref.params.items() if k.partition(".")[0] != "translator"}
        return resolve(MethodRef(ref.base, kept), self.registry, self.size)

    @contextmanager
    def _opened(self, label: str) -> Generator[str]:
        if label in self._open:
            raise Refused(f"the stages {' -> '.join([*self._open, label])} need each other.")
        self._open.append(label)
        try:
            yield label
        finally:
            self._open.pop()

    def _before(
        self, method: ResolvedMethod, stage: StageSpec, trains: tuple[str, ...]
    ) -> tuple[list[StageNode | None], list[Any]]:
        """What a stage starts from: other nodes, and parts that it does not train.

        Where nothing in a needed stage is left to train, the parts in its slots take its place.
        """
        parts = [method.slots[s] for s in stage.trains if s not in trains]
        nodes = [self.foreign(method, part) for part in parts]
        frozen: list[Any] = [part.identity() for part in parts]
        for need in stage.needs:
            owner, _, name = need.rpartition(":")
            if owner and owner != method.spec.name:
                maker = resolve(MethodRef(owner, {}), self.registry, self.size)
            else:
                maker = method
            node = self.own(maker, name)
            nodes.append(node)
            if node is None:
                with self._opened(f"{maker.spec.name}:{name}"):
                    earlier, given = self._before(maker, _stage(maker, name), ())
                nodes += earlier
                frozen += given
        return nodes, frozen

    def labels(self, method: ResolvedMethod, stage: StageSpec) -> StageNode:
        """The node that stores the keypoints of the method's detector."""
        if "detector" not in method.slots:
            raise UsageError(f"{method.spec.name}:{stage.name} needs a slot called detector.")
        detector = method.slots["detector"]
        needs = _keys([self.trainer(method, detector)])
        return self._add(
            detector.spec.name, stage, "labels", method, (), needs, detector.identity()
        )

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
            beside = method.slots.values()
            maker = trainer_of(part, self.registry, self.size, beside, method.preset)
            return self.own(maker, by.partition(":")[2])
        needs: list[StageNode | None] = []
        trained: list[Any] = [part.identity()]
        if part.slot == "motion":
            stage = next((s for s in method.spec.stages if s.kind == "labels"), None)
            needs = [self.labels(method, stage or StageSpec("labels", kind="labels"))]
        elif part.slot == "translator":
            detector = method.slots["detector"]
            needs = [self.trainer(method, detector)]
            trained.append(detector.identity())
        spec = StageSpec("fit", part.spec.version, trains=(part.slot,))
        return self._add(
            part.spec.name, spec, "component", method, (part.slot,), _keys(needs), trained
        )

    def _add(
        self,
        owner: str,
        stage: StageSpec,
        mode: Literal["method", "component", "labels"],
        method: ResolvedMethod,
        trains: tuple[str, ...],
        needs: tuple[str, ...],
        trained: Any,
    ) -> StageNode:
        key = stage_key(self.task, owner, stage, trained, needs, self.fit_seed)
        if key not in self.nodes:
            self.nodes[key] = StageNode(
                owner, stage.name, stage.version, mode, method, trains, needs, key, self.fit_seed
            )
        return self.nodes[key]


def _stage(method: ResolvedMethod, name: str) -> StageSpec:
    stages = {s.name: s for s in method.spec.stages}
    if name not in stages:
        raise UnknownName(f"stage of {method.spec.name}", name, stages)
    return stages[name]


def _keys(nodes: list[StageNode | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.key for node in nodes if node is not None))
