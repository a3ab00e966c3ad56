"""Converts clips to the task's size once, in several processes, before anything needs them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import Unwritable, VpbenchError
from vpbench.api.types import ClipInfo
from vpbench.core.files import make_folder
from vpbench.core.pools import in_processes
from vpbench.core.progress import Report
from vpbench.core.provenance import cores
from vpbench.harness.inputs.clip_cache import ClipCache
from vpbench.harness.inputs.task_data import TaskData, training_clips

SERIAL_LIMIT = 8
"""Clips that are converted in this process: starting others would cost more than it saves."""
_CHUNK = 4
"""Clips that a process takes at a time."""


@dataclass(frozen=True)
class Piece:
    """What is to be converted: some windows of a clip, or () for the whole of it."""

    clip: ClipInfo
    windows: tuple[tuple[int, ...], ...] = ()


def preprocess_clips(
    task_data: TaskData,
    splits: Iterable[str],
    workers: int | None,
    report: Report,
    *,
    check: bool = False,
) -> None:
    """Fill the cache: training and validation clips whole, test clips their windows.

    Args:
        splits: which of train, val and test.
        workers: processes; None is one a free core.
        check: hash all that was converted before, and convert what is damaged again. Without it
            test clips are checked, the others when they are first read.

    Raises:
        Unwritable: the disk has no room for it; nothing is converted.
        BadData: a clip cannot be read; names the file.
    """
    wanted = set(splits)
    for path in _damaged(task_data, wanted if check else wanted & {"test"}):
        path.unlink(missing_ok=True)
        text = f"{path} in the cache was damaged; it is made again from its clip."
        report({"event": "note", "text": text})
    todo = pieces(task_data, wanted)
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
    clip_cache, todo = task_data.clip_cache, list[Piece]()
    for piece in _needed(task_data, set(splits)):
        if not piece.windows:
            if not clip_cache.converted(piece.clip):
                todo.append(piece)
            continue
        missing = tuple(w for w in piece.windows if not clip_cache.converted(piece.clip, w))
        if missing:
            todo.append(Piece(piece.clip, missing))
    return todo


def preprocess_piece(clip_cache: ClipCache, piece: Piece) -> None:
    """Convert one piece."""
    if not piece.windows:
        clip_cache.whole(piece.clip, [0])
    for window in piece.windows:
        clip_cache.window(piece.clip, window)


def _needed(task_data: TaskData, splits: set[str]) -> Iterator[Piece]:
    """All that the clips of some splits need in the cache."""
    for split, clips in training_clips(task_data).items():
        if split in splits:
            yield from (Piece(clip) for clip in clips if clip.sha256)
    if "test" in splits:
        for item in task_data.task.test:
            if item.clip.sha256:
                yield Piece(item.clip, (item.given, item.targets))


def _damaged(task_data: TaskData, splits: set[str]) -> list[Path]:
    damaged: dict[Path, None] = {}
    for piece in _needed(task_data, splits):
        for window in piece.windows or (None,):
            damaged.update(dict.fromkeys(task_data.clip_cache.damaged(piece.clip, window)))
    return list(damaged)


def _all(clip_cache: ClipCache, todo: Sequence[Piece], workers: int) -> Iterator[None]:
    if workers == 1 or len(todo) <= SERIAL_LIMIT:
        for piece in todo:
            yield preprocess_piece(clip_cache, piece)
        return
    workers = min(workers, -(-len(todo) // _CHUNK))
    for failure in in_processes(
        _work, todo, workers, "converts clips", chunk=_CHUNK, begin=_begin, arguments=(clip_cache,)
    ):
        if failure is not None:
            raise failure
        yield


_worker_cache: list[ClipCache] = []
"""In a worker process: the clip cache that it was started with."""


def _begin(clip_cache: ClipCache) -> None:
    _worker_cache[:] = [clip_cache]


def _work(piece: Piece) -> VpbenchError | None:
    """Errors are given back: not all of them survive a pickle on their way through a pool."""
    try:
        preprocess_piece(_worker_cache[0], piece)
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
