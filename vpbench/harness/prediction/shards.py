"""Sealed prediction: fixed shards, fixed batch shape, one seed a clip, stored losslessly.

A shard is a fixed set of clips, chosen by the hash of their ids; a method sees it as one batch of
exactly `BATCH` clips (the last shard is filled up by repetition and cut). So the bytes depend
neither on the order of clips, nor on how many workers there are, nor on being interrupted.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vpbench import __version__
from vpbench.api.errors import BadData, HashMismatch, MethodFailed, VpbenchError
from vpbench.api.types import Conditioning, Frames, Seeds
from vpbench.core import schema
from vpbench.core.acceptance import StageNotes
from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import read_json, write_bytes, write_json
from vpbench.core.hashing import file_sha256
from vpbench.core.lock import LockWatch, RunLock, lock_or_wait
from vpbench.core.methods import ResolvedMethod
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.core.stages import training_sources
from vpbench.core.tasks import Item, Task
from vpbench.harness.inputs.task_data import BATCH, TaskData
from vpbench.harness.training.context import STOP
from vpbench.harness.training.loading import describe_error
from vpbench.harness.training.stage import Interrupted


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
    run: RunPlan, task_data: TaskData, instance: Any, report: Report, wait: float = 0.3
) -> None:
    """Make every shard of a run that nobody else has made or is making; wait for the others.

    Raises:
        MethodFailed: the method raised or returned something that is no video.
        Interrupted: the job was asked to end.
    """
    todo = {s.index: s for s in shards(task_data.task)}
    total = len(todo)
    watches: dict[int, LockWatch] = {}
    told = 0
    while todo:
        moved = False
        for index in list(todo):
            if STOP.is_set():
                raise Interrupted(f"{run.name} was stopped; run the same command to go on.")
            if not shard_done(run.folder, index):
                watch = watches.setdefault(index, LockWatch(_claim_path(run.folder, index)))
                claim = watch.try_lock(lambda text: report({"event": "note", "text": text}))
                if claim is None:
                    continue
                with claim:
                    if not shard_done(run.folder, index):
                        _predict_shard(todo[index], run, task_data, instance, claim)
            del todo[index]
            moved = True
            told += 1
            report(
                {
                    "event": "progress",
                    "what": "predict",
                    "done": told,
                    "total": total,
                    "shard": index,
                }
            )
        if todo and not moved:
            time.sleep(wait)


def _claim_path(folder: RunDir, index: int) -> Any:
    return folder.shard(index).with_suffix(".claim")


def shard_done(folder: RunDir, index: int) -> bool:
    """Whether a shard is complete: its record is written after its array."""
    return folder.shard(index).with_suffix(".json").is_file()


def _predict_shard(
    shard: Shard, run: RunPlan, task_data: TaskData, instance: Any, claim: RunLock
) -> None:
    started = time.time()
    frames = predict_items(shard.items, run.method, run.seed, run.samples, task_data, instance)
    path = run.folder.shard(shard.index)
    write_bytes(path, pack(frames), claim.check)
    write_json(
        path.with_suffix(".json"),
        {
            "schema": schema.SHARD,
            "items": [item.id for item in shard.items],
            "shape": list(frames.shape),
            "sha256": file_sha256(path),
            "seconds": round(time.time() - started, 3),
        },
        claim.check,
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
    """Ask a method and check its answer.

    Raises:
        MethodFailed: it raised, or the answer is not uint8 [B,S,T,H,W,3].
    """
    try:
        if future is not None:
            future.setflags(write=False)
            frames = instance.predict(given, future, horizon, seeds)
        else:
            frames = instance.predict(given, horizon, seeds)
    except VpbenchError:
        raise
    except Exception as error:  # a plugin may raise anything
        raise MethodFailed(f"{name} failed while predicting: {describe_error(error)}") from error
    check_frames(frames, (*seeds.shape, horizon, *given.frames.shape[2:]), name)
    return frames


def check_frames(frames: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse an answer that is not a video of the asked shape.

    Raises:
        MethodFailed: says what came and what was asked for.
    """
    if not isinstance(frames, np.ndarray):
        raise MethodFailed(
            f"{name} returned a {type(frames).__name__}; predict returns numpy uint8 {list(shape)}."
        )
    if np.issubdtype(frames.dtype, np.floating) and not np.isfinite(frames).all():
        raise MethodFailed(f"{name} returned NaN or infinite values; predict returns uint8.")
    if frames.dtype != np.uint8:
        raise MethodFailed(
            f"{name} returned {frames.dtype}; predict returns uint8 in 0..255 "
            "(vpbench.kit.to_uint8 converts)."
        )
    if frames.shape != shape:
        raise MethodFailed(
            f"{name} returned shape {list(frames.shape)}; [B,S,T,H,W,3] = {list(shape)} was asked."
        )


def close_prediction(run: RunPlan, task: Task) -> str:
    """Write the manifest once all shards are there, and tell its hash.

    Raises:
        HashMismatch: a shard is not what its record says.
    """
    folder = run.folder
    claim = lock_or_wait(folder.manifest.with_suffix(".claim"), folder.manifest.is_file)
    if claim is not None:
        with claim:
            rows = [_manifest_row(folder, shard) for shard in shards(task)]
            write_sealed(
                folder.manifest,
                {
                    "schema": schema.MANIFEST,
                    "vpbench": __version__,
                    "task": task.id,
                    "n": len(task.test),
                    "samples": run.samples,
                    "shards": rows,
                    "stages": _stage_rows(run, task),
                },
                claim.check,
            )
    return str(folder.read_manifest()["sha256"])


def _stage_rows(run: RunPlan, task: Task) -> list[dict[str, Any]]:
    """What tables say of the stages that made the predictions: origin, training, checks, notes."""
    rows: list[dict[str, Any]] = []
    for stage in run.stages:
        if not stage.needed or not stage.folder.complete():
            continue
        record = stage.folder.read()
        notes = StageNotes.of(record)
        for text in differences(stage, record, task):
            notes.add_note(text)
        origin = "fitted here" if stage.origin in ("to fit", "fitted") else stage.origin
        rows.append(
            {
                "stage": stage.node.label,
                "origin": origin,
                **notes.json(),
                **{k: record[k] for k in ("seconds", "device", "threads")},
            }
        )
    return rows


def differences(stage: StagePlan, record: Mapping[str, Any], task: Task) -> list[str]:
    """Notes on a stage that was fitted with another source, or on other clips, than are here."""
    notes: list[str] = []
    source = training_sources(stage.node)
    if all(source.values()) and record["source"] != source:
        notes.append(f"{stage.node.label} was fitted with an earlier source")
    if record["data"] != task.training_hash:
        notes.append(f"{stage.node.label} was fitted on other data")
    return notes


def _manifest_row(folder: RunDir, shard: Shard) -> dict[str, Any]:
    path = folder.shard(shard.index)
    record = path.with_suffix(".json")
    found = read_json(record)
    sha = file_sha256(path) if path.is_file() else ""
    if sha != found["sha256"]:
        raise HashMismatch(
            f"{path} is not what was written.", fix=f"Delete {path} and {record.name}, run again."
        )
    if found["items"] != [item.id for item in shard.items]:
        raise BadData(f"{record} lists other clips than the task has.", fix="Delete it, run again.")
    return {
        "name": path.stem,
        "items": found["items"],
        "sha256.npz": sha,
        "sha256.json": file_sha256(record),
        "seconds": found["seconds"],
    }


def read_shard(folder: RunDir, row: dict[str, Any]) -> Frames:
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
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return stored["frames"]
