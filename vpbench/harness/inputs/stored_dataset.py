"""A plugin's dataset for every process but its own: what the cache says about it.

The plugin's module is imported by one kind of process, the inputs worker
(`vpbench.harness.inputs.dataset_worker`), which reads that dataset alone. Commands and workers that
predict or score know the dataset by its index; frames come from the clip cache, and what is not in
it is asked of an inputs worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vpbench.api.optional import Downloads, HasInstructions, Progress
from vpbench.api.protocols import Dataset
from vpbench.api.specs import DatasetSpec, TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.harness.inputs.dataset_index import (
    DatasetIndex,
    make_index,
    read_index,
    read_pose,
    stored_index,
)
from vpbench.harness.inputs.dataset_reader import DatasetReader, DatasetSource


def _silent(done: int, total: int) -> None:
    """Report nothing."""


class StoredDataset:
    """The `Dataset` of `vpbench.api` without the plugin's code. Picklable.

    It is indexed when it is first asked what it holds.

    Args:
        source: what the dataset is made from.
        index: where it is known already.
    """

    reports_progress = True
    keeps_index = True

    def __init__(self, source: DatasetSource, index: DatasetIndex | None = None) -> None:
        self.source = source
        self.spec: DatasetSpec = source.spec
        self._index = index
        self._reader = DatasetReader(source)
        self._poses: dict[str, Pose | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_poses": {}}

    @classmethod
    def of_index(cls, path: Path, digest: str) -> StoredDataset:
        """The dataset as it was when a job was planned.

        Raises:
            HashMismatch: it has been indexed again since, and is another one.
        """
        index = read_index(path, digest)
        return cls(index.source, index)

    @property
    def index(self) -> DatasetIndex:
        """What it holds."""
        if self._index is None:
            self._index = stored_index(self.source)
        if self._index is None:
            self._index = make_index(self.source, self._reader, _silent)
        return self._index

    @property
    def reading(self) -> str:
        """Changes whenever other frames could be read of the same bytes."""
        return self.index.reading

    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self.index.clips)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split; () for one that it does not have."""
        return self.index.clips.get(split, ())

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3] at native size, from an inputs worker.

        Raises:
            VpbenchError: the plugin could not read it.
        """
        return self._reader.read(self.index.as_declared(clip), indices)

    def pose(self, clip: ClipInfo) -> Pose | None:
        """float32 [L,J,3] in native pixels, or None."""
        if clip.id not in self._poses:
            self._poses[clip.id] = read_pose(self.index, clip, self._reader)
        return self._poses[clip.id]

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; () without labels."""
        return self.index.class_names

    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints; () without poses."""
        return self.index.joint_names

    def tasks(self) -> Sequence[TaskSpec]:
        """Its own tasks, or those of its spec."""
        return self.index.tasks

    def subsets(self) -> Mapping[str, frozenset[str]]:
        """Named parts of the test split; {} for none."""
        return self.index.subsets

    def warnings(self) -> Sequence[str]:
        """What users should know before a run."""
        return self.index.warnings

    def published(self) -> Mapping[str, int]:
        """Clips of each published split; {} where none is known."""
        return self.index.published

    def prepare(
        self, root: Path | None = None, report: Progress = _silent, *, fresh: bool = False
    ) -> None:
        """Let the plugin prepare its files and index it, unless that is done.

        Args:
            fresh: do it again in any case.
        """
        self._index = None if fresh else stored_index(self.source)
        if self._index is None:
            self._index = make_index(self.source, self._reader, report, fresh=fresh)
        self._poses.clear()

    def verify(self, root: Path | None = None, report: Progress = _silent) -> list[Problem]:
        """All that is wrong, as the plugin sees it."""
        return self._reader.verify(report)

    def offers(self, what: str) -> bool:
        """Whether the plugin has "download" or "instructions"."""
        return bool(self._reader.ask("offers")[what])

    def download(self, report: Progress, /) -> Path:
        """Let the plugin fetch its files; only where it offers that."""
        return Path(self._reader.ask("download", report)["folder"])

    def instructions(self) -> str:
        """How to get it; only where the plugin offers that."""
        return str(self._reader.ask("instructions")["text"])


def downloads(dataset: Dataset) -> Downloads | None:
    """The dataset, where it can be downloaded."""
    if isinstance(dataset, StoredDataset):
        return dataset if dataset.offers("download") else None
    own: object = dataset
    return own if isinstance(own, Downloads) else None


def has_instructions(dataset: Dataset) -> HasInstructions | None:
    """The dataset, where users fetch it themselves and it says how."""
    if isinstance(dataset, StoredDataset):
        return dataset if dataset.offers("instructions") else None
    own: object = dataset
    return own if isinstance(own, HasInstructions) else None
