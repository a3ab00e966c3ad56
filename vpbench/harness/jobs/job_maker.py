"""Writes what jobs are given: the resolved plan, and which plugins they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.registry import Registry
from vpbench.harness.inputs.task_data import TaskData, index_ref
from vpbench.harness.jobs.job import JobSpec, Kind, PlannedRun, code_of
from vpbench.harness.jobs.needed import job_plugins
from vpbench.harness.scoring.score import Wanted


class JobMaker:
    """Makes the jobs of one command."""

    def __init__(
        self,
        task_data: TaskData,
        registry: Registry,
        paths: Paths,
        options: RunOptions,
        metrics: Sequence[Wanted],
    ) -> None:
        self.task_data, self.registry, self.paths = task_data, registry, paths
        self.options, self.metrics = options, metrics
        self._count = 0

    def spec(
        self, kind: Kind, run: RunPlan, *, recompute: bool, code: str | None = None, **fields: Any
    ) -> JobSpec:
        """One job of a run.

        Args:
            recompute: do not use features that come with vpbench.
            code: whose code it loads; None for what such a job usually loads.
            fields: further fields of `JobSpec`.
        """
        self._count += 1
        scored = [w.spec for w in self.metrics if w.name in fields.get("metrics", ())]
        return JobSpec(
            kind=kind,
            id=f"{kind}-{self._count}",
            ref=self.task_data.ref,
            paths=self.paths,
            plugins=self.options.plugins,
            run=PlannedRun.of(run),
            device=self.options.device,
            sources=job_plugins(kind, run, scored, self.registry),
            index=index_ref(self.task_data),
            recompute=recompute,
            code=code_of(kind, run) if code is None else code,
            **fields,
        )
