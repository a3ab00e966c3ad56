"""Closes a prediction: the manifest that binds all shards to their run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from vpbench import __version__
from vpbench.api.errors import BadData, HashMismatch
from vpbench.core import schema
from vpbench.core.acceptance import StageNotes
from vpbench.core.checkpoints import StagePlan, loads
from vpbench.core.hashing import file_sha256
from vpbench.core.input_files import file_hashes
from vpbench.core.lock import lock_or_wait
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.records import DiscoveredFile, ManifestRow, ShardRecord, StageRow
from vpbench.core.rundir import RunDir, read_sealed, write_sealed
from vpbench.core.tasks import Task
from vpbench.harness.prediction.inputs import files_beside
from vpbench.harness.prediction.shards import Shard, shards


def close_prediction(run: RunPlan, task: Task, paths: Paths, notes: Sequence[str] = ()) -> str:
    """Write the manifest once all shards are there, and return its hash.

    Args:
        notes: what else a reader of the row must know.

    Raises:
        HashMismatch: a shard is not what its record says.
    """
    folder = run.folder
    lock = lock_or_wait(folder.manifest.with_suffix(".lock"), folder.manifest.is_file)
    if lock is not None:
        with lock:
            records = [read_shard_record(run, shard) for shard in shards(task)]
            rows = [
                _row(folder, shard, record)
                for shard, record in zip(shards(task), records, strict=True)
            ]
            write_sealed(
                folder.manifest,
                {
                    "schema": schema.MANIFEST,
                    "vpbench": __version__,
                    "run": run.key,
                    "method": run.name,
                    "task": task.id,
                    "seed": run.seed,
                    "n": len(task.test),
                    "samples": run.samples,
                    "shards": rows,
                    "stages": _stage_rows(run, task),
                    "inputs": _all_inputs(run, records, paths),
                    "links": True,
                    "notes": [*_notes(records), *notes],
                    "closed": time.time(),
                },
                lock.check,
            )
    return folder.read_manifest()["sha256"]


def read_shard_record(run: RunPlan, shard: Shard) -> ShardRecord:
    """The record of a shard, checked against its array, its run and the task's clips.

    Raises:
        HashMismatch: it is not what was written, or belongs to another run.
        BadData: the task has other clips now.
    """
    path = run.folder.shard(shard.index)
    record_path = path.with_suffix(".json")
    fix = f"Delete {path} and {record_path.name}, run again."
    record = cast("ShardRecord", read_sealed(record_path, schema.SHARD))
    if record["run"] != run.key:
        raise HashMismatch(f"{record_path} belongs to the run {record['run'][:8]}.", fix=fix)
    if not path.is_file() or file_sha256(path) != record["array"]:
        raise HashMismatch(f"{path} is not what was written.", fix=fix)
    if record["items"] != [item.id for item in shard.items]:
        raise BadData(
            f"{record_path} lists other clips than the task has.", fix="Delete it, run again."
        )
    return record


def _row(folder: RunDir, shard: Shard, record: ShardRecord) -> ManifestRow:
    path = folder.shard(shard.index)
    return {
        "name": path.stem,
        "items": record["items"],
        "sha256.npz": record["array"],
        "sha256.json": file_sha256(path.with_suffix(".json")),
        "given": record["given"],
        "code": record["code"],
        "device": record["device"],
        "seconds": record["seconds"],
    }


def _all_inputs(run: RunPlan, records: list[ShardRecord], paths: Paths) -> list[DiscoveredFile]:
    """Files that its stages or any worker saw the method read, and those that lie beside it."""
    hashes = file_hashes(paths.cache)
    beside = files_beside(run.method, hashes, (paths.runs, paths.cache))
    files = {f["path"]: f for f in beside}
    files |= {f["path"]: f for stage in run.stages for f in _read_by(stage)}
    files |= {f["path"]: f for record in records for f in record["inputs"]}
    return [files[path] for path in sorted(files)]


def _read_by(stage: StagePlan) -> list[DiscoveredFile]:
    """Files that a training here has read; of bundled ones they lie elsewhere, if anywhere."""
    if stage.origin not in ("to fit", "fitted") or not stage.folder.complete():
        return []
    return cast("list[DiscoveredFile]", stage.folder.content().get("inputs", []))


def _notes(records: list[ShardRecord]) -> list[str]:
    changed = sorted({name for record in records for name in record["changed_settings"]})
    return [f"changes interpreter-wide settings: {', '.join(changed)}"] if changed else []


def _stage_rows(run: RunPlan, task: Task) -> list[StageRow]:
    """What tables print of the stages that made the predictions: origin, training, notes."""
    rows: list[StageRow] = []
    for stage in run.stages:
        if not loads(stage.node, run.method) or not stage.folder.complete():
            continue
        record = stage.folder.read()
        notes = StageNotes.of(record)
        now = {"poses": task.training_pose_hash, "labels": task.training_label_hash}
        # records of earlier versions do not say what joints and labels a stage was fitted on
        other = any(record.get(what, known) != known for what, known in now.items())
        if record["data"] != task.training_hash or other:
            notes.add_note(f"{stage.node.label} was fitted on other data")
        rows.append(
            {
                "stage": stage.node.label,
                "origin": "fitted here" if stage.origin in ("to fit", "fitted") else stage.origin,
                "checks": [check.json() for check in notes.checks.values()],
                "notes": notes.notes,
                "not_comparable": notes.not_comparable,
                "seconds": record["seconds"],
                "device": record["device"],
                "threads": record["threads"],
            }
        )
    return rows
