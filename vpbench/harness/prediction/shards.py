"""Sealed prediction: fixed shards, fixed batch shape, one seed a clip, stored losslessly.

A shard is a fixed set of clips, chosen by the hash of their ids; a method sees it as one batch of
exactly `BATCH` clips (the last shard is filled up by repetition and cut). So the bytes depend
neither on the order of clips, nor on how many workers there are, nor on being interrupted.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import HashMismatch, MethodFailed, VpbenchError
from vpbench.api.types import Conditioning, Frames, Seeds
from vpbench.core import schema
from vpbench.core.code import CodeTable
from vpbench.core.files import write_bytes
from vpbench.core.hashing import file_sha256
from vpbench.core.lock import LockWatch, RunLock
from vpbench.core.methods import ResolvedMethod
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report
from vpbench.core.records import DiscoveredFile, ManifestRow
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.core.tasks import Item, Task
from vpbench.harness.inputs.task_data import BATCH, TaskData
from vpbench.harness.training.context import STOP
from vpbench.harness.training.loading import describe_error
from vpbench.harness.training.stage import Interrupted


class Maker(Protocol):
    """A loaded method, and what is recorded of how it predicted."""

    @property
    def instance(self) -> Any:
        """What the method's factory made."""
        ...

    @property
    def device(self) -> str:
        """Where it computes."""
        ...

    def at_work(self) -> AbstractContextManager[None]:
        """While the method predicts."""
        ...

    def code(self) -> CodeTable:
        """The code that is loaded by now."""
        ...

    def opened(self) -> list[DiscoveredFile]:
        """Files that it has read by now, besides those that are declared."""
        ...

    def changed_settings(self) -> list[str]:
        """Interpreter-wide settings that it has changed by now."""
        ...


@dataclass(frozen=True)
class Shard:
    """A fixed set of at most `BATCH` test items."""

    index: int
    items: tuple[Item, ...]


def shards(task: Task) -> tuple[Shard, ...]:
    """All shards of a task; the same whatever the order in which the dataset lists its clips."""
    ordered = sorted(task.test, key=lambda item: hashlib.sha256(item.id.encode()).hexdigest())
    return tuple(
        Shard(k, tuple(ordered[start : start + BATCH]))
        for k, start in enumerate(range(0, len(ordered), BATCH))
    )


def predict_shards(
    run: RunPlan, task_data: TaskData, maker: Maker, report: Report, wait: float = 0.3
) -> None:
    """Predict every shard of a run that no other process has made or is making; wait for the rest.

    Args:
        maker: the loaded method, and what is recorded of how it predicts.

    Raises:
        MethodFailed: the method raised or returned something that is not a video.
        Interrupted: the job was asked to end.
    """
    todo = {s.index: s for s in shards(task_data.task)}
    total = len(todo)
    watches: dict[int, LockWatch] = {}
    done = 0
    while todo:
        progressed = False
        for index in list(todo):
            if STOP.is_set():
                raise Interrupted(f"{run.name} was stopped; run the same command to resume.")
            resumed = shard_done(run.folder, index)
            if not resumed:
                watch = watches.setdefault(index, LockWatch(_lock_path(run.folder, index)))
                lock = watch.try_lock(lambda text: report({"event": "note", "text": text}))
                if lock is None:
                    continue
                with lock:
                    if not shard_done(run.folder, index):
                        _predict_shard(todo[index], run, task_data, maker, lock)
            del todo[index]
            progressed = True
            done += 1
            report(
                {
                    "event": "progress",
                    "what": "predict",
                    "done": done,
                    "total": total,
                    "shard": index,
                    "resumed": resumed,
                }
            )
        if todo and not progressed:  # all that is left is locked by other processes
            time.sleep(wait)


def _lock_path(folder: RunDir, index: int) -> Path:
    return folder.shard(index).with_suffix(".lock")


def shard_done(folder: RunDir, index: int) -> bool:
    """Whether a shard is complete: its record is written after its array."""
    return folder.shard(index).with_suffix(".json").is_file()


def _predict_shard(
    shard: Shard, run: RunPlan, task_data: TaskData, maker: Maker, lock: RunLock
) -> None:
    started = time.time()
    with maker.at_work():
        frames = predict_items(
            shard.items, run.method, run.seed, run.samples, task_data, maker.instance
        )
    path = run.folder.shard(shard.index)
    write_bytes(path, pack(frames), lock.check)
    write_sealed(
        path.with_suffix(".json"),
        {
            "schema": schema.SHARD,
            "run": run.key,
            "items": [item.id for item in shard.items],
            "shape": list(frames.shape),
            "array": file_sha256(path),
            "given": task_data.given_hash(shard.items),
            "code": run.folder.write_code(maker.code()),
            "inputs": maker.opened(),
            "changed_settings": maker.changed_settings(),
            "device": maker.device,
            "seconds": round(time.time() - started, 3),
        },
        lock.check,
    )


def pack(frames: Frames) -> bytes:
    """An npz with the one array `frames`; the same bytes for the same array."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, frames=frames)
    return buffer.getvalue()


def predict_items(
    items: Sequence[Item],
    method: ResolvedMethod,
    seed: int,
    samples: int,
    task_data: TaskData,
    instance: Any,
) -> Frames:
    """Predict some items in one batch of exactly `BATCH` clips.

    Returns:
        uint8 [len(items),S,T,H,W,3].

    Raises:
        MethodFailed: names the method and what is wrong with what it did.
    """
    full = [items[k % len(items)] for k in range(BATCH)]
    given = task_data.conditioning(full, method)
    seeds = task_data.seeds(full, seed, samples)
    horizon = task_data.task.horizon
    future = np.stack([task_data.targets(i) for i in full]) if method.capabilities.oracle else None
    frames = call_predict(instance, given, future, horizon, seeds, method.name)
    return frames[: len(items)]


def call_predict(
    instance: Any, given: Conditioning, future: Frames | None, horizon: int, seeds: Seeds, name: str
) -> Frames:
    """Call `predict` and check what it returns.

    Raises:
        MethodFailed: it raised, or the result is not uint8 [B,S,T,H,W,3].
    """
    try:
        if future is not None:
            future.setflags(write=False)
            frames = instance.predict(given, future, horizon, seeds)
        else:
            frames = instance.predict(given, horizon, seeds)
    except VpbenchError:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        raise MethodFailed(f"{name} failed while predicting: {describe_error(error)}") from error
    check_frames(frames, (*seeds.shape, horizon, *given.frames.shape[2:]), name)
    return frames


def check_frames(frames: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse a result that is not a video of the expected shape.

    Raises:
        MethodFailed: says what was returned and what was expected.
    """
    if not isinstance(frames, np.ndarray):
        raise MethodFailed(
            f"{name} returned a {type(frames).__name__}; predict returns numpy uint8 {list(shape)}."
        )
    array = cast("npt.NDArray[Any]", frames)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise MethodFailed(f"{name} returned NaN or infinite values; predict returns uint8.")
    if array.dtype != np.uint8:
        raise MethodFailed(
            f"{name} returned {array.dtype}; predict returns uint8 in 0..255 "
            "(vpbench.kit.to_uint8 converts)."
        )
    if array.shape != shape:
        raise MethodFailed(
            f"{name} returned shape {list(array.shape)}; expected [B,S,T,H,W,3] = {list(shape)}."
        )


def read_shard(folder: RunDir, row: ManifestRow) -> Frames:
    """The predictions of one shard, checked against the manifest: uint8 [b,S,T,H,W,3].

    Raises:
        HashMismatch: the file is not what was written.
    """
    path = folder.predictions / f"{row['name']}.npz"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != row["sha256.npz"]:
        raise HashMismatch(
            f"{path} is not what was written.", fix=f"Delete {folder.path} and run again."
        )
    return _unpack(data)


def read_array(path: Path) -> Frames:
    """The frames in the array file of a shard, unchecked: uint8 [b,S,T,H,W,3]."""
    return _unpack(path.read_bytes())


def _unpack(data: bytes) -> Frames:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return stored["frames"]
