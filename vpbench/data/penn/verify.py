"""All problems that a copy of Penn Action can have, listed at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vpbench.api.errors import Missing, VpbenchError
from vpbench.api.types import Problem
from vpbench.data import duplicates
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.scan import OnProgress
from vpbench.data.penn import layout
from vpbench.data.penn.frames import AGAIN, check_frames, sized
from vpbench.data.penn.labels import ACTIONS, FRAMES, SPELLED, VIDEOS, read_annotation
from vpbench.data.splits import Split, load

_THREADS = 4


def verify_archive(where: Path | None, report: OnProgress) -> list[Problem]:
    """Problems of frames, annotations and split, and test videos that look like training videos."""
    try:
        root = layout.frames_root(where)
        split = layout.own_split(root) or load("penn")
    except VpbenchError as error:
        return [Problem("error", str(where or ""), error.message, error.fix or "")]
    findings = Findings(root, "penn")
    videos = _videos(split)
    for line in layout.split_warnings("penn", split):
        findings.warning(root / "train_set.txt", line, "Remove both to use the published split.")
    lengths = check_labels(root / "labels", split, findings, videos)
    looks = _check_frames(root, videos, lengths, findings, report)
    whole = split.sha256() == load("penn").sha256()
    if whole and not findings.problems() and sum(lengths.values()) != FRAMES:
        findings.bad(
            root, f"{root} has {sum(lengths.values())} frames, Penn Action {FRAMES}.", AGAIN
        )
    train, test = (
        {v: looks[v] for v in split.of(role) if v in looks} for role in ("train", "test")
    )
    alike = duplicates.near_duplicates(train, test)
    return [*findings.problems(), *duplicates.problems(alike)]


def _videos(split: Split) -> list[str]:
    """All 2326 where the split is the published one, else those of the split."""
    if split.sha256() == load("penn").sha256():
        return [f"{k:04d}" for k in range(1, VIDEOS + 1)]
    return sorted(split.roles)


def check_labels(
    folder: Path, split: Split, findings: Findings, videos: Iterable[str]
) -> dict[str, int]:
    """Read the annotations of all videos; what is wrong goes to `findings`.

    Returns:
        Number of frames of each video whose annotation can be read.
    """
    lengths: dict[str, int] = {}
    actions: Counter[str] = Counter()
    gone: list[str] = []
    for video in videos:
        path = folder / f"{video}.mat"
        try:
            annotation = read_annotation(path)
        except Missing:
            gone.append(video)
            continue
        except VpbenchError as error:
            findings.error(path, error)
            continue
        lengths[video] = annotation.frames
        actions[annotation.action] += 1
        action = SPELLED.get(annotation.action, annotation.action)
        if video in split.roles and action != split.classes[split.labels[video]]:
            listed = split.classes[split.labels[video]]
            findings.bad(
                path, f"{path} has the action {annotation.action}, the split {listed}.", AGAIN
            )
    if gone:
        findings.bad(
            folder,
            f"{folder} has no {gone[0]}.mat" + _more(len(gone) - 1) + ".",
            "Extract the folder labels of Penn_Action.tar.gz again.",
        )
    if sum(actions.values()) == VIDEOS:
        for action, (first, last) in ACTIONS.items():
            if actions[action] != last - first + 1:
                findings.bad(
                    folder,
                    f"{folder} holds {actions[action]} videos of {action}, Penn Action "
                    f"{last - first + 1}.",
                    AGAIN,
                )
    return lengths


def _more(count: int) -> str:
    return f", and {count} more of them are missing" if count else ""


@dataclass(frozen=True)
class _Looked:
    """What decoding a video gave: its descriptor, or what is wrong."""

    views: duplicates.Views | None
    error: VpbenchError | None = None


def _check_frames(
    root: Path, videos: list[str], lengths: dict[str, int], findings: Findings, report: OnProgress
) -> dict[str, duplicates.Views]:
    there = [v for v in videos if layout.clip_folder(root, v).is_dir()]
    if len(there) < len(videos):
        gone = next(v for v in videos if v not in set(there))
        findings.bad(
            root / "frames",
            f"{root / 'frames'} has {len(there)} of {len(videos)} videos; the first that is "
            f"missing is {gone}.",
            AGAIN,
        )
    todo = [v for v in there if v in lengths]
    looks: dict[str, duplicates.Views] = {}
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        try:
            results = pool.map(lambda v: _look(root, v), todo)
            for number, (video, looked) in enumerate(zip(todo, results, strict=True), 1):
                report(number, len(todo))
                if looked.error is not None:
                    findings.error(layout.clip_folder(root, video), looked.error)
                elif looked.views is not None:
                    looks[video] = looked.views
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for all
            raise
    return looks


def _look(root: Path, video: str) -> _Looked:
    """Decode all frames of a video."""
    folder = layout.clip_folder(root, video)
    try:
        annotation = read_annotation(root / "labels" / f"{video}.mat")
        check_frames(folder, annotation)
        wanted = set(duplicates.chosen(annotation.frames))
        kept = [
            frame
            for k, path in enumerate(layout.frame_files(folder, annotation.frames))
            if (frame := sized(path, annotation.height, annotation.width)) is not None
            and k in wanted
        ]
        return _Looked(duplicates.views(np.stack(kept)))
    except VpbenchError as error:
        return _Looked(None, error)
