"""Prediction from any picture: one given frame, and no ground truth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData, Refused, UnknownName, UsageError
from vpbench.api.types import Conditioning, Frames, Seeds, TaskInfo
from vpbench.core.hashing import file_sha256
from vpbench.core.methods import ResolvedMethod
from vpbench.core.seeding import clip_seed
from vpbench.harness.prediction.loaded import Intermediates, LoadedMethod
from vpbench.harness.prediction.shards import call_predict
from vpbench.media.geometry import Geometry

_MAX_MATRIX = 1 << 26
"""Entries of the matrix that resizes the long side: more than 1 GB for a thread of pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture as methods see it.

    Attributes:
        sha256: of the file.
        height, width: of the file's picture, upright, in pixels.
        frame: uint8 [size,size,3].
    """

    path: Path
    sha256: str
    height: int
    width: int
    frame: Frames

    @property
    def id(self) -> str:
        """What its seeds are made from: the pixels that methods see, not the file's name."""
        return f"picture:{hashlib.sha256(self.frame.tobytes()).hexdigest()}"


@dataclass(frozen=True)
class Pictured:
    """What a method predicts from a picture for one label.

    Attributes:
        label: class number, or None.
        seeds: int64 [S].
        frames: uint8 [S,T,H,W,3].
        intermediates: [1,S,...], or None where the method has none.
    """

    label: int | None
    seeds: Seeds
    frames: Frames
    intermediates: Intermediates | None


def read_picture(path: Path, size: int) -> Picture:
    """Decode any picture and bring it to a task's size: short side, antialiased, centre crop.

    Grey becomes RGB, alpha is composed on white, EXIF rotation is applied, an animation gives its
    first frame.

    Raises:
        MissingData: it does not exist.
        BadData: it is not an image, or far too narrow.
        UsageError: it is a folder.
    """
    from vpbench.media.decode import read_image

    if path.is_dir():
        raise UsageError(f"{path} is a folder; --image takes one picture.")
    native = read_image(path)
    height, width, _ = native.shape
    short, long = sorted((height, width))
    if long * (long * size // short) > _MAX_MATRIX:
        raise BadData(f"{path} is {width}x{height} px, too narrow to be resized.", fix="Crop it.")
    frame = Geometry(size).frames(native)
    return Picture(path, file_sha256(path), height, width, frame)


def check_pictured(method: ResolvedMethod) -> None:
    """Refuse a method that needs more than one picture and a label.

    Raises:
        Refused: says what it needs.
    """
    needs = method.capabilities
    fewest = needs.conditioning_frames[0]
    if fewest > 1:
        raise Refused(f"{method.name} needs {fewest} given frames, but a picture is only one.")
    if needs.pose == "required":
        raise Refused(f"{method.name} needs annotated joints, but a picture has none.")
    if needs.oracle:
        raise Refused(f"{method.name} sees the true future, but a picture has none.")
    if method.spec.kind in ("ceiling", "floor"):
        raise Refused(f"{method.name} shows test clips, it predicts nothing from a picture.")


def uses_label(method: ResolvedMethod, task: TaskInfo) -> bool:
    """Whether the method is given a class of the task."""
    return task.n_classes > 0 and method.capabilities.label in ("required", "optional")


def pick_labels(text: str | None, method: ResolvedMethod, task: TaskInfo) -> list[int | None]:
    """The class numbers that `--label` means for a method; [None] for one without labels.

    Args:
        text: "all", a class name or number, or several with commas.

    Raises:
        UnknownName: no such class; offers the nearest names.
        UsageError: no label is given to a method that uses one.
    """
    if not uses_label(method, task):
        return [None]
    names = task.class_names
    if text is None:
        raise UsageError(
            f"{method.name} needs a label.", fix=f"--label all, or one of {', '.join(names)}."
        )
    if text.strip() == "all":
        return list(range(len(names)))
    whole = _number(text, names)
    if whole is not None:
        return [whole]
    labels: list[int | None] = []
    for part in text.split(","):
        number = _number(part, names)
        if number is None:
            raise UnknownName(f"class of {task.id}", part.strip(), names)
        if number not in labels:
            labels.append(number)
    return labels


def _number(text: str, names: Sequence[str]) -> int | None:
    word = text.strip()
    if word in names:
        return list(names).index(word)
    if word.isascii() and word.isdigit() and int(word) < len(names):
        return int(word)
    return None


def predict_picture(
    loaded: LoadedMethod, picture: Picture, label: int | None, samples: int, seed: int
) -> Pictured:
    """Predict S futures of one picture for one label.

    Raises:
        MethodFailed: the method raised, or its output is not a video.
    """
    return predict_clip(loaded, picture_given(loaded, picture), label, samples, seed, picture.id)


def picture_given(loaded: LoadedMethod, picture: Picture) -> Conditioning:
    """A picture as the one given frame of a clip without label."""
    task = loaded.task_data.task
    name = (loaded.task_data.opaque(picture.id),)
    return Conditioning(np.array(picture.frame)[None, None], None, None, task.info.fps, name)


def predict_clip(
    loaded: LoadedMethod, given: Conditioning, label: int | None, samples: int, seed: int, name: str
) -> Pictured:
    """Predict S futures of one clip for any label.

    One label is predicted at a time, and the seeds depend on `seed`, `name` and sample only: a
    prediction is the same whatever other labels are requested, and labels can be compared.

    Args:
        given: of one clip; its label is replaced.
        label: class number, or None.
        name: of the clip, for its seeds.

    Raises:
        MethodFailed: the method raised, or its output is not a video.
    """
    horizon = loaded.task_data.task.horizon
    if not loaded.run.method.capabilities.stochastic:
        samples = 1
    seeds = np.array([[clip_seed(seed, name, s) for s in range(samples)]], np.int64)
    labelled = replace(given, label=None if label is None else np.array([label], np.int64))
    for array in (labelled.frames, labelled.label):
        if array is not None:
            array.setflags(write=False)
    predicted = call_predict(loaded.instance, labelled, None, horizon, seeds, loaded.name)
    return Pictured(label, seeds[0], predicted[0], loaded.intermediates(labelled, horizon, seeds))
