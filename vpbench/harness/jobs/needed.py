"""Which plugins a job needs: its worker imports these and no others.

Importing a plugin runs its code. That of one method must reach neither other methods nor scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vpbench.api.specs import ComponentSpec, MetricSpec
from vpbench.core.plan import RunPlan
from vpbench.core.registry import Entry, Registry
from vpbench.harness.jobs.job import SCORING, Kind
from vpbench.harness.scoring.score import Wanted


def method_plugins(run: RunPlan, registry: Registry) -> tuple[str, ...]:
    """Where the specs stand that a run is resolved from.

    Those of the method, of all that fills its slots, of the methods that train these, and of
    components that these methods train, for they decide which parameters a stage shares.
    """
    return _sources(method_rows(run, registry))


def method_rows(run: RunPlan, registry: Registry) -> list[Entry]:
    """The rows of the registry that a run is resolved from; see `method_plugins`."""
    methods = [run.method, *(stage.node.method for stage in run.stages)]
    parts = {part.spec.name for method in methods for part in method.slots.values()}
    owners = {method.spec.name for method in methods}
    owners |= {_owner(part.spec) for method in methods for part in method.slots.values()}
    rows = [row for row in registry.of("method") if row.name in owners]
    for row in registry.of("component"):
        trained_here = isinstance(row.spec, ComponentSpec) and _owner(row.spec) in owners
        if row.name in parts or trained_here:
            rows.append(row)
    return rows


def needs_of(run: RunPlan) -> tuple[int, int, float]:
    """Cores, GPUs and GiB of a job that predicts."""
    needs = run.method.capabilities
    return needs.cpus, needs.gpus, needs.memory_gib


def scoring_plugins(metrics: Iterable[MetricSpec], registry: Registry) -> tuple[str, ...]:
    """Where the specs of some metrics stand."""
    names = {metric.name for metric in metrics}
    return _sources(row for row in registry.of("metric") if row.name in names)


def scoring_groups(metrics: Sequence[Wanted]) -> list[tuple[str, tuple[str, ...]]]:
    """Metrics that may share a worker: built-in ones; each one of a plugin stands alone.

    Returns:
        `JobSpec.code` and the names of the metrics, for each group.
    """
    built_in = tuple(w.name for w in metrics if w.built_in)
    foreign = [(f"metric:{w.name}", (w.name,)) for w in metrics if not w.built_in]
    return [*([("", built_in)] if built_in else []), *foreign]


def with_features(metrics: Sequence[Wanted], names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Built-in metrics, all or some of them, whose features are computed side by side."""
    own = (w for w in metrics if w.built_in and w.has_features)
    return tuple(w.name for w in own if names is None or w.name in names)


def job_plugins(
    kind: Kind, run: RunPlan, metrics: Iterable[MetricSpec], registry: Registry
) -> tuple[str, ...]:
    """Where the specs stand that a job of some kind needs for a run.

    A plugin's dataset is none of them: jobs know it by its index.
    """
    if kind in SCORING:
        return scoring_plugins(metrics, registry)
    return method_plugins(run, registry)


def _owner(part: ComponentSpec) -> str:
    return (part.trained_by or "").partition(":")[0]


def _sources(rows: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(sorted({row.ref.value for row in rows if row.ref.source != "builtin"}))
