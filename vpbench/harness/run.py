"""Runs a plan: stages, shards, manifest, scores; shares the work with other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vpbench import __version__
from vpbench.api.errors import Corrupt, VpbenchError
from vpbench.core import provenance, schema
from vpbench.core.files import make_folder, read_json, write_bytes, write_json
from vpbench.core.hashing import digest
from vpbench.core.places import Places
from vpbench.core.plan import Plan, Refusal, RunPlan, StagePlan, row_kind
from vpbench.harness.bench import Bench
from vpbench.harness.events import Emit, silent
from vpbench.harness.executors.local import LocalExecutor, LocalHandle, Slots
from vpbench.harness.jobs import JobSpec
from vpbench.harness.predict import close_prediction, shard_done, shards
from vpbench.harness.score import Wanted, score_json


@dataclass(frozen=True)
class Orders:
    """How a plan is carried out.

    Attributes:
        until: the last thing to do: "fit", "predict" or "score".
        workers: slots for cores; None is all free ones.
        threads: for fitting only; None is all free cores.
    """

    until: str = "score"
    metrics: Sequence[Wanted] = ()
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    plugins: tuple[str, ...] = ()
    refit: bool = False
    checkpoint: str | None = None
    preset: str | None = None


@dataclass
class Outcome:
    """What became of one run."""

    run: RunPlan
    status: str = "ok"
    reason: str | None = None
    code: int = 0
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    fresh: bool = False


@dataclass
class _Job:
    """A submitted job and what it belongs to."""

    handle: LocalHandle
    spec: JobSpec
    path: Path
    retry: Callable[[], LocalHandle]
    runs: list[RunPlan]
    stage: StagePlan | None = None


class Conductor:
    """Carries out a plan with a local executor, and tells `emit` what happens."""

    def __init__(
        self, plan: Plan, bench: Bench, places: Places, orders: Orders, emit: Emit = silent
    ) -> None:
        self.plan, self.bench, self.places, self.orders, self.emit = (
            plan,
            bench,
            places,
            orders,
            emit,
        )
        self.threads = orders.threads or provenance.cores()
        self.outcomes = {str(r.folder.path): Outcome(r) for r in plan.runs}
        self._jobs: list[_Job] = []
        self._stages_done: set[Path] = set()
        self._count = 0

    def run(self) -> list[Outcome]:
        """Do everything; a failed run leaves the others.

        Raises:
            KeyboardInterrupt: after the workers have stored their state.
            Unwritable: the runs folder cannot be made.
        """
        make_folder(self.places.runs / self.bench.task.id)
        slots = Slots.of_machine(self.orders.workers)
        self.executor = LocalExecutor(replace(slots, cpus=max(slots.cpus, 1)))
        with self.executor:
            for outcome in self.outcomes.values():
                self._guarded(outcome, self._begin)
            while self._jobs:
                self.executor.poll(0.5)
                for job in [j for j in self._jobs if j.handle.done()]:
                    self._jobs.remove(job)
                    self._ended(job)
        return list(self.outcomes.values())

    def _guarded(self, outcome: Outcome, step: Callable[[Outcome], None]) -> None:
        try:
            step(outcome)
        except VpbenchError as error:
            self._fail(outcome, str(error), error.exit_code)

    def _fail(self, outcome: Outcome, reason: str, code: int) -> None:
        if outcome.status == "ok":
            outcome.status, outcome.reason, outcome.code = "failed", reason, code
            self.emit({"event": "run", "method": outcome.run.name, "status": "failed",
                       "reason": reason, "run": str(outcome.run.folder.path)})  # fmt: skip
            for job in self._jobs:
                if job.runs == [outcome.run]:
                    job.handle.cancel()

    # -- one run, step by step -------------------------------------------------------------

    def _begin(self, outcome: Outcome) -> None:
        run = outcome.run
        _write_record(run, self.bench, self.orders)
        for stage in run.stages:
            if stage.origin == "to fit" and (self.orders.refit or not stage.folder.complete()):
                self._submit_stage(stage, run)
            else:
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
            _retire(stage)
        spec = replace(self._spec("stage", run), stage=stage.node.key, threads=self.threads,
                       events="", refit=self.orders.refit)  # fmt: skip
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
        job.path = self._job_path(job.runs[0], "stage")
        job.spec.write(job.path)
        return self.executor.submit(
            job.path, self.threads, needs.gpus, needs.memory_gib, self._teller(job.runs[0])
        )

    def _advance(self, outcome: Outcome) -> None:
        """Start what comes next for a run, once its stages are there."""
        run = outcome.run
        if outcome.status != "ok" or any(
            s.folder.path not in self._stages_done for s in run.stages
        ):
            return
        if self.orders.until == "fit":
            self._finished(outcome)
            return
        _drop_stale(run)
        todo = [s for s in shards(self.bench.task) if not shard_done(run.folder, s.index)]
        if not todo:
            self._predicted(outcome)
            return
        outcome.fresh = True
        needs = run.method.capabilities
        for _ in range(min(len(todo), self.executor.slots.cpus)):
            self._submit(self._spec("predict", run), run, needs.cpus, needs.gpus, needs.memory_gib)

    def _predicted(self, outcome: Outcome) -> None:
        run = outcome.run
        if any(j.runs == [run] for j in self._jobs):
            return
        close_prediction(run, self.bench.task)
        names = tuple(w.name for w in self.orders.metrics) if self.orders.until == "score" else ()
        self._submit(replace(self._spec("score", run), metrics=names), run, 1, 0, 1.0)

    def _finished(self, outcome: Outcome) -> None:
        outcome.seconds = _seconds(outcome.run)
        self.emit({"event": "run", "method": outcome.run.name, "status": "ok",
                   "fresh": outcome.fresh, "run": str(outcome.run.folder.path)})  # fmt: skip

    # -- jobs --------------------------------------------------------------------------------

    def _spec(self, kind: Any, run: RunPlan) -> JobSpec:
        place, orders = self.bench.place, self.orders
        self._count += 1
        return JobSpec(
            kind, f"{kind}-{self._count}", place.dataset, place.task, place.root, place.limit,
            str(self.places.runs), str(self.places.cache), self.places.offline, orders.plugins,
            run.name, run.method.preset or None, run.seed, run.fit_seed, run.samples,
            orders.checkpoint if run.requested else None, False, str(run.folder.path),
            device=orders.device, events=str(self._job_path(run, kind).with_suffix(".jsonl")),
        )  # fmt: skip

    def _job_path(self, run: RunPlan, kind: str) -> Path:
        folder = make_folder(run.folder.events)
        return folder / f"{kind}-{time.strftime('%Y%m%dT%H%M%S')}-{self._count}.json"

    def _submit(self, spec: JobSpec, run: RunPlan, cpus: int, gpus: int, memory_gib: float) -> None:
        path = self._job_path(run, spec.kind)
        spec.write(path)

        def again() -> LocalHandle:
            return self.executor.submit(path, cpus, gpus, memory_gib, self._teller(run))

        self._jobs.append(_Job(again(), spec, path, again, [run]))

    def _teller(self, run: RunPlan) -> Emit:
        def tell(event: dict[str, Any]) -> None:
            if event["event"] == "missing":
                self.outcomes[str(run.folder.path)].missing |= event["metrics"]
            self.emit({**event, "method": run.name, "run": str(run.folder.path)})

        return tell

    def _ended(self, job: _Job) -> None:
        handle = job.handle
        outcomes = [self.outcomes[str(r.folder.path)] for r in job.runs]
        if handle.status == "busy":  # another process holds it: look again soon
            time.sleep(0.3)
            job.handle = job.retry()
            self._jobs.append(job)
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

    def _next(self, job: _Job) -> Callable[[Outcome], None]:
        steps = {"stage": self._advance, "predict": self._predicted, "score": self._finished}
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


def _retire(stage: StagePlan) -> None:
    """Move a finished stage aside before it is fitted again: nothing is lost."""
    target = stage.folder.path.with_name(f"{stage.folder.path.name}.old-{int(time.time())}")
    stage.folder.path.rename(target)


def _stage_hashes(run: RunPlan) -> dict[str, str]:
    """Content of the trained stages that a run's predictions come from."""
    return {
        s.node.label: digest(read_json(s.folder.record)["files"])
        for s in run.stages
        if s.folder.complete()
    }


def _drop_stale(run: RunPlan) -> None:
    """Predictions of stages that were fitted anew since are made again."""
    record = run.folder.read_record()
    now = _stage_hashes(run)
    if record.get("stage_hashes") == now:
        return
    if record.get("stage_hashes") is not None:
        import shutil

        for folder in (run.folder.predictions, run.folder.scores, run.folder.preview):
            shutil.rmtree(folder, ignore_errors=True)
    write_json(run.folder.record, {**record, "stage_hashes": now})


def _write_record(run: RunPlan, bench: Bench, orders: Orders) -> None:
    """run.json and env/, once; a run folder that says something else is an error."""
    folder = run.folder
    record = run.record(bench.task)
    if folder.record.is_file():
        stored = folder.read_record()
        if digest(stored.get("inputs")) != digest(record):
            changed = _changed(stored.get("inputs") or {}, record)
            if changed != ["stages"]:
                raise Corrupt(
                    f"{folder.record} differs from this run in {', '.join(changed)}.",
                    fix=f"Delete {folder.path} and run again.",
                )
        return
    make_folder(folder.path / "env")
    write_bytes(
        folder.path / "env" / "freeze.txt", "\n".join(provenance.packages()).encode() + b"\n"
    )
    write_json(folder.path / "env" / "machine.json", provenance.machine())
    home = Path(provenance.__file__).parent
    write_json(folder.path / "env" / "git.json", {"vpbench": provenance.git_state(home)})
    write_json(folder.record, {
        "schema": schema.RUN, "vpbench": __version__, "created": time.time(), "inputs": record,
        "place": asdict(bench.place), "plugins": list(orders.plugins),
        "device": orders.device, "stage_hashes": None,
    })  # fmt: skip


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return sorted(k for k in {*a, *b} if digest(a.get(k)) != digest(b.get(k)))


def _seconds(run: RunPlan) -> dict[str, float]:
    """Seconds of fitting, predicting and scoring, from what is stored."""
    seconds: dict[str, float] = {}
    fits = [read_json(s.folder.record)["seconds"] for s in run.stages if s.folder.complete()]
    if fits:
        seconds["fit"] = round(sum(fits), 2)
    if run.folder.manifest.is_file():
        manifest = run.folder.read_manifest()
        seconds["predict"] = round(sum(s["seconds"] for s in manifest["shards"]), 2)
        scores = run.folder.read_scores(manifest["sha256"])
        seconds["score"] = round(max((s["seconds"] for s in scores), default=0.0), 2)
    return seconds


def run_json(outcome: Outcome, metrics: Sequence[Wanted]) -> schema.RunJson:
    """A run as `--json` prints it; scores are those over all T frames."""
    run = outcome.run
    scores: dict[str, schema.ScoreJson] = {}
    if run.folder.manifest.is_file() and outcome.status == "ok":
        manifest = run.folder.read_manifest()
        horizon = run.folder.read_record()["inputs"]["task"]["horizon"]
        wanted = {w.name for w in metrics}
        for record in run.folder.read_scores(manifest["sha256"]):
            if record["frames"] == horizon and record["metric"] in wanted:
                scores[record["metric"]] = score_json(record)
        for name, reason in outcome.missing.items():
            scores.setdefault(name, schema.score_json(None, n=0, fingerprint="", reason=reason))
    return {
        "method": run.name, "kind": row_kind(run.method),
        "task": run.folder.path.parent.parent.name, "seed": run.seed, "fit_seed": run.fit_seed,
        "status": "ok" if outcome.status == "ok" else "failed", "reason": outcome.reason,
        "run_dir": str(run.folder.path), "seconds": outcome.seconds, "scores": scores,
    }  # fmt: skip


def refusal_json(refusal: Refusal, task: str) -> schema.RunJson:
    """A refused run as `--json` prints it."""
    return {
        "method": refusal.name, "kind": refusal.kind, "task": task, "seed": refusal.seed,
        "fit_seed": refusal.fit_seed, "status": "refused", "reason": "; ".join(refusal.reasons),
        "run_dir": None, "seconds": {}, "scores": {},
    }  # fmt: skip
