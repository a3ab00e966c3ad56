"""Work in several processes that stop when this one does."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from vpbench.api.errors import VpbenchError
from vpbench.core.children import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")


class ProcessKilled(VpbenchError):
    """The system has killed a process, most often for lack of memory."""

    exit_code = 1


def in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    what: str,
    *,
    chunk: int = 1,
    begin: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """`work(item)` of every item, in order, as the results come.

    When the caller stops early (an error, an interrupt) the processes are ended at once; when this
    process is killed they end by themselves.

    Args:
        work: a function of a module; what it raises must be picklable.
        what: what a process does, for the error: "renders clips".
        chunk: items that a process takes at a time.
        begin: called in every process first, with `arguments`.

    Raises:
        ProcessKilled: a process was killed.
    """
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(), begin, arguments),
    )
    with _no_interrupts():
        futures = deque(
            pool.submit(_work_on, work, items[k : k + chunk]) for k in range(0, len(items), chunk)
        )
    try:
        while futures:
            yield from futures.popleft().result()
    except BrokenProcessPool as error:
        raise ProcessKilled(
            f"a process that {what} was killed, perhaps for lack of memory.",
            fix="Try again with --workers 1.",
        ) from error
    finally:
        if futures:  # not cancelled: the pool cannot stand both that and the end of its processes
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
        pool.shutdown()


@contextmanager
def _no_interrupts() -> Generator[None]:
    """Hold interrupts back while processes are started.

    They inherit that, so that none of them is interrupted before it ignores interrupts.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work_on(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(item) for item in items]


def _begin(parent: int, begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    # An interrupt reaches all processes of a terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with_parent(parent)
    if begin is not None:
        begin(*arguments)
