"""`vpbench probe`: what the keypoints of a detector are worth, measured on annotated clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vpbench.api.errors import MissingData, Refused
from vpbench.api.types import ClipInfo, Pose
from vpbench.core import schema
from vpbench.core.progress import Report
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.detectors import LoadedDetector
from vpbench.harness.scoring.score_record import clip_interval
from vpbench.metrics import keypoint_probe as kp

LABELLED = (10, 100, 1000)
"""Annotated training frames that the read-out is fitted on, besides all."""

DRAWS = 5
"""Draws of so few frames, whose figures are averaged."""

FRAMES = 6
"""Evenly spaced frames of a clip that joints are read in."""

MAIN = 0.1
"""The part of PCK that is given with an interval and for each joint."""


@dataclass(frozen=True, eq=False)
class Annotated:
    """Keypoints and joints of some frames.

    Attributes:
        points: [N,K,3].
        joints: [N,J,3].
        clips, clusters: of each frame.
    """

    points: Pose
    joints: Pose
    clips: list[str]
    clusters: list[str]

    @classmethod
    def of(cls, parts: Sequence[tuple[ClipInfo, Pose, Pose]]) -> Annotated:
        """Of clips, with the keypoints [T,K,3] and joints [T,J,3] of each."""
        clips = [clip for clip, points, _ in parts for _ in points]
        return cls(
            np.concatenate([points for _, points, _ in parts]),
            np.concatenate([joints for _, _, joints in parts]),
            [clip.id for clip in clips],
            [clip.group or clip.id for clip in clips],
        )


def check_task(task_data: TaskData) -> None:
    """Refuse a dataset without joints, or without training clips.

    Raises:
        Refused: says what it lacks.
    """
    if not task_data.task.info.n_joints:
        raise Refused(
            f"{task_data.ref.dataset} has no annotated joints to compare keypoints with.",
            fix="Take a dataset with joints, such as puppets.",
        )
    if "train" not in task_data.dataset.splits() or not task_data.dataset.clips("train"):
        raise Refused(f"{task_data.ref.dataset} has no training clips to fit joints on.")


def probe_detector(
    detector: LoadedDetector, task_data: TaskData, train_clips: int, report: Report
) -> dict[str, Any]:
    """All figures of a detector, as `--json` prints them; the same for any number of cores.

    Joints are read from keypoints by a linear map that is fitted on frames of training clips and
    tested on frames of test clips; how keypoints follow the picture is measured on the last given
    frames of the test clips, and jitter on the frames from there on.

    Args:
        train_clips: at most so many, evenly spaced among all.

    Raises:
        Refused: as `check_task`.
        MissingData: a clip has no joints.
        MethodFailed: the detector raised, or made no keypoints.
    """
    check_task(task_data)
    clips = sorted(task_data.dataset.clips("train"), key=lambda clip: clip.id)
    clips = [clips[k] for k in _spread(len(clips), min(train_clips, len(clips)))]
    train = Annotated.of(_read_train(detector, task_data, clips, report))
    size, items = task_data.task.spec.size, task_data.task.test
    paths, equivariance = _read_test(detector, task_data, items, report)
    some = _spread(1 + task_data.task.horizon, FRAMES)
    test = Annotated.of(
        [
            (item.clip, points[some], joints[some])
            for item, (points, joints) in zip(items, paths, strict=True)
        ]
    )
    try:
        regression, per_joint = _regression(train, test, task_data.task.info.joint_names, size)
    except ValueError as error:
        raise MissingData(f"{task_data.ref.dataset}: {error}") from error
    return {
        "schema": schema.DETECTOR_PROBE,
        "method": detector.name,
        "component": detector.component,
        "stages": list(detector.stages),
        "task": {
            "id": task_data.task.id,
            "dataset": task_data.ref.dataset,
            "size": size,
            "limit": task_data.ref.limit,
            "split_hash": task_data.task.split_hash,
            "data_hash": task_data.task.data_hash,
        },
        "n_keypoints": int(train.points.shape[1]),
        "n_joints": int(train.joints.shape[1]),
        "train": {"clips": len(clips), "frames": len(train.clips)},
        "test": {"clips": len({i.clip.id for i in items}), "frames": len(test.clips)},
        "regression": regression,
        "per_joint": per_joint,
        "equivariance": equivariance,
        "jitter": _jitter(paths, size),
    }


Paths = list[tuple[Pose, Pose]]
"""Keypoints [T,K,3] and joints [T,J,3] of the last given frame and the future of each item."""


def _read_train(
    detector: LoadedDetector, task_data: TaskData, clips: Sequence[ClipInfo], report: Report
) -> list[tuple[ClipInfo, Pose, Pose]]:
    read: list[tuple[ClipInfo, Pose, Pose]] = []
    for done, clip in enumerate(clips, 1):
        times = _spread(clip.frames, FRAMES)
        joints = _joints(task_data, clip, times)
        frames = task_data.clip_cache.whole(clip, times)
        read.append((clip, detector.detect(frames[None], joints[None])[0], joints))
        report(_progress("keypoints of training clips", done, len(clips)))
    return read


def _read_test(
    detector: LoadedDetector, task_data: TaskData, items: Sequence[Item], report: Report
) -> tuple[Paths, list[dict[str, Any]]]:
    """Paths of all items, and what warps of their first frames do to the keypoints."""
    size = task_data.task.spec.size
    warps = kp.warps(size)
    paths: Paths = []
    warped: list[list[Pose]] = [[] for _ in warps]
    for done, item in enumerate(items, 1):
        frames = np.concatenate([task_data.given(item)[-1:], task_data.targets(item)])
        joints = _joints(task_data, item.clip, [item.given[-1], *item.targets])
        paths.append((detector.detect(frames[None], joints[None])[0], joints))
        # One clip a warp, each of one frame: what was seen before must not help.
        images = np.stack([warp.images(frames[:1]) for warp in warps])
        poses = np.stack([warp.points(joints[:1], size) for warp in warps])
        for found, points in zip(warped, detector.detect(images, poses), strict=True):
            found.append(points[0])
        report(_progress("keypoints of test clips", done, len(items)))
    before = np.stack([points[0] for points, _ in paths])
    rows: list[dict[str, Any]] = []
    for warp, found in zip(warps, warped, strict=True):
        error, still = kp.equivariance(before, np.stack(found), warp, size)
        ratio = error / still if error is not None and still else None
        rows.append({"warp": warp.name, "error_px": error, "still_px": still, "ratio": ratio})
    return paths, rows


def _regression(
    train: Annotated, test: Annotated, names: Sequence[str], size: int
) -> tuple[list[dict[str, Any]], dict[str, float | None]]:
    """A row for each number of labelled frames, and PCK of each joint with all of them."""
    total = len(train.clips)
    rows: list[dict[str, Any]] = []
    for count in (*(n for n in LABELLED if n < total), total):
        draws = 1 if count == total else DRAWS
        kept = [kp.labelled_frames(train.clips, count, seed) for seed in range(draws)]
        rows.append(
            {
                "labelled": count,
                "draws": draws,
                **_mean_row([_read(train, test, k, size) for k in kept]),
            }
        )
    everything = np.arange(total)
    errors = _read(train, test, everything, size)
    rows[-1]["pck_ci95"] = pck_interval(errors, test)
    mean_pose = _read(train, test, everything, size, keypoints=False)
    rows.append({"labelled": total, "draws": 1, "mean_pose": True, **_mean_row([mean_pose])})
    hits = errors.hits(MAIN)
    return rows, {name: kp.mean_of(hits[:, j]) for j, name in enumerate(names)}


def _read(
    train: Annotated, test: Annotated, kept: Any, size: int, *, keypoints: bool = True
) -> kp.JointErrors:
    """Errors of joints that are read from keypoints, or of their mean."""
    end = None if keypoints else 0
    readout = kp.fit_readout(train.points[kept, :end], train.joints[kept])
    return kp.joint_errors(readout(test.points[:, :end]), test.joints, size)


def _mean_row(draws: Sequence[kp.JointErrors]) -> dict[str, Any]:
    """Mean figures of several read-outs."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return sum(known) / len(known) if len(known) == len(values) else None

    return {
        "error_px": mean([kp.mean_of(e.pixels) for e in draws]),
        "error": mean([kp.mean_of(e.parts) for e in draws]),
        "pck": {f"{part:g}": mean([e.pck(part) for e in draws]) for part in kp.PARTS},
    }


def pck_interval(errors: kp.JointErrors, test: Annotated) -> list[float] | None:
    """95 % interval of PCK, by the bootstrap over clips, all joints of a clip together.

    Every visible joint counts once, as in PCK itself: a clip has the weight of its joints. None
    with few clips.
    """
    hits = errors.hits(MAIN)
    seen = ~np.isnan(hits)
    clusters = [test.clusters[k] for k in np.nonzero(seen)[0]]
    interval, _ = clip_interval(hits[seen].tolist(), clusters)
    return None if interval.low is None or interval.high is None else [interval.low, interval.high]


def _jitter(paths: Paths, size: int) -> Mapping[str, float | None]:
    """Second and first differences of keypoints and of joints, in pixels a frame."""
    points, joints = ([pair[k] for pair in paths] for k in (0, 1))
    own, true = kp.steps(points, size, 2), kp.steps(joints, size, 2)
    return {
        "keypoints_px": own,
        "joints_px": true,
        "ratio": own / true if own is not None and true else None,
        "keypoint_speed_px": kp.steps(points, size, 1),
        "joint_speed_px": kp.steps(joints, size, 1),
    }


def _joints(task_data: TaskData, clip: ClipInfo, times: Sequence[int]) -> Pose:
    joints = task_data.clip_cache.pose(clip, times)
    if joints is None:
        raise MissingData(f"the clip {clip.id!r} has no joints.")
    return joints


def _spread(length: int, count: int) -> list[int]:
    """At most `count` numbers below `length`, evenly spaced, the first and the last among them."""
    if count < 2:
        return [0]
    return sorted({round(k * (length - 1) / (count - 1)) for k in range(count)})


def _progress(what: str, done: int, total: int) -> dict[str, Any]:
    return {"event": "progress", "what": what, "done": done, "total": total}
