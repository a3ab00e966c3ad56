"""The pretrained files that installed plugins declare, and which plugin needs which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vpbench.api.errors import UnknownName, UsageError
from vpbench.api.specs import ComponentSpec, MethodSpec, MetricSpec, Value, WeightSpec
from vpbench.core.registry import Registry
from vpbench.metrics.weights.weight_file import WeightFile, weight_file


@dataclass(frozen=True)
class Owner:
    """A plugin that needs a file.

    Attributes:
        kind: method, component or metric.
        origin: the package or file that it comes from, "builtin" for vpbench itself.
        when: parameters under which it needs the file; {} is always.
    """

    kind: str
    name: str
    origin: str
    when: Mapping[str, Value]


@dataclass(frozen=True)
class KnownWeights:
    """A pretrained file and the plugins that declare it."""

    file: WeightFile
    owners: tuple[Owner, ...]


def known_weights(registry: Registry) -> tuple[list[KnownWeights], list[str]]:
    """Every file that a plugin in force declares, by name, and problems of declarations.

    Plugins that declare the same name and sha256 share one file; of their declarations that of
    vpbench itself counts, else the first by kind and name of the plugin. A declaration that cannot
    be used takes no other plugin's file away.
    """
    problems: list[str] = []
    rows: dict[tuple[str, str], tuple[WeightFile, list[Owner]]] = {}
    for owner, spec in sorted(_declared(registry), key=lambda row: row[0].origin != "builtin"):
        try:
            file = weight_file(spec)
        except UsageError as error:
            problems.append(f"the {owner.kind} {owner.name!r} ({owner.origin}): {error}")
            continue
        rows.setdefault((file.name, file.sha256), (file, []))[1].append(owner)
    known = [KnownWeights(file, tuple(owners)) for _, (file, owners) in sorted(rows.items())]
    return known, problems


def find_known(name: str, registry: Registry) -> KnownWeights:
    """The file of a name, or of PLUGIN:NAME where plugins use one name for several files.

    Raises:
        UnknownName: no plugin declares it; the nearest are offered.
        UsageError: two plugins declare different files under that name.
    """
    plugin, _, short = name.rpartition(":")
    rows, _ = known_weights(registry)
    matches = [
        row
        for row in rows
        if row.file.name == short and (not plugin or plugin in {o.name for o in row.owners})
    ]
    if not matches:
        names = [row.file.name for row in rows]
        raise UnknownName("weights", name, names, hint="See: vpbench weights list")
    if len(matches) > 1:
        owners = [row.owners[0].name for row in matches]
        raise UsageError(
            f"{' and '.join(owners)} mean different files by the weights {short!r}.",
            fix=f"Write {owners[0]}:{short} to choose one.",
        )
    return matches[0]


def _declared(registry: Registry) -> Iterator[tuple[Owner, WeightSpec]]:
    for kind in ("metric", "method", "component"):
        for entry in registry.of(kind):
            spec = entry.spec
            if entry.status != "ok" or not isinstance(
                spec, MethodSpec | ComponentSpec | MetricSpec
            ):
                continue
            for weights in spec.weights:
                yield Owner(kind, entry.name, entry.origin, dict(weights.when)), weights
