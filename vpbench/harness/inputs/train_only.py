"""A dataset as a training may see it: clips of the test split cannot be read through it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

from vpbench.api.errors import UsageError
from vpbench.api.protocols import Dataset
from vpbench.api.types import ClipInfo, Frames, Pose
from vpbench.harness.inputs.clip_cache import ClipCache


class TrainOnly:
    """Hands out the clips of some splits and no others.

    Args:
        clips: split -> its clips.
    """

    def __init__(self, dataset: Dataset, clips: dict[str, Sequence[ClipInfo]]) -> None:
        self._dataset, self._clips = dataset, clips
        self._known = {clip.id for split in clips.values() for clip in split}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is copied or unpickled
            raise AttributeError(name)
        if name == "read_each":  # frames go through `read` and no other way
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._clips)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """The clips of a split.

        Raises:
            UsageError: it is none that may be trained on.
        """
        if split not in self._clips:
            raise UsageError(f"a training sees no clips of {split!r}.")
        return self._clips[split]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """Frames of a clip, uint8 [len(indices),H,W,3].

        Raises:
            UsageError: the clip is of another split.
        """
        return self._dataset.read(self._allowed(clip), indices)

    def pose(self, clip: ClipInfo) -> Pose | None:
        """Joints of a clip, float32 [T,J,3], or None.

        Raises:
            UsageError: the clip is of another split.
        """
        return self._dataset.pose(self._allowed(clip))

    def _allowed(self, clip: ClipInfo) -> ClipInfo:
        if clip.id not in self._known:
            raise UsageError(f"a training does not see the clip {clip.id!r}.")
        return clip


def train_only(clip_cache: ClipCache, clips: dict[str, list[ClipInfo]]) -> ClipCache:
    """The same cache over a dataset without other clips than those."""
    known: dict[str, Sequence[ClipInfo]] = {split: tuple(own) for split, own in clips.items()}
    view = copy.copy(clip_cache)
    view.note = clip_cache.note
    view.dataset = cast("Dataset", TrainOnly(clip_cache.dataset, known))
    return view
