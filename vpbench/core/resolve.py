"""From `mine[preset=cpu,motion=frozen]` to a spec with all parameters and slots filled."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vpbench.api.capabilities import Capabilities
from vpbench.api.errors import Refused, UnknownName, UsageError
from vpbench.api.specs import ComponentSpec, MethodSpec, Value
from vpbench.core.methods import ResolvedComponent, ResolvedMethod, overridden
from vpbench.core.names import MethodRef, parse_value
from vpbench.core.registry import Entry, Registry


def expand(ref: MethodRef, registry: Registry) -> list[MethodRef]:
    """`mine[detector=*,motion=*]` -> one name for each combination of registered components."""
    stars = [key for key, value in ref.params.items() if value == "*"]
    if not stars:
        return [ref]
    spec = registry.method(ref.base)
    choices: list[list[str]] = []
    for slot in stars:
        if slot not in spec.slots:
            raise UnknownName(f"slot of {ref.base}", slot, spec.slots)
        rows = [e.spec for e in registry.of("component") if e.status == "ok"]
        choices.append([c.name for c in rows if isinstance(c, ComponentSpec) and c.slot == slot])
    return [
        ref.with_params(dict(zip(stars, combination, strict=True)))
        for combination in itertools.product(*choices)
    ]


def default_preset(spec: MethodSpec, size: int) -> str:
    """The preset that a bare name takes at a size; "" when the method has none."""
    for largest, preset in spec.default_preset:
        if largest is None or size <= largest:
            return preset
    return ""


def resolve(
    ref: MethodRef, registry: Registry, size: int, preset: str | None = None
) -> ResolvedMethod:
    """Fill in preset, parameters and slots.

    Args:
        ref: the name as typed, parsed.
        size: the task's size, which decides the default preset.
        preset: `--preset`, for names that do not set one and methods that have it.

    Raises:
        UnknownName: no such method, parameter, preset or component.
        UsageError: a value of the wrong type, a component for another slot.
    """
    entry = registry.find("method", ref.base)
    spec = registry.method(ref.base)
    usual = default_preset(spec, size)
    chosen = _preset(spec, ref, preset if spec.presets else None, usual)
    defaults = _with_preset(spec, chosen)
    params, dotted, slot_names = _split_params(spec, ref, defaults)
    filler = _Filler(spec, registry, size, chosen, params)
    slots = {s: filler.fill(s, name, dotted) for s, name in slot_names.items()}
    _check_spaces(spec.name, slots)
    shown: dict[str, Value] = {"preset": chosen} if chosen != usual else {}
    shown |= {s: c.registered for s, c in slots.items() if c.registered != spec.slots[s]}
    shown |= {k: v for k, v in params.items() if v != defaults[k]}
    shown |= filler.changed(slots, dotted)
    registered = registry.exact_name("method", ref.base)
    return ResolvedMethod(
        MethodRef(registered, {}).with_params(shown),
        spec,
        chosen,
        params,
        slots,
        _capabilities(spec, params, slots),
        registered,
        _shared(spec, entry, registry),
        entry.ref.value,
    )


def trainer_of(
    part: ResolvedComponent,
    registry: Registry,
    size: int,
    beside: Iterable[ResolvedComponent] = (),
    preset: str = "",
) -> ResolvedMethod:
    """The method that trains a component of its own, with that component in its slot.

    Args:
        beside: the other components of the method that borrows this one; those that the same
            stage trains stand in their slots too, because they learned together.
        preset: of the method that borrows; it holds for what learns together with the component
            too, where the owner has it.

    Raises:
        UnknownName: the owner is not installed.
        UsageError: the owner has no such slot.
    """
    owner = (part.spec.trained_by or "").partition(":")[0]
    chosen = preset if preset in registry.method(owner).presets else None
    usual = resolve(MethodRef(owner, {}), registry, size, chosen)
    wanted: dict[str, Value] = {}
    for one in (part, *(c for c in beside if c.spec.trained_by == part.spec.trained_by)):
        if one.slot not in usual.slots:
            raise UsageError(
                f"{one.spec.name} says that {one.spec.trained_by} trains it; "
                f"{owner} has no slot {one.slot}."
            )
        wanted[one.slot] = one.registered
        for key, value in one.params.items():
            wanted.setdefault(key if key in usual.params else f"{one.slot}.{key}", value)
    return resolve(MethodRef(owner, {}).with_params(wanted), registry, size, chosen)


def _preset(spec: MethodSpec, named: MethodRef, wanted: str | None, usual: str) -> str:
    chosen = named.params.get("preset") or wanted or usual
    if chosen and chosen not in spec.presets:
        raise UnknownName(f"preset of {spec.name}", chosen, spec.presets)
    return chosen


def _split_params(
    spec: MethodSpec, named: MethodRef, defaults: Mapping[str, Value]
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


def _with_preset(spec: MethodSpec | ComponentSpec, preset: str) -> dict[str, Value]:
    """Parameters with those of a preset; a number such as 1 stays a float where 0.5 stood."""
    params = dict(spec.params)
    for key, value in spec.presets.get(preset, {}).items():
        floating = isinstance(params.get(key), float) and not isinstance(value, str)
        params[key] = float(value) if floating else value
    return params


@dataclass(frozen=True)
class _Filler:
    """Fills the slots of one method."""

    spec: MethodSpec
    registry: Registry
    size: int
    preset: str
    params: Mapping[str, Value]

    def fill(self, slot: str, name: str, dotted: Mapping[str, str]) -> ResolvedComponent:
        entry = self.registry.find("component", name)
        part = self.registry.component(name)
        if part.slot != slot:
            raise UsageError(f"{name} is a {part.slot}; it does not fit the slot {slot}.")
        filled = self._usual(part)
        for key, text in dotted.items():
            owner, _, parameter = key.partition(".")
            if owner == slot:
                if parameter not in filled:
                    raise UnknownName(f"parameter of {name}", parameter, filled)
                filled[parameter] = parse_value(key, text, filled[parameter])
        return ResolvedComponent(
            slot,
            part,
            filled,
            self.registry.exact_name("component", name),
            entry.ref.value,
        )

    def _usual(self, part: ComponentSpec) -> dict[str, Value]:
        """Parameters of a component without dotted ones: its trainer's, where it has one.

        A preset of the method that its trainer has too holds for both. A component that trains
        itself follows the method in whose slot it belongs.
        """
        owner, _, stage = (part.trained_by or "").partition(":")
        preset, theirs = self.preset, self.params
        if not stage:
            follows = owner == "self" and self.spec.slots.get(part.slot) == part.name
            theirs = self.params if follows else dict[str, Value]()
        elif owner != self.spec.name:
            trainer = self.registry.method(owner)
            if preset not in trainer.presets:
                preset = default_preset(trainer, self.size)
            theirs = _with_preset(trainer, preset)
        filled = _with_preset(part, preset)
        return filled | {k: v for k, v in theirs.items() if k in filled}

    def changed(
        self, slots: Mapping[str, ResolvedComponent], dotted: Mapping[str, str]
    ) -> dict[str, Value]:
        """Dotted parameters that are not what they would be anyway, in the order of the slots."""
        shown: dict[str, Value] = {}
        for slot, part in slots.items():
            usual = self._usual(part.spec)
            for key, value in part.params.items():
                if f"{slot}.{key}" in dotted and value != usual[key]:
                    shown[f"{slot}.{key}"] = value
        return shown


def _shared(spec: MethodSpec, entry: Entry, registry: Registry) -> dict[str, frozenset[str]]:
    """Slot -> parameters of all components of the same origin that the method itself trains."""
    shared: dict[str, frozenset[str]] = {}
    for row in registry.of("component"):
        part = row.spec
        if not isinstance(part, ComponentSpec):
            continue
        same = (row.ref.source, row.ref.dist) == (entry.ref.source, entry.ref.dist)
        if same and (part.trained_by or "").partition(":")[0] == spec.name:
            shared[part.slot] = shared.get(part.slot, frozenset()) | frozenset(part.params)
    return shared


def _check_spaces(owner: str, slots: Mapping[str, ResolvedComponent]) -> None:
    """Refuse components whose keypoints do not mean the same."""
    known = [(c, c.space) for c in slots.values() if c.space is not None]
    for (one, space), (other, other_space) in itertools.pairwise(known):
        if space != other_space:
            assert space is not None and other_space is not None  # filtered above
            raise Refused(
                f"{owner}: {one.slot}={one.spec.name} has {space[0]} keypoints ({space[1]}), "
                f"{other.slot}={other.spec.name} has {other_space[0]} ({other_space[1]})."
            )


def _capabilities(
    spec: MethodSpec, params: Mapping[str, Value], slots: Mapping[str, ResolvedComponent]
) -> Capabilities:
    filled: dict[str, Value] = {slot: part.spec.name for slot, part in slots.items()}
    capabilities = overridden(spec, {**filled, **params})
    for part in slots.values():
        capabilities = _with_part(capabilities, part.capabilities)
    return capabilities


def _with_part(whole: Capabilities, part: Capabilities) -> Capabilities:
    """Capabilities of a method with a component that has needs of its own."""
    order = ("no", "training", "optional", "required")
    limits = [h for h in (whole.max_horizon, part.max_horizon) if h is not None]
    fewest = max(whole.conditioning_frames[0], part.conditioning_frames[0])
    return whole.changed(
        {
            "label": max(whole.label, part.label, key=order.index),
            "pose": max(whole.pose, part.pose, key=order.index),
            "oracle": whole.oracle or part.oracle,
            "stochastic": whole.stochastic or part.stochastic,
            "max_horizon": min(limits, default=None),
            "size_multiple": math.lcm(whole.size_multiple, part.size_multiple),
            "min_size": max(whole.min_size, part.min_size),
            "conditioning_frames": (fewest, max(fewest, whole.conditioning_frames[1])),
        }
    )
