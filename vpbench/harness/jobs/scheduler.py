"""Runs a plan: stages, shards, manifest, scores; shares the work with other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vpbench.api.errors import VpbenchError
from vpbench.core.checkpoints import StagePlan
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import Plan, RunPlan
from vpbench.core.progress import Event, Report, silent
from vpbench.core.provenance import cores
from vpbench.core.registry import Registry
from vpbench.core.run_folders import retire
from vpbench.harness.inputs.fetch import fetch_for_run
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.jobs.dispatch import Dispatcher, Job
from vpbench.harness.jobs.executors.local import Slots
from vpbench.harness.jobs.job import JobSpec, Kind, Side
from vpbench.harness.jobs.job_maker import JobMaker
from vpbench.harness.jobs.leaks import foreign, judge_leaks
from vpbench.harness.jobs.needed import needs_of, scoring_groups, with_features
from vpbench.harness.jobs.overall import Overall
from vpbench.harness.jobs.refit import Refits
from vpbench.harness.jobs.stage_order import drop_dependants, ready
from vpbench.harness.jobs.turns import Turns
from vpbench.harness.jobs.verdicts import judge_prediction, judge_scores
from vpbench.harness.prediction.manifest import close_prediction
from vpbench.harness.prediction.shards import shard_done, shards
from vpbench.harness.results.run_record import clear_failures, write_failure, write_record
from vpbench.harness.results.run_result import RunResult, seconds_of
from vpbench.harness.results.run_state import inspect_run
from vpbench.harness.results.score_state import inspect_scores
from vpbench.harness.scoring.score import Wanted

Needs = tuple[int, int, float]  # cores, GPUs and GiB of a job
_SCORING: Needs = (1, 0, 2.0)
"""Of a job that scores: the network of FVD takes most of the memory."""


class Scheduler:
    """Carries out a plan through an executor, and reports what happens.

    Attributes:
        absent_weights: name of weights -> why they are missing; metrics that need them are skipped.
    """

    def __init__(
        self,
        plan: Plan,
        task_data: TaskData,
        registry: Registry,
        paths: Paths,
        options: RunOptions,
        metrics: Sequence[Wanted] = (),
        report: Report = silent,
        absent_weights: Mapping[str, str] | None = None,
    ) -> None:
        self.plan, self.task_data, self.registry, self.paths = plan, task_data, registry, paths
        self.options, self.report = options, report
        self.metrics = [w for w in metrics if options.until == "score"]
        self.absent_weights = absent_weights or {}
        self.results = {str(r.folder.path): RunResult(r) for r in plan.runs}
        self.dispatch = Dispatcher(
            registry.factory("executor", options.executor),
            Slots.of_machine(options.workers),
            self._on_event,
        )
        self.jobs = JobMaker(task_data, registry, paths, options, self.metrics)
        self.overall = Overall(report, self.dispatch.slots.cpus)
        self.refits = Refits(plan.runs, wanted=options.refit)
        self.turns = Turns(self._guarded)
        self._stages_done: set[Path] = set()
        self._waiting: list[RunResult] = []
        self._real_started = False

    def run(self) -> list[RunResult]:
        """Do everything; a failed run leaves the others.

        Raises:
            KeyboardInterrupt: after the workers have stored their state.
            Unwritable: the runs folder cannot be made.
        """
        for result in self.results.values():
            self._guarded(result, self._fetch)
        try:
            for result in self.results.values():
                self._guarded(result, self._start)
            while self.dispatch.jobs or self.turns.awaited:
                self.overall.tell()
                for job in self.dispatch.ended() if self.dispatch.jobs else ():
                    self._ended(job)
                self.turns.retry(idle=not self.dispatch.jobs)
        finally:
            self.dispatch.close()
            self.turns.close()
        return list(self.results.values())

    def _guarded(self, result: RunResult, step: Callable[[RunResult], None]) -> None:
        try:
            step(result)
        except VpbenchError as error:
            self._fail(result, str(error), error.exit_code)

    def _fail(self, result: RunResult, reason: str, code: int, trace: str = "") -> None:
        if result.status != "ok":
            return
        result.status, result.reason, result.code = "failed", reason, code
        self.turns.end(result)
        if code != 130:  # interrupted: the method did not fail
            write_failure(result.run, self.task_data.task, reason, code, trace)
        self.report(result.event(self.options.until))
        self.overall.drop_run(str(result.run.folder.path))
        for job in self.dispatch.of(result.run):
            if job.handle is not None:
                job.handle.cancel()

    def _fetch(self, result: RunResult) -> None:
        """Fetch what the jobs of a run will need; they use no network themselves."""
        fetch_for_run(result.run, self.paths, self._reporter(result.run), refit=self.options.refit)

    def _start(self, result: RunResult) -> None:
        run = result.run
        if result.status != "ok":
            return
        for stage in run.stages:
            if stage.origin == "to fit" and (
                self.refits.due(stage) or stage.stale or not stage.folder.complete()
            ):
                self._submit_stage(stage, run)
            elif stage.needed:
                self._stages_done.add(stage.folder.path)
        self.overall.plan_run(str(run.folder.path), self.options.until)
        self._advance(result)

    def _submit_stage(self, stage: StagePlan, run: RunPlan) -> None:
        for job in self.dispatch.jobs:
            if job.stage is not None and job.stage.folder.path == stage.folder.path:
                job.runs.append(run)
                return
        if stage.folder.path in self._stages_done:
            return
        if stage.folder.complete():
            self._note(run, self.refits.set_aside(stage))
        needs = run.method.capabilities
        threads = self.options.threads or cores()
        spec = self._spec("stage", run, stage=stage.node.key, threads=threads)
        job = Job(spec, (threads, needs.gpus, needs.memory_gib), [run], stage)
        self.overall.plan("fit", str(stage.folder.path))
        self.dispatch.add(job, start=False)
        self._start_ready()

    def _start_ready(self) -> None:
        for job in ready(self.dispatch.jobs, self._stages_done):
            self.results[str(job.runs[0].folder.path)].fresh = True
            self.dispatch.start(job)

    def _advance(self, result: RunResult) -> None:
        """Start what comes next for a run, once its stages are there."""
        run = result.run
        if result.status != "ok" or any(
            s.needed and s.folder.path not in self._stages_done for s in run.stages
        ):
            return
        if self.options.until == "fit":
            self._finished(result)
            return
        self._inspect(result)

    def _inspect(self, result: RunResult) -> None:
        """Use earlier results of a run where they are still valid, and set them aside where not."""
        run = result.run
        state = inspect_run(run, self.task_data.task, self.paths)
        again = self.options.again and state.status != "new" and not result.fresh
        if (again or state.status != "finished") and not self.turns.has(result):
            return self.turns.take(result, self._inspect)  # a finished run is left without a lock
        if again:
            self._set_aside(run, "requested with --again")
        elif state.status == "stale":
            self._set_aside(run, state.reason)
        elif state.status == "finished":
            self.turns.end(result)
            self._predicted(result)
            return
        elif state.status == "changed":
            result.changed = list(state.modules)
            self._submit(self._spec("probe", run), run, needs_of(run))
            return
        self.turns.end(result)
        self._predict(result)

    def _set_aside(self, run: RunPlan, reason: str) -> None:
        kept = retire(run.folder.path)
        self._note(run, f"{reason}: predicted and scored again; the earlier run is kept in {kept}")

    def _predict(self, result: RunResult) -> None:
        run = result.run
        write_record(run, self.task_data, self.options)
        todo = [s for s in shards(self.task_data.task) if not shard_done(run.folder, s.index)]
        if not todo:
            self._predicted(result)
            return
        self._warm_real(run)
        result.fresh = True
        for _ in range(min(len(todo), self.dispatch.slots.cpus)):
            self._submit(self._spec("predict", run), run, needs_of(run))

    def _leaks_probed(self, result: RunResult, job: Job) -> None:
        """The leak probe has answered."""
        if not result.run.folder.manifest.is_file():  # as if another process was faster
            result.leaks = judge_leaks(result.run, job.answers, job.trouble)
        self._predicted(result)

    def _probed(self, result: RunResult, answers: Sequence[Event]) -> None:
        """A probe of the predictions has answered."""
        if not self.turns.holds(result):  # another command has judged since
            self.turns.take(result, self._inspect)
            return
        verdict = judge_prediction(result, answers)
        (self._set_aside if verdict.retire else self._note)(result.run, verdict.text)
        self.turns.end(result)
        (self._predict if verdict.retire else self._predicted)(result)

    def _predicted(self, result: RunResult) -> None:
        run = result.run
        if self.dispatch.of(run):
            return
        self.overall.finish("predict", str(run.folder.path))
        if not run.folder.manifest.is_file():
            if result.leaks is None and foreign(run, self.registry):
                self._submit(self._spec("leak-probe", run), run, needs_of(run))
                return
            close_prediction(run, self.task_data.task, self.paths, result.leaks or ())
        if self.options.until == "predict":
            if result.fresh:
                self._submit(self._spec("score", run), run)  # draws the preview
            else:
                self._finished(result)
            return
        self._inspect_scores(result)

    def _inspect_scores(self, result: RunResult) -> None:
        """Use earlier scores where they are valid; those that are to be judged take a turn."""
        run = result.run
        state = inspect_scores(
            run.folder, self.task_data.task, self.metrics, self.paths, self.absent_weights
        )
        if state.changed and not self.turns.has(result):
            return self.turns.take(result, self._inspect_scores)
        result.missing |= state.missing
        result.todo = state.todo
        if state.changed:
            result.changed = sorted({m for names in state.changed.values() for m in names})
            self._submit_scoring("score-probe", run, tuple(state.changed))
            return
        self.turns.end(result)
        self._score(result)

    def _scores_probed(self, result: RunResult, answers: Sequence[Event]) -> None:
        """A probe of some scores has answered; when all have, they are judged."""
        result.answers += answers
        if self.dispatch.of(result.run):
            return
        answers, result.answers = result.answers, []
        if not self.turns.holds(result):  # another command has judged since
            self.turns.take(result, self._inspect_scores)
            return
        verdict = judge_scores(result.run.folder, result.changed, answers)
        self.turns.end(result)
        result.recompute = bool(verdict.rescore)
        self._note(result.run, verdict.text)
        result.todo += [name for name in verdict.rescore if name not in result.todo]
        self._score(result)

    def _score(self, result: RunResult) -> None:
        run = result.run
        if not result.todo:
            self._finished(result)
            return
        result.fresh = True
        if not with_features(self.metrics, result.todo):
            self._featured(result)
            return
        self._warm_real(run)
        if any(j.spec.shared for j in self.dispatch.jobs):
            self._waiting.append(result)  # first what every run needs
        else:
            self._warm(run, "fake", result.todo)

    def _featured(self, result: RunResult) -> None:
        """Score, once all features are there."""
        run = result.run
        if self.dispatch.of(run):
            return
        self._submit_scoring("score", run, result.todo)

    def _submit_scoring(self, kind: Kind, run: RunPlan, metrics: Sequence[str]) -> None:
        """One job for each group of metrics that may share a worker."""
        for code, names in scoring_groups([w for w in self.metrics if w.name in metrics]):
            self._submit(self._spec(kind, run, metrics=names, code=code), run)

    def _warm_real(self, run: RunPlan) -> None:
        """What all runs share, once, by the first: features of true futures, fitted metrics."""
        scored = [w for w in self.metrics if not w.lacks(self.absent_weights)]
        names = with_features(scored)
        if self._real_started or not names:
            return
        self._real_started = True
        self._warm(run, "real", names)
        fitted = [w.name for w in scored if w.built_in and w.spec.needs_training]
        if fitted:
            self._warm(run, "train", fitted)

    def _warm(self, run: RunPlan, side: Side, names: Sequence[str]) -> None:
        count = min(self.dispatch.slots.cpus, len(shards(self.task_data.task)))
        metrics = with_features(self.metrics, names)
        for k in range(count):
            spec = self._spec("features", run, metrics=metrics, side=side, part=(k, count))
            self._submit(spec, run, owned=side == "fake")

    def _finished(self, result: RunResult) -> None:
        if self.dispatch.of(result.run):
            return
        self.overall.finish("score", str(result.run.folder.path))
        clear_failures(result.run, self.task_data.task)
        result.seconds = seconds_of(result.run)
        self.report(result.event(self.options.until))

    def _spec(self, kind: Kind, run: RunPlan, **fields: Any) -> JobSpec:
        recompute = self.options.recompute or self.results[str(run.folder.path)].recompute
        return self.jobs.spec(kind, run, recompute=recompute, **fields)

    def _submit(
        self, spec: JobSpec, run: RunPlan, needs: Needs = _SCORING, owned: bool = True
    ) -> None:
        self.dispatch.add(Job(spec, needs, [run] if owned else []))

    def _on_event(self, job: Job, event: Event) -> None:
        folder = job.spec.run.folder
        if not job.spec.shared:  # those are work for all runs
            of = job.stage.folder.path if job.stage is not None else folder
            self.overall.hear(job.spec.kind, str(of), event)
        if event["event"] == "missing" and folder in self.results:
            self.results[folder].missing |= event["metrics"]
        self.report({**event, "method": job.spec.run.method, "run": folder})

    def _reporter(self, run: RunPlan) -> Report:
        return lambda event: self.report({**event, "method": run.name, "run": str(run.folder.path)})

    def _note(self, run: RunPlan, text: str) -> None:
        self.report({"event": "note", "text": f"{run.name}: {text}"})

    def _ended(self, job: Job) -> None:
        results = [self.results[str(r.folder.path)] for r in job.runs]
        if job.busy:
            self.dispatch.again(job)
            return
        reason = job.trouble
        if job.spec.shared:
            self._real_ended(reason)
        elif reason is not None and job.spec.kind != "leak-probe":
            for result in results:
                self._fail(result, reason, job.end.get("code") or 1, job.end.get("trace", ""))
            if job.stage is not None:
                alive = {key for key, result in self.results.items() if result.status == "ok"}
                drop_dependants(self.dispatch.jobs, job.stage, alive)
        else:
            if job.stage is not None:
                self.overall.finish("fit", str(job.stage.folder.path))
                self.refits.trained(job.stage)
                self._stages_done.add(job.stage.folder.path)
                self._start_ready()
            for result in results:
                if result.status == "ok":
                    self._guarded(result, self._next(job))

    def _real_ended(self, reason: str | None) -> None:
        if reason is not None:  # scoring fails the same way and names the cause
            self.report({"event": "note", "text": f"features of the real clips: {reason}"})
        if any(j.spec.shared for j in self.dispatch.jobs):
            return
        waiting, self._waiting = self._waiting, []
        for result in (r for r in waiting if r.status == "ok"):
            self._warm(result.run, "fake", result.todo)

    def _next(self, job: Job) -> Callable[[RunResult], None]:
        steps: dict[Kind, Callable[[RunResult], None]] = {
            "stage": self._advance,
            "predict": self._predicted,
            "probe": lambda result: self._probed(result, job.answers),
            "features": self._featured,
            "score-probe": lambda result: self._scores_probed(result, job.answers),
            "leak-probe": lambda result: self._leaks_probed(result, job),
            "score": self._finished,
        }
        return steps[job.spec.kind]
