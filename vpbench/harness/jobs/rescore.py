"""Scores finished runs from their folders alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vpbench.api.errors import BadData, VpbenchError
from vpbench.core import schema
from vpbench.core.names import parse_name
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Event, Report
from vpbench.core.registry import Registry, registry
from vpbench.core.run_folders import finished
from vpbench.core.rundir import RunDir
from vpbench.harness.inputs.task_data import TaskData, absolute, index_ref, open_task_data
from vpbench.harness.jobs.dispatch import Dispatcher, Job
from vpbench.harness.jobs.executors.local import Slots
from vpbench.harness.jobs.job import JobSpec, Kind, PlannedRun
from vpbench.harness.jobs.needed import scoring_groups, scoring_plugins
from vpbench.harness.jobs.verdicts import judge_scores
from vpbench.harness.results.no_run import no_finished_run
from vpbench.harness.results.score_state import inspect_scores
from vpbench.harness.scoring.score import Wanted
from vpbench.harness.scoring.score_record import score_json


def find_runs(
    what: Sequence[str], dataset: str | None, task: str | None, runs: Path, known: Registry
) -> list[RunDir]:
    """Run folders named by path, and all finished runs of methods named.

    Raises:
        MissingData: a name has no finished run.
        UnknownName: nor is it installed.
    """
    folders: list[RunDir] = []
    for text in what:
        if (Path(text) / "run.json").is_file():
            folders.append(RunDir(Path(text).absolute()))
            continue
        own = [
            folder
            for folder, inputs in finished(runs)
            if text in (inputs["method"], parse_name(inputs["method"]).base)
            and (dataset is None or absolute(dataset) == inputs["dataset"])
            and (task is None or task in (inputs["task"]["id"], inputs["task"]["name"]))
        ]
        if not own:
            raise no_finished_run(text, known, runs)
        folders += own
    return list(dict.fromkeys(folders))


@dataclass
class _Scoring:
    """Probes and scores one finished run."""

    folder: RunDir
    task_data: TaskData
    wanted: Sequence[Wanted]
    registry: Registry
    paths: Paths
    report: Report
    missing: dict[str, str] = field(default_factory=dict[str, str])

    def run(self) -> dict[str, str]:
        """Do it; metric -> why it could not be scored."""
        task = self.task_data.task
        state = inspect_scores(self.folder, task, self.wanted, self.paths, {})
        self.missing |= state.missing
        todo, recompute = list(state.todo), False
        if state.changed:
            changed = sorted({m for modules in state.changed.values() for m in modules})
            answers = self._do("score-probe", list(state.changed))
            verdict = judge_scores(self.folder, changed, answers)
            self.report({"event": "note", "text": f"{self._method}: {verdict.text}"})
            todo += [name for name in verdict.rescore if name not in todo]
            recompute = bool(verdict.rescore)
        if todo:
            self._do("score", todo, recompute=recompute)
        return self.missing

    @property
    def _method(self) -> str:
        return self.folder.read_record()["inputs"]["method"]

    def _do(self, kind: Kind, names: Sequence[str], *, recompute: bool = False) -> list[Event]:
        """Run one job for each group of metrics, one after the other; what probes answered."""
        answers: list[Event] = []
        factory = self.registry.factory("executor", "local")
        dispatch = Dispatcher(factory, Slots.of_machine(1), self._heard)
        try:
            for code, group in scoring_groups([w for w in self.wanted if w.name in names]):
                spec = self._spec(kind, code, group, recompute)
                job = dispatch.add(Job(spec, (1, 0, 2.0), []))
                while dispatch.jobs:
                    dispatch.ended()
                if job.trouble is not None:
                    raise _as_it_was(job)
                answers += job.answers
        finally:
            dispatch.close()
        return answers

    def _spec(self, kind: Kind, code: str, names: tuple[str, ...], recompute: bool) -> JobSpec:
        record = self.folder.read_record()
        specs = [w.spec for w in self.wanted if w.name in names]
        return JobSpec(
            kind=kind,
            id=f"{kind}-{names[0]}",
            ref=self.task_data.ref,
            paths=self.paths,
            plugins=tuple(record["plugins"]),
            run=PlannedRun.of_record(self.folder),
            code=code,
            metrics=names,
            sources=scoring_plugins(specs, self.registry),
            index=index_ref(self.task_data),
            recompute=recompute,
        )

    def _heard(self, job: Job, event: Event) -> None:
        if event["event"] == "missing":
            self.missing |= event["metrics"]
        self.report({**event, "method": job.spec.run.method})


def _as_it_was(job: Job) -> VpbenchError:
    """The error that a job ended with; its exit code is kept."""
    error = VpbenchError(str(job.trouble))
    error.exit_code = job.end.get("code") or error.exit_code
    return error


def rescore(
    folder: RunDir,
    wanted: Sequence[Wanted],
    plugins: Registry,
    paths: Paths,
    report: Report,
    root: str | None = None,
) -> schema.RunJson:
    """Score one run in workers, keeping what is scored already and holds.

    Args:
        plugins: all plugins; workers import those of the dataset and of the metrics.
        root: the dataset's folder, where it is not the one that the run was made with.

    Raises:
        BadData: the dataset is not the one that the run was made on.
        HashMismatch: the predictions are not what was written.
    """
    record = folder.read_record()
    inputs = record["inputs"]
    manifest = folder.check()
    ref = TaskRef(**record["task_ref"])
    ref = replace(ref, root=root or ref.root)
    task_data = open_task_data(ref, registry(tuple(record["plugins"])), paths)
    if (
        task_data.task.id != inputs["task"]["id"]
        or task_data.task.split_hash != inputs["task"]["split_hash"]
        or task_data.task.clips_hash != inputs["data"]
        or task_data.task.names != inputs.get("names", task_data.task.names)
    ):
        raise BadData(
            f"{inputs['dataset']} has changed since {folder.path} was made.",
            fix="Run the method again.",
        )
    missing = _Scoring(folder, task_data, wanted, plugins, paths, report).run()
    names = {w.name for w in wanted}
    scores = {
        s["metric"]: score_json(s)
        for s in folder.read_scores(manifest["sha256"])
        if s["frames"] == task_data.task.horizon and s["metric"] in names
    }
    for name, reason in missing.items():
        scores.setdefault(name, schema.score_json(None, n=0, fingerprint="", reason=reason))
    return {
        "method": inputs["method"],
        "kind": inputs["kind"],
        "task": task_data.task.id,
        "seed": inputs["seed"],
        "fit_seed": inputs["fit_seed"] or 0,
        "status": "ok",
        "reason": None,
        "run_dir": str(folder.path),
        "seconds": {},
        "scores": scores,
    }
