"""Opens a dataset and a task: everything that is known before a method runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import UnknownName, UsageError
from vpbench.api.optional import HasSubsets, MakesTasks
from vpbench.api.protocols import Dataset
from vpbench.api.specs import TaskSpec
from vpbench.api.types import Conditioning, Frames, Seeds, TaskInfo
from vpbench.core.loading import absolute_value
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import format_name, parse_name
from vpbench.core.options import TRAIN, TRAIN_AND_VAL, TaskRef
from vpbench.core.paths import Paths, data_root
from vpbench.core.registry import Registry
from vpbench.core.salt import local_salt
from vpbench.core.seeding import clip_seed, opaque_id
from vpbench.core.tasks import (
    SPLITS,
    Item,
    Task,
    check_labels,
    check_test,
    folder_task_id,
    make_items,
    notes_of,
    training_task,
)
from vpbench.harness.inputs.clip_cache import ClipCache
from vpbench.harness.inputs.dataset_reader import DatasetSource
from vpbench.harness.inputs.stored_dataset import StoredDataset
from vpbench.media.geometry import Geometry

BATCH = 8
"""Clips that a method sees at once when it predicts. Fixed: it helps to decide the bytes."""


def given_hash(frames: Frames) -> str:
    """sha256 of given frames as a method saw them, for the record of what it predicted from.

    Args:
        frames: uint8 [B,n,H,W,3], in the order of the clips.
    """
    if frames.dtype != np.uint8 or frames.ndim != 5:
        raise ValueError(f"given frames are uint8 [B,n,H,W,3], not {frames.dtype} {frames.shape}")
    total = hashlib.sha256(f"{list(frames.shape)}\n".encode())
    total.update(np.ascontiguousarray(frames).data)
    return total.hexdigest()


@dataclass
class TaskData:
    """A task on a dataset, with its clips at the task's size.

    Attributes:
        salt: of the names that methods see of clips.
    """

    ref: TaskRef
    task: Task
    dataset: Dataset
    clip_cache: ClipCache
    salt: str = ""

    def conditioning(self, items: Sequence[Item], method: ResolvedMethod) -> Conditioning:
        """What a method may see of some test items; arrays are read-only."""
        n = method.capabilities.given(self.task.spec.window.n_max)
        frames = np.stack([self.given(item)[-n:] for item in items])
        label = pose = None
        if self.task.has_label and method.capabilities.label in ("required", "optional"):
            label = np.array([item.clip.label for item in items], np.int64)
        if self.task.has_pose and method.capabilities.pose in ("required", "optional"):
            poses = [self.clip_cache.pose(item.clip, item.given[-n:]) for item in items]
            pose = np.stack([p for p in poses if p is not None])
        for array in (frames, label, pose):
            if array is not None:
                array.setflags(write=False)
        ids = tuple(self.opaque(item.id) for item in items)
        return Conditioning(frames, label, pose, self.task.info.fps, ids)

    def opaque(self, name: str) -> str:
        """What methods know a test item by.

        Args:
            name: its id.
        """
        return opaque_id(self.salt, self.task.id, name)

    def given(self, item: Item) -> Frames:
        """The given frames, uint8 [n_max,H,W,3]."""
        return self.clip_cache.window(item.clip, item.given)

    def targets(self, item: Item) -> Frames:
        """The true future, uint8 [T,H,W,3]."""
        return self.clip_cache.window(item.clip, item.targets)

    def given_hash(self, items: Sequence[Item]) -> str:
        """Hash of all given frames of some items, in their order."""
        return given_hash(np.stack([self.given(item) for item in items]))

    def seeds(self, items: Sequence[Item], seed: int, samples: int) -> Seeds:
        """int64 [B,S]."""
        rows = [[clip_seed(seed, item.id, s) for s in range(samples)] for item in items]
        return np.array(rows, np.int64)


def absolute(dataset: str) -> str:
    """The dataset as typed, with the path of `folder:PATH[...]` made absolute."""
    named = parse_name(dataset)
    base, colon, path = named.base.partition(":")
    if not colon:
        return dataset
    return format_name(f"{base}:{Path(path).expanduser().absolute()}", named.params)


@dataclass(frozen=True)
class IndexRef:
    """The index of a plugin's dataset that a job was planned with; "" for vpbench's own datasets.

    Attributes:
        path: of its file.
        digest: of what it says.
    """

    path: str = ""
    digest: str = ""


@dataclass(frozen=True)
class _Named:
    """What a text such as `penn` or `folder:PATH[group=subject]` names."""

    name: str
    options: dict[str, str]
    root: Path | None

    @classmethod
    def of(cls, text: str, registry: Registry, root: str | None) -> _Named:
        named = parse_name(text)
        base, colon, path = named.base.partition(":")
        options: dict[str, str] = dict(named.params)
        if colon:
            options["path"] = path
        return cls(base, options, data_root(base, root, registry.dataset(base).roots))


def open_dataset(
    text: str, registry: Registry, paths: Paths, root: str | None = None
) -> tuple[Dataset, str]:
    """Open the dataset that a text such as `penn` or `folder:PATH[group=subject]` names.

    One of a plugin is opened in an inputs worker; here it is known by its index.

    Returns:
        The dataset and the name of its plugin.

    Raises:
        UnknownName: no such dataset or option.
        MissingData, BadData: its files are missing or invalid.
    """
    named = _Named.of(text, registry, root)
    entry = registry.find("dataset", named.name)
    if entry.of_vpbench:
        return make_dataset(text, registry, paths, root)
    spec = registry.dataset(named.name)
    value = absolute_value(entry.ref.value)
    source = DatasetSource(spec, value, named.options, named.root, paths.cache)
    return StoredDataset(source), named.name


def make_dataset(
    text: str, registry: Registry, paths: Paths, root: str | None = None
) -> tuple[Dataset, str]:
    """As `open_dataset`, with a plugin's code in this process: for whoever examines a plugin."""
    named = _Named.of(text, registry, root)
    factory = registry.factory("dataset", named.name)
    return factory(named.options, named.root, paths.cache), named.name


def index_ref(task_data: TaskData) -> IndexRef:
    """What a job needs to know the dataset without the plugin's code."""
    if not isinstance(task_data.dataset, StoredDataset):
        return IndexRef()
    index = task_data.dataset.index
    return IndexRef(str(index.path), index.digest)


def open_task_data(
    ref: TaskRef, registry: Registry, paths: Paths, index: IndexRef | None = None
) -> TaskData:
    """Open the dataset, choose the task, list the clips of every split.

    Args:
        index: of a plugin's dataset, where it is known; the registry need not know the plugin then.
    """
    if index is not None and index.path:
        stored = StoredDataset.of_index(Path(index.path), index.digest)
        dataset, base, rendered = stored, stored.spec.name, stored.spec.rendered
    else:
        dataset, base = open_dataset(ref.dataset, registry, paths, ref.root)
        rendered = registry.dataset(base).rendered
    tasks = tasks_of(dataset)
    chosen = _choose(tasks, ref.task, base)
    task = make_task(dataset, chosen, ref, rendered=rendered, tasks=tasks)
    geometry = Geometry(chosen.size, chosen.resize, native=chosen.native)
    clip_cache = ClipCache(dataset, geometry, paths.cache)
    return TaskData(ref, task, dataset, clip_cache, local_salt(paths.cache))


def tasks_of(dataset: Dataset) -> Sequence[TaskSpec]:
    """The tasks of a dataset: those of its spec, unless it makes its own."""
    return dataset.tasks() if isinstance(dataset, MakesTasks) else dataset.spec.tasks


def _choose(tasks: Sequence[TaskSpec], name: str | None, dataset: str) -> TaskSpec:
    if name is None:
        return tasks[0]
    for task in tasks:
        if task.id == name:
            return task
    raise UnknownName(f"task of {dataset}", name, [t.id for t in tasks])


def make_task(
    dataset: Dataset,
    spec: TaskSpec,
    ref: TaskRef,
    *,
    rendered: bool,
    tasks: Sequence[TaskSpec] = (),
) -> Task:
    """The task with all its items, checked.

    Args:
        tasks: all tasks of the dataset.
    """
    if ref.limit is not None and ref.limit < 1:
        raise UsageError(f"--limit {ref.limit} must be at least 1.")
    if ref.train_on not in (TRAIN, TRAIN_AND_VAL):
        raise UnknownName("part to train on", ref.train_on, (TRAIN, TRAIN_AND_VAL))
    names = dataset.class_names()
    items: dict[str, tuple[Item, ...]] = {}
    excluded: dict[str, int] = {}
    for split in SPLITS:
        name = spec.test if split == "test" else split
        clips = dataset.clips(name) if name in dataset.splits() else ()
        items[split], excluded[split] = make_items(spec, clips)
        check_labels([Item(c.id, c, (), ()) for c in clips], len(names), ref.dataset)
    check_test(items["test"], excluded["test"], spec, ref.dataset)
    geometry: Mapping[str, Any] = Geometry(spec.size, spec.resize, spec.native).fingerprint()
    task_id = spec.id
    if spec.hashed:
        clips = [[s, i.id, i.clip.label] for s in SPLITS for i in items[s]]
        fields = {"window": spec.window, "size": spec.size, "geometry": geometry, "clips": clips}
        task_id = folder_task_id(spec.id, fields, "")
    joints = dataset.joint_names()
    info = TaskInfo(
        task_id,
        spec.size,
        spec.window.horizon,
        spec.window.n_max,
        _fps(items["test"], spec),
        len(names),
        tuple(names),
        len(joints),
        tuple(joints),
        spec.window.gap,
    )
    return Task(
        id=task_id,
        dataset=ref.dataset,
        name=spec.id,
        spec=spec,
        geometry=geometry,
        items=items,
        excluded=excluded,
        info=info,
        rendered=rendered,
        limit=ref.limit,
        train_on=ref.train_on,
        notes=notes_of(spec, items["test"], excluded["test"]),
        subsets=dataset.subsets() if isinstance(dataset, HasSubsets) else {},
        training=training_task(spec, tasks),
    )


def _fps(items: Sequence[Item], spec: TaskSpec) -> float | None:
    """Frames a second of the task, None if unknown or different from clip to clip."""
    rates = {
        None if i.clip.fps is None else i.clip.fps / spec.window.step(i.clip.frames) for i in items
    }
    return rates.pop() if len(rates) == 1 else None


def training_clips(task_data: TaskData) -> dict[str, list[Any]]:
    """All clips of train and val, those too short for the task's window included.

    Trained on both, val is empty: no validation set is left for model selection.
    """
    clips = {
        split: sorted(task_data.dataset.clips(split), key=lambda c: c.id)
        if split in task_data.dataset.splits()
        else []
        for split in ("train", "val")
    }
    if task_data.task.train_on == TRAIN:
        return clips
    return {"train": sorted([*clips["train"], *clips["val"]], key=lambda c: c.id), "val": []}
