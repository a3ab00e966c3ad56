"""Jobs: what a worker is told, as JSON, and how it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.api.errors import UsageError, VpbenchError
from vpbench.core import schema
from vpbench.core.files import read_json, write_json
from vpbench.core.places import Places
from vpbench.core.plan import RunPlan, Wish, make_plan
from vpbench.core.registry import Registry, registry
from vpbench.core.tasks import TRAIN
from vpbench.harness.bench import Bench, Place, open_bench
from vpbench.harness.context import ScoreContext
from vpbench.harness.events import Emit
from vpbench.harness.features import fake_clips, real_clips, warm_features
from vpbench.harness.fit import run_stage
from vpbench.harness.loading import load_stages, make_method, make_slots
from vpbench.harness.predict import predict_shards
from vpbench.harness.preview import write_preview
from vpbench.harness.score import score_run, wanted_metrics


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
        self._benches: dict[tuple[Place, str], Bench] = {}
        self._loaded: tuple[Path, Any] | None = None

    def bench(self, place: Place, found: Registry, places: Places) -> Bench:
        """The opened task, kept for the next job."""
        key = (place, str(places.cache))
        if key not in self._benches:
            self._benches = {key: open_bench(place, found, places)}
        return self._benches[key]

    def method(self, run: RunPlan, bench: Bench, found: Registry, device: str) -> Any:
        """The loaded method, kept for the next job of the same run."""
        if self._loaded is None or self._loaded[0] != run.folder.path:
            self._loaded = None  # free the old one first
            self._loaded = (run.folder.path, load_run(run, bench, found, device))
        return self._loaded[1]

    def do(self, job: JobSpec, emit: Emit) -> str:
        """Do a job.

        Returns:
            "done", or "busy" when another process is doing it.

        Raises:
            VpbenchError: it failed, for a reason in one sentence.
        """
        places = Places(Path(job.runs), Path(job.cache), job.offline)
        found = registry(job.plugins)
        place = Place(job.dataset, job.task, job.root, job.limit, job.train_on)
        bench = self.bench(place, found, places)
        run = plan_again(job, bench, found, places)
        if job.kind == "stage":
            device = _device(job.device)
            stage = next(s for s in run.stages if s.node.key == job.stage)
            return run_stage(
                stage, run.stages, bench, found, places.cache, job.threads, device, emit
            )
        if job.kind == "predict":
            device = _device(job.device) if run.method.capabilities.trainable else "cpu"
            instance = self.method(run, bench, found, device)
            predict_shards(run, bench, instance, emit)
            return "done"
        ctx = ScoreContext("cpu", 1, places.cache, job.recompute)
        wanted = wanted_metrics(list(job.metrics), found)
        if job.kind == "features":
            clips = real_clips(bench, job.part) if job.side == "real" else None
            clips = clips or fake_clips(run.folder, bench, job.part)
            warm_features(run.folder, clips, job.side, bench, wanted, found, ctx, emit)
            return "done"
        write_preview(run.folder, bench)
        missing = score_run(run.folder, bench, wanted, found, ctx, emit)
        if missing:
            emit({"event": "missing", "metrics": missing})
        return "done"


def _device(wanted: str) -> str:
    from vpbench.kit.threads import pick_device

    return pick_device(wanted)


def load_run(run: RunPlan, bench: Bench, found: Registry, device: str) -> Any:
    """Make a run's method and load its trained stages; references are bound to the clips."""
    slots = make_slots(run.method, bench.task.info, found)
    instance = make_method(run.method, bench.task.info, found, slots)
    load_stages(instance, slots, run.method, run.stages, device)
    if run.method.spec.kind in ("floor", "reference"):
        instance.bind(bench)
    return instance


def plan_again(job: JobSpec, bench: Bench, found: Registry, places: Places) -> RunPlan:
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
    plan = make_plan(wish, bench.task, found, places.runs, places.cache)
    runs: Sequence[RunPlan] = plan.runs
    if not runs or str(runs[0].folder.path) != job.run:
        raise VpbenchError(
            f"{job.method}: this process does not see the plugin that the job was made for; its "
            "source was changed, or another version is installed here.",
            fix="Run again.",
        )
    return runs[0]
