"""Datasets and trained methods as objects."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.types import ClipInfo, Frames, Pose
from vpbench.core.child import Child
from vpbench.core.options import TaskRef
from vpbench.core.paths import user_paths
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData, absolute, open_task_data
from vpbench.python import process
from vpbench.python.clips import as_array, frames_of

Picture = Any
"""uint8 [H,W,3] as array or tensor, a PIL image, or the path of a picture."""


@dataclass(frozen=True)
class Clip:
    """A clip of a dataset; frames are read when they are asked for.

    Attributes:
        id: its name in the dataset.
        label: class number, None without classes.
        class_name: name of the class, "" without classes.
    """

    id: str
    label: int | None
    class_name: str
    _info: ClipInfo = field(repr=False)
    _data: TaskData = field(repr=False)
    _item: Item | None = field(repr=False)

    @property
    def frames(self) -> Frames:
        """All frames at native size, uint8 [L,H,W,3]."""
        return np.array(self._data.dataset.read(self._info, range(self._info.frames)))

    @property
    def pose(self) -> Pose | None:
        """Joints (x, y, confidence), native pixels (0 = centre of the first), or None; [L,J,3]."""
        return self._data.dataset.pose(self._info)

    @property
    def fps(self) -> float | None:
        """Frames a second, None if unknown."""
        return self._info.fps

    @property
    def given(self) -> Frames:
        """The frames that methods are given, at the task's size, uint8 [n,size,size,3].

        Raises:
            UsageError: the clip is too short for the task.
        """
        return self._data.given(self._window)

    @property
    def future(self) -> Frames:
        """The frames that methods predict, at the task's size, uint8 [T,size,size,3].

        Raises:
            UsageError: the clip is too short for the task.
        """
        return self._data.targets(self._window)

    @property
    def _window(self) -> Item:
        if self._item is None:
            raise UsageError(f"the clip {self.id!r} is too short for {self._data.task.id}.")
        return self._item


@dataclass(frozen=True)
class Dataset:
    """A dataset, opened with one of its tasks.

    Attributes:
        name: as it was asked for.
    """

    name: str
    _data: TaskData = field(repr=False)

    @property
    def task(self) -> str:
        """Id of the task."""
        return self._data.task.id

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; () without classes."""
        return self._data.task.info.class_names

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._data.dataset.splits())

    def clips(self, split: str = "test") -> Sequence[Clip]:
        """The clips of a split; those of the task that is open, where it has windows of them.

        Raises:
            UnknownName: no such split.
        """
        if split not in self.splits:
            raise UnknownName(f"split of {self.name}", split, self.splits)
        windows = self._data.task.items.get(split, ())
        first: dict[str, Item] = {}
        for item in windows:
            first.setdefault(item.clip.id, item)
        names = self.class_names
        return [
            Clip(
                info.id,
                info.label,
                names[info.label] if info.label is not None and names else "",
                info,
                self._data,
                first.get(info.id),
            )
            for info in self._data.dataset.clips(self._test(split))
        ]

    def _test(self, split: str) -> str:
        """The dataset's name for a split of the task: a task may have test clips of its own."""
        return self._data.task.spec.test if split == "test" else split


def load_dataset(
    name: str = "puppets",
    *,
    task: str | None = None,
    root: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Dataset:
    """Open a dataset; it is converted or rendered first where that was not done before.

        >>> import vpbench
        >>> puppets = vpbench.load_dataset("puppets")  # doctest: +SKIP
        >>> for clip in puppets.clips("test"):  # doctest: +SKIP
        ...     print(clip.id, clip.class_name, clip.frames.shape)

    Args:
        name: as on the command line: "puppets", "folder:PATH[group=person]".
        task: one of the dataset's tasks; None is its first.
        root: the folder of a dataset that is not made here.
        progress: show bars.

    Raises:
        UnknownName: no such dataset, option or task.
        MissingData, BadData: its files are missing or invalid.
    """
    from vpbench.core.registry import registry

    folder = None if root is None else str(Path(root).expanduser().absolute())
    dataset = absolute(name)
    process.ask({"do": "prepare", "dataset": dataset, "root": folder}, progress=progress)
    ref = TaskRef(dataset=dataset, task=task, root=folder)
    return Dataset(name, open_task_data(ref, registry(), user_paths()))


class Method:
    """A trained method, in a process of its own that ends with this object.

    Attributes:
        name: with its parameters.
        task: id of the task that it predicts.
        size, horizon: pixels a side and number of the predicted frames.
        class_names: labels that `predict` takes.
        uses_label: whether it needs one.
        stochastic: whether samples differ.
    """

    def __init__(self, child: Child, facts: dict[str, Any]) -> None:
        self._child = child
        self.name: str = facts["name"]
        self.task: str = facts["task"]
        self.size: int = facts["size"]
        self.horizon: int = facts["horizon"]
        self.class_names: tuple[str, ...] = tuple(facts["class_names"])
        self.uses_label: bool = facts["uses_label"]
        self.stochastic: bool = facts["stochastic"]

    def __repr__(self) -> str:
        return f"Method({self.name!r}, task={self.task!r})"

    def __enter__(self) -> Method:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def predict(
        self,
        image: Picture | Clip,
        label: str | int | None = None,
        samples: int = 1,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
    ) -> Frames:
        """Predict what happens after a picture, or a test clip.

        A picture may have any size: it is brought to the task's (short side, centre crop), and the
        result is that of `vpbench predict --image`. A `Clip` of `load_dataset(...).clips("test")`
        gives the very bytes that `vpbench run` stores, unless `label` is another one than its own.

        Args:
            label: class name or number; None for a clip's own, or for methods without labels.
            samples: futures; 1 where the method is not stochastic.
            seed: of the samples.
            value_range: what black and white are in a picture of floats, such as (0, 1).

        Returns:
            uint8 [S,T,size,size,3].

        Raises:
            UnknownName: no such class.
            BadData: not a picture, with the line that mends it.
            Refused: the method needs more than a picture.
            MethodFailed: it raised, or its process died.
        """
        if samples < 1:
            raise UsageError(f"samples={samples} must be at least 1.")
        request = {
            "do": "predict",
            "label": self._label(label),
            "samples": samples,
            "seed": seed,
            "clip": image.id if isinstance(image, Clip) else None,
        }
        if isinstance(image, Clip):
            if image._data.task.id != self.task:
                raise UsageError(
                    f"{image.id!r} is a clip of {image._data.task.id}, {self.name} was loaded for "
                    f"{self.task}."
                )
            if image._item is not None:
                request["clip"] = image._item.id
            return self._ask(request)
        if label is None and self.uses_label:
            raise UsageError(f"{self.name} needs a label: one of {', '.join(self.class_names)}.")
        with tempfile.TemporaryDirectory(prefix="vpbench-picture-") as folder:
            file = _picture_file(image, Path(folder), value_range)
            return self._ask({**request, "image": str(file)})

    def _label(self, label: str | int | None) -> str | None:
        if isinstance(label, str) or label is None:
            return label
        if not 0 <= label < len(self.class_names):
            raise UnknownName("class number", str(label), map(str, range(len(self.class_names))))
        return self.class_names[label]

    def _ask(self, request: dict[str, Any]) -> Frames:
        answer, data = self._child.ask(request)
        return np.frombuffer(data, np.uint8).reshape(answer["shape"]).copy()


def _picture_file(image: Picture, folder: Path, value_range: tuple[float, float] | None) -> Path:
    """A file of the picture, of the same pixels."""
    if isinstance(image, str | os.PathLike):
        return Path(cast("str | os.PathLike[str]", image)).expanduser().absolute()
    from vpbench.media.encode import write_png

    array = as_array(image)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)  # as grey files are read
    if array.ndim != 3:
        raise BadData(f"the picture has shape {list(array.shape)}, not [H,W,3].")
    path = folder / "picture.png"
    write_png(path, frames_of(array[None], "the picture", value_range)[0])
    return path


def load_method(
    name: str,
    *,
    dataset: str = "puppets",
    task: str | None = None,
    root: str | os.PathLike[str] | None = None,
    preset: str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    fit_seed: int = 0,
    device: str = "auto",
    runs: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Method:
    """Load a trained method: its bundled checkpoint, or one of `vpbench fit`.

        >>> import vpbench
        >>> method = vpbench.load_method("my-method", dataset="puppets")  # doctest: +SKIP
        >>> videos = method.predict("me.png", label="squats", samples=4)  # doctest: +SKIP
        >>> videos.shape  # doctest: +SKIP
        (4, 16, 64, 64, 3)

    Args:
        name: as on the command line: "my-method", "my-method[n_keypoints=20]", "./mine.py:SPEC".
        dataset, task, root: what it was trained on.
        preset, checkpoint, fit_seed: which training.
        device: "auto", "cpu" or "cuda:N".
        runs: folder of the results, where it was trained here; None is ./runs, or VPBENCH_RUNS.
        progress: show bars.

    Raises:
        UnknownName: no such method, dataset or preset.
        MissingData: it is not trained yet, with the command that does it.
        Refused: it cannot do the task.
    """
    child = process.start(f"the method {name!r}")
    request = {
        "do": "load_method",
        "method": name,
        "dataset": dataset,
        "task": task,
        "root": None if root is None else str(root),
        "preset": preset,
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "fit_seed": fit_seed,
        "device": device,
        "runs": None if runs is None else str(runs),
    }
    try:
        with process.shown(progress) as report:
            facts, _ = child.ask(request, report)
    except BaseException:
        child.close(kill=True)
        raise
    return Method(child, facts)


__all__ = ["Clip", "Dataset", "Method", "load_dataset", "load_method"]
