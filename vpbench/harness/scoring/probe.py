"""Is a stored score still what the code makes? A part of it is computed again and compared.

A clip metric scores one shard again. Where a metric keeps features, those of one shard are taken
out of its network again; a set metric takes the distance out of all of them. Intervals are taken
again from what is stored of the clips.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vpbench.api.optional import CachesFeatures
from vpbench.core.code import CodeTable
from vpbench.core.records import ScoreRecord, completed
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.scoring.metric_inputs import changed_data
from vpbench.harness.scoring.score import (
    Running,
    Wanted,
    feed,
    loaded_code,
    per_metric,
    update_all,
)
from vpbench.harness.scoring.score_record import score_record
from vpbench.harness.training.context import ScoreContext

TOLERANCE = 1e-6
"""Largest relative difference that another machine's rounding may make."""


@dataclass(frozen=True)
class ScoreVerdict:
    """What computing a part of a score again gave.

    Attributes:
        path: the score file; "" where the metric now has no stored score.
        largest: largest relative difference of any figure; infinite where one is missing.
        code: what was loaded when it was computed again.
    """

    metric: str
    frames: int
    path: str
    largest: float
    code: CodeTable


def probe_scores(
    folder: RunDir,
    task_data: TaskData,
    metrics: Sequence[Wanted],
    registry: Registry,
    ctx: ScoreContext,
) -> list[ScoreVerdict]:
    """Compute a part of every stored score of some metrics again.

    Raises:
        HashMismatch: a stored file is not what was written.
    """
    verdicts: list[ScoreVerdict] = []
    for metric in per_metric(metrics, task_data.task, registry, ctx):
        path = folder.score(metric.wanted.name, metric.short_fingerprint)
        if not path.is_file():  # it says other things of itself now: another fingerprint
            _drop_changed_features(folder, task_data, metric, registry, ctx)
            largest, name = float("inf"), ""
        else:
            largest, name = _largest(folder, task_data, metric, registry, ctx), str(path)
        code = loaded_code(metric.wanted, registry, ctx)
        verdicts.append(ScoreVerdict(metric.wanted.name, metric.frames, name, largest, code))
    return verdicts


def _largest(
    folder: RunDir,
    task_data: TaskData,
    metric: Running,
    registry: Registry,
    ctx: ScoreContext,
) -> float:
    """Largest relative difference of a stored score from what is computed again."""
    stored = folder.read_score(folder.score(metric.wanted.name, metric.short_fingerprint))
    dropped = _drop_changed_features(folder, task_data, metric, registry, ctx)
    if dropped or changed_data(stored, folder, ctx.cache_root):  # data may decide single clips
        return float("inf")
    of_kind = _clips if metric.wanted.spec.kind == "clip" else _set
    return of_kind(folder, task_data, metric, stored)


def _clips(folder: RunDir, task_data: TaskData, metric: Running, stored: ScoreRecord) -> float:
    """Scores the first shard again; takes error and interval from the stored values afresh."""
    _feed_shard(folder, task_data, [metric])
    again = metric.result()
    rows = [(v, stored["per_clip"].get(k)) for k, v in again.per_clip.items()]
    whole = replace(again, per_clip=stored["per_clip"], value=stored["value"])
    record = score_record(metric, whole, stored["clusters"])
    rows += [(record["se"], stored["se"]), *_pairs(record["ci95"], stored["ci95"])]
    return max((_relative(a, b) for a, b in rows), default=0.0)


def _drop_changed_features(
    folder: RunDir, task_data: TaskData, metric: Running, registry: Registry, ctx: ScoreContext
) -> bool:
    """Take the features of the first shard again; drop those in the cache if they are others."""
    if not isinstance(metric.instance, CachesFeatures):
        return False
    with tempfile.TemporaryDirectory(prefix="vpbench-probe-") as scratch:
        fresh = replace(ctx, features=Path(scratch), recompute=True)
        (again,) = (
            m
            for m in per_metric([metric.wanted], task_data.task, registry, fresh)
            if m.short_fingerprint == metric.short_fingerprint
        )
        _feed_shard(folder, task_data, [again], real=False)
        again.flush()
        stale = _other_files(Path(scratch), ctx.cache_root)
    for features in stale:  # scoring again would find them again
        shutil.rmtree(features, ignore_errors=True)
    return bool(stale)


def _set(folder: RunDir, task_data: TaskData, metric: Running, stored: ScoreRecord) -> float:
    """Takes the distance from all features again."""
    feed(folder, task_data, [metric])
    record = score_record(metric, metric.result(), {})
    rows = [(record["value"], stored["value"]), (record["se"], stored["se"])]
    rows += [(record["p"], stored["p"]), *_pairs(record["ci95"], stored["ci95"])]
    # Files of earlier versions have no corrected figures; those follow from the rows below.
    if "corrected" in stored:
        known = completed(stored)
        rows += [(record.get(k), known.get(k)) for k in ("corrected", "corrected_se")]
    rows += [(v, stored["per_clip"].get(k)) for k, v in record["per_clip"].items()]
    return max(_relative(a, b) for a, b in rows)


def _feed_shard(
    folder: RunDir, task_data: TaskData, metrics: Sequence[Running], *, real: bool = True
) -> None:
    """Give the clips of the first shard to some metrics."""
    items = {item.id: item for item in task_data.task.test}
    row = folder.read_manifest()["shards"][0]
    for fake, name in zip(read_shard(folder, row), row["items"], strict=True):
        targets = task_data.targets(items[name]) if real else None
        update_all(metrics, fake, targets, items[name])


def _other_files(scratch: Path, cache: Path) -> set[Path]:
    """Folders of the cache, one for each kind and key, that hold other bytes under a name.

    Names are hashes of what the files are features of.
    """
    folders: set[Path] = set()
    for path in scratch.rglob("*"):
        name = path.relative_to(scratch)
        other = cache / name
        if path.is_file() and other.is_file() and path.read_bytes() != other.read_bytes():
            folders.add(cache.joinpath(*name.parts[:2]))
    return folders


def _pairs(
    one: Sequence[float] | None, other: Sequence[float] | None
) -> list[tuple[float | None, float | None]]:
    if one is None or other is None:
        return [] if one is other else [(None, 0.0)]
    return list(zip(one, other, strict=True))


def _relative(one: float | None, other: float | None) -> float:
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    if one == other:
        return 0.0
    return abs(one - other) / max(abs(one), abs(other), 1e-12)
