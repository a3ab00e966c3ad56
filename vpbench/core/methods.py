"""A method with everything in its name resolved: parameters, components, capabilities."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpbench.api.capabilities import Capabilities
from vpbench.api.errors import MissingData, UnknownName
from vpbench.api.specs import ComponentSpec, MethodSpec, Value, WeightSpec
from vpbench.api.version import KIT_PREDICTION
from vpbench.core.hashing import file_sha256
from vpbench.core.names import MethodRef, parse_value
from vpbench.core.provenance import source_path


@dataclass(frozen=True)
class ResolvedComponent:
    """A component in a slot, with its parameters.

    Attributes:
        registered: the name by which the registry finds it; `dist:name` where two offer it.
        home: where its spec is defined.
    """

    slot: str
    spec: ComponentSpec
    params: Mapping[str, Value]
    registered: str
    home: str = ""

    def identity(self) -> dict[str, Any]:
        """What a trained state of it depends on."""
        return {
            "name": self.spec.name,
            "factory": self.spec.factory,
            "version": self.spec.version,
            "space": self.spec.space,
            "params": counted_params(self.spec, self.params),
        }

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do with these parameters."""
        return overridden(self.spec, self.params)

    @property
    def space(self) -> tuple[int, str] | None:
        """(K, convention) of its keypoints with parameters filled in; None for any."""
        if self.spec.space is None:
            return None
        count, convention = self.spec.space
        if isinstance(count, str):
            if count not in self.params:
                raise UnknownName(f"parameter of {self.spec.name}", count, self.params)
            count = self.params[count]
        return int(count), convention


@dataclass(frozen=True)
class ResolvedMethod:
    """A method with everything in its name resolved.

    Attributes:
        ref: canonical: parameters equal to their default are dropped.
        registered: the name by which the registry finds it; `dist:name` where two offer it.
        shared: slot -> parameters that its own components in that slot share with it.
        home: where its spec is defined.
    """

    ref: MethodRef
    spec: MethodSpec
    preset: str
    params: Mapping[str, Value]
    slots: Mapping[str, ResolvedComponent]
    capabilities: Capabilities
    registered: str
    shared: Mapping[str, frozenset[str]]
    home: str = ""

    @functools.cached_property
    def name(self) -> str:
        """The canonical name, as tables print it."""
        return str(self.ref)

    def own_params(self, slots: Iterable[str] = ()) -> dict[str, Value]:
        """Parameters that belong to no component, and those of its own components in `slots`.

        What fills the slots makes no difference, so that a swap leaves other stages alone.
        """
        away = {key for keys in self.shared.values() for key in keys}
        away -= {key for slot in slots for key in self.shared.get(slot, ())}
        return {k: v for k, v in self.params.items() if k not in away}

    def identity(self) -> dict[str, Any]:
        """What a prediction depends on by declaration, besides task, seeds and trained stages.

        Code is not in it: it is recorded with each result and probed when it has changed. A field
        that came later than the first release is left out at its default, so that keys stay.
        """
        later: dict[str, Any] = {}
        if self.spec.version != 1:
            later["version"] = self.spec.version
        if KIT_PREDICTION != 1:
            later["kit"] = KIT_PREDICTION
        if self.spec.files:
            later["files"] = {name: _content(self.folder, name) for name in self.spec.files}
        weights = {w.name: w.sha256 for w in self.weights()}
        if weights:
            later["weights"] = weights
        return {
            "name": self.spec.name,
            "factory": self.spec.factory,
            "api": self.spec.api,
            "params": counted_params(self.spec, self.params),
            "slots": {slot: part.identity() for slot, part in sorted(self.slots.items())},
            **later,
        }

    def weights(self) -> list[WeightSpec]:
        """Pretrained weights of the method and its components that these parameters ask for."""
        known = [*self.spec.weights, *(w for p in self.slots.values() for w in p.spec.weights)]
        params = {**self.params, **{k: v for p in self.slots.values() for k, v in p.params.items()}}
        return [w for w in known if all(params.get(k) == v for k, v in w.when.items())]

    @property
    def folder(self) -> Path | None:
        """The folder of the plugin's package, or the one that holds its single file."""
        module = self.spec.factory.partition(":")[0] or self.home.partition(":")[0]
        path = source_path(module, self.home)
        return path.parent if path is not None and path.is_file() else path

    @property
    def factories(self) -> list[tuple[str, str]]:
        """(factory, home) of the method and of its components: where its code comes from."""
        parts = [(part.spec.factory, part.home) for part in self.slots.values()]
        return [(self.spec.factory, self.home), *parts]

    @property
    def built_in(self) -> bool:
        """Whether vpbench itself makes it: a reference, a null."""
        return all(factory.startswith("vpbench.") for factory, _ in self.factories)

    @property
    def notes(self) -> list[str]:
        """What its spec and those of its components say about their parameters, for tables."""
        parts = [note for p in self.slots.values() for note in _notes(p.spec, p.params)]
        return [*_notes(self.spec, self.params), *parts]

    @functools.cached_property
    def uses(self) -> list[str]:
        """What it is given besides frames, for tables."""
        uses: list[str] = []
        for name, need in (("label", self.capabilities.label), ("pose", self.capabilities.pose)):
            if need in ("required", "optional"):
                uses.append(name)
            elif need == "training":
                uses.append(f"{name} (training)")
        return uses


def overridden(spec: MethodSpec | ComponentSpec, params: Mapping[str, Value]) -> Capabilities:
    """Capabilities of a spec with these parameters."""
    capabilities = spec.capabilities
    for rule, changes in spec.overrides.items():
        if _holds(rule, params):
            capabilities = capabilities.changed(changes)
    return capabilities


def counted_params(
    spec: MethodSpec | ComponentSpec, params: Mapping[str, Value]
) -> dict[str, Value]:
    """The parameters that count in keys: later ones do only where they change something."""
    return {k: v for k, v in params.items() if k not in spec.later or v != spec.later[k]}


def _notes(spec: MethodSpec | ComponentSpec, params: Mapping[str, Value]) -> list[str]:
    return [text for rule, text in spec.notes.items() if _holds(rule, params)]


def _holds(rule: str, params: Mapping[str, Value]) -> bool:
    """Whether "param=value", or "param!=value", is true of some parameters."""
    key, _, text = rule.partition("=")
    name = key.removesuffix("!")
    if name not in params:
        return False
    return (parse_value(name, text, params[name]) == params[name]) != key.endswith("!")


def _content(folder: Path | None, name: str) -> str:
    """sha256 of a data file of a plugin.

    Raises:
        MissingData: it is missing.
    """
    path = None if folder is None else folder / name
    if path is None or not path.is_file():
        raise MissingData(f"the data file {path or name} is missing.", fix="Reinstall the plugin.")
    return file_sha256(path)
