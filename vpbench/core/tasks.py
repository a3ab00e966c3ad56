"""Tasks: dataset x split x given frames x horizon x stride x size, and their test clips."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vpbench.api.errors import BadData, MissingData, UsageError
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.api.windows import WindowRule
from vpbench.core.hashing import digest
from vpbench.core.options import TRAIN
from vpbench.core.records import Names

SPLITS = ("train", "val", "test")

_SHORT = {
    "loop": "shorter than the window: starting again from the first frame",
    "double": "shorter than the window: each future frame shown twice",
}


@dataclass(frozen=True)
class Item:
    """One window of one clip: what one prediction is about.

    Attributes:
        id: the clip's id, with `#k` where a clip has several windows.
        given, targets: source frame numbers.
    """

    id: str
    clip: ClipInfo
    given: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def cluster(self) -> str:
        """Items of one cluster are not independent: the clip's group, else the clip."""
        return f"group:{self.clip.group}" if self.clip.group else f"clip:{self.clip.id}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task with its test clips, ready to run.

    Attributes:
        id: folder name below the runs folder.
        dataset: the dataset as it is typed, with options.
        name: the task's name within the dataset.
        geometry: fields of the fingerprint that say how frames were brought to size.
        items: per split, in the order of their ids.
        excluded: per split, number of clips that are too short for the window.
        limit: at most so many test items (`--limit`); such a run is not comparable.
        train_on: "train+val" where validation clips are trained on too.
        notes: remarks for tables on test clips, with the number of clips each is about.
        subsets: names of parts of the test split and their clips; the first stands in every table.
        subset: the name of the part that this task was cut down to, "" for all.
        training: the task that methods are trained for, where it is another one.
        sampling: how windows were cut out of videos, where two folders are measured.
    """

    id: str
    dataset: str
    name: str
    spec: TaskSpec
    geometry: Mapping[str, Any]
    items: Mapping[str, tuple[Item, ...]]
    excluded: Mapping[str, int]
    info: TaskInfo
    rendered: bool = False
    limit: int | None = None
    train_on: str = TRAIN
    notes: Mapping[str, int] = field(default_factory=dict[str, int])
    subsets: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    subset: str = ""
    training: TaskSpec | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def trained_as(self) -> str:
        """Id of the task that methods are trained for, and that trained stages are kept under."""
        return self.id if self.training is None else self.training.id

    @property
    def training_window(self) -> WindowRule:
        """The windows that a training sees: those of the task that methods are trained for."""
        return (self.training or self.spec).window

    @property
    def training_info(self) -> TaskInfo:
        """What a training is told of its task."""
        return replace(self.info, id=self.trained_as)

    @property
    def horizon(self) -> int:
        """T, number of frames to predict."""
        return self.spec.window.horizon

    @property
    def frames(self) -> tuple[int, ...]:
        """Numbers of frames that scores are stored for: the first 16 and all T."""
        return tuple(sorted({min(16, self.horizon), self.horizon}))

    @property
    def test(self) -> tuple[Item, ...]:
        """The test items that a run predicts."""
        return self.items["test"][: self.limit]

    @functools.cached_property
    def split_hash(self) -> str:
        """sha256 over ids, labels and roles of all clips."""
        roles = [
            [item.id, item.clip.label, item.given, item.targets, split]
            for split in SPLITS
            for item in self.items[split]
        ]
        return digest([sorted(roles, key=lambda r: (r[4], r[0])), self.limit])

    @functools.cached_property
    def data_hash(self) -> str:
        """sha256 over the source bytes of the test clips: what a score is measured on.

        It is part of a score's fingerprint. Windows, labels and geometry stand beside it there;
        poses do not move a score of given predictions. For all that a run reads, see `clips_hash`.
        """
        return digest(sorted([item.id, item.clip.sha256] for item in self.test))

    @functools.cached_property
    def clips_hash(self) -> str:
        """sha256 over everything of the real test clips that a run depends on.

        By content: source bytes of the frames and of the joints, label, native size and number of
        frames, and which frames are given and which are the future. What a trained method was
        trained on is `training_hash`.
        """
        return digest(
            sorted(
                [
                    [
                        item.id,
                        item.clip.sha256,
                        item.clip.pose_sha256,
                        item.clip.label,
                        [item.clip.frames, item.clip.height, item.clip.width],
                        item.given,
                        item.targets,
                    ]
                    for item in self.test
                ],
                key=lambda row: str(row[0]),
            )
        )

    @functools.cached_property
    def clusters_hash(self) -> str:
        """sha256 over which test clips are not independent; "" where the dataset names no groups.

        Groups move intervals, tests and distances of sets, but no prediction: this is in a score's
        fingerprint and not in run ids.
        """
        if not any(item.clip.group for item in self.test):
            return ""
        return digest({item.id: item.cluster for item in self.test})

    @functools.cached_property
    def training_hash(self) -> str:
        """sha256 over the source bytes of the training and validation clips."""
        clips = [[s, i.id, i.clip.sha256] for s in ("train", "val") for i in self.items[s]]
        return digest(sorted(clips))

    @functools.cached_property
    def training_pose_hash(self) -> str:
        """sha256 over the joints of the training and validation clips.

        "" where `training_hash` covers them, or there are none.
        """
        clips = [[s, i.id, i.clip.pose_sha256] for s in ("train", "val") for i in self.items[s]]
        return digest(sorted(clips)) if any(sha for _, _, sha in clips) else ""

    @functools.cached_property
    def training_label_hash(self) -> str:
        """sha256 over the labels of the training and validation clips."""
        clips = [[s, i.id, i.clip.label] for s in ("train", "val") for i in self.items[s]]
        return digest(sorted(clips, key=lambda row: (row[0], row[1])))

    @property
    def source(self) -> str:
        """ "lossless", or "codec" when any test clip went through a lossy codec."""
        return "codec" if any(i.clip.source == "codec" for i in self.test) else "lossless"

    @property
    def has_label(self) -> bool:
        """Whether test clips have labels."""
        return self.info.n_classes > 0

    @property
    def has_pose(self) -> bool:
        """Whether the dataset has annotated joints."""
        return self.info.n_joints > 0

    @property
    def names(self) -> Names:
        """What methods are told of classes and joints besides their numbers, for records."""
        return {"classes": list(self.info.class_names), "joints": list(self.info.joint_names)}

    def part(self, name: str) -> Task:
        """The task with those test items only that belong to a named subset."""
        clips = self.subsets[name]
        kept = tuple(item for item in self.test if item.clip.id in clips)
        return replace(self, items={**self.items, "test": kept}, subset=name, subsets={})

    def fields(self, *, trained: bool = True) -> dict[str, Any]:
        """All fields that make this task what it is, for keys and for `run.json`.

        Args:
            trained: False for a method that is not trained: what it is trained on is left out.
        """
        window = self.spec.window
        more: dict[str, Any] = {"notes": dict(self.notes)} if self.notes else {}
        if trained and self.train_on != TRAIN:
            more["train_on"] = self.train_on
        if trained and self.training is not None:
            more["trained_as"] = self.training.id
        return {
            "id": self.id,
            "name": self.name,
            "split": "test",
            "n_max": window.n_max,
            "t0": window.n_max - 1,
            "horizon": window.horizon,
            "stride": window.gap,
            "start": window.start,
            "windows": window.windows,
            "short": window.short,
            "size": self.spec.size,
            "geometry": dict(self.geometry),
            "n": len(self.test),
            "split_hash": self.split_hash,
            "limit": self.limit,
            "rendered": self.rendered,
            **more,
        }

    def stage_fields(self) -> dict[str, Any]:
        """The fields of the task that methods are trained for, for keys and records of stages.

        Those about test clips, which are in no stage's key, are this task's own.
        """
        fields = self.fields()
        if self.training is None:
            return fields
        del fields["trained_as"]
        own = {"id": self.training.id, "name": self.training.id}
        return {**fields, **own, "start": self.training.window.start}

    def fingerprint(self, frames: int) -> dict[str, Any]:
        """The task's share of a score's fingerprint, for scores over the first `frames`."""
        named: dict[str, Any] = {"subset": self.subset} if self.subset else {}
        if self.sampling:
            named["sampling"] = dict(self.sampling)
        if self.clusters_hash:
            named["clusters"] = self.clusters_hash
        return {
            "frames": frames,
            "window": digest(self.spec.window)[:16],
            "geometry": dict(self.geometry),
            "size": self.spec.size,
            "n": len(self.test),
            "split": self.split_hash,
            "data": self.data_hash,
            "conditioning": self.sampling.get("given", "excluded"),
            "source": self.source,
            **named,
        }


def clip_of(item: Item) -> ClipInfo:
    """The clip as metrics know it: named by its item; windows of one clip are one group."""
    group = item.clip.group or (item.clip.id if item.id != item.clip.id else "")
    return replace(item.clip, id=item.id, group=group)


def make_items(spec: TaskSpec, clips: Sequence[ClipInfo]) -> tuple[tuple[Item, ...], int]:
    """The windows of all clips of a split, and how many clips are too short.

    Raises:
        BadData: two clips share an id, or a clip is too short and the rule is "error".
    """
    items: list[Item] = []
    excluded = 0
    seen: set[str] = set()
    n_max = spec.window.n_max
    for clip in sorted(clips, key=lambda c: c.id):
        if clip.id in seen:
            raise BadData(f"two clips are called {clip.id!r}.", fix="Rename one of them.")
        seen.add(clip.id)
        try:
            windows = spec.window.indices(clip.frames)
        except UsageError as error:
            raise BadData(
                f"the clip {clip.id!r} {error.message}", fix="Use short=exclude."
            ) from None
        excluded += not windows
        for k, window in enumerate(windows):
            name = clip.id if len(windows) == 1 else f"{clip.id}#{k}"
            items.append(Item(name, clip, window[:n_max], window[n_max:]))
    for item in items:  # a window of one clip may not be called as another clip
        if item.id != item.clip.id and item.id in seen:
            raise BadData(
                f"the clip {item.id!r} is called as a window of {item.clip.id!r}.",
                fix="Rename one of them.",
            )
    return tuple(items), excluded


def notes_of(spec: TaskSpec, items: Sequence[Item], excluded: int) -> dict[str, int]:
    """Notes for tables on test clips, with the number of clips each is about."""
    window = spec.window
    span = (window.length - 1) * (1 if window.gap == "spread" else window.gap) + 1
    short = sum(item.clip.frames < window.start + span for item in items)
    notes = {_SHORT[window.short]: short} if short and window.short in _SHORT else {}
    for item in items:
        for note in filter(None, item.clip.note.split("; ")):
            notes[note] = notes.get(note, 0) + 1
    return {**notes, "too short for the window, left out": excluded} if excluded else notes


def check_labels(items: Sequence[Item], n_classes: int, where: str) -> None:
    """Refuse labels outside 0 .. n_classes-1, and clips without one among labelled clips.

    Raises:
        BadData: names the clip.
    """
    for item in items:
        label = item.clip.label
        if n_classes and label is None:
            raise BadData(f"{where}: the clip {item.clip.id!r} has no label.")
        if label is not None and not 0 <= label < n_classes:
            raise BadData(
                f"{where}: the label {label} of the clip {item.clip.id!r} is out of range; "
                f"there are {n_classes} classes."
            )


def check_test(items: Sequence[Item], excluded: int, spec: TaskSpec, where: str) -> None:
    """Refuse a task without a test clip.

    Raises:
        MissingData: says whether they are too short or not there at all.
    """
    if items:
        return
    if excluded:
        raise MissingData(
            f"{where}: all {excluded} test clips have fewer than the {spec.window.needed} frames "
            "that the task needs.",
            fix="Lower horizon= or stride=, or use short=loop for cycles.",
        )
    raise MissingData(f"{where} has no test clips.")


def folder_task_id(base: str, fields: Mapping[str, Any], clips: str) -> str:
    """`folder-<basename>-<8 hex>`: the digits stand for all fields and the clip list."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", base).strip("._") or "clips"
    return f"{clean}-{digest([dict(fields), clips])[:8]}"


def training_task(spec: TaskSpec, tasks: Sequence[TaskSpec]) -> TaskSpec | None:
    """The task that methods are trained for in place of `spec`; None where it is the same.

    Raises:
        BadData: the dataset has no such task, or it differs in more than start and test clips.
    """
    if not spec.trained_as or spec.trained_as == spec.id:
        return None
    where = f"the task {spec.id} is trained as {spec.trained_as!r}"
    for other in tasks:
        if other.id == spec.trained_as:
            alike = replace(
                other,
                id=spec.id,
                window=replace(other.window, start=spec.window.start),
                test=spec.test,
                trained_as=spec.trained_as,
            )
            if other.trained_as or other.hashed or alike != spec:
                raise BadData(f"{where}, which differs in more than its start and test clips.")
            return other
    raise BadData(f"{where}, which is not a task of the dataset.")
