"""Fills the feature cache of set metrics, in parts that several workers do side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vpbench.api.errors import Missing, UsageError
from vpbench.api.optional import CachesFeatures, FitsOnTraining
from vpbench.api.types import Frames
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir
from vpbench.core.tasks import Item, clip_of
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard, shards
from vpbench.harness.scoring.score import Running, Wanted, scored, start_metric
from vpbench.harness.training.context import ScoreContext

Clips = Iterator[tuple[int, Item, Frames]]
"""Shard number, item, and frames [T,H,W,3] of a real or [S,T,H,W,3] of a predicted clip."""


def real_clips(task_data: TaskData, part: tuple[int, int]) -> Clips:
    """The true futures of every n-th shard."""
    for shard in shards(task_data.task)[part[0] :: part[1]]:
        for item in shard.items:
            yield shard.index, item, task_data.targets(item)


def fake_clips(folder: RunDir, task_data: TaskData, part: tuple[int, int]) -> Clips:
    """The predictions of every n-th shard."""
    items = {item.id: item for item in task_data.task.test}
    for k, row in list(enumerate(folder.read_manifest()["shards"]))[part[0] :: part[1]]:
        for name, frames in zip(row["items"], read_shard(folder, row), strict=True):
            yield k, items[name], frames


def warm_features(
    folder: RunDir,
    clips: Clips,
    side: str,
    task_data: TaskData,
    metrics: Sequence[Wanted],
    registry: Registry,
    ctx: ScoreContext,
    report: Report,
) -> None:
    """Compute and cache the features of some clips; what cannot be scored is left to scoring."""
    running: list[Running] = []
    for wanted in metrics:
        for frames in task_data.task.frames:
            try:
                metric = start_metric(wanted, frames, task_data.task, registry, ctx)
            except (Missing, UsageError):
                continue
            if not isinstance(metric.instance, CachesFeatures):
                continue  # nothing would be left of the work
            if side == "real" and wanted.spec.kind == "clip":
                continue  # it looks at predictions alone
            if not (folder.manifest.is_file() and scored(folder, metric)):
                running.append(metric)
    if not running:
        return
    last = -1
    for shard, item, frames in clips:
        for metric in running:
            cut = frames[: metric.frames] if side == "real" else frames[:, : metric.frames]
            fake, real = (None, cut) if side == "real" else (cut, None)
            metric.instance.update(fake, real, clip_of(item))
        if shard != last:
            last = shard
            report(
                {
                    "event": "progress",
                    "what": f"features ({side})",
                    "done": 0,
                    "total": len(shards(task_data.task)),
                    "shard": shard,
                }
            )
    for metric in running:
        metric.flush()


def prepare_training(
    part: tuple[int, int],
    task_data: TaskData,
    metrics: Sequence[Wanted],
    registry: Registry,
    ctx: ScoreContext,
    report: Report,
) -> None:
    """Let metrics that are fitted on training clips do their part of the work beforehand."""
    for wanted in metrics:
        try:
            metric = start_metric(wanted, task_data.task.horizon, task_data.task, registry, ctx)
        except (Missing, UsageError):
            continue  # scoring says why

        def count(done: int, total: int, name: str = wanted.name) -> None:
            what = f"training clips for {name}, part {part[0] + 1} of {part[1]}"
            report({"event": "progress", "what": what, "done": done, "total": total})

        if isinstance(metric.instance, FitsOnTraining):
            metric.instance.prepare_training(part, count)
