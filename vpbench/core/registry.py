"""Plugins by kind and name. Specs load at first use; a broken one is a row, never a crash."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from vpbench.api.errors import UnknownName, UsageError
from vpbench.api.specs import (
    ComponentSpec,
    DatasetSpec,
    ExecutorSpec,
    MethodSpec,
    MetricSpec,
    Spec,
)
from vpbench.api.version import check_api
from vpbench.core.discovery import PluginRef, discover, normal_name
from vpbench.core.loading import (
    first_line,
    home_of,
    load_factory,
    load_object,
    may_hold_dataset,
)
from vpbench.core.names import PLUGIN_NAME
from vpbench.core.surroundings import plugin_output, unchanged_surroundings

KINDS: dict[str, type[Spec]] = {
    "method": MethodSpec,
    "component": ComponentSpec,
    "dataset": DatasetSpec,
    "metric": MetricSpec,
    "executor": ExecutorSpec,
}
_SPECS = tuple(KINDS.values())

BUILTIN_MODULES = (
    "vpbench.harness.references.specs:BUILTIN",
    "vpbench.kit.parts.specs:BUILTIN",
    "vpbench.metrics.specs:BUILTIN",
    "vpbench.metrics.video_specs:BUILTIN",
    "vpbench.metrics.networks.specs:BUILTIN",
    "vpbench.metrics.motion.specs:BUILTIN",
    "vpbench.metrics.action.specs:BUILTIN",
    "vpbench.data.specs:BUILTIN",
    "vpbench.harness.jobs.executors.specs:BUILTIN",
)
"""Import-light modules of this package that list its own specs; loaded by name, as layers want."""

RESERVED = ("stages",)
"""Names that no plugin may have: RUNS/<task>/stages holds trained stages, not runs."""

PLUGIN_KINDS = ("method", "oracle")


@dataclass
class Entry:
    """One row of `vpbench list`.

    Attributes:
        clashes: it has the name of a plugin that comes with vpbench, and cannot be used.
    """

    name: str
    kind: str
    ref: PluginRef
    status: Literal["ok", "broken", "shadowed"] = "ok"
    reason: str = ""
    spec: Spec | None = None
    clashes: bool = False

    @property
    def of_vpbench(self) -> bool:
        """Whether it comes with vpbench."""
        return self.ref.source == "builtin" or self.ref.dist == "vpbench"

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        if self.ref.dist:
            return f"{self.ref.dist} {self.ref.version}".strip()
        return self.ref.source if self.ref.source == "builtin" else self.ref.value


@dataclass
class Registry:
    """All plugins of one process."""

    entries: list[Entry] = field(default_factory=list[Entry])
    finder: str = ""
    trouble: str = ""

    def of(self, kind: str) -> list[Entry]:
        """Rows of one kind, by name, the ones in force first."""
        order = {"ok": 0, "broken": 1, "shadowed": 2}
        rows = [e for e in self.entries if e.kind == kind]
        return sorted(rows, key=lambda e: (e.name, order[e.status]))

    def names(self, kind: str) -> list[str]:
        """Names of one kind that are in force, broken ones included."""
        return [e.name for e in self.of(kind) if e.status != "shadowed" and not e.clashes]

    def find(self, kind: str, name: str) -> Entry:
        """The row in force under a name, or `dist:name` to choose between packages.

        Raises:
            UnknownName: nothing is registered under it; the nearest names are offered.
            UsageError: two packages offer it, its spec is broken, or the command line names a
                plugin of that name that clashes with one of vpbench's.
        """
        dist, _, short = name.rpartition(":")
        dist = normal_name(dist)
        rows = [e for e in self.of(kind) if e.name == short and (not dist or e.ref.dist == dist)]
        if not rows:
            listed = f"See all with: vpbench list {kind}s"
            raise UnknownName(kind, name, self.names(kind), hint=self._broken_files() or listed)
        refused = [e for e in rows if e.clashes and e.ref.source == "cli"]
        entry = refused[0] if refused else rows[0]
        if entry.status == "broken":
            raise UsageError(f"the {kind} {name!r} ({entry.origin}) is broken: {entry.reason}")
        packages = _offers(rows, entry)
        if len(packages) > 1:
            raise UsageError(
                f"the {kind} {name!r} is offered by {' and '.join(sorted(packages))}.",
                fix=f"Write {entry.ref.dist}:{name} to choose one.",
            )
        return entry

    def _broken_files(self) -> str:
        """A word on the user's own files that could not be read: the name may stand there."""
        own = [e for e in self.entries if e.status == "broken" and e.ref.source != "entry-point"]
        return "; ".join(f"{e.origin} is broken: {e.reason}" for e in own if not e.clashes)

    def exact_name(self, kind: str, name: str) -> str:
        """The name by which `find` finds the same row again: `dist:name` only where needed."""
        entry = self.find(kind, name)
        rows = [e for e in self.of(kind) if e.name == entry.name]
        alone = rows[0] is entry and len(_offers(rows, entry)) < 2
        return entry.name if alone else f"{entry.ref.dist}:{entry.name}"

    def spec(self, kind: str, name: str) -> Spec:
        """The spec in force under a name."""
        spec = self.find(kind, name).spec
        assert spec is not None  # only broken rows have none, and `find` refuses those
        return spec

    def method(self, name: str) -> MethodSpec:
        """The spec of a method or reference."""
        return cast("MethodSpec", self.spec("method", name))

    def component(self, name: str) -> ComponentSpec:
        """The spec of a component."""
        return cast("ComponentSpec", self.spec("component", name))

    def dataset(self, name: str) -> DatasetSpec:
        """The spec of a dataset."""
        return cast("DatasetSpec", self.spec("dataset", name))

    def metric(self, name: str) -> MetricSpec:
        """The spec of a metric."""
        return cast("MetricSpec", self.spec("metric", name))

    def factory(self, kind: str, name: str) -> Callable[..., Any]:
        """The imported factory of a plugin."""
        entry = self.find(kind, name)
        assert entry.spec is not None
        return load_factory(entry.spec.factory, f"the {kind} {name!r}", entry.ref)


def _offers(rows: Iterable[Entry], entry: Entry) -> set[str]:
    """The installed distributions that offer the same name."""
    return {
        f"{e.ref.dist}=={e.ref.version}"
        for e in rows
        if e.ref.source == entry.ref.source == "entry-point" and not e.clashes
    }


def _specs_in(value: str) -> list[Spec]:
    loaded = load_object(value)
    if isinstance(loaded, _SPECS):
        return [loaded]
    several: Iterable[Any] = ()
    if isinstance(loaded, list | tuple):
        several = cast("Iterable[Any]", loaded)
    elif isinstance(loaded, ModuleType):
        several = vars(loaded).values()
    unique = {id(spec): spec for spec in several if isinstance(spec, _SPECS)}
    return list(unique.values())


def _kind_of(spec: Spec) -> str:
    return spec.registry


def _problem(spec: Spec, ref: PluginRef) -> str:
    """Why a spec cannot be used; "" if it can."""
    if ref.kind and not isinstance(spec, KINDS[ref.kind]):
        return f"{ref.value} is a {type(spec).__name__}, not a {KINDS[ref.kind].__name__}"
    if ref.name and spec.name != ref.name:
        return f"it is announced as {ref.name!r} and calls itself {spec.name!r}"
    if not PLUGIN_NAME.fullmatch(str(spec.name)):
        return f"the name {spec.name!r} is not lower-case letters, digits and dashes"
    if spec.name in RESERVED:
        return f"the name {spec.name!r} is taken by a folder of vpbench"
    if isinstance(spec, MethodSpec) and ref.source != "builtin" and spec.kind not in PLUGIN_KINDS:
        return f"kind={spec.kind!r} is for rows of vpbench; a plugin is 'method' or 'oracle'"
    try:
        check_api(spec.name, spec.api)
    except UsageError as error:
        return str(error)
    return ""


def _rows(ref: PluginRef, *, apart: bool = False) -> list[Entry]:
    """The rows that one announcement gives.

    Args:
        apart: read specs of datasets in a process of their own.
    """
    fallback = ref.name or Path(home_of(ref)).stem
    try:
        specs = _specs_apart(ref) if apart else None
        specs = _specs_in(ref.value) if specs is None else specs
    except (KeyboardInterrupt, MemoryError):
        raise
    except _Broken as error:
        return [Entry(fallback, ref.kind or "dataset", ref, "broken", str(error))]
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, even SystemExit
        return [Entry(fallback, ref.kind or "method", ref, "broken", first_line(error))]
    if not specs:
        reason = f"{ref.value} contains no spec"
        return [Entry(fallback, ref.kind or "method", ref, "broken", reason)]
    rows: list[Entry] = []
    for spec in specs:
        reason = _problem(spec, ref)
        kind = ref.kind or _kind_of(spec)
        if reason:
            rows.append(Entry(ref.name or str(spec.name), kind, ref, "broken", reason))
        else:
            rows.append(Entry(spec.name, kind, ref, spec=spec))
    return rows


class _Broken(Exception):
    """A plugin of a dataset cannot be imported, for this reason."""


def _specs_apart(ref: PluginRef) -> list[Spec] | None:
    """The specs of a plugin of datasets, without importing it; None for any other plugin."""
    if not may_hold_dataset(ref):
        return None
    from vpbench.core.spec_reader import read_specs

    read = read_specs(ref.value)
    if read.broken:
        raise _Broken(read.broken)
    return None if read.others else list(read.specs)


def plugin_registry(value: str) -> Registry:
    """A registry of the specs at one place alone, which are imported here."""
    return Registry(_rows(PluginRef("", "", value, "cli")))


def serve_specs() -> int:
    """Import what another process must not import, and answer what specs it holds."""
    from vpbench.core.spec_reader import main

    return main(_specs_in)


def build(extra: Iterable[str] = (), sources: Collection[str] | None = None) -> Registry:
    """Discover plugins and read their specs.

    Args:
        extra: values from the command line.
        sources: only plugins whose specs stand there, imported here; None for all, and those of
            datasets are not imported.
    """
    builtin = [PluginRef("", "", value, "builtin") for value in BUILTIN_MODULES]
    discovery = discover(builtin, extra)
    registry = Registry(finder=discovery.finder, trouble=discovery.trouble)
    rows = [
        row
        for ref in discovery.refs
        if sources is None or ref.source == "builtin" or ref.value in sources
        for row in _rows(ref, apart=sources is None)
    ]
    registry.entries = rows
    _reserve_names(rows)
    winners: dict[tuple[str, str], Entry] = {}
    for row in (row for row in rows if not row.clashes):
        winner = winners.setdefault((row.kind, row.name), row)
        both_installed = winner.ref.source == row.ref.source == "entry-point"
        if winner is not row and not both_installed:  # two packages: an error only on use
            row.status = "shadowed"
            row.reason = f"by {winner.origin}"
    return registry


def _reserve_names(rows: Iterable[Entry]) -> None:
    """Break plugins that have the name of one that comes with vpbench.

    Another "copy-last" would replace it in every later comparison.
    """
    reserved = {(row.kind, row.name) for row in rows if row.of_vpbench}
    for row in rows:
        if not row.of_vpbench and (row.kind, row.name) in reserved:
            row.status, row.spec, row.clashes = "broken", None, True
            row.reason = f"the name {row.name!r} belongs to a {row.kind} of vpbench; choose another"


@functools.lru_cache(maxsize=8)
def registry(extra: tuple[str, ...] = ()) -> Registry:
    """The registry of this process, built once. What plugins print goes to standard error."""
    with unchanged_surroundings(), plugin_output():
        return build(extra)


@functools.lru_cache(maxsize=8)
def limited_registry(extra: tuple[str, ...], sources: tuple[str, ...]) -> Registry:
    """A registry of what comes with vpbench's core and of some plugins; imports no others.

    Args:
        sources: `PluginRef.value` of the plugins.
    """
    return build(extra, frozenset(sources))
