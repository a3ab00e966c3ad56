"""Data that crosses the plugin door. Videos are numpy uint8 [B,T,H,W,3], RGB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vpbench.api.windows import WindowRule

Frames = npt.NDArray[np.uint8]
"""uint8 video, RGB, [..., T, H, W, 3]."""
Labels = npt.NDArray[np.int64]
"""Class numbers, [B]."""
Pose = npt.NDArray[np.float32]
"""Joints or keypoints (x, y, confidence), [..., J, 3]; x right, y down; -1 and 1 are the centres
of the outer pixels; confidence 0 = missing. Only what a dataset hands over (`Dataset.pose`) is in
native pixels."""
Seeds = npt.NDArray[np.int64]
"""One seed a clip and sample, [B,S]."""


@dataclass(frozen=True)
class TaskInfo:
    """What a method may know of the task before it sees a clip.

    Attributes:
        fps: frames a second of the task, None if unknown or mixed.
        stride: source frames from one frame of the task to the next, for `TrainData.read`; "spread"
            where it depends on the length of a clip.
    """

    id: str
    size: int
    horizon: int
    n_max: int
    fps: float | None
    n_classes: int
    class_names: tuple[str, ...]
    n_joints: int
    joint_names: tuple[str, ...]
    stride: int | Literal["spread"] = 1


@dataclass(frozen=True)
class Conditioning:
    """What a method sees of B test clips. There is no field for the future.

    Attributes:
        frames: uint8 [B,n,H,W,3], the last n given frames, the last one at t0; read-only.
        label: int64 [B] or None when the dataset has no labels.
        pose: float32 [B,n,J,3] in [-1,1] or None; only where the capabilities ask for it.
        fps: frames a second of the task, None if unknown or mixed.
        clip: opaque ids, the same for the same clip of the same task.
    """

    frames: Frames
    label: Labels | None
    pose: Pose | None
    fps: float | None
    clip: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class ClipInfo:
    """One clip of a dataset.

    Attributes:
        id: unique in the dataset, POSIX, without extension.
        frames: number of source frames L.
        height, width: native size in pixels.
        label: class number or None.
        fps: source frame rate or None.
        group: clips of one group (a person, a film) are not independent; "" = the clip alone.
        sha256: of the source bytes, and of whatever option changes the frames that are read from
            them.
        source: "lossless" or "codec".
        note: what a table should count about it, such as "with interpolated joints"; "" for
            nothing. Several are separated by "; ".
        pose_sha256: of the source bytes of its joints, where `sha256` does not cover them.
    """

    id: str
    frames: int
    height: int
    width: int
    label: int | None
    fps: float | None = None
    group: str = ""
    sha256: str = ""
    source: Literal["lossless", "codec"] = "lossless"
    note: str = ""
    pose_sha256: str = ""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a dataset, with the way out of it."""

    level: Literal["error", "warning"]
    path: str
    what: str
    fix: str


@dataclass(frozen=True)
class Pair:
    """Two frames of one clip, `min_gap` to `max_gap` apart; `wrap` continues at the start."""

    min_gap: int
    max_gap: int
    wrap: bool = False


@dataclass(frozen=True)
class Clip:
    """`length` frames. "task" takes the task's own window rule, its short-clip rule included."""

    length: int
    stride: int | Literal["task"] = 1
    start: int | Literal["random", "task"] = "random"


@dataclass(frozen=True)
class Augment:
    """Random changes to training clips, applied alike to frames, poses and keypoints.

    Attributes:
        flip: mirror half of the clips; left and right joints change places.
        rotate_deg: rotate by up to this angle, in degrees, either way.
        crop: largest part of a side that is cut off, in [0, 1); the rest is resized back.
        colour: strength of brightness, contrast and saturation changes, in [0, 1].
        filters: apply one of ten image filters to half of the clips.
    """

    flip: bool = False
    rotate_deg: float = 0.0
    crop: float = 0.0
    colour: float = 0.0
    filters: bool = False


NO_AUGMENT = Augment()


@dataclass(frozen=True)
class Batch:
    """Training clips.

    Attributes:
        frames: uint8 [B,T,H,W,3].
        pose: float32 [B,T,J,3] in [-1,1], or None.
        label: int64 [B], or None.
        index: int64 [B], clip numbers of the split.
        times: int64 [B,T], source frame numbers.
        keypoints: float32 [B,T,K,3], only from a `KeypointView`.
    """

    frames: Frames
    pose: Pose | None
    label: Labels | None
    index: Labels
    times: Labels
    keypoints: Pose | None = None


@dataclass(frozen=True)
class Recognition:
    """What a recogniser of classes says about predicted clips.

    Attributes:
        classes: names of the C classes.
        label: clip id -> its class number.
        softmax: clip id -> [S][C], a distribution over the classes for each sample.
        streams: stream -> clip id -> [S][C], where the distribution is fused from several.
    """

    classes: tuple[str, ...]
    label: Mapping[str, int]
    softmax: Mapping[str, list[list[float]]]
    streams: Mapping[str, Mapping[str, list[list[float]]]] = field(
        default_factory=dict[str, Mapping[str, list[list[float]]]]
    )


@dataclass
class Score:
    """The result of one metric.

    Attributes:
        value: the figure, or None with a `reason`.
        per_clip: clip id -> value, or None where undefined; for set metrics, cluster -> the
            value with that cluster left out.
        per_frame: clip id -> one value a frame, None where undefined.
        samples: clip id -> one value a sample.
        sizes: for set metrics, cluster -> its predicted and its real clips; may stay empty where
            all clusters have equally many of both.
        se: standard error, where the metric knows its own.
        p: p-value, where the metric has a test.
        reason: why the value, or part of the clips, is missing.
        recognition: of a metric that recognises classes, what it says about each clip.
    """

    value: float | None
    n: int
    per_clip: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    per_frame: Mapping[str, list[float | None]] = field(
        default_factory=dict[str, list[float | None]]
    )
    samples: Mapping[str, list[float | None]] = field(default_factory=dict[str, list[float | None]])
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    se: float | None = None
    floor: float | None = None
    p: float | None = None
    reason: str | None = None
    recognition: Recognition | None = None


@dataclass(frozen=True)
class Floor:
    """What two disjoint sets of real clips give, which no prediction can be expected to beat.

    Attributes:
        value: the metric's value.
        n: clips in each set.
        here: the value of as few predicted clips against real ones, which may be compared with the
            floor where the metric's bias depends on n; None where it does not.
    """

    value: float
    n: int
    here: float | None = None


__all__ = [
    "NO_AUGMENT",
    "Augment",
    "Batch",
    "Clip",
    "ClipInfo",
    "Conditioning",
    "Floor",
    "Frames",
    "Labels",
    "Pair",
    "Pose",
    "Problem",
    "Recognition",
    "Score",
    "Seeds",
    "TaskInfo",
    "WindowRule",
]
