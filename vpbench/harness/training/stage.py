"""Trains one stage: loads what it needs, calls `fit`, saves, and seals the result."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vpbench import __version__
from vpbench.api.errors import MethodFailed, UsageError, VpbenchError
from vpbench.core import provenance, schema
from vpbench.core.acceptance import StageNotes
from vpbench.core.checkpoints import StagePlan, content
from vpbench.core.files import Guard, make_folder, write_bytes, write_json
from vpbench.core.leftovers import sweep
from vpbench.core.lock import LockWatch, RunLock
from vpbench.core.progress import Event, Report, silent
from vpbench.core.registry import Registry
from vpbench.core.rundir import StageDir, write_sealed
from vpbench.core.seeding import seed_of
from vpbench.core.stages import StageNode
from vpbench.harness.inputs.fetch import declared_weights
from vpbench.harness.inputs.task_data import TaskData, training_clips
from vpbench.harness.inputs.train_only import train_only
from vpbench.harness.training.begun import Begun, StageFiles
from vpbench.harness.training.context import STOP, StageContext
from vpbench.harness.training.loading import describe_error, load_stages, make_method, make_slots
from vpbench.harness.training.views import FrameView, PointView


class Interrupted(VpbenchError):
    """The job was asked to end; its state is kept."""

    exit_code = 130


def train_view(task_data: TaskData, base: Sequence[str | int]) -> FrameView:
    """Training and validation clips; the test split is not in it."""
    from vpbench.media.augment import mirror_pairs

    clips = training_clips(task_data)
    return FrameView(
        train_only(task_data.clip_cache, clips),
        clips,
        task_data.task.training_window,
        tuple(base),
        mirror_pairs(task_data.task.info.joint_names),
    )


def point_view(task_data: TaskData, base: Sequence[str | int], folder: Path) -> PointView:
    """The same clips as the keypoints that a labels stage has stored in `folder`."""
    from vpbench.media.augment import mirror_pairs

    clips = training_clips(task_data)
    return PointView(
        train_only(task_data.clip_cache, clips),
        clips,
        task_data.task.training_window,
        tuple(base),
        mirror_pairs(task_data.task.info.joint_names),
        folder=folder,
    )


def run_stage(
    stage: StagePlan,
    stages: Sequence[StagePlan],
    task_data: TaskData,
    registry: Registry,
    cache: Path,
    threads: int,
    device: str,
    report: Report,
    files: StageFiles,
) -> str:
    """Make one stage unless it exists or another process is making it.

    Args:
        files: what is seen of the files that its code opens.

    Returns:
        "done", or "busy" while another process holds the lock.

    Raises:
        MethodFailed: `fit` raised.
        Interrupted: the job was asked to end.
    """
    folder = stage.folder
    if folder.complete():
        return "done"
    lock = LockWatch(folder.lock).try_lock(lambda text: report({"event": "note", "text": text}))
    if lock is None:
        return "busy"
    with lock:
        if folder.complete():
            return "done"
        sweep([folder.path])
        _make(stage, stages, task_data, registry, cache, threads, device, report, lock, files)
    return "done"


def _make(
    stage: StagePlan,
    stages: Sequence[StagePlan],
    task_data: TaskData,
    registry: Registry,
    cache: Path,
    threads: int,
    device: str,
    report: Report,
    lock: RunLock,
    files: StageFiles,
) -> None:
    node, folder = stage.node, stage.folder
    started = time.time()
    method = node.method
    before = ancestors(node, stages)
    with files.loading_code():
        instance, slots = load_parts(node, before, task_data, registry, device)
    begun = Begun(node, folder, task_data.task, before, files, cache, report, lock.check)
    report({"event": "stage", "what": node.label, "status": "started"})
    result: dict[str, Any] = {"skipped": {}, **StageNotes().json()}
    earlier = 0.0
    with begun.at_work():
        if node.mode == "labels":
            label_clips(
                task_data, slots["detector"], folder, node.label, report, begun.before_write
            )
        else:
            result = _fit(begun, task_data, instance, slots, threads, device)
            earlier = result.pop("earlier")
    begun.store()
    hashes = folder.files()
    lock.check()
    write_sealed(
        folder.record,
        {
            "schema": schema.STAGE,
            "vpbench": __version__,
            "owner": node.owner,
            "stage": node.stage,
            "version": node.version,
            "key": node.key,
            "needs": list(node.needs),
            "trains": list(node.trains),
            "fit_seed": node.fit_seed,
            "task": task_data.task.stage_fields(),
            "method": method.name,
            "params": dict(method.params),
            "parents": {s.node.key: content(s.folder) for s in before if s.node.mode != "labels"},
            "code": files.loading.code(method.factories, cache),
            "data": task_data.task.training_hash,
            "poses": task_data.task.training_pose_hash,
            "labels": task_data.task.training_label_hash,
            "names": task_data.task.names,
            "inputs": begun.inputs(),
            "files": hashes,
            **result,
            "seconds": round(earlier + time.time() - started, 2),
            "threads": threads,
            "device": device,
            "machine": provenance.machine(),
        },
        lock.check,
    )
    for scratch in (folder.resume, folder.path / "scratch"):
        shutil.rmtree(scratch, ignore_errors=True)
    begun.path.unlink(missing_ok=True)
    report(
        {
            "event": "stage",
            "what": node.label,
            "status": "finished",
            "seconds": round(time.time() - started, 2),
        }
    )


def ancestors(node: StageNode, stages: Sequence[StagePlan]) -> list[StagePlan]:
    """The stages that a stage needs, directly or not, in an order in which they can be made."""
    by_key = {s.node.key: s for s in stages}
    wanted: set[str] = set()
    todo = list(node.needs)
    while todo:
        key = todo.pop()
        if key not in wanted:
            wanted.add(key)
            todo += by_key[key].node.needs
    return [s for s in stages if s.node.key in wanted]


def _fit(
    begun: Begun,
    task_data: TaskData,
    instance: Any,
    slots: Mapping[str, Any],
    threads: int,
    device: str,
) -> dict[str, Any]:
    """Train and save; returns its fields of the record: clips skipped, checks, notes.

    And `earlier`, the seconds that processes before this one have trained.
    """
    node, folder = begun.node, begun.folder
    ctx = StageContext(
        task_data.task.training_info,
        node.trains,
        device,
        threads,
        stage_seed(node),
        folder,
        node.label,
        begun.cache,
        begun.report,
        slots,
        begun.guard,
        declared=declared_weights(node),
        before_checkpoint=begun.store,
    )
    target = trained_part(node, instance, slots)
    data = stage_data(node, task_data, begun.before)
    call_fit(node, target, data, ctx)
    if STOP.is_set():
        raise Interrupted(f"{node.label} was stopped; run the same command to resume.")
    begun.guard()
    shutil.rmtree(folder.checkpoint, ignore_errors=True)
    save_part(node, target, folder)
    return {"skipped": dict(data.skipped), **ctx.notes.json(), "earlier": ctx.earlier}


def stage_seed(node: StageNode) -> int:
    """The seed of a stage's training."""
    return seed_of("fit", node.fit_seed, node.owner, node.stage)


def load_parts(
    node: StageNode,
    before: Sequence[StagePlan],
    task_data: TaskData,
    registry: Registry,
    device: str,
) -> tuple[Any, dict[str, Any]]:
    """The method and its components as a stage starts from them, with earlier stages loaded.

    Args:
        before: as `ancestors` gives them.
    """
    info = task_data.task.training_info
    slots = make_slots(node.method, info, registry)
    instance = make_method(node.method, info, registry, slots)
    load_stages(instance, slots, node.method, before, device)
    return instance, slots


def trained_part(node: StageNode, instance: Any, slots: Mapping[str, Any]) -> Any:
    """Whose `fit` and `save` a stage calls: the method's, or those of a component.

    Raises:
        UsageError: it has no `fit`.
    """
    target = slots[node.trains[0]] if node.mode == "component" else instance
    if not hasattr(target, "fit"):
        raise UsageError(f"{node.label} cannot be fitted: it has no `fit`.")
    return target


def call_fit(node: StageNode, target: Any, data: FrameView | PointView, ctx: StageContext) -> None:
    """Call a plugin's `fit`.

    Raises:
        MethodFailed: it raised; the clips that it names by number are named by their ids.
    """
    try:
        fit_part(node, target, data, ctx)
    except MethodFailed as error:
        if error.clips:
            raise _with_clips(error, data) from error
        raise
    except (VpbenchError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        raise MethodFailed(f"{node.label} failed while fitting: {describe_error(error)}") from error


def fit_part(node: StageNode, target: Any, data: FrameView | PointView, ctx: StageContext) -> None:
    """`fit` of a component, which has one stage, or of a method, which is given the stage's name.

    Errors of the plugin pass as they are; see `call_fit`.
    """
    if node.mode == "component":
        target.fit(data, ctx)
    else:
        target.fit(node.stage, data, ctx)


def save_part(node: StageNode, target: Any, folder: StageDir) -> None:
    """`save` what `fit_part` has fitted into the stage's folder."""
    make_folder(folder.checkpoint)
    if node.mode == "component":
        target.save(folder.checkpoint)
    else:
        target.save(node.stage, folder.checkpoint)


def _with_clips(error: MethodFailed, data: FrameView | PointView) -> MethodFailed:
    """The same failure with the ids of the clips that it names by number."""
    known = data.clips["train"]
    ids = [known[i].id for i in dict.fromkeys(error.clips) if 0 <= i < len(known)]
    named = f" (training clips {', '.join(ids)})" if ids else ""
    return MethodFailed(f"{error.message.rstrip('.')}{named}.", fix=error.fix)


def stage_data(
    node: StageNode, task_data: TaskData, before: Sequence[StagePlan]
) -> FrameView | PointView:
    """What a stage is fitted on: clips, or keypoints for a motion model after a labels stage."""
    base = (node.fit_seed, node.owner, node.stage)
    labels = [s for s in before if s.node.mode == "labels"]
    if labels and _wants_points(node):
        return point_view(task_data, base, labels[-1].folder.checkpoint)
    return train_view(task_data, base)


def _wants_points(node: StageNode) -> bool:
    """A motion model alone is fitted on keypoints; whatever renders needs frames."""
    return bool(node.trains) and set(node.trains) <= {"motion"}


def label_clips(
    task_data: TaskData,
    detector: Any,
    folder: StageDir,
    label: str,
    report: Report = silent,
    guard: Guard | None = None,
) -> None:
    """Store the detector's keypoints of every training and validation clip, one file per clip.

    Clips that an interrupted process has labelled are skipped.

    Args:
        label: the stage's name in events and errors.
        guard: called before each write; raises when this process must not write any more.

    Raises:
        Interrupted: the job was asked to end.
    """
    from vpbench.kit.labels import detect_clip

    view = train_view(task_data, ("labels",))
    make_folder(folder.checkpoint)
    total = sum(view.len(s) for s in ("train", "val"))
    done = 0
    index: dict[str, list[str]] = {}
    for split in ("train", "val"):
        index[split] = [c.id for c in view.clips[split]]
        for i in range(view.len(split)):
            if STOP.is_set():
                raise Interrupted(f"{label} was stopped; run the same command to resume.")
            path = folder.checkpoint / f"{split}-{i:05d}.npz"
            resumed = path.is_file()
            if not resumed:
                frames = list(range(view.length(split, i)))
                points = detect_clip(
                    detector, view.read(split, i, frames), view.pose(split, i, frames)
                )
                _save_points(path, points, guard)
            done += 1
            event: Event = {"event": "progress", "what": label, "done": done, "total": total}
            report({**event, "resumed": resumed})
    write_json(folder.checkpoint / "index.json", index, guard)


def _save_points(path: Path, points: Any, guard: Guard | None) -> None:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, keypoints=np.asarray(points, np.float32))
    write_bytes(path, buffer.getvalue(), guard)
