"""Jobs: what a worker is given, as JSON, and how it does it."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.api.errors import UsageError
from vpbench.core import schema
from vpbench.core.checkpoints import StagePlan
from vpbench.core.discovery import installed
from vpbench.core.files import read_json, write_json
from vpbench.core.hashing import digest
from vpbench.core.names import MethodRef
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry, limited_registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import RunDir, StageDir
from vpbench.core.stages import stage_graph
from vpbench.harness.inputs.opened_files import OpenedFiles
from vpbench.harness.inputs.task_data import IndexRef, TaskData, open_task_data
from vpbench.harness.inputs.training_clips import TaskTrainingClips
from vpbench.harness.prediction.leaks import leak_answer
from vpbench.harness.prediction.maker import (
    ProcessRecord,
    RecordedMethod,
    dataset_folders,
    record_method,
)
from vpbench.harness.prediction.preview import write_preview
from vpbench.harness.prediction.probe import probe_prediction
from vpbench.harness.prediction.shards import predict_shards
from vpbench.harness.prediction.wrong_labels import predict_wrong_labels
from vpbench.harness.scoring.controllability import score_controllability
from vpbench.harness.scoring.feature_cache import (
    fake_clips,
    prepare_training,
    real_clips,
    warm_features,
)
from vpbench.harness.scoring.probe import probe_scores
from vpbench.harness.scoring.score import score_run, wanted_metrics
from vpbench.harness.training.context import ScoreContext
from vpbench.harness.training.stage import run_stage

Kind = Literal[
    "stage",
    "predict",
    "probe",
    "leak-probe",
    "wrong-labels",
    "features",
    "score",
    "score-probe",
    "controllability",
]
Side = Literal["real", "fake", "train"]
SCORING = ("features", "score", "score-probe", "controllability")
"""Kinds of jobs that need no method: their workers never load one's code."""


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage of a resolved plan: where its trained state lies or will lie."""

    key: str
    origin: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """The resolved plan of one run, as a worker is given it.

    Attributes:
        method: canonical name.
        identity: digest of what was declared when the plan was made; a worker that reads another
            spec refuses.
    """

    method: str
    preset: str
    identity: str
    seed: int
    fit_seed: int
    samples: int
    key: str
    folder: str
    stages: tuple[PlannedStage, ...]

    @classmethod
    def of_record(cls, folder: RunDir) -> PlannedRun:
        """What a job file says about a finished run; enough to score it, not to predict."""
        record = folder.read_record()
        inputs = record["inputs"]
        return cls(
            method=inputs["method"],
            preset=inputs["preset"],
            identity="",
            seed=inputs["seed"],
            fit_seed=inputs["fit_seed"] or 0,
            samples=inputs["samples"],
            key=record["key"],
            folder=str(folder.path),
            stages=(),
        )

    @classmethod
    def of(cls, run: RunPlan) -> PlannedRun:
        """The part of a plan that a job file stores."""
        return cls(
            method=run.name,
            preset=run.method.preset,
            identity=digest(run.method.identity()),
            seed=run.seed,
            fit_seed=run.fit_seed,
            samples=run.samples,
            key=run.key,
            folder=str(run.folder.path),
            stages=tuple(
                PlannedStage(key=s.node.key, origin=s.origin, folder=str(s.folder.path))
                for s in run.stages
            ),
        )


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One piece of work, complete in itself: any machine with the same packages can do it.

    Attributes:
        kind: "stage" fits one stage, "predict" makes shards of a run, "probe" predicts some again,
            "wrong-labels" predicts under them, "controllability" scores that,
            "features" fills the cache of set metrics, "score" draws a run's preview and scores it,
            "score-probe" computes some scores again, "leak-probe" predicts a shard again without
            the futures of its clips.
        code: whose code the worker will load: a method's name, a plugin's metric; "" for none.
        stage: key of the stage to make.
        metrics: names of the metrics to score.
        side: for features: "real" for the task's clips, "fake" for the run's, "train" for what
            metrics are fitted on.
        part: (k, n): every n-th shard from the k-th on.
        sources: where the specs of the plugins stand that the job needs; no others are imported.
        index: of a plugin's dataset, which no job imports.
        labels: for wrong labels and what is scored of them: how many there are for each clip.
        recompute: do not use features that come with vpbench.
        events: file that the events go to, one JSON object a line; the last is "end".
        log_progress: put progress there too, for executors that do not stream events.
    """

    kind: Kind
    id: str
    ref: TaskRef
    paths: Paths
    plugins: tuple[str, ...]
    run: PlannedRun
    code: str = ""
    stage: str = ""
    metrics: tuple[str, ...] = ()
    side: Side | Literal[""] = ""
    part: tuple[int, int] = (0, 1)
    sources: tuple[str, ...] = ()
    index: IndexRef = field(default_factory=IndexRef)
    recompute: bool = False
    labels: int = 0
    threads: int = 1
    device: str = "auto"
    events: str = ""
    log_progress: bool = False
    schema: str = field(default=schema.JOB)

    def write(self, path: Path) -> Path:
        """Store the job."""
        write_json(path, asdict(self))
        return path

    @classmethod
    def read(cls, path: Path) -> JobSpec:
        """Read a job.

        Raises:
            UsageError: the file is not a job of this version.
        """
        if not path.is_file():
            raise UsageError(f"there is no job file {path}.")
        fields = cast("dict[str, Any]", read_json(path))
        if fields.get("schema") != schema.JOB:
            raise UsageError(f"{path} is not a job: its schema is {fields.get('schema')!r}.")
        run, paths = fields.pop("run"), fields.pop("paths")
        stages = tuple(PlannedStage(**stage) for stage in run.pop("stages"))
        first, every = fields.pop("part")
        return cls(
            ref=TaskRef(**fields.pop("ref")),
            paths=Paths(Path(paths["runs"]), Path(paths["cache"]), paths["offline"]),
            run=PlannedRun(stages=stages, **run),
            plugins=tuple(fields.pop("plugins")),
            metrics=tuple(fields.pop("metrics")),
            sources=tuple(fields.pop("sources")),
            index=IndexRef(**fields.pop("index")),
            part=(first, every),
            **fields,
        )


class Session:
    """What a worker keeps from job to job: the opened task and the loaded method."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[TaskRef, str, IndexRef], TaskData] = {}
        self._method: tuple[str, RecordedMethod] | None = None
        self._report: Report = silent

    @functools.cached_property
    def process(self) -> ProcessRecord:
        """What is recorded of this process from its first job on that loads a method."""
        return ProcessRecord()

    def task_data(self, job: JobSpec, plugins: Registry) -> TaskData:
        """The opened task, kept for the next job."""
        key = (job.ref, str(job.paths.cache), job.index)
        if key not in self._tasks:
            task_data = open_task_data(job.ref, plugins, job.paths, job.index)
            task_data.clip_cache.note = lambda text: self._report({"event": "note", "text": text})
            self._tasks = {key: task_data}
        return self._tasks[key]

    def do(self, job: JobSpec, report: Report) -> str:
        """Do a job.

        Returns:
            "done", or "busy" when another process is doing it.

        Raises:
            VpbenchError: it failed, for a reason in one sentence.
        """
        self._report = report
        if job.kind in SCORING:
            self._score(job, report)
            return "done"
        installed()  # what is read to find plugins is not what a plugin reads
        with self.process.files.watching():
            plugins = limited_registry(job.plugins, job.sources)
        task_data = self.task_data(job, plugins)
        run = rebuild(job.run, task_data, plugins)
        if job.kind == "stage":
            stage = next(s for s in run.stages if s.node.key == job.stage)
            return run_stage(
                stage,
                run.stages,
                task_data,
                plugins,
                job.paths.cache,
                job.threads,
                pick_device(job.device),
                report,
            )
        if job.kind == "leak-probe":
            device = pick_device(job.device) if run.method.capabilities.trainable else "cpu"
            answer = leak_answer(run, task_data, plugins, device, job.paths.cache)
            report({"event": "leak-probe", **asdict(answer)})
            return "done"
        maker = self._recorded(job, run, task_data, plugins)
        if job.kind == "probe":
            result = probe_prediction(run, task_data, maker)
            report({"event": "probe", **asdict(result), "code": maker.code()})
        elif job.kind == "wrong-labels":
            predict_wrong_labels(run, task_data, maker, job.labels, report)
        else:
            predict_shards(run, task_data, maker, report)
        return "done"

    def _score(self, job: JobSpec, report: Report) -> None:
        """The kinds of jobs that need no method; what a plugin's metric reads is seen."""
        opened = self.process.files if job.code else None
        with nullcontext() if opened is None else opened.watching():
            plugins = limited_registry(job.plugins, job.sources)
        task_data = self.task_data(job, plugins)
        if opened is not None:
            opened.ignore([job.paths.runs, job.paths.cache, *dataset_folders(task_data)])
        _score(job, task_data, plugins, report, opened)

    def _recorded(
        self, job: JobSpec, run: RunPlan, task_data: TaskData, plugins: Registry
    ) -> RecordedMethod:
        """The loaded method, kept for the next job of the same run."""
        if self._method is None or self._method[0] != run.key:
            self._method = None  # free the old one first
            device = pick_device(job.device) if run.method.capabilities.trainable else "cpu"
            recorded = record_method(run, task_data, plugins, device, job.paths, self.process)
            self._method = (run.key, recorded)
        return self._method[1]


def _score(
    job: JobSpec,
    task_data: TaskData,
    plugins: Registry,
    report: Report,
    opened: OpenedFiles | None,
) -> None:
    folder = RunDir(Path(job.run.folder))
    training = TaskTrainingClips(task_data)
    ctx = ScoreContext("cpu", 1, job.paths.cache, job.recompute, training=training, opened=opened)
    wanted = wanted_metrics(list(job.metrics), plugins)
    if job.side == "train":
        prepare_training(job.part, task_data, wanted, plugins, ctx, report)
        return
    if job.kind == "features":
        clips = real_clips(task_data, job.part) if job.side == "real" else None
        clips = clips or fake_clips(folder, task_data, job.part)
        warm_features(folder, clips, job.side, task_data, wanted, plugins, ctx, report)
        return
    if job.kind == "score-probe":
        for verdict in probe_scores(folder, task_data, wanted, plugins, ctx):
            report({"event": "score-probe", **asdict(verdict)})
        return
    if job.kind == "controllability":
        score_controllability(folder, task_data, job.labels, plugins, ctx, report)
        return
    write_preview(folder, task_data)
    missing = score_run(folder, task_data, wanted, plugins, ctx, report)
    if missing:
        report({"event": "missing", "metrics": missing})


def pick_device(wanted: str) -> str:
    """The torch device for `--device`."""
    from vpbench.kit.threads import pick_device as pick

    return pick(wanted)


def rebuild(planned: PlannedRun, task_data: TaskData, plugins: Registry) -> RunPlan:
    """The plan that a job carries, with the specs that this process sees.

    Raises:
        UsageError: the plugins here differ from those that the plan was made with.
    """
    task = task_data.task
    ref = MethodRef.parse(planned.method)
    method = resolve(ref, plugins, task.spec.size, planned.preset or None)
    nodes = stage_graph(method, task.stage_fields(), task.spec.size, plugins, planned.fit_seed)
    by_key = {node.key: node for node in nodes}
    stages = [s for s in planned.stages if s.key in by_key]
    if digest(method.identity()) != planned.identity or len(stages) != len(planned.stages):
        raise UsageError(
            f"{planned.method}: another version of its plugin is installed here than the job was "
            "planned with.",
            fix="Run again.",
        )
    return RunPlan(
        method=method,
        seed=planned.seed,
        fit_seed=planned.fit_seed,
        samples=planned.samples,
        stages=tuple(
            StagePlan(
                by_key[s.key],
                s.origin,
                StageDir(Path(s.folder), shipped=s.origin == "bundled"),
            )
            for s in stages
        ),
        key=planned.key,
        folder=RunDir(Path(planned.folder)),
        requested=True,
    )


def code_of(kind: Kind, run: RunPlan) -> str:
    """Whose code a job of that kind loads into its worker."""
    if kind in SCORING or run.method.built_in:
        return ""
    return run.name
