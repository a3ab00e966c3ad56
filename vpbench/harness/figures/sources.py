"""Where the frames of a figure come from: finished runs, or the method itself."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import Missing, MissingData, UnknownName, UsageError
from vpbench.api.types import Frames, Pose
from vpbench.core.command_names import typed_name
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.core.run_folders import finished
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import BATCH, TaskData
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained
from vpbench.harness.prediction.shards import predict_items, read_shard
from vpbench.harness.results.finished_runs import FinishedRun, stored_run
from vpbench.render.curves import CurvePlot
from vpbench.render.dots import DotPlot
from vpbench.render.grid import Sheet


@dataclass
class Studio:
    """What every figure is made with.

    Attributes:
        columns: predicted frames a row.
        sample: which sample of each clip is shown.
        ids: call clips by their ids, too.
        note: called with remarks for the user that are not part of the figure.
    """

    task_data: TaskData
    registry: Registry
    paths: Paths
    options: RunOptions
    columns: int = 8
    sample: int = 0
    ids: bool = True
    report: Report = silent
    note: Callable[[str], None] = lambda _: None
    _loaded: dict[str, LoadedMethod] = field(default_factory=dict[str, LoadedMethod])

    def load(self, run: RunPlan) -> LoadedMethod:
        """The loaded method, kept for the whole figure.

        Raises:
            MissingData: it is not trained yet.
        """
        if run.name not in self._loaded:
            self._loaded[run.name] = load_trained(
                run, self.task_data, self.registry, self.paths, self.options.device, self.report
            )
        return self._loaded[run.name]

    def class_name(self, item: Item) -> str:
        """The class of a clip, "" without one."""
        label = item.clip.label
        return "" if label is None else self.task_data.task.info.class_names[label]

    def title(self, item: Item) -> str:
        """How a clip is called in figures."""
        return " · ".join(filter(None, (item.id if self.ids else "", self.class_name(item))))

    def caption(self, *words: str) -> str:
        """The line below a figure's title."""
        task = self.task_data.task
        return ", ".join([f"{task.id}, {task.horizon} frames", *filter(None, words)])


@dataclass(frozen=True)
class Figure:
    """A figure, ready to be drawn: file stem -> sheet, and what it shows."""

    name: str
    sheets: Mapping[str, Sheet | DotPlot | CurvePlot]
    record: dict[str, Any]


@dataclass
class Shown:
    """What one method shows of some clips.

    Attributes:
        frames: item id -> uint8 [T,H,W,3].
        points: item id -> keypoints float32 [1+T,K,3] of the last given and the predicted frames.
        record: where it comes from, for the figure's JSON.
    """

    name: str
    frames: dict[str, Frames]
    points: dict[str, Pose]
    record: dict[str, Any]

    @property
    def count(self) -> int:
        """Number of keypoints, 0 without."""
        return max((p.shape[1] for p in self.points.values()), default=0)


def pick_clips(task_data: TaskData, ids: Sequence[str], count: int) -> list[Item]:
    """The named test clips, or `count` clips with as many classes as possible.

    Raises:
        UnknownName: no such test clip; offers the nearest.
    """
    known = {item.id: item for item in task_data.task.test}
    for name in ids:
        if name not in known:
            raise UnknownName(f"test clip of {task_data.task.id}", name, known)
    if ids:
        return [known[name] for name in dict.fromkeys(ids)]
    turn: dict[int | None, int] = {}
    order: list[tuple[int, int, str]] = []
    for item in task_data.task.test:
        label = item.clip.label
        turn[label] = turn.get(label, -1) + 1
        order.append((turn[label], -1 if label is None else label, item.id))
    return [known[name] for _, _, name in sorted(order)[:count]]


def clips_json(studio: Studio, items: Sequence[Item]) -> list[dict[str, Any]]:
    """The clips of a figure for its JSON."""
    return [
        {"id": i.id, "label": i.clip.label, "class": studio.class_name(i) or None} for i in items
    ]


def find_stored(studio: Studio, run: RunPlan, items: Sequence[Item]) -> FinishedRun | None:
    """The newest finished run of a method that has all the clips, verified; None without one.

    Runs over all test clips go before those with a limit.

    Raises:
        HashMismatch: a file of it is not what was written.
    """
    task = studio.task_data.task.id
    wanted = {item.id for item in items}
    best: tuple[tuple[bool, float], Path] | None = None
    for folder, inputs in finished(studio.paths.runs, task):
        if (inputs["method"], inputs["seed"]) != (run.name, run.seed):
            continue
        if inputs["fit_seed"] not in (None, run.fit_seed) or inputs["samples"] <= studio.sample:
            continue
        if inputs["task"]["split_hash"] != _split_of(studio.task_data, inputs["task"]["limit"]):
            continue
        merit = (inputs["task"]["limit"] is None, folder.manifest.stat().st_mtime)
        if best is None or merit > best[0]:
            shards = folder.read_manifest()["shards"]
            if wanted <= {name for shard in shards for name in shard["items"]}:
                best = (merit, folder.path)
    return None if best is None else stored_run(best[1])


def _split_of(task_data: TaskData, limit: int | None) -> str:
    """The hash of the task's clips under a limit: a run over other clips shows something else."""
    from dataclasses import replace

    return replace(task_data.task, limit=limit).split_hash


def frames_of(studio: Studio, stored: FinishedRun, items: Sequence[Item]) -> dict[str, Frames]:
    """Predicted frames of a finished run, item id -> uint8 [T,H,W,3].

    Raises:
        HashMismatch: a shard is not what was written.
    """
    wanted = {item.id for item in items}
    predicted: dict[str, Frames] = {}
    for row in stored.folder.read_manifest()["shards"]:
        if wanted & set(row["items"]):
            frames = read_shard(stored.folder, row)
            for k, name in enumerate(row["items"]):
                if name in wanted:
                    predicted[name] = np.array(frames[k, studio.sample])
    return predicted


def show(studio: Studio, run: RunPlan, items: Sequence[Item], *, points: bool) -> Shown:
    """Predicted frames of some clips: from a finished run, else from the method itself.

    Args:
        points: keypoints too, where the method has them and is trained.

    Raises:
        MissingData: there is no finished run, and the method is not trained.
        HashMismatch: a stored file is not what was written.
    """
    stored = find_stored(studio, run, items)
    record: dict[str, Any] = {
        "method": run.name,
        "seed": run.seed,
        "fit_seed": run.fit_seed if run.stages else None,
        "sample": studio.sample,
    }
    loaded = None
    if stored is not None:
        frames = frames_of(studio, stored, items)
        manifest = stored.folder.read_manifest()
        record |= {"source": "run", "run": str(stored.folder.path), "manifest": manifest["sha256"]}
        if points:
            loaded = _load_if_trained(studio, run)
    else:
        loaded = _load_or_explain(studio, run)
        frames = _predict(studio, loaded, items)
        record |= {"source": "live", "run": None, "manifest": None, "stages": loaded.stages()}
    shown = Shown(run.name, frames, {}, record)
    if points and loaded is not None and loaded.has_intermediates:
        _add_points(studio, loaded, items, shown)
    return shown


def _load_if_trained(studio: Studio, run: RunPlan) -> LoadedMethod | None:
    """The method, or None with a note: a figure from finished runs works without it."""
    try:
        return studio.load(run)
    except Missing as error:
        studio.note(f"no keypoints of {run.name}: {error.message}")
        return None


def _load_or_explain(studio: Studio, run: RunPlan) -> LoadedMethod:
    try:
        return studio.load(run)
    except MissingData as error:
        typed = typed_name(run.name, run.method.home)
        words = ["vpbench", "run", typed, *studio.task_data.ref.words]
        words += ["--seeds", str(run.seed)] if run.seed else []
        words += ["--fit-seeds", str(run.fit_seed)] if run.fit_seed else []
        raise MissingData(
            f"there is no finished run of {run.name}, and {error.message}",
            fix=f"Run: {shlex.join(words)}",
        ) from error


def _samples(studio: Studio, loaded: LoadedMethod) -> int:
    """How many samples to predict so that the shown one is among them."""
    if not loaded.run.method.capabilities.stochastic and studio.sample:
        raise UsageError(f"{loaded.name} is not stochastic: it has sample 0 only.")
    return studio.sample + 1


def _predict(studio: Studio, loaded: LoadedMethod, items: Sequence[Item]) -> dict[str, Frames]:
    predicted: dict[str, Frames] = {}
    samples = _samples(studio, loaded)
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        frames = predict_items(
            part, loaded.run.method, loaded.run.seed, samples, studio.task_data, loaded.instance
        )
        predicted |= {i.id: frames[k, studio.sample] for k, i in enumerate(part)}
        studio.report(
            {
                "event": "progress",
                "what": "predict",
                "method": loaded.name,
                "done": len(predicted),
                "total": len(items),
            }
        )
    return predicted


def _add_points(studio: Studio, loaded: LoadedMethod, items: Sequence[Item], shown: Shown) -> None:
    """Keypoints of the shown clips; notes where they belong to other frames than are shown."""
    task_data, horizon = studio.task_data, studio.task_data.task.horizon
    far = 0
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        given = task_data.conditioning(part, loaded.run.method)
        seeds = task_data.seeds(part, loaded.run.seed, _samples(studio, loaded))
        future = np.stack([task_data.targets(i) for i in part]) if loaded.oracle else None
        intermediates = loaded.intermediates(given, horizon, seeds, future)
        if intermediates is None:
            return
        final = intermediates.images.get("final")
        for k, item in enumerate(part):
            points = intermediates.at(k, studio.sample, horizon)
            if points is not None:
                shown.points[item.id] = points
            if final is not None:
                own = final[k, studio.sample].astype(int)
                far = max(far, int(np.abs(own - shown.frames[item.id]).max()))
    bound = loaded.run.method.capabilities.batch_bound
    shown.record["intermediates_differ_by"] = far
    if far > bound:
        studio.note(
            f"{loaded.name}: the keypoints are those of a new prediction, which differs from the "
            f"stored run by up to {far} grey levels (another source or training?)."
        )
