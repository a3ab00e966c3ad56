"""Finds plugins without importing them. The only module that knows how packages announce them.

One pass of the `entrypoints` package collects all groups. Where that fails (an unrelated
package with a duplicate key or a `%` in its entry points is enough), the whole discovery falls back
to `importlib.metadata`, and `culprits` names the package.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vpbench.core.paths import on, plugin_folder

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUPS = {
    "vpbench.methods": "method",
    "vpbench.components": "component",
    "vpbench.datasets": "dataset",
    "vpbench.metrics": "metric",
    "vpbench.executors": "executor",
}

Source = Literal["cli", "env", "folder", "entry-point", "builtin"]
PRECEDENCE: tuple[Source, ...] = ("cli", "env", "folder", "entry-point", "builtin")


@dataclass(frozen=True)
class PluginRef:
    """Where a plugin's spec is; none of it is imported yet.

    Attributes:
        name: as announced; "" for a module or file whose specs are found by importing it.
        kind: method, component, dataset, metric, executor; "" if only importing it shows.
        value: "pkg.mod:ATTR", "pkg.mod" or "path/to/file.py:ATTR".
        dist, version: the distribution that announced it.
    """

    name: str
    kind: str
    value: str
    source: Source
    dist: str = ""
    version: str = ""


@dataclass(frozen=True)
class Discovery:
    """All plugins found, and why the first way of finding them failed, if it did."""

    refs: tuple[PluginRef, ...]
    finder: str
    trouble: str = ""


def _target(value: str) -> str:
    """`pkg.mod:ATTR [extra]` -> `pkg.mod:ATTR`; what cannot be read fails when it is loaded."""
    return value.partition("[")[0].replace(" ", "")


def normal_name(dist: str) -> str:
    """The name of a distribution as packaging tools compare it: lower case, one dash."""
    return re.sub(r"[-_.]+", "-", dist).lower()


def by_entrypoints() -> list[PluginRef]:
    """Entry points of all groups through the `entrypoints` package, in one pass.

    Raises:
        Exception: whatever an unrelated package's broken entry points make it raise.
    """
    import entrypoints

    refs: list[PluginRef] = []
    seen: set[str] = set()
    for config, distro in entrypoints.iter_files_distros():
        if distro is None:  # has no name, in old versions of the package
            continue
        name = normal_name(distro.name)
        if name in seen:  # the first one on the path wins, as in an import
            continue
        seen.add(name)
        points = [(g, *item) for g in GROUPS if g in config for item in config.items(g)]
        if points:
            refs += _refs(points, name, distro.version or _version(name))
    return refs


def by_metadata() -> list[PluginRef]:
    """Entry points of all groups through the standard library."""
    from importlib.metadata import distributions

    refs: list[PluginRef] = []
    seen: set[str] = set()
    for dist in distributions():
        name, version = _label(dist)
        points = _points(dist)
        if points is None or name in seen:
            continue
        if name:
            seen.add(name)
        refs += _refs(points, name, version)
    return refs


def _refs(points: Iterable[tuple[str, str, str]], dist: str, version: str) -> list[PluginRef]:
    return [
        PluginRef(name, GROUPS[group], _target(value), "entry-point", dist, version)
        for group, name, value in points
        if group in GROUPS
    ]


def _points(dist: Distribution) -> list[tuple[str, str, str]] | None:
    """(group, name, value) of a distribution's entry points; None when it has no such file."""
    try:
        text = dist.read_text("entry_points.txt")
    except (OSError, ValueError):  # unreadable, or not UTF-8
        return None
    if text is None:
        return None
    try:
        return [(p.group, p.name, p.value) for p in dist.entry_points]
    except Exception:  # noqa: BLE001 - what a malformed file raises depends on the Python version
        return _line_by_line(text)


def _line_by_line(text: str) -> list[tuple[str, str, str]]:
    """Entry points of a malformed file; a line that cannot be read gets an empty value."""
    points: list[tuple[str, str, str]] = []
    group = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif not line.startswith("#"):
            name, _, value = line.partition("=")
            points.append((group, name.strip(), value.strip()))
    return points


def _label(dist: Distribution) -> tuple[str, str]:
    """Name and version of a distribution, "" where its metadata is broken."""
    try:
        metadata = dist.metadata
        known = {key: metadata[key] for key in ("Name", "Version") if key in metadata}
        return normal_name(known.get("Name", "")), known.get("Version", "")
    except (OSError, ValueError):
        return "", ""


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name) or ""
    except (PackageNotFoundError, KeyError):
        return ""


@functools.lru_cache(maxsize=4)
def _installed(_path: tuple[str, ...]) -> Discovery:
    try:
        return Discovery(tuple(by_entrypoints()), "entrypoints")
    except Exception as error:  # noqa: BLE001 - any package on the path can break it in any way
        return Discovery(
            tuple(by_metadata()), "importlib.metadata", f"{type(error).__name__}: {error}"
        )


def installed() -> Discovery:
    """Plugins of installed packages; looked up once per process and path."""
    if on("VPBENCH_NO_PLUGINS"):
        return Discovery((), "none (VPBENCH_NO_PLUGINS)")
    return _installed(tuple(sys.path))


def from_folder() -> list[PluginRef]:
    """Single-file plugins in the user's plugin folder."""
    if on("VPBENCH_NO_PLUGINS"):
        return []
    folder = plugin_folder()
    if not folder.is_dir():
        return []
    files = sorted(p for p in folder.glob("*.py") if not p.name.startswith((".", "_")))
    return [PluginRef("", "", str(path), "folder") for path in files]


def from_environment() -> list[PluginRef]:
    """Plugins named in VPBENCH_PLUGINS, comma-separated."""
    if on("VPBENCH_NO_PLUGINS"):
        return []
    values = [v.strip() for v in os.environ.get("VPBENCH_PLUGINS", "").split(",")]
    return [PluginRef("", "", value, "env") for value in values if value]


def discover(builtin: Iterable[PluginRef], extra: Iterable[str] = ()) -> Discovery:
    """All plugins: named on the command line, by environment, folder, packages, built in."""
    packages = installed()
    refs = [PluginRef("", "", value, "cli") for value in extra]
    refs += [*from_environment(), *from_folder(), *packages.refs, *builtin]
    order = {source: k for k, source in enumerate(PRECEDENCE)}
    return Discovery(
        tuple(sorted(refs, key=lambda r: (order[r.source], r.name, r.dist))),
        packages.finder,
        packages.trouble,
    )


def culprits() -> list[str]:
    """Distributions whose entry points the `entrypoints` package cannot read, with the reason."""
    from importlib.metadata import distributions

    import entrypoints

    failing: list[str] = []
    for dist in distributions():
        parser = entrypoints.CaseSensitiveConfigParser(delimiters=("=",))
        try:
            parser.read_string(dist.read_text("entry_points.txt") or "")
            for group in filter(parser.has_section, GROUPS):
                parser.items(group)
        except Exception as error:  # noqa: BLE001 - the point is to report whatever it is
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            failing.append(f"{' '.join(_label(dist))}: {reason}")
    return failing
