"""Scores stored predictions; the method is not needed any more."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vpbench.api.errors import HashMismatch, Missing, UnknownName, UsageError
from vpbench.api.optional import CachesFeatures, DeclaresBias
from vpbench.api.specs import MetricSpec, WeightSpec
from vpbench.api.types import Frames, Score
from vpbench.core.code import CodeTable, code_table, digest_cache, roots_of
from vpbench.core.estimators import bias_field
from vpbench.core.hashing import digest
from vpbench.core.lock import LockWatch
from vpbench.core.progress import Report, silent
from vpbench.core.records import Subset
from vpbench.core.registry import Registry
from vpbench.core.run_folders import retire_earlier_scores
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.core.tasks import Item, Task, clip_of
from vpbench.harness.inputs.opened_files import OpenedFiles
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.inputs import folders_of
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.scoring.metric_inputs import record_inputs
from vpbench.harness.scoring.score_record import score_record
from vpbench.harness.training.context import ScoreContext

_POLL_S = 0.3
"""Seconds between two checks for a score that another process computes."""


@dataclass(frozen=True)
class Wanted:
    """A metric with a recipe, as it is requested: `psnr`, `fvd@styleganv`."""

    spec: MetricSpec
    recipe: str

    @property
    def name(self) -> str:
        """As typed."""
        return f"{self.spec.name}@{self.recipe}" if self.recipe else self.spec.name

    @property
    def built_in(self) -> bool:
        """Whether it comes with vpbench; a plugin's metric has a worker of its own."""
        return self.spec.factory.startswith("vpbench.")

    @property
    def has_features(self) -> bool:
        """Whether it may have features of clips that several workers compute side by side."""
        return self.spec.kind == "set" or self.spec.needs_training

    @property
    def weights(self) -> tuple[WeightSpec, ...]:
        """The pretrained files that it needs with its recipe."""
        params = {**self.spec.params, **({"recipe": self.recipe} if self.recipe else {})}
        return tuple(
            w for w in self.spec.weights if all(params.get(k) == v for k, v in w.when.items())
        )

    def lacks(self, absent: Collection[str]) -> bool:
        """Whether weights that it needs are among those that are not here."""
        return any(weights.name in absent for weights in self.weights)

    def suits(self, classes: int) -> bool:
        """Whether a dataset with so many classes can have such a column."""
        return classes > 1 or not self.spec.needs_labels

    def check(self, frames: int, n: int) -> None:
        """Refuse too few frames or clips.

        Raises:
            UsageError: says how many are needed.
        """
        spec = self.spec
        if frames < spec.min_frames:
            raise UsageError(
                f"{spec.name} needs at least {spec.min_frames} frames, but there are {frames}."
            )
        if n < spec.min_clips:
            raise UsageError(
                f"{spec.name} needs at least {spec.min_clips} clips, but there are {n}."
            )


def wanted_metrics(
    names: Sequence[str] | None, registry: Registry, classes: int | None = None
) -> list[Wanted]:
    """The requested metrics, or all default ones.

    Args:
        classes: of the dataset; default metrics that need classes are left out where it has none.
            None keeps them.

    Raises:
        UnknownName: no such metric or recipe.
    """
    if names is None:
        rows = [e.spec for e in registry.of("metric") if e.status == "ok"]
        defaults = [s for s in rows if isinstance(s, MetricSpec) and s.default]
        own = [Wanted(s, "") for s in defaults]
        return own if classes is None else [w for w in own if w.suits(classes)]
    wanted: list[Wanted] = []
    for name in names:
        base, _, recipe = name.partition("@")
        spec = registry.metric(base)
        if recipe and recipe not in spec.recipes:
            raise UnknownName(f"recipe of {base}", recipe, spec.recipes)
        wanted.append(Wanted(spec, recipe))
    return wanted


@dataclass
class Running:
    """A metric over the first `frames` frames, while clips are added.

    Attributes:
        only: ids of the items that count, None for all.
        subset: what a score file says about the named part of the test split, None for all of it.
    """

    wanted: Wanted
    frames: int
    instance: Any
    fingerprint: dict[str, Any]
    only: frozenset[str] | None = None
    subset: Subset | None = None
    opened: OpenedFiles | None = None

    def watched(self) -> AbstractContextManager[None]:
        """While the metric's code runs: files that one of a plugin opens are seen."""
        return _watching(self.opened)

    def result(self) -> Score:
        """What the metric says about all clips given so far."""
        with self.watched():
            return self.instance.result()

    def flush(self) -> None:
        """Compute the features of all clips given so far, so that the cache holds them."""
        if isinstance(self.instance, CachesFeatures):
            with self.watched():
                self.instance.flush()

    @property
    def short_fingerprint(self) -> str:
        """First 8 digits of the fingerprint's hash."""
        return digest(self.fingerprint)[:8]


def _watching(opened: OpenedFiles | None) -> AbstractContextManager[None]:
    return nullcontext() if opened is None else opened.watching()


def start_metric(
    wanted: Wanted, frames: int, task: Task, registry: Registry, ctx: ScoreContext
) -> Running:
    """Make a metric for the first `frames` frames of a task.

    Raises:
        Missing: weights or a package are not there.
        UsageError: the task has too few frames or clips for it.
    """
    spec = wanted.spec
    wanted.check(frames, len(task.test))
    params: dict[str, Any] = {**spec.params, **({"recipe": wanted.recipe} if wanted.recipe else {})}
    own_ctx = replace(ctx, declared=spec.weights)
    with _watching(ctx.opened):
        instance = registry.factory("metric", spec.name)(task.info, params, own_ctx)
        own = dict(instance.fingerprint())
        if spec.kind == "set" and isinstance(instance, DeclaresBias):
            own |= bias_field(instance.biased, own)
    fingerprint = {
        "metric": spec.name,
        "version": spec.version,
        "recipe": wanted.recipe,
        **own,
        **task.fingerprint(frames),
    }
    if not task.subset:
        return Running(wanted, frames, instance, fingerprint, opened=ctx.opened)
    subset: Subset = {"name": task.subset, "n": len(task.test), "hash": task.split_hash}
    only = frozenset(i.id for i in task.test)
    return Running(wanted, frames, instance, fingerprint, only, subset, ctx.opened)


def per_metric(
    metrics: Sequence[Wanted],
    task: Task,
    registry: Registry,
    ctx: ScoreContext,
    missing: dict[str, str] | None = None,
) -> list[Running]:
    """Every metric over every number of frames and every named subset that is large enough.

    Args:
        missing: receives the reason why a metric cannot be scored.
    """
    running: list[Running] = []
    for wanted in metrics:
        for frames in task.frames:
            try:
                running.append(start_metric(wanted, frames, task, registry, ctx))
            except (Missing, UsageError) as error:
                if missing is not None:
                    missing[wanted.name] = f"not scored: {error.message}"
                continue
            for number, name in enumerate(task.subsets):
                part = task.part(name)
                if len(part.test) < max(1, wanted.spec.min_clips):
                    continue
                metric = start_metric(wanted, frames, part, registry, ctx)
                if metric.subset is not None:
                    metric.subset["shown"] = number == 0
                running.append(metric)
    return running


def score_run(
    folder: RunDir,
    task_data: TaskData,
    metrics: Sequence[Wanted],
    registry: Registry,
    ctx: ScoreContext,
    report: Report,
) -> dict[str, str]:
    """Compute and store every score of a run that is not there yet, in one pass over the clips.

    Returns:
        Metric name -> why it could not be scored.

    Raises:
        HashMismatch: a stored prediction is not what was written.
    """
    missing: dict[str, str] = {}
    every = per_metric(metrics, task_data.task, registry, ctx, missing)
    running = [metric for metric in every if not scored(folder, metric)]
    if running:
        _score(folder, task_data, running, registry, ctx, report)
    return missing


def scored(folder: RunDir, metric: Running) -> bool:
    """Whether a score of the present predictions is stored."""
    path = folder.score(metric.wanted.name, metric.short_fingerprint)
    if not path.is_file():
        return False
    return folder.read_score(path).get("manifest") == folder.read_manifest()["sha256"]


def _score(
    folder: RunDir,
    task_data: TaskData,
    running: list[Running],
    registry: Registry,
    ctx: ScoreContext,
    report: Report,
) -> None:
    started = time.time()
    watches = {m.short_fingerprint: LockWatch(_lock_path(folder, m)) for m in running}
    held = {fp: lock for fp, watch in watches.items() if (lock := watch.try_lock()) is not None}
    mine = [m for m in running if m.short_fingerprint in held]
    try:
        feed(folder, task_data, mine, report)
        manifest = folder.read_manifest()
        clusters = {item.id: item.cluster for item in task_data.task.test}
        for metric in mine:
            record = score_record(metric, metric.result(), clusters)
            record["run"] = manifest["run"]
            record["manifest"] = manifest["sha256"]
            record["code"] = folder.write_code(loaded_code(metric.wanted, registry, ctx))
            if ctx.opened is not None:
                own = folders_of(_factories(metric.wanted, registry))
                record_inputs(record, folder, ctx.opened, own, ctx.cache_root)
            record["seconds"] = round(time.time() - started, 2)
            path = folder.score(metric.wanted.name, metric.short_fingerprint)
            write_sealed(path, record, held[metric.short_fingerprint].check)
            retire_earlier_scores(folder, path, record)
    finally:
        for lock in held.values():
            lock.release()
    for metric in running:  # those that another process was scoring
        path = folder.score(metric.wanted.name, metric.short_fingerprint)
        while not path.is_file():
            if (lock := watches[metric.short_fingerprint].try_lock()) is not None:
                lock.release()
                if path.is_file():
                    break
                raise Missing(
                    f"{metric.wanted.name} was not finished by the other process that scored it.",
                    fix="Run again.",
                )
            time.sleep(_POLL_S)


def loaded_code(wanted: Wanted, registry: Registry, ctx: ScoreContext) -> CodeTable:
    """The code that is loaded now: that of vpbench, and of a plugin's metric."""
    factories = _factories(wanted, registry)
    if ctx.opened is not None:
        return ctx.opened.code(factories, ctx.cache_root)
    return code_table(roots_of(factories), digest_cache(ctx.cache_root))


def _factories(wanted: Wanted, registry: Registry) -> list[tuple[str, str]]:
    """Factory and home of a plugin's metric; none of a built-in one."""
    if wanted.built_in:
        return []
    return [(wanted.spec.factory, registry.find("metric", wanted.spec.name).ref.value)]


def _lock_path(folder: RunDir, metric: Running) -> Path:
    return folder.score(metric.wanted.name, metric.short_fingerprint).with_suffix(".lock")


def feed(
    folder: RunDir, task_data: TaskData, running: Sequence[Running], report: Report = silent
) -> None:
    """Pass all predicted clips of a run, and the real ones, to some metrics.

    Raises:
        HashMismatch: a stored prediction is not what was written, or was made for other frames.
    """
    if not running:
        return
    items = {item.id: item for item in task_data.task.test}
    done = 0
    for row in folder.read_manifest()["shards"]:
        fakes = read_shard(folder, row)
        if task_data.given_hash([items[name] for name in row["items"]]) != row["given"]:
            raise HashMismatch(
                f"{folder.predictions / row['name']}.npz was predicted from other frames than "
                f"{task_data.ref.dataset} has.",
                fix="Run the method again with --again.",
            )
        for fake, name in zip(fakes, row["items"], strict=True):
            update_all(running, fake, task_data.targets(items[name]), items[name])
            done += 1
        report({"event": "progress", "what": "score", "done": done, "total": len(items)})


def update_all(running: Sequence[Running], fake: Frames, real: Frames | None, item: Item) -> None:
    """Give one item to every metric, cut to the metric's number of frames."""
    for metric in running:
        if metric.only is not None and item.id not in metric.only:
            continue
        cut = None if real is None else real[: metric.frames]
        with metric.watched():
            metric.instance.update(fake[:, : metric.frames], cut, clip_of(item))
