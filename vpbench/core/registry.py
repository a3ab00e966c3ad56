"""Plugins by kind and name. Specs load at first use; a broken one is a row, never a crash."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from vpbench.api.errors import (
    MethodFailed,
    MissingDependency,
    UnknownName,
    UsageError,
    VpbenchError,
)
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
from vpbench.core.hashing import digest
from vpbench.core.names import PLUGIN_NAME
from vpbench.core.surroundings import unchanged_surroundings

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


def load_object(value: str) -> Any:
    """Import "pkg.mod:ATTR", "pkg.mod" or "path/file.py:ATTR".

    Raises:
        UsageError: it cannot be read, or the attribute is not there.
        Exception: whatever importing it raises.
    """
    module_name, _, attribute = value.partition(":")
    if not module_name:
        raise UsageError(f"cannot read {value!r}.", fix="Write pkg.mod:NAME or ./file.py:NAME.")
    module = _file_module(module_name) if module_name.endswith(".py") else _module(module_name)
    target: Any = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(target, part):
            raise UsageError(f"{module_name} has no {attribute}.")
        target = getattr(target, part)
    return target


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _file_module(text: str) -> Any:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise UsageError(f"there is no plugin file {path}.")
    name = f"vpbench_file_{path.stem}_{digest(path)[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_factory(value: str, owner: str, beside: PluginRef) -> Callable[..., Any]:
    """The class or function that a spec's `factory` names.

    A plugin in a single file may write "file.py:Class" or ":Class" for a class in that same file.

    Raises:
        MissingDependency, UsageError, MethodFailed: as `load_plugin`.
    """
    if value.startswith(":") or value.partition(":")[0] == Path(_home(beside)).name:
        value = f"{_home(beside)}:{value.partition(':')[2]}"
    return load_plugin(value, owner, f"its factory {value}")


def load_plugin(value: str, owner: str, what: str) -> Any:
    """What `load_object` gives; whatever importing it raises is one sentence.

    Args:
        owner: whom the sentence is about.
        what: the object in it.

    Raises:
        MissingDependency: a package that the plugin imports is not installed.
        UsageError: there is no such object.
        MethodFailed: importing it raised anything else.
    """
    try:
        return load_object(value)
    except VpbenchError:
        raise
    except ModuleNotFoundError as error:
        module = value.partition(":")[0]
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"{owner}: {what} does not exist.") from error
        raise MissingDependency(
            f"{owner} needs the Python package {error.name!r}.",
            fix=f"pip install {(error.name or '').partition('.')[0]}",
        ) from error
    except (Exception, SystemExit) as error:
        raise MethodFailed(f"{owner} cannot be imported: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _home(ref: PluginRef) -> str:
    return ref.value.partition(":")[0]


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
            raise UnknownName(kind, name, self.names(kind), hint=listed)
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


def _rows(ref: PluginRef) -> list[Entry]:
    """The rows that one announcement gives."""
    fallback = ref.name or Path(_home(ref)).stem
    try:
        specs = _specs_in(ref.value)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, even SystemExit
        return [Entry(fallback, ref.kind or "method", ref, "broken", _first_line(error))]
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


def build(extra: Iterable[str] = (), sources: Collection[str] | None = None) -> Registry:
    """Discover plugins and read their specs.

    Args:
        extra: values from the command line.
        sources: only plugins whose specs stand there; None for all.
    """
    builtin = [PluginRef("", "", value, "builtin") for value in BUILTIN_MODULES]
    discovery = discover(builtin, extra)
    registry = Registry(finder=discovery.finder, trouble=discovery.trouble)
    rows = [
        row
        for ref in discovery.refs
        if sources is None or ref.source == "builtin" or ref.value in sources
        for row in _rows(ref)
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
    """The registry of this process, built once."""
    with unchanged_surroundings():
        return build(extra)


@functools.lru_cache(maxsize=8)
def limited_registry(extra: tuple[str, ...], sources: tuple[str, ...]) -> Registry:
    """A registry of what comes with vpbench's core and of some plugins; imports no others.

    Args:
        sources: `PluginRef.value` of the plugins.
    """
    return build(extra, frozenset(sources))
