"""Converts clips to the task's size once, in several processes, before anything needs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from vpbench.api.errors import Unwritable, VpbenchError
from vpbench.api.types import ClipInfo
from vpbench.core.files import make_folder
from vpbench.core.progress import Report
from vpbench.core.provenance import cores
from vpbench.harness.inputs.clip_cache import ClipCache
from vpbench.harness.inputs.task_data import TaskData, training_clips

FEW = 8
"""Clips that are converted in this process: starting others would cost more than it saves."""
_CHUNK = 4


@dataclass(frozen=True)
class Piece:
    """What is to be converted: some windows of a clip, or () for the whole of it."""

    clip: ClipInfo
    windows: tuple[tuple[int, ...], ...] = ()


def convert_clips(
    task_data: TaskData, splits: Iterable[str], workers: int | None, report: Report
) -> None:
    """Fill the cache: training and validation clips whole, test clips their windows.

    Args:
        splits: which of train, val and test.
        workers: processes; None is one a free core.

    Raises:
        Unwritable: the disk has no room for it; nothing is converted.
        BadData: a clip cannot be read; names the file.
    """
    todo = pieces(task_data, splits)
    if not todo:
        return
    _check_space(task_data.clip_cache, todo)
    name, total = task_data.task.dataset, len(todo)
    for done, _ in enumerate(_all(task_data.clip_cache, todo, workers or cores()), 1):
        report(
            {"event": "progress", "what": "convert", "method": name, "done": done, "total": total}
        )


def pieces(task_data: TaskData, splits: Iterable[str]) -> list[Piece]:
    """What is not in the cache yet."""
    clip_cache, wanted = task_data.clip_cache, set(splits)
    found = [
        Piece(clip)
        for split, clips in training_clips(task_data).items()
        if split in wanted
        for clip in clips
        if clip.sha256 and not clip_cache.converted(clip)
    ]
    if "test" in wanted:
        for item in task_data.task.test:
            windows = (item.given, item.targets)
            missing = tuple(w for w in windows if not clip_cache.converted(item.clip, w))
            if missing and item.clip.sha256:
                found.append(Piece(item.clip, missing))
    return found


def convert(clip_cache: ClipCache, piece: Piece) -> None:
    """Convert one piece."""
    if not piece.windows:
        clip_cache.whole(piece.clip, [0])
    for window in piece.windows:
        clip_cache.window(piece.clip, window)


def _all(clip_cache: ClipCache, todo: Sequence[Piece], workers: int) -> Iterator[None]:
    if workers == 1 or len(todo) <= FEW:
        for piece in todo:
            yield convert(clip_cache, piece)
        return
    workers = min(workers, -(-len(todo) // _CHUNK))
    try:
        with ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=_begin, initargs=(clip_cache,)
        ) as pool:
            for failure in pool.map(_work, todo, chunksize=_CHUNK):
                if failure is not None:
                    pool.shutdown(cancel_futures=True)
                    raise failure
                yield
    except BrokenProcessPool as error:
        raise VpbenchError(
            "a process that converts clips was ended from outside, perhaps for lack of memory.",
            fix="Try again with --workers 1.",
        ) from error


_store: list[ClipCache] = []
"""In a worker process: the clip_cache that it was started with."""


def _begin(clip_cache: ClipCache) -> None:
    _store[:] = [clip_cache]


def _work(piece: Piece) -> VpbenchError | None:
    """Errors are handed back: not all of them survive a pickle on their way through a pool."""
    try:
        convert(_store[0], piece)
    except VpbenchError as error:
        kind = type(error)
        try:
            return kind(error.message, fix=error.fix)
        except TypeError:
            return VpbenchError(str(error))
    return None


def _check_space(clip_cache: ClipCache, todo: Sequence[Piece]) -> None:
    needed = sum(_bytes(clip_cache, piece) for piece in todo)
    free = shutil.disk_usage(make_folder(clip_cache.folder)).free
    if needed > free:
        raise Unwritable(
            f"{clip_cache.folder} has {free / 2**30:.1f} GiB free; the converted clips need "
            f"{needed / 2**30:.1f} GiB.",
            fix="Free space, or name another cache with VPBENCH_HOME.",
        )


def _bytes(clip_cache: ClipCache, piece: Piece) -> int:
    whole = clip_cache.size_of(piece.clip)
    if not piece.windows:
        return whole
    return whole * sum(len(w) for w in piece.windows) // max(1, piece.clip.frames)
