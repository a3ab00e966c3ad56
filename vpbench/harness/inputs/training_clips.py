"""The training split of a task, as metrics get it: target windows with their classes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

from vpbench.api.types import ClipInfo, Frames
from vpbench.core.hashing import digest
from vpbench.core.tasks import Task, clip_of
from vpbench.harness.inputs.task_data import TaskData

Split = Literal["train", "val"]


class TrainingList:
    """What is known of the training windows of a task without reading a frame.

    Args:
        split: "val" for the clips that a choice is made on.
    """

    def __init__(self, task: Task, split: Split = "train") -> None:
        self._task = task
        self._items = task.items[split]

    @property
    def key(self) -> str:
        """sha256 over everything that the windows depend on."""
        return self._key

    @property
    def clips(self) -> Sequence[ClipInfo]:
        """Each window as a clip, in the order of their ids."""
        return self._clips

    @functools.cached_property
    def _key(self) -> str:
        rows = [[i.id, i.clip.label, i.clip.sha256, i.targets] for i in self._items]
        return digest([rows, self._task.spec.size, dict(self._task.geometry)])

    @functools.cached_property
    def _clips(self) -> Sequence[ClipInfo]:
        return tuple(clip_of(item) for item in self._items)


class TaskTrainingClips(TrainingList):
    """The `TrainingClips` of `vpbench.api`, read when they are asked for."""

    def __init__(self, task_data: TaskData, split: Split = "train") -> None:
        super().__init__(task_data.task, split)
        self._task_data = task_data

    def read(self, i: int) -> Frames:
        """uint8 [T,H,W,3]."""
        return self._task_data.targets(self._items[i])
