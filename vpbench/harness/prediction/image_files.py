"""Writes what methods predict from a picture: frames, intermediates, animations, contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.types import Frames, Pose, TaskInfo
from vpbench.core import schema
from vpbench.core.files import make_folder, write_bytes, write_json
from vpbench.core.names import safe_name
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.from_image import Picture, Pictured, predict_picture
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained
from vpbench.render.grid import CELL, Block, Cell, Row, Sheet, paint
from vpbench.render.keypoints import enlarged
from vpbench.render.sheets import frame_times

RECORD = "prediction.json"
COLUMNS = 8
"""Predicted frames a row of a contact sheet."""
_OWN = frozenset({"input.png", "sheet.png", "moving.gif", RECORD})


def label_folders(task: TaskInfo) -> list[str]:
    """A folder name for each class: its own name made safe, numbered where two would meet."""
    names = [safe_name(name) for name in task.class_names]
    folded = [name.casefold() for name in names]
    clash = len(set(folded)) < len(folded) or bool(set(folded) & _OWN)
    return [f"{k:03d}-{name}" if clash else name for k, name in enumerate(names)]


def label_title(task: TaskInfo, label: int | None) -> str:
    """The name of a class; "prediction" without one."""
    return "prediction" if label is None else task.class_names[label]


def write_pictures(
    work: Path,
    runs: Sequence[RunPlan],
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
    picture: Picture,
    labels: Mapping[str, Sequence[int | None]],
    options: RunOptions,
    report: Report = silent,
) -> dict[str, Any]:
    """Predict and write all: one method into `work`, several into a folder each.

    Args:
        labels: name of each method -> class numbers, or [None].

    Returns:
        The record, which is written to `work` too.

    Raises:
        MissingData, HashMismatch: a method is not trained, or its checkpoint was changed.
        MethodFailed: a method raised, or its output is not a video.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        loaded = load_trained(run, task_data, registry, paths, options.device, report)
        done: list[Pictured] = []
        for number in labels[run.name]:
            done.append(predict_picture(loaded, picture, number, options.samples, options.seed))
            report(
                {
                    "event": "progress",
                    "what": "predict",
                    "method": run.name,
                    "done": len(done),
                    "total": len(labels[run.name]),
                }
            )
        folder = work / safe_name(run.name) if len(runs) > 1 else work
        row = write_pictured(folder, loaded, picture, done, options.seed, report)
        rows.append({**row, "folder": folder.relative_to(work).as_posix()})
    task = task_data.task
    record: dict[str, Any] = {
        "schema": schema.PICTURES,
        "image": {
            "path": str(picture.path),
            "sha256": picture.sha256,
            "width": picture.width,
            "height": picture.height,
        },
        "task": {"id": task.id, "size": task.spec.size, "horizon": task.horizon},
        "seed": options.seed,
        "methods": rows,
        "entries": sorted([p.name for p in work.iterdir()] + [RECORD]),
    }
    write_json(work / RECORD, record)
    return record


def write_pictured(
    folder: Path,
    loaded: LoadedMethod,
    picture: Picture,
    predictions: Sequence[Pictured],
    seed: int,
    report: Report = silent,
) -> dict[str, Any]:
    """Write everything that one method predicts into a folder.

    Returns:
        What was written, with paths relative to the folder.
    """
    from vpbench.media.encode import write_gif, write_png

    task = loaded.task_data.task.info
    fps = task.fps or 12.0
    names = label_folders(task)
    make_folder(folder)
    write_png(folder / "input.png", picture.frame)
    rows: list[dict[str, Any]] = []
    for k, one in enumerate(predictions, 1):
        target = folder / ("prediction" if one.label is None else names[one.label])
        parts = _parts_sheet(loaded.name, task, picture, one)
        for s in range(len(one.seeds)):
            sample = make_folder(target / f"sample-{s}")
            files = _write_sample(sample, one, s, loaded.task_data.task.horizon)
            animation = target / f"sample-{s}.gif"
            moving = np.concatenate([picture.frame[None], one.frames[s]])
            write_gif(animation, enlarged(moving, max(1, round(CELL / task.size))), fps)
            rows.append(
                {
                    "label": None if one.label is None else task.class_names[one.label],
                    "number": one.label,
                    "sample": s,
                    "seed": int(one.seeds[s]),
                    "gif": animation.relative_to(folder).as_posix(),
                    **{k: p.relative_to(folder).as_posix() for k, p in files.items()},
                }
            )
        if parts is not None:
            write_png(target / "parts.png", paint(parts))
        if len(one.seeds) > 1 and len(predictions) > 1:
            write_png(target / "samples.png", paint(_sheet(loaded, picture, [one], seed)))
        report(
            {
                "event": "progress",
                "what": "write",
                "method": loaded.name,
                "done": k,
                "total": len(predictions),
            }
        )
    write_png(folder / "sheet.png", paint(_sheet(loaded, picture, predictions, seed)))
    moving = moving_sheet(loaded.name, task, predictions)
    if len(moving) > 0:
        write_gif(folder / "moving.gif", moving, fps)
    return {
        "method": loaded.name,
        "stages": loaded.stages(),
        "uses": loaded.run.method.uses,
        "input": "input.png",
        "sheet": "sheet.png",
        "moving": "moving.gif" if len(moving) > 0 else None,
        "predictions": rows,
    }


def _write_sample(folder: Path, one: Pictured, s: int, horizon: int) -> dict[str, Path]:
    """Write frames and intermediates of one sample; returns their paths by name."""
    files = {"frames": _write_frames(folder / "frames", one.frames[s])}
    if one.intermediates is None:
        return files
    for name, images in one.intermediates.images.items():
        if name == "final" and np.array_equal(images[0, s], one.frames[s]):
            continue  # that is what `frames` holds
        files[name] = _write_frames(folder / safe_name(name), images[0, s])
    points = one.intermediates.at(0, s, horizon)
    if points is not None:
        files["keypoints"] = folder / "keypoints.npz"
        write_bytes(files["keypoints"], _npz(keypoints=points))
        files["keypoints_json"] = folder / "keypoints.json"
        write_json(files["keypoints_json"], keypoints_json(points))
    for name, array in one.intermediates.others.items():
        files[name] = folder / f"{safe_name(name)}.npz"
        write_bytes(files[name], _npz(**{name: array[0, s]}))
    return files


def _write_frames(folder: Path, frames: Frames) -> Path:
    """Numbered PNGs; frame 1 is the first predicted one."""
    from vpbench.media.encode import write_png

    make_folder(folder)
    for t, frame in enumerate(frames, 1):
        write_png(folder / f"{t:04d}.png", frame)
    return folder


def _npz(**arrays: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def keypoints_json(points: Pose) -> dict[str, Any]:
    """Keypoints [1+T,K,3] of the given frame, number 0, and the predicted ones."""
    finite = np.isfinite(points)
    rows = np.where(finite, points, 0).astype(float).round(6).tolist()
    for t, k, c in np.argwhere(~finite):
        rows[t][k][c] = None
    return {
        "coordinates": "x right, y down, -1 and 1 at the centres of the outer pixels; confidence",
        "frames": list(range(len(points))),
        "keypoints": rows,
    }


# -- contact sheets ---------------------------------------------------------------------------


def time_headers(times: Sequence[int], given: str = "given") -> list[tuple[str, int]]:
    """Headers of one given frame and predicted frames `times`, counted from 0."""
    return [(given, 1), *((str(t + 1), 1) for t in times)]


def frame_row(
    label: str, first: Frames, frames: Frames, times: Sequence[int], note: str = ""
) -> Row:
    """The given frame and predicted ones."""
    return Row(label, [Cell(first), *(Cell(frames[t]) for t in times)], note)


def points_row(
    label: str, first: Frames, frames: Frames, points: Pose, times: Sequence[int], note: str = ""
) -> Row:
    """The same with keypoints [1+T,K,3], on darkened frames."""
    cells = [Cell(first, points[0], dim=True)]
    cells += [Cell(frames[t], points[t + 1], dim=True) for t in times]
    return Row(label, cells, note)


def _sheet(
    loaded: LoadedMethod, picture: Picture, predictions: Sequence[Pictured], seed: int
) -> Sheet:
    """All labels over time, or all samples of one; keypoints below the frames where there are any.

    Several labels are shown by their first sample.
    """
    task = loaded.task_data.task.info
    times = frame_times(loaded.task_data.task.horizon, COLUMNS)
    rows: list[Row] = []
    count = 0
    for one in predictions:
        title = label_title(task, one.label)
        for s in range(len(one.seeds) if len(predictions) == 1 else 1):
            note = f"sample {s}" if len(one.seeds) > 1 else ""
            rows.append(frame_row(title, picture.frame, one.frames[s], times, note))
            points = (
                one.intermediates.at(0, s, task.horizon) if one.intermediates is not None else None
            )
            if points is not None:
                rows.append(
                    points_row("", picture.frame, one.frames[s], points, times, "keypoints")
                )
                count = points.shape[1]
    note = (
        f"{picture.path.name}, {picture.width}x{picture.height} px, seen at {task.size} px; "
        f"{task.id}, {task.horizon} frames, seed {seed}"
    )
    blocks = [Block("", rows, time_headers(times, "input"))]
    return Sheet(loaded.name, blocks, note, points=count, rules=(1,))


def _parts_sheet(name: str, task: TaskInfo, picture: Picture, one: Pictured) -> Sheet | None:
    """How the first sample comes about: keypoints, mask, coarse image, final one."""
    if one.intermediates is None:
        return None
    times = frame_times(task.horizon, COLUMNS)
    rows = intermediate_rows(one, picture.frame, times, task.horizon)
    title = f"{name}: {label_title(task, one.label)}"
    points = one.intermediates.at(0, 0, task.horizon)
    count = 0 if points is None else points.shape[1]
    blocks = [Block("", rows, time_headers(times, "input"))]
    return Sheet(title, blocks, "the parts of the first sample", points=count, rules=(1,))


def intermediate_rows(
    one: Pictured, first: Frames, times: Sequence[int], horizon: int
) -> list[Row]:
    """Rows of the first sample: keypoints, every other image, final frames last."""
    assert one.intermediates is not None  # checked by the caller
    rows: list[Row] = []
    points = one.intermediates.at(0, 0, horizon)
    if points is not None:
        rows.append(points_row("keypoints", first, one.frames[0], points, times))
    for name, images in one.intermediates.images.items():
        if name != "final":
            rows.append(Row(name, [Cell(None), *(Cell(images[0, 0, t]) for t in times)]))
    rows.append(frame_row("final", first, one.frames[0], times))
    return rows


def moving_sheet(name: str, task: TaskInfo, predictions: Sequence[Pictured]) -> Frames:
    """All labels, or else all samples, moving side by side under their names, [T,height,width,3].

    Empty where there is only one.
    """
    if len(predictions) > 1:
        clips = [(label_title(task, one.label), one.frames[0]) for one in predictions]
    else:
        clips = [(f"sample {s}", frames) for s, frames in enumerate(predictions[0].frames)]
    if len(clips) < 2:
        return np.empty((0, 1, 1, 3), np.uint8)
    across = int(np.ceil(len(clips) ** 0.5))
    groups = [clips[k : k + across] for k in range(0, len(clips), across)]
    pictures: list[Frames] = []
    for t in range(task.horizon):
        blocks = [
            Block(
                "",
                [Row("", [Cell(frames[t]) for _, frames in group])],
                [(title, 1) for title, _ in group],
            )
            for group in groups
        ]
        pictures.append(paint(Sheet(name, blocks)))
    return np.stack(pictures)
