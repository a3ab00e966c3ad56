"""Scores stored predictions; the method is not needed any more."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpbench import __version__
from vpbench.api.errors import Missing, UnknownName, UsageError
from vpbench.api.specs import MetricSpec
from vpbench.api.types import ClipInfo, Frames, Score
from vpbench.core import schema, stats
from vpbench.core.hashing import digest
from vpbench.core.lock import LockWatch
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir, read_sealed, write_sealed
from vpbench.core.tasks import Item, Task
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.training.context import ScoreContext

MIN_CLUSTERS = 5
"""Independent clusters under which no interval of a mean over clips is given."""


@dataclass(frozen=True)
class Wanted:
    """A metric with a recipe, as it is asked for: `psnr`, `fvd@styleganv`."""

    spec: MetricSpec
    recipe: str

    @property
    def name(self) -> str:
        """As typed."""
        return f"{self.spec.name}@{self.recipe}" if self.recipe else self.spec.name


def wanted_metrics(names: Sequence[str] | None, registry: Registry) -> list[Wanted]:
    """The metrics asked for, or all default ones.

    Raises:
        UnknownName: no such metric or recipe.
    """
    if names is None:
        rows = [e.spec for e in registry.of("metric") if e.status == "ok"]
        found = [s for s in rows if isinstance(s, MetricSpec) and s.default]
        return [Wanted(s, "") for s in found]
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
        subset: what a score file says of the named part of the test split, None for all of it.
    """

    wanted: Wanted
    frames: int
    instance: Any
    fingerprint: dict[str, Any]
    only: frozenset[str] | None = None
    subset: dict[str, Any] | None = None

    @property
    def short_fingerprint(self) -> str:
        """First 8 digits of the fingerprint's hash."""
        return digest(self.fingerprint)[:8]


def start_metric(
    wanted: Wanted, frames: int, task: Task, registry: Registry, ctx: ScoreContext
) -> Running:
    """Make a metric for the first `frames` frames of a task.

    Raises:
        Missing: weights or a package are not there.
        UsageError: the task has too few frames or clips for it.
    """
    spec = wanted.spec
    if frames < spec.min_frames:
        raise UsageError(
            f"{spec.name} needs at least {spec.min_frames} frames, there are {frames}."
        )
    if len(task.test) < spec.min_clips:
        raise UsageError(
            f"{spec.name} needs at least {spec.min_clips} clips, there are {len(task.test)}."
        )
    params: dict[str, Any] = {**spec.params, **({"recipe": wanted.recipe} if wanted.recipe else {})}
    own_ctx = replace(ctx, declared=spec.weights)
    instance = registry.factory("metric", spec.name)(task.info, params, own_ctx)
    own = dict(instance.fingerprint())
    fingerprint = {
        "metric": spec.name,
        "version": spec.version,
        "recipe": wanted.recipe,
        **own,
        **task.fingerprint(frames),
    }
    if not task.subset:
        return Running(wanted, frames, instance, fingerprint)
    subset = {"name": task.subset, "n": len(task.test), "hash": task.split_hash}
    return Running(
        wanted, frames, instance, fingerprint, frozenset(i.id for i in task.test), subset
    )


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
    manifest = folder.read_manifest()
    missing: dict[str, str] = {}
    running: list[Running] = []
    for wanted in metrics:
        for frames in task_data.task.frames:
            try:
                metric = start_metric(wanted, frames, task_data.task, registry, ctx)
            except (Missing, UsageError) as error:
                missing[wanted.name] = f"not scored: {error.message}"
                continue
            if not scored(folder, metric):
                running.append(metric)
            running += _over_subsets(folder, wanted, frames, task_data.task, registry, ctx)
    if running:
        _score(folder, task_data, running, manifest, report)
    return missing


def _over_subsets(
    folder: RunDir, wanted: Wanted, frames: int, task: Task, registry: Registry, ctx: ScoreContext
) -> list[Running]:
    """The metric over each named subset that it is not scored on yet and that is large enough."""
    found: list[Running] = []
    for number, name in enumerate(task.subsets):
        part = task.part(name)
        if len(part.test) < max(1, wanted.spec.min_clips):
            continue
        metric = start_metric(wanted, frames, part, registry, ctx)
        if metric.subset is not None:
            metric.subset["shown"] = number == 0
        if not scored(folder, metric):
            found.append(metric)
    return found


def scored(folder: RunDir, metric: Running) -> bool:
    """Whether a score of the present predictions is stored."""
    path = folder.score(metric.wanted.name, metric.short_fingerprint)
    if not path.is_file():
        return False
    return read_sealed(path, schema.SCORE)["manifest"] == folder.read_manifest()["sha256"]


def _score(
    folder: RunDir,
    task_data: TaskData,
    running: list[Running],
    manifest: Mapping[str, Any],
    report: Report,
) -> None:
    started = time.time()
    claims = {m.short_fingerprint: LockWatch(_claim(folder, m)) for m in running}
    held = {fp: claim for fp, watch in claims.items() if (claim := watch.try_lock()) is not None}
    mine = [m for m in running if m.short_fingerprint in held]
    try:
        _feed(folder, task_data, mine, manifest, report)
        for metric in mine:
            clusters = {item.id: item.cluster for item in task_data.task.test}
            record = score_record(metric, metric.instance.result(), clusters)
            record |= {"manifest": manifest["sha256"], "seconds": round(time.time() - started, 2)}
            path = folder.score(metric.wanted.name, metric.short_fingerprint)
            write_sealed(path, record, held[metric.short_fingerprint].check)
    finally:
        for claim in held.values():
            claim.release()
    for metric in running:  # those that another process was scoring
        path = folder.score(metric.wanted.name, metric.short_fingerprint)
        while not path.is_file():
            if claims[metric.short_fingerprint].try_lock() is not None:
                raise Missing(
                    f"{metric.wanted.name} was left unfinished elsewhere.", fix="Run again."
                )
            time.sleep(0.3)


def _claim(folder: RunDir, metric: Running) -> Any:
    return folder.score(metric.wanted.name, metric.short_fingerprint).with_suffix(".claim")


def _feed(
    folder: RunDir,
    task_data: TaskData,
    running: Sequence[Running],
    manifest: Mapping[str, Any],
    report: Report,
) -> None:
    if not running:
        return
    items = {item.id: item for item in task_data.task.test}
    done = 0
    for row in manifest["shards"]:
        fakes = read_shard(folder, row)
        for fake, name in zip(fakes, row["items"], strict=True):
            update_all(running, fake, task_data.targets(items[name]), items[name])
            done += 1
        report({"event": "progress", "what": "score", "done": done, "total": len(items)})


def update_all(running: Sequence[Running], fake: Frames, real: Frames, item: Item) -> None:
    """Give one item to every metric, cut to the metric's number of frames."""
    for metric in running:
        if metric.only is not None and item.id not in metric.only:
            continue
        metric.instance.update(fake[:, : metric.frames], real[: metric.frames], clip_of(item))


def clip_of(item: Item) -> ClipInfo:
    """The clip as metrics know it: named by its item; windows of one clip are one group."""
    group = item.clip.group or (item.clip.id if item.id != item.clip.id else "")
    return replace(item.clip, id=item.id, group=group)


def score_record(metric: Running, score: Score, clusters: Mapping[str, str]) -> dict[str, Any]:
    """What a score file holds, without manifest and hash."""
    se, low, high, reason = score.se, None, None, score.reason
    if metric.wanted.spec.kind == "clip":
        known = [(k, v) for k, v in sorted(score.per_clip.items()) if v is not None]
        found, few = clip_interval([v for _, v in known], [clusters.get(k, "") for k, _ in known])
        se, low, high = found.se, found.low, found.high
        reason = "; ".join(filter(None, (reason, few))) or None
    elif score.value is not None and score.per_clip:
        known = [v for _, v in sorted(score.per_clip.items()) if v is not None]
        se, low, high = stats.jackknife(known, score.value)
        if score.se is not None and se and low is not None and high is not None:
            half = (high - low) / 2 * score.se / se  # the metric knows its error better
            se, low, high = score.se, score.value - half, score.value + half
    spec = metric.wanted.spec
    if metric.only is not None:
        clusters = {k: v for k, v in clusters.items() if k in metric.only}
    named = {} if metric.subset is None else {"subset": metric.subset}
    return {
        "schema": schema.SCORE,
        "vpbench": __version__,
        "metric": metric.wanted.name,
        "kind": spec.kind,
        "direction": spec.direction,
        "unit": spec.unit,
        "frames": metric.frames,
        "fingerprint": metric.fingerprint,
        "fp8": metric.short_fingerprint,
        "value": finite(score.value),
        "reason": reason,
        "se": finite(se),
        "n": score.n,
        "ci95": None if low is None or high is None else [low, high],
        "p": finite(score.p),
        "floor": finite(score.floor),
        "per_clip": dict(score.per_clip),
        "per_frame": dict(score.per_frame),
        "samples": dict(score.samples),
        "clusters": {k: clusters[k] for k in sorted(clusters)} if spec.kind == "clip" else {},
        **named,
    }


def clip_interval(
    values: Sequence[float], clusters: Sequence[str]
) -> tuple[stats.Interval, str | None]:
    """The bootstrap interval over independent clusters, and why there is none if there is none.

    Under `MIN_CLUSTERS` clusters the bootstrap covers far too little, so nothing is claimed.
    """
    found = stats.bootstrap_mean(values, clusters)
    count = len(set(clusters) - {""}) + list(clusters).count("")
    if found.mean is None or count >= MIN_CLUSTERS:
        return found, None
    few = f"no interval: {count} independent group{'s' * (count != 1)} of clips"
    return stats.Interval(found.mean, None, None, None, found.n), few


def finite(value: float | None) -> float | None:
    """The value; None for NaN and infinity, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None


def score_json(record: Mapping[str, Any]) -> schema.ScoreJson:
    """The figure of a score file, as `--json` prints it."""
    interval = record["ci95"]
    return schema.score_json(
        record["value"],
        n=record["n"],
        fingerprint=record["fp8"],
        reason=record["reason"],
        se=record["se"],
        ci95=(interval[0], interval[1]) if interval else None,
        floor=record["floor"],
        p=record["p"],
    )
