"""Which rows show where a method's error arises: its oracle, other motion, its other variants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vpbench.api.errors import UsageError
from vpbench.api.specs import ComponentSpec, MethodSpec, Value
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef, format_value
from vpbench.core.registry import Registry
from vpbench.core.resolve import resolve
from vpbench.render.dots import Mark

_MOTION = "motion"
"""The slot of motion components."""


@dataclass(frozen=True)
class LimitRow:
    """A row of the figure.

    Attributes:
        method: canonical name, under which its runs are stored.
        label: how it differs from the method that heads its group.
    """

    method: str
    mark: Mark
    label: str


@dataclass
class LimitGroup:
    """A method, and the rows that take its error apart; the first row is the method itself."""

    head: ResolvedMethod
    rows: list[LimitRow] = field(default_factory=list[LimitRow])

    @property
    def title(self) -> str:
        """The method's name."""
        return self.head.name

    def add(self, method: ResolvedMethod, mark: Mark, label: str = "") -> None:
        """Add a row, unless the method has one."""
        if method.name not in [row.method for row in self.rows]:
            self.rows.append(LimitRow(method.name, mark, label or _apart(method, self.head)))


def limit_groups(
    refs: Sequence[MethodRef], registry: Registry, size: int, preset: str | None = None
) -> list[LimitGroup]:
    """The rows of a figure of limits.

    The first name of a method heads its group. Its oracle and its rows with reference motions are
    added; other names of the same method, and oracles that borrow its parts, join its group as they
    are.

    Args:
        refs: the names as typed.
        preset: of names that set none.

    Raises:
        UnknownName, UsageError, Refused: a name is wrong.
    """
    named = [resolve(ref, registry, size, preset) for ref in refs]
    groups: list[LimitGroup] = []
    later: list[ResolvedMethod] = []
    for method in named:
        if method.capabilities.oracle or any(g.head.spec is method.spec for g in groups):
            later.append(method)
            continue
        group = LimitGroup(method)
        group.add(method, "method", "as it is")
        for oracle in _oracles(method, registry, size):
            group.add(oracle, "oracle")
        for other in _reference_motions(method, registry, size):
            group.add(other, "reference")
        groups.append(group)
    for method in later:
        group = next((g for g in groups if _belongs(method, g.head)), None)
        if group is None:
            group = LimitGroup(method)
            groups.append(group)
        group.add(method, "oracle" if method.capabilities.oracle else "variant")
    return groups


def _belongs(method: ResolvedMethod, head: ResolvedMethod) -> bool:
    """Whether a method is a variant of another one, or an oracle that borrows its parts."""
    return method.spec is head.spec or _borrows(method.spec, head.spec)


def _borrows(oracle: MethodSpec, method: MethodSpec) -> bool:
    """Whether all slots of an oracle hold the same components as those of a method."""
    return (
        oracle is not method
        and oracle.capabilities.oracle
        and bool(oracle.slots)
        and all(method.slots.get(slot) == part for slot, part in oracle.slots.items())
    )


def _oracles(method: ResolvedMethod, registry: Registry, size: int) -> Iterator[ResolvedMethod]:
    """The method with its own switch, or the oracles that borrow its parts."""
    switches = [rule for rule, changes in method.spec.overrides.items() if changes.get("oracle")]
    for switch in switches:
        key, _, value = switch.partition("=")
        yield resolve(method.ref.with_params({key: value}), registry, size)
    if switches:
        return
    for entry in registry.of("method"):
        spec = entry.spec
        if entry.status != "ok" or not isinstance(spec, MethodSpec):
            continue
        if _borrows(spec, method.spec):
            yield _with_parts_of(MethodRef(entry.name, {}), spec, method, registry, size)


def _with_parts_of(
    ref: MethodRef, spec: MethodSpec, method: ResolvedMethod, registry: Registry, size: int
) -> ResolvedMethod:
    """An oracle with the preset, the components and the parameters of a method."""
    chosen: dict[str, Value] = {}
    if method.preset and method.preset in spec.presets:
        chosen["preset"] = method.preset
    for slot in spec.slots:
        chosen[slot] = method.slots[slot].registered
    plain = resolve(ref.with_params(chosen), registry, size)
    for slot, part in plain.slots.items():
        for key, value in method.slots[slot].params.items():
            if part.params.get(key) != value:
                chosen[f"{slot}.{key}"] = value
    return resolve(ref.with_params(chosen), registry, size)


def _reference_motions(
    method: ResolvedMethod, registry: Registry, size: int
) -> Iterator[ResolvedMethod]:
    """The method with the motion components of vpbench that learn from training clips."""
    if _MOTION not in method.slots:
        return
    for entry in registry.of("component"):
        part = entry.spec
        if entry.status != "ok" or not isinstance(part, ComponentSpec) or part.slot != _MOTION:
            continue
        if part.trained_by != "self" or not part.factory.startswith("vpbench."):
            continue
        try:
            yield resolve(_replaced(method, entry.name), registry, size)
        except UsageError:  # its keypoints are of another kind
            continue


def _replaced(method: ResolvedMethod, motion: str) -> MethodRef:
    """The name of a method with another motion component, whose parameters are its own."""
    kept = {k: v for k, v in method.ref.params.items() if not k.startswith(f"{_MOTION}.")}
    kept = {k: v for k, v in kept.items() if k not in _only_of_motion(method)}
    return MethodRef(method.ref.base, kept).with_params({_MOTION: motion})


def _only_of_motion(method: ResolvedMethod) -> set[str]:
    """Parameters of the method that no part but its motion component has."""
    own = set(method.slots[_MOTION].params)
    return own - {k for slot, p in method.slots.items() if slot != _MOTION for k in p.params}


def _apart(method: ResolvedMethod, head: ResolvedMethod) -> str:
    """What sets a method apart from the head of its group: `oracle=on`, or its name."""
    if method.spec is not head.spec:
        return method.name
    own, others = method.ref.params, head.ref.params
    words = [f"{k}={v}" for k, v in own.items() if others.get(k) != v]
    words += [f"{k}={format_value(_value_of(method, k))}" for k in others if k not in own]
    return ", ".join(words)


def _value_of(method: ResolvedMethod, key: str) -> Value:
    """The value of something that a canonical name leaves out."""
    if key == "preset":
        return method.preset
    if key in method.slots:
        return method.slots[key].registered
    slot, _, name = key.partition(".")
    if name and slot in method.slots:
        return method.slots[slot].params.get(name, "-")
    return method.params.get(key, "-")
