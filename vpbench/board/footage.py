"""The frames that a page shows: real clips and stored predictions. Nothing is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vpbench.api.errors import Missing, UsageError
from vpbench.api.types import Frames
from vpbench.board.shown_rows import ShownRow
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.registry import Registry
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData, open_task_data
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.study.sources import Predictions, predictions_of

REAL = "real"
"""The reference row whose predictions are the true future."""

CHANGED = (
    "The clips on this machine differ from those that were predicted from, so real clips are "
    "left out."
)


@dataclass
class Footage:
    """Frames of one task, clip by clip.

    Attributes:
        names: clips that every row has a prediction of, in the order in which they are stored.
        labels: clip -> class, "" without one.
        notes: what a reader must know of where the frames come from.
        task_data: the dataset, where it is on this machine and unchanged.
    """

    names: list[str]
    labels: dict[str, str]
    fps: float | None
    notes: list[str]
    task_data: TaskData | None
    _rows: list[Predictions]
    _truth: Predictions | None
    _items: Mapping[str, Item] = field(default_factory=dict[str, Item])

    @property
    def has_real(self) -> bool:
        """Whether the true future is known."""
        return self._truth is not None or self.task_data is not None

    @property
    def has_given(self) -> bool:
        """Whether the given frames are known."""
        return self.task_data is not None

    def tracks(self, name: str) -> list[Frames]:
        """uint8 [T,H,W,3]: the true future, if it is known, then each row's prediction.

        Raises:
            HashMismatch: a stored file is not what was written.
        """
        own = [predictions.frames(name) for predictions in self._rows]
        if self._truth is not None:
            return [self._truth.frames(name), *own]
        if self.task_data is not None:
            return [self.task_data.targets(self._items[name]), *own]
        return own

    def given(self, name: str) -> Frames | None:
        """The last given frame, uint8 [H,W,3]."""
        if self.task_data is None:
            return None
        return self.task_data.given(self._items[name])[-1]


def open_footage(
    rows: Sequence[ShownRow], runs: Sequence[FinishedRun], registry: Registry, paths: Paths
) -> Footage:
    """Where the frames of some rows lie, and the real ones where they can be had.

    The true future is that of the finished run `real`, or else of the dataset, from which the given
    frames come in any case; both are shown only if they are what the rows were predicted from.

    Args:
        rows: at least one, all of one task.
        runs: all runs of that task.
    """
    stored = [predictions_of(row.row["method"], row.first) for row in rows]
    shared = set(stored[0].places).intersection(*(p.places for p in stored))
    inputs = rows[0].first.inputs
    true = [r for r in runs if r.inputs["method"] == REAL and r.folder.manifest.is_file()]
    same = [run for run in true if run.inputs["data"] == inputs["data"]]
    truth = predictions_of(REAL, same[0]) if same else None
    if truth is not None and not shared <= set(truth.places):
        truth = None
    names = [name for name in stored[0].places if name in shared]
    task_data, notes = _dataset(rows[0].first, registry, paths)
    items: dict[str, Item] = {}
    recorded = recorded_classes(rows)
    labels = {name: recorded.get(name, "") for name in names}
    if task_data is not None:
        items = {item.id: item for item in task_data.task.test}
        classes = task_data.task.info.class_names
        labels |= {
            name: classes[label]
            for name in names
            if name in items and (label := items[name].clip.label) is not None
        }
        if not all(name in items for name in names) or not _same_clips(
            rows[0].first, task_data, items, names
        ):
            task_data, notes = None, [CHANGED]
    fps = None if task_data is None else task_data.task.info.fps
    return Footage(names, labels, fps, notes, task_data, stored, truth, items)


def _dataset(
    run: FinishedRun, registry: Registry, paths: Paths
) -> tuple[TaskData | None, list[str]]:
    """The dataset of a run, where it is on this machine."""
    ref: dict[str, Any] = run.folder.read_record()["task_ref"]
    wanted = TaskRef(
        dataset=run.inputs["dataset"],
        task=run.inputs["task"]["name"],
        root=ref.get("root"),
    )
    try:
        task_data = open_task_data(wanted, registry, paths)
        first = task_data.task.test[0]
        task_data.given(first)
    except (Missing, UsageError, OSError, IndexError) as error:
        text = getattr(error, "message", str(error))
        return None, [f"The dataset is not on this machine, so given frames are not shown: {text}"]
    return task_data, []


def _same_clips(
    run: FinishedRun, task_data: TaskData, items: Mapping[str, Item], names: Sequence[str]
) -> bool:
    """Whether the given frames are those that a run has recorded that it was given."""
    wanted = set(names)
    for row in run.manifest["shards"]:
        if wanted.isdisjoint(row["items"]) or not all(name in items for name in row["items"]):
            continue
        if task_data.given_hash([items[name] for name in row["items"]]) != row["given"]:
            return False
    return True


def recorded_classes(rows: Sequence[ShownRow]) -> dict[str, str]:
    """Clip -> class, as scores of recognised actions have recorded them."""
    for row in rows:
        for score in row.first.scores.values():
            if "recognition" in score:
                found = score["recognition"]
                return {name: found["classes"][k] for name, k in found["label"].items()}
    return {}
