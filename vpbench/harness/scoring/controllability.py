"""`controllability`: is a prediction under a wrong label recognised as that label?"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from vpbench.api.errors import Missing, VpbenchError
from vpbench.api.specs import MetricSpec
from vpbench.core.lock import LockWatch
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.run_folders import retire_earlier_scores
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.core.tasks import clip_of
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.wrong_labels import parts, read_wrong_labels
from vpbench.harness.scoring.score import Running, Wanted, loaded_code, start_metric
from vpbench.harness.scoring.score_record import score_record
from vpbench.harness.training.context import ScoreContext

SPEC = MetricSpec(
    name="controllability",
    factory="vpbench.metrics.action.probe_metric:Action",
    summary="share of clips whose prediction under a wrong label is recognised as that label",
    kind="clip",
    direction="up",
    unit="",
    version=1,
    default=False,
    needs_labels=True,
)
"""What score files say about it. `--metrics` does not take it: it needs predictions of its own,
which `vpbench controllability` makes."""


def controllability_metric(
    task_data: TaskData, frames: int, count: int, registry: Registry, ctx: ScoreContext
) -> Running:
    """The recogniser of `action`, under the name and fingerprint of this figure.

    Raises:
        Missing: weights are not here.
        UsageError: no classes, no training clips or too few frames.
    """
    action = start_metric(
        Wanted(registry.metric("action"), ""), frames, task_data.task, registry, ctx
    )
    own: dict[str, Any] = {
        "metric": SPEC.name,
        "version": SPEC.version,
        "recogniser": action.short_fingerprint,
        "wrong_labels": count,
    }
    return replace(action, wanted=Wanted(SPEC, ""), fingerprint={**action.fingerprint, **own})


def score_controllability(
    folder: RunDir,
    task_data: TaskData,
    count: int,
    registry: Registry,
    ctx: ScoreContext,
    report: Report,
) -> None:
    """Score predictions under wrong labels, over all T frames; what is there is kept.

    A value a clip and wrong label: the share of its samples that are recognised as that label.

    Raises:
        Missing, UsageError: as `controllability_metric`.
        HashMismatch: a stored prediction is not what was written.
    """
    started = time.time()
    task = task_data.task
    metric = controllability_metric(task_data, task.horizon, count, registry, ctx)
    path = folder.score(SPEC.name, metric.short_fingerprint)
    manifest = folder.read_manifest()
    if path.is_file() and folder.read_score(path).get("manifest") == manifest["sha256"]:
        return
    lock = LockWatch(path.with_suffix(".lock")).try_lock()
    if lock is None:
        raise Missing(f"another process is scoring {folder.path}.", fix="Run again.")
    total = sum(len(part.items) for part in parts(task, count))
    clusters: dict[str, str] = {}
    with lock:
        for done, (item, label, frames) in enumerate(read_wrong_labels(folder, task, count)):
            clip = clip_of(item)
            name = f"{item.id}>{label}"
            metric.instance.update(frames, None, replace(clip, id=name, label=label))
            clusters[name] = item.cluster
            report({"event": "progress", "what": "recognise", "done": done + 1, "total": total})
        result = metric.instance.result()
        if result.value is None:
            raise VpbenchError(f"controllability has no value: {result.reason}.")
        record = score_record(metric, result, clusters)
        record["run"], record["manifest"] = manifest["run"], manifest["sha256"]
        record["code"] = folder.write_code(
            loaded_code(Wanted(registry.metric("action"), ""), registry, ctx)
        )
        record["seconds"] = round(time.time() - started, 2)
        write_sealed(path, record, lock.check)
        retire_earlier_scores(folder, path, record)
