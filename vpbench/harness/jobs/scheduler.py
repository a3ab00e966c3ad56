"""Runs a plan: stages, shards, manifest, scores; shares the work with other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vpbench.api.errors import VpbenchError
from vpbench.core import provenance
from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import make_folder
from vpbench.core.names import safe_name
from vpbench.core.paths import Paths
from vpbench.core.plan import Plan, RunPlan
from vpbench.core.progress import Report, silent
from vpbench.harness.inputs.fetch import provide
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.jobs.executors.local import LocalExecutor, LocalHandle, Slots
from vpbench.harness.jobs.job import JobSpec
from vpbench.harness.prediction.shards import close_prediction, shard_done, shards
from vpbench.harness.results.run_record import drop_stale, retire, write_record
from vpbench.harness.results.run_result import Orders, RunResult, seconds_of


@dataclass
class _Job:
    """A submitted job and what it belongs to."""

    handle: LocalHandle
    spec: JobSpec
    path: Path
    retry: Callable[[], LocalHandle]
    runs: list[RunPlan]
    stage: StagePlan | None = None


class Scheduler:
    """Carries out a plan with a local executor, and tells `report` what happens."""

    def __init__(
        self, plan: Plan, task_data: TaskData, paths: Paths, orders: Orders, report: Report = silent
    ) -> None:
        self.plan, self.task_data, self.paths = plan, task_data, paths
        self.orders, self.report = orders, report
        self.threads = orders.threads or provenance.cores()
        self.outcomes = {str(r.folder.path): RunResult(r) for r in plan.runs}
        self._jobs: list[_Job] = []
        self._stages_done: set[Path] = set()
        self._gated: list[RunResult] = []
        self._count = 0

    def run(self) -> list[RunResult]:
        """Do everything; a failed run leaves the others.

        Raises:
            KeyboardInterrupt: after the workers have stored their state.
            Unwritable: the runs folder cannot be made.
        """
        make_folder(self.paths.runs / self.task_data.task.id)
        for outcome in self.outcomes.values():
            self._guarded(outcome, self._provide)
        slots = Slots.of_machine(self.orders.workers)
        self.executor = LocalExecutor(replace(slots, cpus=max(slots.cpus, 1)))
        with self.executor:
            self._warm_real()
            for outcome in self.outcomes.values():
                self._guarded(outcome, self._begin)
            while self._jobs:
                self.executor.poll(0.5)
                for job in [j for j in self._jobs if j.handle.done()]:
                    self._jobs.remove(job)
                    self._ended(job)
        return list(self.outcomes.values())

    def _guarded(self, outcome: RunResult, step: Callable[[RunResult], None]) -> None:
        try:
            step(outcome)
        except VpbenchError as error:
            self._fail(outcome, str(error), error.exit_code)

    def _fail(self, outcome: RunResult, reason: str, code: int) -> None:
        if outcome.status == "ok":
            outcome.status, outcome.reason, outcome.code = "failed", reason, code
            self.report(
                {
                    "event": "run",
                    "method": outcome.run.name,
                    "status": "failed",
                    "reason": reason,
                    "run": str(outcome.run.folder.path),
                }
            )
            for job in self._jobs:
                if job.runs == [outcome.run]:
                    job.handle.cancel()

    # -- one run, step by step -------------------------------------------------------------

    def _provide(self, outcome: RunResult) -> None:
        """Fetch what the jobs of a run will need; they use no network themselves."""
        provide(outcome.run, self.paths, self._teller(outcome.run), refit=self.orders.refit)

    def _begin(self, outcome: RunResult) -> None:
        run = outcome.run
        if outcome.status != "ok":
            return
        write_record(run, self.task_data, self.orders)
        for stage in run.stages:
            if stage.origin == "to fit" and (self.orders.refit or not stage.folder.complete()):
                self._submit_stage(stage, run)
            elif stage.needed:
                self._stages_done.add(stage.folder.path)
        self._advance(outcome)

    def _submit_stage(self, stage: StagePlan, run: RunPlan) -> None:
        for job in self._jobs:
            if job.stage is not None and job.stage.folder.path == stage.folder.path:
                job.runs.append(run)
                return
        if stage.folder.path in self._stages_done:
            return
        if self.orders.refit and stage.folder.complete():
            retire(stage)
        spec = replace(
            self._spec("stage", run),
            stage=stage.node.key,
            threads=self.threads,
            events="",
            refit=self.orders.refit,
        )
        idle = LocalHandle(Path(), 0, 0, 0, status="waiting")
        waiting = _Job(idle, spec, Path(), lambda: self._start_stage(waiting), [run], stage)
        self._jobs.append(waiting)
        self._start_ready()

    def _start_ready(self) -> None:
        for job in self._jobs:
            if job.stage is None or job.handle.status != "waiting":
                continue
            by_key = {s.node.key: s for s in job.runs[0].stages}
            if all(by_key[k].folder.path in self._stages_done for k in job.stage.node.needs):
                job.handle = job.retry()

    def _start_stage(self, job: _Job) -> LocalHandle:
        needs = job.runs[0].method.capabilities
        self._count += 1  # two stages may become ready in one second
        job.path = self._job_path(job.runs[0], "stage")
        job.spec.write(job.path)
        return self.executor.submit(
            job.path, self.threads, needs.gpus, needs.memory_gib, self._teller(job.runs[0])
        )

    def _advance(self, outcome: RunResult) -> None:
        """Start what comes next for a run, once its stages are there."""
        run = outcome.run
        if outcome.status != "ok" or any(
            s.needed and s.folder.path not in self._stages_done for s in run.stages
        ):
            return
        if self.orders.until == "fit":
            self._finished(outcome)
            return
        drop_stale(run)
        todo = [s for s in shards(self.task_data.task) if not shard_done(run.folder, s.index)]
        if not todo:
            self._predicted(outcome)
            return
        outcome.fresh = True
        needs = run.method.capabilities
        for _ in range(min(len(todo), self.executor.slots.cpus)):
            self._submit(self._spec("predict", run), run, needs.cpus, needs.gpus, needs.memory_gib)

    def _predicted(self, outcome: RunResult) -> None:
        run = outcome.run
        if any(j.runs == [run] for j in self._jobs):
            return
        close_prediction(run, self.task_data.task)
        if not self._set_metrics():
            self._featured(outcome)
        elif any(j.spec.side == "real" for j in self._jobs):
            self._gated.append(outcome)  # real clips first: every run needs them
        else:
            self._warm(run, "fake")

    def _featured(self, outcome: RunResult) -> None:
        run = outcome.run
        if any(j.runs == [run] for j in self._jobs):
            return
        names = tuple(w.name for w in self.orders.metrics) if self.orders.until == "score" else ()
        self._submit(replace(self._spec("score", run), metrics=names), run, 1, 0, 2.0)

    def _set_metrics(self) -> tuple[str, ...]:
        if self.orders.until != "score":
            return ()
        return tuple(w.name for w in self.orders.metrics if w.spec.kind == "set")

    def _warm_real(self) -> None:
        """Features of the true futures, which every run is compared with."""
        todo = [r for r in self.plan.runs if not _has_scores(r, self._set_metrics())]
        if self._set_metrics() and todo:
            self._warm(todo[0], "real")

    def _warm(self, run: RunPlan, side: Literal["real", "fake"]) -> None:
        count = min(self.executor.slots.cpus, len(shards(self.task_data.task)))
        for k in range(count):
            spec = replace(
                self._spec("features", run), metrics=self._set_metrics(), side=side, part=(k, count)
            )
            self._submit(spec, run, 1, 0, 2.0, owned=side == "fake")

    def _finished(self, outcome: RunResult) -> None:
        outcome.seconds = seconds_of(outcome.run)
        self.report(
            {
                "event": "run",
                "method": outcome.run.name,
                "status": "ok",
                "fresh": outcome.fresh,
                "run": str(outcome.run.folder.path),
            }
        )

    # -- jobs --------------------------------------------------------------------------------

    def _spec(self, kind: Any, run: RunPlan) -> JobSpec:
        place, orders = self.task_data.ref, self.orders
        self._count += 1
        return JobSpec(
            kind,
            f"{kind}-{self._count}",
            place.dataset,
            place.task,
            place.root,
            place.limit,
            str(self.paths.runs),
            str(self.paths.cache),
            self.paths.offline,
            orders.plugins,
            run.name,
            run.method.preset or None,
            run.seed,
            run.fit_seed,
            run.samples,
            orders.checkpoint if run.requested else None,
            False,
            str(run.folder.path),
            device=orders.device,
            recompute=orders.recompute,
            train_on=place.train_on,
            events=str(self._job_path(run, kind).with_suffix(".jsonl")),
        )

    def _job_path(self, run: RunPlan, kind: str) -> Path:
        folder = make_folder(run.folder.events)
        return folder / f"{kind}-{time.strftime('%Y%m%dT%H%M%S')}-{self._count}.json"

    def _submit(
        self,
        spec: JobSpec,
        run: RunPlan,
        cpus: int,
        gpus: int,
        memory_gib: float,
        owned: bool = True,
    ) -> None:
        path = self._job_path(run, spec.kind)
        spec.write(path)

        def again() -> LocalHandle:
            return self.executor.submit(path, cpus, gpus, memory_gib, self._teller(run))

        self._jobs.append(_Job(again(), spec, path, again, [run] if owned else []))

    def _teller(self, run: RunPlan) -> Report:
        def tell(event: dict[str, Any]) -> None:
            if event["event"] == "missing":
                self.outcomes[str(run.folder.path)].missing |= event["metrics"]
            self.report({**event, "method": run.name, "run": str(run.folder.path)})

        return tell

    def _ended(self, job: _Job) -> None:
        handle = job.handle
        outcomes = [self.outcomes[str(r.folder.path)] for r in job.runs]
        if handle.status == "busy":  # another process holds it: look again soon
            time.sleep(0.3)
            job.handle = job.retry()
            self._jobs.append(job)
            return
        if job.spec.side == "real":
            self._real_ended(handle)
            return
        if handle.status == "failed":
            for outcome in outcomes:
                reason = handle.reason or "it failed"
                self._fail(outcome, reason, handle.code or 1)
            if job.stage is not None:
                self._drop_dependants(job.stage)
            return
        if job.stage is not None:
            self._stages_done.add(job.stage.folder.path)
            self._start_ready()
        for outcome in outcomes:
            if outcome.status == "ok":
                self._guarded(outcome, self._next(job))

    def _real_ended(self, handle: LocalHandle) -> None:
        if any(j.spec.side == "real" for j in self._jobs):
            return
        if handle.status == "failed":  # scoring meets the same trouble and names it
            self.report({"event": "note", "text": f"features of the real clips: {handle.reason}"})
        gated, self._gated = self._gated, []
        for outcome in gated:
            if outcome.status == "ok":
                self._warm(outcome.run, "fake")

    def _next(self, job: _Job) -> Callable[[RunResult], None]:
        steps = {
            "stage": self._advance,
            "predict": self._predicted,
            "features": self._featured,
            "score": self._finished,
        }
        return steps[job.spec.kind]

    def _drop_dependants(self, failed: StagePlan) -> None:
        """Stages that wait for one that failed never start; their runs have failed."""
        dead = {failed.node.key}
        for job in [j for j in self._jobs if j.stage is not None and j.handle.status == "waiting"]:
            assert job.stage is not None  # filtered above
            if dead & set(job.stage.node.needs) or any(
                self.outcomes[str(r.folder.path)].status != "ok" for r in job.runs
            ):
                dead.add(job.stage.node.key)
                job.runs = [r for r in job.runs if self.outcomes[str(r.folder.path)].status == "ok"]
                if not job.runs:
                    self._jobs.remove(job)


def _has_scores(run: RunPlan, metrics: tuple[str, ...]) -> bool:
    """Whether a run seems to be scored already; the score job looks closely."""
    return all(any(run.folder.scores.glob(f"{safe_name(m)}@*.json")) for m in metrics)
