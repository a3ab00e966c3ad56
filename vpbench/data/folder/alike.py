"""Test clips of a folder that look like training clips, for `vpbench data verify`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vpbench.api.errors import VpbenchError
from vpbench.api.types import ClipInfo, Frames, Problem
from vpbench.data import duplicates
from vpbench.data.folder.build import Contents
from vpbench.data.folder.scan import OnProgress
from vpbench.media import decode
from vpbench.media.kinds import Reading
from vpbench.media.resize import resize

_THREADS = 4


def alike(root: Path, contents: Contents, reading: Reading, report: OnProgress) -> list[Problem]:
    """A warning for each test clip of which some training clip has a frame, mirrored or not.

    Copies of the same bytes are left to the check that knows them by their hash; a clip that cannot
    be read any more is left out.
    """
    train, test = (contents.clips.get(part, ()) for part in ("train", "test"))
    if not train or not test:
        return []
    clips = [*train, *test]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        all_views: list[duplicates.Views | None] = []
        for views in pool.map(lambda clip: _views(root, contents, reading, clip), clips):
            all_views.append(views)
            report(len(all_views), len(clips))
    looks = {clip.id: own for clip, own in zip(clips, all_views, strict=True) if own is not None}
    pairs = duplicates.near_duplicates(_of(train, looks), _of(test, looks))
    content = {clip.id: clip.sha256 for clip in clips}
    return duplicates.problems([p for p in pairs if content[p.test] != content[p.train]])


def _of(
    clips: Sequence[ClipInfo], looks: dict[str, duplicates.Views]
) -> dict[str, duplicates.Views]:
    return {clip.id: looks[clip.id] for clip in clips if clip.id in looks}


def _views(
    root: Path, contents: Contents, reading: Reading, clip: ClipInfo
) -> duplicates.Views | None:
    source = contents.sources[clip.id]
    try:
        frames = decode.read(
            root / source.rel, duplicates.chosen(clip.frames), source.reading(reading), _small
        )
    except VpbenchError:
        return None
    return duplicates.views(frames)


def _small(frame: Frames) -> Frames:
    """One frame as small as it is compared, so that a film of many pixels fits into memory."""
    return resize(frame, duplicates.GRID, duplicates.GRID)
