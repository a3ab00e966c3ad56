"""Jobs: what a worker is told, as JSON, and how it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.api.errors import UsageError, VpbenchError
from vpbench.core import schema
from vpbench.core.files import read_json, write_json
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan, Wish, make_plan
from vpbench.core.progress import Report
from vpbench.core.registry import Registry, registry
from vpbench.core.tasks import TRAIN
from vpbench.harness.inputs.task_data import TaskData, TaskRef, open_task_data
from vpbench.harness.prediction.loaded import load_method
from vpbench.harness.prediction.preview import write_preview
from vpbench.harness.prediction.shards import predict_shards
from vpbench.harness.scoring.feature_cache import fake_clips, real_clips, warm_features
from vpbench.harness.scoring.score import score_run, wanted_metrics
from vpbench.harness.training.context import ScoreContext
from vpbench.harness.training.stage import run_stage


@dataclass(frozen=True)
class JobSpec:
    """One piece of work, complete in itself: any machine with the same packages can do it.

    Attributes:
        kind: "stage" fits one stage, "predict" makes shards of one run, "features" fills the cache
            of set metrics, "score" draws a run's preview and scores it.
        run: path of the run folder; checked against what this process works out itself.
        stage: key of the stage to make.
        metrics: names of the metrics to score.
        side: for features: "real" for the task's clips, "fake" for the run's.
        part: (k, n): every n-th shard from the k-th on.
        recompute: do not use features that come with vpbench.
        train_on: "train", or "train+val".
    """

    kind: Literal["stage", "predict", "features", "score"]
    id: str
    dataset: str
    task: str | None
    root: str | None
    limit: int | None
    runs: str
    cache: str
    offline: bool
    plugins: tuple[str, ...]
    method: str
    preset: str | None
    seed: int
    fit_seed: int
    samples: int
    checkpoint: str | None
    refit: bool
    run: str
    stage: str = ""
    metrics: tuple[str, ...] = ()
    side: Literal["", "real", "fake"] = ""
    part: tuple[int, int] = (0, 1)
    recompute: bool = False
    threads: int = 1
    device: str = "auto"
    events: str = ""
    train_on: str = TRAIN
    schema: str = field(default=schema.JOB)

    def write(self, path: Path) -> Path:
        """Store the job."""
        write_json(path, asdict(self))
        return path

    @classmethod
    def read(cls, path: Path) -> JobSpec:
        """Read a job.

        Raises:
            UsageError: the file is no job of this version.
        """
        if not path.is_file():
            raise UsageError(f"there is no job file {path}.")
        fields = cast("dict[str, Any]", read_json(path))
        if fields.get("schema") != schema.JOB:
            raise UsageError(f"{path} is no job: its schema is {fields.get('schema')!r}.")
        fields["plugins"] = tuple(fields["plugins"])
        fields["metrics"] = tuple(fields["metrics"])
        fields["part"] = tuple(fields["part"])
        return cls(**fields)


class Session:
    """What a worker keeps from job to job: the opened task and the loaded method."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[TaskRef, str], TaskData] = {}
        self._loaded: tuple[Path, Any] | None = None

    def task_data(self, place: TaskRef, found: Registry, paths: Paths) -> TaskData:
        """The opened task, kept for the next job."""
        key = (place, str(paths.cache))
        if key not in self._tasks:
            self._tasks = {key: open_task_data(place, found, paths)}
        return self._tasks[key]

    def method(self, run: RunPlan, task_data: TaskData, found: Registry, device: str) -> Any:
        """The loaded method, kept for the next job of the same run."""
        if self._loaded is None or self._loaded[0] != run.folder.path:
            self._loaded = None  # free the old one first
            self._loaded = (run.folder.path, load_method(run, task_data, found, device).instance)
        return self._loaded[1]

    def do(self, job: JobSpec, report: Report) -> str:
        """Do a job.

        Returns:
            "done", or "busy" when another process is doing it.

        Raises:
            VpbenchError: it failed, for a reason in one sentence.
        """
        paths = Paths(Path(job.runs), Path(job.cache), job.offline)
        found = registry(job.plugins)
        place = TaskRef(job.dataset, job.task, job.root, job.limit, job.train_on)
        task_data = self.task_data(place, found, paths)
        task_data.clip_cache.note = lambda text: report({"event": "note", "text": text})
        run = plan_again(job, task_data, found, paths)
        if job.kind == "stage":
            device = _device(job.device)
            stage = next(s for s in run.stages if s.node.key == job.stage)
            return run_stage(
                stage, run.stages, task_data, found, paths.cache, job.threads, device, report
            )
        if job.kind == "predict":
            device = _device(job.device) if run.method.capabilities.trainable else "cpu"
            instance = self.method(run, task_data, found, device)
            predict_shards(run, task_data, instance, report)
            return "done"
        ctx = ScoreContext("cpu", 1, paths.cache, job.recompute)
        wanted = wanted_metrics(list(job.metrics), found)
        if job.kind == "features":
            clips = real_clips(task_data, job.part) if job.side == "real" else None
            clips = clips or fake_clips(run.folder, task_data, job.part)
            warm_features(run.folder, clips, job.side, task_data, wanted, found, ctx, report)
            return "done"
        write_preview(run.folder, task_data)
        missing = score_run(run.folder, task_data, wanted, found, ctx, report)
        if missing:
            report({"event": "missing", "metrics": missing})
        return "done"


def _device(wanted: str) -> str:
    from vpbench.kit.threads import pick_device

    return pick_device(wanted)


def plan_again(job: JobSpec, task_data: TaskData, found: Registry, paths: Paths) -> RunPlan:
    """Work out the run that a job is about.

    Raises:
        VpbenchError: another run folder comes out than the job says: the plugins here differ.
    """
    wish = Wish(
        [job.method],
        (job.seed,),
        (job.fit_seed,),
        job.samples,
        job.preset,
        references=False,
        checkpoint=Path(job.checkpoint) if job.checkpoint else None,
        refit=job.refit,
    )
    plan = make_plan(wish, task_data.task, found, paths.runs, paths.cache)
    runs: Sequence[RunPlan] = plan.runs
    if not runs or str(runs[0].folder.path) != job.run:
        raise VpbenchError(
            f"{job.method}: this process does not see the plugin that the job was made for; its "
            "source was changed, or another version is installed here.",
            fix="Run again.",
        )
    return runs[0]
