"""Predictions under labels that are not the clip's own, stored once beside a finished run.

RUN/wrong-labels/<label>-<shard>.npz and .json: the clips of one shard for which the label is among
those asked for. A file is bound to the run by its manifest; predictions that are there are not made
again.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vpbench.api.errors import HashMismatch, Refused
from vpbench.api.types import Frames
from vpbench.core import schema
from vpbench.core.files import write_bytes
from vpbench.core.hashing import digest, file_sha256
from vpbench.core.lock import LockWatch
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report
from vpbench.core.rundir import RunDir, read_sealed, write_sealed
from vpbench.core.tasks import Item, Task
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import Maker, Shard, pack, predict_items, shards

_WAIT_S = 0.3
"""Seconds between two looks at a part that another process makes."""


@dataclass(frozen=True)
class Part:
    """The clips of one shard under one wrong label."""

    label: int
    shard: int
    items: tuple[Item, ...]

    def path(self, folder: RunDir) -> Path:
        """The array; its record ends in .json."""
        names = digest([item.id for item in self.items])[:8]
        return folder.path / "wrong-labels" / f"{self.label:03d}-{self.shard:05d}-{names}.npz"


def wrong_labels(item: Item, classes: int, count: int) -> list[int]:
    """`count` classes that are not the clip's, in an order that its id decides."""
    others = [k for k in range(classes) if k != item.clip.label]
    others.sort(key=lambda k: hashlib.sha256(f"wrong\x1f{item.id}\x1f{k}".encode()).hexdigest())
    return sorted(others[:count])


def parts(task: Task, count: int) -> list[Part]:
    """All parts: every test clip under `count` wrong labels."""
    classes = task.info.n_classes
    wrong = {item.id: wrong_labels(item, classes, count) for item in task.test}

    def of(shard: Shard, label: int) -> Part:
        items = tuple(item for item in shard.items if label in wrong[item.id])
        return Part(label, shard.index, items)

    every = [of(shard, label) for label in range(classes) for shard in shards(task)]
    return [part for part in every if part.items]


def predict_wrong_labels(
    run: RunPlan, task_data: TaskData, maker: Maker, count: int, report: Report
) -> None:
    """Predict what is not there yet; waits for parts that another process is making.

    Raises:
        Refused: the method is given no label.
        MethodFailed: it raised, or returned something that is not a video.
    """
    if "label" not in {use.partition(" ")[0] for use in run.method.uses}:
        raise Refused(f"{run.name} does not use labels.")
    manifest = run.folder.read_manifest()["sha256"]
    todo = parts(task_data.task, count)
    for done, part in enumerate(todo):
        path = part.path(run.folder)
        record = path.with_suffix(".json")
        watch = LockWatch(path.with_suffix(".lock"))
        while not record.is_file():
            lock = watch.try_lock()
            if lock is None:
                time.sleep(_WAIT_S)
                continue
            with lock:
                items = [_relabelled(item, part.label) for item in part.items]
                with maker.at_work():
                    frames = predict_items(
                        items, run.method, run.seed, run.samples, task_data, maker.instance
                    )
                write_bytes(path, pack(frames), lock.check)
                fields = {
                    "schema": schema.WRONG_LABELS,
                    "run": run.key,
                    "manifest": manifest,
                    "label": part.label,
                    "items": [item.id for item in part.items],
                    "array": file_sha256(path),
                    "code": run.folder.write_code(maker.code()),
                    "device": maker.device,
                }
                write_sealed(record, fields, lock.check)
        report({"event": "progress", "what": "wrong labels", "done": done + 1, "total": len(todo)})


def read_wrong_labels(folder: RunDir, task: Task, count: int) -> Iterator[tuple[Item, int, Frames]]:
    """Item, wrong label and predicted samples [S,T,H,W,3], of every part.

    Raises:
        HashMismatch: a file is not what was written, or is that of other predictions.
    """
    manifest = folder.read_manifest()
    for part in parts(task, count):
        path = part.path(folder)
        record = read_sealed(path.with_suffix(".json"), schema.WRONG_LABELS)
        data = path.read_bytes() if path.is_file() else b""
        own = (record["run"], record["manifest"]) == (manifest["run"], manifest["sha256"])
        if not own or hashlib.sha256(data).hexdigest() != record["array"]:
            raise HashMismatch(
                f"{path} is not what was written.", fix=f"Delete {path.parent} and run again."
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            frames = stored["frames"]
        for item, samples in zip(part.items, frames, strict=True):
            yield item, part.label, samples


def _relabelled(item: Item, label: int) -> Item:
    return replace(item, clip=replace(item.clip, label=label))
