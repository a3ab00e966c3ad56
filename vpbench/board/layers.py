"""Keypoints and masks behind a run's predictions: made for pages, kept beside the run.

RUN/layers/layers.npz holds `clips`, and where the method has them `points` and `masks` in the same
order; layers.json, sealed, binds it to the predictions that they belong to. They are not part of a
result: nothing is scored from them, and a folder that has gone is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import Corrupt, HashMismatch, Missing, Refused, Unwritable
from vpbench.api.types import Pose
from vpbench.board.planes import Grey
from vpbench.core import schema
from vpbench.core.files import make_folder, write_bytes
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.core.rundir import read_sealed, write_sealed
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained, plan_loaded
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.results.finished_runs import FinishedRun


@dataclass(frozen=True)
class RowLayers:
    """How the frames of one run came about; empty where the method shows no such thing.

    Attributes:
        points: clip -> keypoints float32 [1+T,K,3] of the last given and the predicted frames, x
            and y in [-1,1].
        masks: clip -> uint8 [T,H,W].
    """

    points: Mapping[str, Pose] = field(default_factory=dict[str, Pose])
    masks: Mapping[str, Grey] = field(default_factory=dict[str, Grey])


def stored_layers(run: FinishedRun) -> RowLayers | None:
    """The layers beside a run; None where there are none of its predictions, or damaged ones."""
    folder = run.folder.path / "layers"
    try:
        record = read_sealed(folder / "layers.json", schema.LAYERS)
        data = (folder / "layers.npz").read_bytes()
    except (OSError, HashMismatch, Corrupt):
        return None
    whole = hashlib.sha256(data).hexdigest() == record.get("array")
    if not whole or record.get("manifest") != run.manifest["sha256"]:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        clips = [str(name) for name in arrays["clips"]]
        parts = {name: arrays[name] for name in ("points", "masks") if name in arrays}
    return RowLayers(*(_by_clip(clips, parts.get(name)) for name in ("points", "masks")))


def _by_clip(clips: Sequence[str], stacked: Any) -> dict[str, Any]:
    return {} if stacked is None else dict(zip(clips, stacked, strict=True))


def make_layers(
    run: FinishedRun,
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
    device: str = "auto",
    report: Report = silent,
) -> tuple[RowLayers | None, str]:
    """Predict a run's clips again with all that shows how; kept beside the run where they agree.

    Returns:
        The layers, None where there are none; and why not, "" where the method has no such thing.
    """
    try:
        loaded = _load(run, task_data, registry, paths, device, report)
        layers, far = _predict(run, loaded, task_data, report)
    except (Missing, Refused, HashMismatch) as error:
        return None, f"No keypoints and masks: {error.message}"
    if layers is None:
        return None, ""
    if far > loaded.run.method.capabilities.batch_bound:
        return None, (
            "No keypoints and masks: a new prediction differs from the stored one by up to "
            f"{far} grey levels."
        )
    with contextlib.suppress(Unwritable):  # a runs folder of somebody else's: shown all the same
        _store(run, layers)
    return layers, ""


def _load(
    run: FinishedRun,
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
    device: str,
    report: Report,
) -> LoadedMethod:
    inputs = run.inputs
    options = RunOptions(
        preset=inputs["preset"] or None,
        seeds=(inputs["seed"],),
        fit_seeds=(inputs["fit_seed"] or 0,),
    )
    ref = MethodRef.parse(inputs["method"])
    (plan,) = plan_loaded([ref], options, task_data, registry, paths)
    return load_trained(plan, task_data, registry, paths, device, report)


def _predict(
    run: FinishedRun, loaded: LoadedMethod, task_data: TaskData, report: Report
) -> tuple[RowLayers | None, int]:
    """Layers of all clips in the run's batches, and how far their frames are from the run's."""
    if not loaded.has_intermediates:
        return None, 0
    items = {item.id: item for item in task_data.task.test}
    horizon, far, done = task_data.task.horizon, 0, 0
    points: dict[str, Pose] = {}
    masks: dict[str, Grey] = {}
    for row in run.manifest["shards"]:
        part = [items[name] for name in row["items"]]
        given = task_data.conditioning(part, loaded.run.method)
        seeds = task_data.seeds(part, loaded.run.seed, run.inputs["samples"])
        future = np.stack([task_data.targets(item) for item in part]) if loaded.oracle else None
        found = loaded.intermediates(given, horizon, seeds, future)
        if found is None:
            return None, 0
        final = found.images.get("final")
        if final is not None:
            stored = read_shard(run.folder, row).astype(np.int16)
            far = max(far, int(np.abs(stored - final).max()))
        for b, name in enumerate(row["items"]):
            path = found.at(b, 0, horizon)
            if path is not None:
                points[name] = path.astype(np.float32)
            if "mask" in found.images:
                masks[name] = found.images["mask"][b, 0, ..., 0]
        done += len(part)
        report({"event": "progress", "what": "layers", "done": done, "total": len(items)})
    return (RowLayers(points, masks) if points or masks else None), far


def _store(run: FinishedRun, layers: RowLayers) -> None:
    clips = sorted(layers.points or layers.masks)
    arrays: dict[str, Any] = {"clips": np.array(clips)}
    for name, own in (("points", layers.points), ("masks", layers.masks)):
        if own:
            arrays[name] = np.stack([own[clip] for clip in clips])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    folder: Path = make_folder(run.folder.path / "layers")
    write_bytes(folder / "layers.npz", buffer.getvalue())
    write_sealed(
        folder / "layers.json",
        {
            "schema": schema.LAYERS,
            "manifest": run.manifest["sha256"],
            "array": hashlib.sha256(buffer.getvalue()).hexdigest(),
        },
    )
