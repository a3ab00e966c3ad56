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
from vpbench.core.provenance import cores
from vpbench.harness.bench import Bench
from vpbench.harness.events import Emit
from vpbench.harness.fit import training_clips
from vpbench.harness.store import ClipStore

FEW = 8
"""Clips that are converted in this process: starting others would cost more than it saves."""
_CHUNK = 4


@dataclass(frozen=True)
class Piece:
    """What is to be converted: some windows of a clip, or () for the whole of it."""

    clip: ClipInfo
    windows: tuple[tuple[int, ...], ...] = ()


def convert_clips(bench: Bench, splits: Iterable[str], workers: int | None, emit: Emit) -> None:
    """Fill the cache: training and validation clips whole, test clips their windows.

    Args:
        splits: which of train, val and test.
        workers: processes; None is one a free core.

    Raises:
        Unwritable: the disk has no room for it; nothing is converted.
        BadData: a clip cannot be read; names the file.
    """
    todo = pieces(bench, splits)
    if not todo:
        return
    _check_space(bench.store, todo)
    name, total = bench.task.dataset, len(todo)
    for done, _ in enumerate(_all(bench.store, todo, workers or cores()), 1):
        emit({"event": "progress", "what": "convert", "method": name, "done": done, "total": total})


def pieces(bench: Bench, splits: Iterable[str]) -> list[Piece]:
    """What is not in the cache yet."""
    store, wanted = bench.store, set(splits)
    found = [
        Piece(clip)
        for split, clips in training_clips(bench).items()
        if split in wanted
        for clip in clips
        if clip.sha256 and not store.converted(clip)
    ]
    if "test" in wanted:
        for item in bench.task.test:
            windows = (item.given, item.targets)
            missing = tuple(w for w in windows if not store.converted(item.clip, w))
            if missing and item.clip.sha256:
                found.append(Piece(item.clip, missing))
    return found


def convert(store: ClipStore, piece: Piece) -> None:
    """Convert one piece."""
    if not piece.windows:
        store.whole(piece.clip, [0])
    for window in piece.windows:
        store.window(piece.clip, window)


def _all(store: ClipStore, todo: Sequence[Piece], workers: int) -> Iterator[None]:
    if workers == 1 or len(todo) <= FEW:
        for piece in todo:
            yield convert(store, piece)
        return
    workers = min(workers, -(-len(todo) // _CHUNK))
    try:
        with ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=_begin, initargs=(store,)
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


_store: list[ClipStore] = []
"""In a worker process: the store that it was started with."""


def _begin(store: ClipStore) -> None:
    _store[:] = [store]


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


def _check_space(store: ClipStore, todo: Sequence[Piece]) -> None:
    needed = sum(_bytes(store, piece) for piece in todo)
    free = shutil.disk_usage(make_folder(store.folder)).free
    if needed > free:
        raise Unwritable(
            f"{store.folder} has {free / 2**30:.1f} GiB free; the converted clips need "
            f"{needed / 2**30:.1f} GiB.",
            fix="Free space, or name another cache with VPBENCH_HOME.",
        )


def _bytes(store: ClipStore, piece: Piece) -> int:
    whole = store.size_of(piece.clip)
    if not piece.windows:
        return whole
    return whole * sum(len(w) for w in piece.windows) // max(1, piece.clip.frames)
