"""Clips that are arrays of the calling program, as a dataset that other processes can read.

Their frames lie in one file, which processes map instead of copying.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import BadData, UsageError
from vpbench.api.specs import DatasetSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem

SPEC = DatasetSpec("arrays", "vpbench.harness.scoring.array_clips:ArrayClips", "arrays")


@dataclass(frozen=True)
class StoredArray:
    """One clip in the file.

    Attributes:
        offset: its first byte.
        shape: T, H, W.
        sha256: of its bytes.
    """

    id: str
    offset: int
    shape: tuple[int, int, int]
    sha256: str

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> StoredArray:
        """From JSON."""
        frames, height, width = fields["shape"]
        return cls(fields["id"], fields["offset"], (frames, height, width), fields["sha256"])


def write_arrays(path: Path, clips: Iterable[tuple[str, Frames]]) -> list[StoredArray]:
    """Write clips, uint8 [T,H,W,3], one after the other into a file.

    Raises:
        UsageError: two clips have one name.
    """
    stored: dict[str, StoredArray] = {}
    with path.open("wb") as file:
        for name, frames in clips:
            if name in stored:
                raise UsageError(f"two clips are called {name!r}.")
            data = np.ascontiguousarray(frames)
            frames_n, height, width, _ = data.shape
            sha256 = hashlib.sha256(f"{list(data.shape)}\n".encode())
            sha256.update(data.data)
            shape = (frames_n, height, width)
            stored[name] = StoredArray(name, file.tell(), shape, sha256.hexdigest())
            file.write(data.data)
    return list(stored.values())


class ArrayClips:
    """The dataset. Picklable: it holds the name of the file.

    Args:
        path: of the file.
        clips: what is in it.
    """

    spec = SPEC

    def __init__(self, path: Path, clips: Sequence[StoredArray]) -> None:
        self.path = path
        self._clips = {clip.id: clip for clip in clips}

    def splits(self) -> tuple[str, ...]:
        """One."""
        return ("test",)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """All clips, in the order of their names."""
        return [
            ClipInfo(c.id, *c.shape, label=None, sha256=c.sha256)
            for _, c in sorted(self._clips.items())
        ]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3].

        Raises:
            BadData: the file is gone or too short.
        """
        stored = self._clips[clip.id]
        try:
            whole = np.memmap(self.path, np.uint8, "r", stored.offset, (*stored.shape, 3))
        except (OSError, ValueError) as error:
            raise BadData(f"{self.path} is gone or was cut off.") from error
        return np.array(whole[list(indices)])

    def pose(self, clip: ClipInfo) -> Pose | None:
        """None."""
        return None

    def class_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def joint_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def prepare(self, root: Path | None = None) -> None:
        """Nothing is to be done."""

    def verify(self, root: Path | None = None) -> list[Problem]:
        """Nothing is to be found."""
        return []
