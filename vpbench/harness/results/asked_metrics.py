"""Metrics that a comparison is asked for by name: whether they exist, and any row has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vpbench.api.errors import UnknownName
from vpbench.api.specs import MetricSpec
from vpbench.core.registry import Registry
from vpbench.core.schema import GroupJson
from vpbench.harness.results.finished_runs import FinishedRun

OWN_COMMANDS = {
    "study": "vpbench study",
    "controllability": "vpbench controllability METHOD",
}
"""Columns that no metric of the registry fills -> the command that does."""


def check_metrics(
    names: Sequence[str] | None, runs: Iterable[FinishedRun], registry: Registry
) -> None:
    """Require that each name is a metric that is installed, or one that some run has.

    Raises:
        UnknownName: no such metric or recipe.
    """
    if names is None:
        return
    stored = {metric for run in runs for metric, _ in run.scores}
    for name in names:
        base, _, recipe = name.partition("@")
        if name in stored or name in OWN_COMMANDS:
            continue
        installed = registry.names("metric")
        if base not in installed:
            known = {*installed, *stored, *OWN_COMMANDS}
            raise UnknownName("metric", name, known, hint="See all with: vpbench list metrics")
        spec = registry.find("metric", base).spec
        if recipe and isinstance(spec, MetricSpec) and recipe not in spec.recipes:
            raise UnknownName(f"recipe of {base}", recipe, spec.recipes)


def without_column(names: Sequence[str] | None, groups: Iterable[GroupJson]) -> list[str]:
    """Those of the metrics asked for that no row of any table has."""
    shown = {column.partition("#")[0] for group in groups for column in group["metrics"]}
    return [name for name in dict.fromkeys(names or ()) if name not in shown]
