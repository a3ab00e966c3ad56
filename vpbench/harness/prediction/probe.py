"""Is a stored prediction still what the code makes? A few shards are predicted again and compared.

Used only when the code has changed and nothing that was declared has. A GPU, or another machine
together with other code, may move last bits; then "close" counts as equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vpbench.api.types import Frames
from vpbench.core.code import describe_change
from vpbench.core.plan import RunPlan
from vpbench.core.rundir import RunDir
from vpbench.core.tasks import Task
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import Maker, Shard, predict_items, read_shard, shards

Verdict = Literal["equal", "close", "different"]

MEAN_TOLERANCE = 0.05
"""Largest mean absolute difference, in grey levels, that may come from the machine alone: rounding
to whole levels flips where a value lies within float error of a half, which is rare."""

PART = 4
"""At most one clip in so many is predicted again, the first shard always."""


@dataclass(frozen=True)
class ProbeResult:
    """What the comparison of a few shards gave.

    Attributes:
        shards: how many were predicted again.
        mean: largest mean absolute difference of a shard, in grey levels.
    """

    verdict: Verdict
    shards: int
    mean: float


def probe_shards(task: Task, key: str) -> list[Shard]:
    """The first shard, and others in the order of a hash until every label is in one.

    A shard that adds no label is left out. No more than a quarter of the clips, but always one
    shard.
    """
    first, *others = shards(task)
    others.sort(key=lambda s: hashlib.sha256(f"{key}:{s.index}".encode()).hexdigest())
    chosen = [first]
    labels = {item.clip.label for item in task.test}
    for shard in others:
        unseen = labels - {item.clip.label for s in chosen for item in s.items}
        clips = sum(len(s.items) for s in chosen) + len(shard.items)
        if clips * PART <= len(task.test) and unseen & {i.clip.label for i in shard.items}:
            chosen.append(shard)
    return chosen


def probe_prediction(run: RunPlan, task_data: TaskData, maker: Maker) -> ProbeResult:
    """Predict a few shards of a finished run again and compare them with what is stored.

    Raises:
        HashMismatch: a stored shard is not what was written.
    """
    chosen = probe_shards(task_data.task, run.key)
    differences: list[float] = []
    for shard in chosen:
        with maker.at_work():
            again = predict_items(
                shard.items, run.method, run.seed, run.samples, task_data, maker.instance
            )
        differences.append(_difference(_stored(run.folder, shard), again))
    largest = max(differences)
    verdict: Verdict = "different"
    if largest == 0:
        verdict = "equal"
    elif largest <= MEAN_TOLERANCE:
        verdict = "close"
    return ProbeResult(verdict, len(chosen), largest)


def _stored(folder: RunDir, shard: Shard) -> Frames:
    rows = folder.read_manifest()["shards"]
    return read_shard(folder, rows[shard.index])


def _difference(stored: Frames, again: Frames) -> float:
    """Mean absolute difference in grey levels; infinite for other shapes."""
    if stored.shape != again.shape:
        return float("inf")
    return float(np.abs(stored.astype(np.int16) - again.astype(np.int16)).mean(dtype=np.float64))


def describe_probe(result: ProbeResult, what: Sequence[str]) -> str:
    """One line: which modules changed, and what predicting again gave."""
    count = f"{result.shards} shard{'s' if result.shards != 1 else ''} predicted again"
    subject = f"{describe_change(what)}; {count}"
    if result.verdict == "equal":
        return f"{subject}, equal"
    return f"{subject}, differ by {result.mean:.3g} grey levels"
