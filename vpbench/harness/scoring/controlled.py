"""Real clips, against other real ones or against themselves with something wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vpbench.api.errors import MissingData
from vpbench.api.protocols import TrainingClips
from vpbench.api.types import Frames
from vpbench.core.paths import Paths
from vpbench.core.seeding import seed_of
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.inputs.training_clips import TaskTrainingClips
from vpbench.harness.references.controls import CONTROLS
from vpbench.harness.scoring.measure import Side, aligned
from vpbench.harness.scoring.measure_workers import Measurement
from vpbench.harness.scoring.sampling import Sampling

SAME = "same clips"
"""Each clip as its own prediction: what metrics of single clips are compared with."""
OTHER_HALF = "other real clips"
"""Half of the clips against the other half: what no metric may tell apart."""

PERMUTATIONS = 999
"""Relabellings behind the p-value of a metric whose own score has none: at best 0.001."""


@dataclass(frozen=True)
class ControlMeasurement(Measurement):
    """Real clips against controls made of them. Picklable.

    Attributes:
        control: a name of `CONTROLS`; "" leaves the clips as they are.
        task_data: where clips come from; None for the folders of `datasets`.
    """

    control: str = ""
    task_data: TaskData | None = None

    @property
    def training(self) -> TrainingClips | None:
        """The training clips of the task."""
        return None if self.task_data is None else TaskTrainingClips(self.task_data)

    def _read(self, side: int, name: str) -> Frames | None:
        item = self.items[side].get(name)
        if item is None:
            return None
        if self.task_data is None:
            frames = super()._read(side, name)
        else:
            frames = self.task_data.targets(item)
        if frames is None or side == 0 or not self.control:
            return frames
        return CONTROLS[self.control].change(frames, seed_of("control", item.clip.id))


def of_task(task_data: TaskData, paths: Paths) -> ControlMeasurement:
    """The test clips of a task, at its size, each against itself."""
    items = {item.id: item for item in task_data.task.test}
    return ControlMeasurement(
        datasets=(task_data.dataset, task_data.dataset),
        items=(items, items),
        task=task_data.task,
        geometry=None,
        cache=paths.cache,
        device="cpu",
        here=True,
        permutations=PERMUTATIONS,
        task_data=task_data,
    )


def of_folder(side: Side, limit: int | None, paths: Paths) -> ControlMeasurement:
    """All clips of a folder, as its brackets say, each against itself.

    Raises:
        UsageError: `horizon` or `size` is needed in the brackets.
    """
    both = aligned(side, side, Sampling())
    items = dict(sorted(both.windows[0].items.items())[:limit])
    task = replace(both.task, items={**both.task.items, "test": tuple(items.values())})
    return ControlMeasurement(
        datasets=(side.dataset, side.dataset),
        items=(items, items),
        task=task,
        geometry=both.geometry,
        cache=paths.cache,
        device="cpu",
        here=True,
        permutations=PERMUTATIONS,
    )


def controlled(clips: ControlMeasurement, name: str) -> ControlMeasurement:
    """What a row of the table compares.

    Args:
        clips: each against itself.
        name: `SAME`, `OTHER_HALF` or a name of `CONTROLS`.

    Raises:
        MissingData: too few independent clips for two halves.
    """
    if name == SAME:
        return clips
    if name == OTHER_HALF:
        return replace(clips, items=_halves(tuple(clips.items[0].values())))
    return replace(clips, control=name)


def _halves(items: Sequence[Item]) -> tuple[dict[str, Item], dict[str, Item]]:
    """Two halves that share no cluster; which is in which depends on the names of all clusters."""
    members: dict[str, list[Item]] = {}
    for item in items:
        members.setdefault(item.cluster, []).append(item)
    if len(members) < 4:
        raise MissingData(f"{len(members)} independent clips are too few for two halves.")
    halves: tuple[dict[str, Item], dict[str, Item]] = ({}, {})
    order = sorted(members, key=lambda c: hashlib.sha256(f"half\x1f{c}".encode()).digest())
    for cluster in order:
        smaller = halves[len(halves[0]) > len(halves[1])]
        smaller.update({item.id: item for item in members[cluster]})
    return halves
