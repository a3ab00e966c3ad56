"""From `ours[preset=cpu,motion=frozen]` to a spec with all parameters and slots filled."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vpbench.api.capabilities import Capabilities
from vpbench.api.errors import Refused, UnknownName, UsageError
from vpbench.api.specs import ComponentSpec, MethodSpec, Value
from vpbench.core.hashing import digest
from vpbench.core.names import Named, format_name, parse_name, parse_value
from vpbench.core.provenance import source_hash
from vpbench.core.registry import Registry


@dataclass(frozen=True)
class ResolvedComponent:
    """A component in a slot, with its parameters."""

    slot: str
    spec: ComponentSpec
    params: Mapping[str, Value]
    source: str

    def identity(self) -> dict[str, Any]:
        """What a trained state of it depends on."""
        return {
            "name": self.spec.name, "factory": self.spec.factory, "version": self.spec.version,
            "space": self.spec.space, "params": dict(self.params),
        }  # fmt: skip

    @property
    def space(self) -> tuple[int, str] | None:
        """(K, convention) of its keypoints with parameters filled in; None for any."""
        if self.spec.space is None:
            return None
        count, convention = self.spec.space
        if isinstance(count, str):
            count = self.params[count]
        return int(count), convention


@dataclass(frozen=True)
class ResolvedMethod:
    """A method with all that its name says filled in.

    Attributes:
        name: canonical: parameters equal to their default are dropped.
        source: sha256 of the Python source that its factory comes from.
    """

    name: str
    spec: MethodSpec
    preset: str
    params: Mapping[str, Value]
    slots: Mapping[str, ResolvedComponent]
    capabilities: Capabilities
    source: str

    def own_params(self) -> dict[str, Value]:
        """Parameters that belong to no component."""
        shared = {key for part in self.slots.values() for key in part.params}
        return {k: v for k, v in self.params.items() if k not in shared}

    def identity(self) -> dict[str, Any]:
        """What a prediction depends on, besides task, seeds and trained stages."""
        return {
            "name": self.spec.name, "factory": self.spec.factory, "api": self.spec.api,
            "params": dict(self.params), "source": self.source,
            "slots": {s: [c.identity(), c.source] for s, c in sorted(self.slots.items())},
        }  # fmt: skip

    @functools.cached_property
    def uses(self) -> list[str]:
        """What it is given besides frames, for tables."""
        found: list[str] = []
        for name, need in (("label", self.capabilities.label), ("pose", self.capabilities.pose)):
            if need in ("required", "optional"):
                found.append(name)
            elif need == "training":
                found.append(f"{name} (training)")
        return found


def expand(text: str, registry: Registry) -> list[str]:
    """`ours[detector=*,motion=*]` -> one name for each combination of registered components."""
    named = parse_name(text)
    stars = [key for key, value in named.params.items() if value == "*"]
    if not stars:
        return [text]
    spec = registry.method(named.base)
    choices: list[list[str]] = []
    for slot in stars:
        if slot not in spec.slots:
            raise UnknownName(f"slot of {named.base}", slot, spec.slots)
        rows = [e.spec for e in registry.of("component") if e.status == "ok"]
        choices.append([c.name for c in rows if isinstance(c, ComponentSpec) and c.slot == slot])
    return [
        format_name(named.base, {**named.params, **dict(zip(stars, combo, strict=True))})
        for combo in itertools.product(*choices)
    ]


def default_preset(spec: MethodSpec, size: int) -> str:
    """The preset that a bare name takes at a size; "" when the method has none."""
    for largest, preset in spec.default_preset:
        if largest is None or size <= largest:
            return preset
    return ""


def resolve(text: str, registry: Registry, size: int, preset: str | None = None) -> ResolvedMethod:
    """Fill in preset, parameters and slots.

    Args:
        text: the name as typed.
        size: the task's size, which decides the default preset.
        preset: `--preset`, for names that do not set one and methods that have it.

    Raises:
        UnknownName: no such method, parameter, preset or component.
        UsageError: a value of the wrong type, a component for another slot.
    """
    named = parse_name(text)
    entry = registry.find("method", named.base)
    spec = registry.method(named.base)
    usual = default_preset(spec, size)
    chosen = _preset(spec, named, preset if spec.presets else None, usual)
    defaults: dict[str, Value] = {**spec.params, **spec.presets.get(chosen, {})}
    params, dotted, slot_names = _split_params(spec, named, defaults)
    slots = _slots(spec, registry, slot_names, chosen, params, dotted)
    shown = {"preset": chosen} if chosen != usual else {}
    shown |= {s: c for s, c in slot_names.items() if c != spec.slots[s]}
    shown |= {k: v for k, v in params.items() if v != defaults[k]}
    shown |= _shown_dotted(dotted, slots, registry, chosen)
    capabilities = _capabilities(spec, params, slots)
    return ResolvedMethod(
        format_name(spec.name, shown), spec, chosen, params, slots, capabilities,
        source_hash(spec.factory, entry.ref.value),
    )  # fmt: skip


def _preset(spec: MethodSpec, named: Named, wanted: str | None, usual: str) -> str:
    chosen = named.params.get("preset") or wanted or usual
    if chosen and chosen not in spec.presets:
        raise UnknownName(f"preset of {spec.name}", chosen, spec.presets)
    return chosen


def _split_params(
    spec: MethodSpec, named: Named, defaults: Mapping[str, Value]
) -> tuple[dict[str, Value], dict[str, str], dict[str, str]]:
    params = dict(defaults)
    dotted: dict[str, str] = {}
    slots = dict(spec.slots)
    for key, text in named.params.items():
        if key == "preset":
            continue
        if key in slots:
            slots[key] = text
        elif "." in key and key.partition(".")[0] in slots:
            dotted[key] = text
        elif key in defaults:
            params[key] = parse_value(key, text, defaults[key])
        else:
            known = [*defaults, *slots, *(["preset"] if spec.presets else [])]
            raise UnknownName(f"parameter of {spec.name}", key, known)
    return params, dotted, slots


def _component_defaults(spec: ComponentSpec, preset: str) -> dict[str, Value]:
    return {**spec.params, **spec.presets.get(preset, {})}


def _slots(
    spec: MethodSpec, registry: Registry, names: Mapping[str, str], preset: str,
    params: Mapping[str, Value], dotted: Mapping[str, str],
) -> dict[str, ResolvedComponent]:  # fmt: skip
    slots: dict[str, ResolvedComponent] = {}
    for slot, name in names.items():
        entry = registry.find("component", name)
        part = registry.component(name)
        if part.slot != slot:
            raise UsageError(f"{name} is a {part.slot}; it does not fit the slot {slot}.")
        filled = _component_defaults(part, preset)
        if part.trained_by and part.trained_by.partition(":")[0] == spec.name:
            filled |= {k: v for k, v in params.items() if k in filled}
        for key, text in dotted.items():
            owner, _, parameter = key.partition(".")
            if owner == slot:
                if parameter not in filled:
                    raise UnknownName(f"parameter of {name}", parameter, filled)
                filled[parameter] = parse_value(key, text, filled[parameter])
        slots[slot] = ResolvedComponent(
            slot, part, filled, source_hash(part.factory, entry.ref.value)
        )
    _check_spaces(spec.name, slots)
    return slots


def _shown_dotted(
    dotted: Mapping[str, str], slots: Mapping[str, ResolvedComponent], registry: Registry,
    preset: str,
) -> dict[str, Value]:  # fmt: skip
    shown: dict[str, Value] = {}
    for key in dotted:
        slot, _, parameter = key.partition(".")
        usual = _component_defaults(registry.component(slots[slot].spec.name), preset)
        if slots[slot].params[parameter] != usual[parameter]:
            shown[key] = slots[slot].params[parameter]
    return shown


def _check_spaces(owner: str, slots: Mapping[str, ResolvedComponent]) -> None:
    """Refuse components whose keypoints do not mean the same."""
    known = [(c, c.space) for c in slots.values() if c.space is not None]
    for (one, space), (other, rival) in itertools.pairwise(known):
        if space != rival:
            assert space is not None and rival is not None  # filtered above
            raise Refused(
                f"{owner}: {one.slot}={one.spec.name} has {space[0]} keypoints ({space[1]}), "
                f"{other.slot}={other.spec.name} has {rival[0]} ({rival[1]})."
            )


def _capabilities(
    spec: MethodSpec, params: Mapping[str, Value], slots: Mapping[str, ResolvedComponent]
) -> Capabilities:
    found = spec.capabilities
    for rule, changes in spec.overrides.items():
        key, _, text = rule.partition("=")
        if (key in params and parse_value(key, text, params[key]) == params[key]) or (
            key in slots and slots[key].spec.name == text
        ):
            found = found.changed(changes)
    for part in slots.values():
        need = part.spec.capabilities
        if need.oracle:
            found = found.changed({"oracle": True})
        for what in ("label", "pose"):
            if getattr(need, what) == "required":
                found = found.changed({what: "required"})
    return found


def describe(resolved: ResolvedMethod) -> str:
    """A short hash of all that a run of this method depends on besides stages and seeds."""
    return digest(resolved.identity())[:8]
