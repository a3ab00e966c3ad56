"""Checks of datasets."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from vpbench.api.errors import VpbenchError
from vpbench.api.types import ClipInfo, Frames, Problem
from vpbench.core.paths import Paths
from vpbench.core.tasks import SPLITS
from vpbench.harness.inputs.task_data import TaskRef, make_dataset, make_task, tasks_of
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.report import where_defined
from vpbench.testing.specs import check_signature
from vpbench.testing.subject import Subject

DATASET = ("dataset",)
CLIPS = 3
"""Clips of each split that are read."""

_WANTED = {
    "splits": (),
    "clips": ("split",),
    "read": ("clip", "indices"),
    "pose": ("clip",),
    "class_names": (),
    "joint_names": (),
    "prepare": (),
    "verify": (),
}


class DatasetSubject(Subject):
    """A dataset, with the options that were typed."""

    def make(self) -> Any:
        """A new instance."""
        paths = Paths(self.request.work / "given" / "runs", self.request.cache, True)
        made, _ = self.call(
            "the factory",
            make_dataset,
            self.request.name,
            self.registry,
            paths,
            self.request.root,
        )
        return made

    @functools.cached_property
    def data(self) -> Any:
        """One instance for all checks that only look."""
        return self.make()

    def all(self, data: Any = None) -> dict[str, list[ClipInfo]]:
        """Clips by split."""
        data = self.data if data is None else data
        return {s: list(self.call("clips", data.clips, s)) for s in data.splits()}

    def some(self) -> Iterator[ClipInfo]:
        """The first and the last clip, and one between, of train, val and test."""
        for split, clips in self.all().items():
            if split in SPLITS and clips:
                picked = {0, len(clips) // 2, len(clips) - 1}
                yield from (clips[k] for k in sorted(picked)[:CLIPS])

    def read(self, clip: ClipInfo, indices: Sequence[int], data: Any = None) -> Frames:
        """Frames of a clip."""
        data = self.data if data is None else data
        return self.call(f"read of {clip.id}", data.read, clip, list(indices))

    def at(self, name: str) -> str:
        """Where a method of the dataset is written."""
        return where_defined(getattr(type(self.data), name, type(self.data)))


def methods(subject: DatasetSubject) -> None:
    """It has all methods of a `Dataset`, and test clips."""
    for name, parameters in _WANTED.items():
        check_signature(subject.data, name, parameters)
    if not subject.all().get("test"):
        raise CheckFailed("test clips", "none", subject.at("clips"), "Name a split `test`.")


def clips(subject: DatasetSubject) -> None:
    """Every clip has an id of its own, a length and a size; splits are in the order of ids."""
    seen: dict[str, str] = {}
    where = subject.at("clips")
    for split, listed in subject.all().items():
        ids = [c.id for c in listed]
        if ids != sorted(ids):
            raise CheckFailed(
                f"clips of {split} in the order of their ids", ids[0], where, "Sort them by id."
            )
        for clip in listed:
            parts = PurePosixPath(clip.id)
            if not clip.id or parts.is_absolute() or ".." in parts.parts or "\\" in clip.id:
                raise CheckFailed("ids that are relative POSIX paths", repr(clip.id), where)
            if min(clip.frames, clip.height, clip.width) < 1:
                raise CheckFailed("clips with frames and a size", repr(clip), where)
            if clip.id in seen:
                raise CheckFailed(
                    "ids that name one clip",
                    f"{clip.id!r} in {seen[clip.id]} and {split}",
                    where,
                    "Put the split into the id.",
                )
            seen[clip.id] = split


def hashes(subject: DatasetSubject) -> None:
    """Every clip carries the sha256 of its source bytes."""
    for split, listed in subject.all().items():
        for clip in listed:
            digits = set(clip.sha256) <= set("0123456789abcdef")
            if len(clip.sha256) != 64 or not digits:
                raise CheckFailed(
                    "64 hex digits in ClipInfo.sha256",
                    f"{clip.sha256!r} of {split} {clip.id!r}",
                    subject.at("clips"),
                    "hashlib.sha256 of the file, or of the rendered bytes.",
                )


def disjoint(subject: DatasetSubject) -> None:
    """No clip's bytes occur in more than one of train, val and test."""
    seen: dict[str, tuple[str, str]] = {}
    for split, listed in subject.all().items():
        if split not in SPLITS:
            continue
        for clip in listed:
            other = seen.setdefault(clip.sha256, (split, clip.id))
            if other[0] != split:
                raise CheckFailed(
                    "clips that are in one split only",
                    f"{other[1]!r} in {other[0]} is the same as {clip.id!r} in {split}",
                    subject.at("clips"),
                    "Leave one of them out.",
                )


def decodes(subject: DatasetSubject) -> None:
    """Clips are read as they are announced: uint8 [L,H,W,3]."""
    for clip in subject.some():
        frames = subject.read(clip, range(clip.frames))
        wanted = (clip.frames, clip.height, clip.width, 3)
        got = (str(getattr(frames, "dtype", type(frames))), tuple(np.shape(frames)))
        if got != ("uint8", wanted):
            raise CheckFailed(
                f"uint8 {list(wanted)} for {clip.id!r}",
                f"{got[0]} {list(got[1])}",
                subject.at("read"),
                "ClipInfo and `read` must agree on the clip.",
            )


def indices(subject: DatasetSubject) -> None:
    """Any frames can be asked for, in any order, twice if need be."""
    for clip in subject.some():
        whole = subject.read(clip, range(clip.frames))
        last = clip.frames - 1
        for asked in ([last, 0], [0, 0, last, last], [last // 2], list(range(last, -1, -1))):
            if not np.array_equal(subject.read(clip, asked), whole[asked]):
                raise CheckFailed(
                    f"frames {asked[:4]} of {clip.id!r} as they were asked for",
                    "other frames",
                    subject.at("read"),
                    "Return frames[indices], in that order.",
                )


def deterministic(subject: DatasetSubject) -> None:
    """Another instance lists and reads the same."""
    again = subject.make()
    if subject.all() != subject.all(again):
        raise CheckFailed(
            "the same clips from two instances",
            "other clips",
            subject.at("clips"),
            "Sort what a folder lists; draw splits from a hash of the id.",
        )
    for clip in subject.some():
        order = range(clip.frames)
        if not np.array_equal(subject.read(clip, order), subject.read(clip, order, again)):
            raise CheckFailed(
                f"the same frames of {clip.id!r} from two instances",
                "other frames",
                subject.at("read"),
                "Decoding must be deterministic.",
            )


def labels(subject: DatasetSubject) -> None:
    """Labels are numbers of named classes; all clips have one, or none has."""
    names = subject.data.class_names()
    for split, listed in subject.all().items():
        for clip in listed:
            good = clip.label is None if not names else clip.label in range(len(names))
            if not good:
                raise CheckFailed(
                    f"labels 0 .. {len(names) - 1}" if names else "no labels without classes",
                    f"{clip.label!r} for {clip.id!r} in {split}",
                    subject.at("clips"),
                    "class_names() names one class for each number.",
                )


def pose(subject: DatasetSubject) -> None:
    """Joints are float32 [L,J,3] where there are joint names, and None where not."""
    names = subject.data.joint_names()
    for clip in subject.some():
        joints = subject.call("pose", subject.data.pose, clip)
        if not names:
            if joints is not None:
                raise CheckFailed("None without joint names", "joints", subject.at("pose"))
            continue
        wanted = (clip.frames, len(names), 3)
        got = (str(getattr(joints, "dtype", type(joints))), tuple(np.shape(joints)))
        if got != ("float32", wanted) or not np.isfinite(joints).all():
            raise CheckFailed(
                f"finite float32 {list(wanted)} for {clip.id!r}",
                f"{got[0]} {list(got[1])}",
                subject.at("pose"),
                "One row a frame; a missing joint has confidence 0.",
            )


def pickles(subject: DatasetSubject) -> None:
    """Workers of a data loader get it through a pickle."""
    try:
        again = pickle.loads(pickle.dumps(subject.data))
    except Exception as error:
        raise CheckFailed(
            "an object that can be pickled",
            f"{type(error).__name__}: {error}",
            where_defined(type(subject.data)),
            "Open files when they are read, keep no locks.",
        ) from error
    clip = next(subject.some())
    if not np.array_equal(subject.read(clip, [0], again), subject.read(clip, [0])):
        raise CheckFailed("the same frames from a copy", "other frames", subject.at("read"))


def tasks(subject: DatasetSubject) -> None:
    """Every task has test clips that are long enough."""
    spec = subject.data.spec
    offered = subject.call("tasks", tasks_of, subject.data)
    if not offered:
        raise CheckFailed("at least one task", "none", subject.row.ref.value, "Fill in `tasks`.")
    for task in offered:
        try:
            make_task(
                subject.data,
                task,
                TaskRef(dataset=subject.request.name),
                rendered=spec.rendered,
                tasks=offered,
            )
        except VpbenchError as error:
            raise CheckFailed(
                f"a task {task.id} that can be run",
                error.message,
                subject.row.ref.value,
                error.fix or "Change the window of the task.",
            ) from error


def verify(subject: DatasetSubject) -> None:
    """`verify` reports no errors."""
    subject.call("prepare", subject.data.prepare)
    problems: list[Problem] = subject.call("verify", subject.data.verify)
    if not isinstance(problems, list):
        raise NotApplicable("verify does not return a list")
    errors = [p for p in problems if p.level == "error"]
    if errors:
        raise CheckFailed("no errors", errors[0].what, errors[0].path, errors[0].fix)


_LISTED = ("clips",)
CHECKS = (
    Check("methods", "basic", DATASET, "The harness calls these.", methods, ("factory",)),
    Check(
        "clips", "basic", DATASET, "Everything refers to clips by their ids.", clips, ("methods",)
    ),
    Check("hashes", "basic", DATASET, "Scores carry the hash of the data.", hashes, _LISTED),
    Check(
        "disjoint",
        "basic",
        DATASET,
        "A test clip in training makes a score worthless.",
        disjoint,
        ("hashes",),
    ),
    Check(
        "labels",
        "basic",
        DATASET,
        "A label out of range is another class or a crash.",
        labels,
        _LISTED,
    ),
    Check(
        "tasks", "basic", DATASET, "A task without test clips cannot be run.", tasks, ("labels",)
    ),
    Check(
        "decodes",
        "basic",
        DATASET,
        "A clip that cannot be read is reported right away.",
        decodes,
        _LISTED,
    ),
    Check(
        "indices",
        "basic",
        DATASET,
        "Windows, pairs and cycles ask for frames in any order.",
        indices,
        ("decodes",),
    ),
    Check(
        "deterministic",
        "basic",
        DATASET,
        "Two machines must score the same clips.",
        deterministic,
        ("decodes",),
    ),
    Check("pose", "basic", DATASET, "Methods that use poses depend on them.", pose, _LISTED),
    Check(
        "pickles",
        "basic",
        DATASET,
        "Training reads clips in several processes.",
        pickles,
        ("decodes",),
    ),
    Check(
        "verify",
        "full",
        DATASET,
        "Users trust `vpbench data verify`.",
        verify,
        ("methods",),
    ),
)
