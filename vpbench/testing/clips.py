"""A few rendered clips with labels and joints, at any size: what methods are checked on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.specs import DatasetSpec, TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.api.windows import WindowRule
from vpbench.core.hashing import digest
from vpbench.data.puppets.actions import CLASS_NAMES, FRAMES
from vpbench.data.puppets.clips import Clip, label_of, render_clip
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.harness.inputs.clip_cache import ClipCache
from vpbench.harness.inputs.task_data import TaskData, TaskRef, make_task
from vpbench.media.geometry import Geometry

SIZE = 64
"""Width and height at which the clips are rendered; other sizes are resized from it."""

COUNTS = {"train": 12, "val": 3, "test": 8}
FPS = 12.0

SPEC = DatasetSpec(
    "conformance", "vpbench.testing.clips:SampleClips", "a few clips of puppets", rendered=True
)


@functools.lru_cache(maxsize=64)
def _clip(split: str, number: int) -> Clip:
    return render_clip(split, number, SIZE)


@dataclass(frozen=True)
class SampleClips:
    """A `Dataset` of the first clips of each split of puppets, rendered when they are read."""

    random_access = True
    spec = SPEC

    def splits(self) -> tuple[str, ...]:
        """train, val and test."""
        return tuple(COUNTS)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split."""
        return [
            ClipInfo(
                f"{split}/{i:04d}",
                FRAMES,
                SIZE,
                SIZE,
                label_of(split, i),
                FPS,
                sha256=digest(["conformance", split, i]),
            )
            for i in range(COUNTS[split])
        ]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),64,64,3]."""
        split, _, number = clip.id.partition("/")
        return _clip(split, int(number)).frames[list(indices)]

    def pose(self, clip: ClipInfo) -> Pose | None:
        """float32 [24,13,3] in pixels."""
        split, _, number = clip.id.partition("/")
        return _clip(split, int(number)).joints.copy()

    def class_names(self) -> tuple[str, ...]:
        """The nine actions."""
        return CLASS_NAMES

    def joint_names(self) -> tuple[str, ...]:
        """Penn Action's 13 joints."""
        return JOINT_NAMES

    def prepare(self, root: Path | None = None) -> None:
        """Nothing to do."""

    def verify(self, root: Path | None = None) -> list[Problem]:
        """Nothing can be wrong."""
        return []


def sample_task_data(n_max: int, horizon: int, size: int, cache: Path) -> TaskData:
    """The task of `n_max` given and `horizon` predicted frames at a size, on the sample clips."""
    spec = TaskSpec(
        f"conformance-{n_max}-{horizon}-{size}",
        WindowRule(n_max, horizon, short="loop"),
        size,
        native=size == SIZE,
    )
    ref = TaskRef(dataset="conformance", task=spec.id)
    dataset = SampleClips()
    task = make_task(dataset, spec, ref, rendered=True)
    return TaskData(
        ref, task, dataset, ClipCache(dataset, Geometry(size, native=spec.native), cache)
    )
