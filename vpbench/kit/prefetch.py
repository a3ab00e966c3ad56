"""Batches made in a background thread while the network computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar, cast

from vpbench.api import UsageError

T = TypeVar("T")

_LOOK = 0.1
"""How often a waiting thread looks whether it is to stop, seconds."""


class Prefetch(Generic[T]):
    """An iterator over `source` whose next items are made ahead, in one thread.

    The items, their order and their end are those of `source`; what it raises is raised at the
    item where it would have been. It is a context manager; `close` ends the thread (it waits for
    the item that is being made) and closes `source`, as does dropping the last reference.

        with Prefetch(data.batches("train", Pair(1, 8), 16, start_step=done)) as batches:
            for batch in batches: ...

    `source` must not use the global generators of torch, NumPy or `random`, which the training
    uses at the same time; `TrainView.batches` does not.

    Args:
        source: iterated in the thread only.
        ahead: so many items are kept ready.

    Raises:
        UsageError: `ahead` is below 1.
    """

    def __init__(self, source: Iterable[T], ahead: int = 2) -> None:
        if ahead < 1:
            raise UsageError(f"ahead={ahead} must be at least 1.")
        self._ready: queue.Queue[_Item] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._ended = False
        # the thread holds no reference to self, so that dropping self ends it
        work = (iter(source), self._ready, self._stop)
        self._thread = threading.Thread(target=_make, args=work, daemon=True, name="prefetch")
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        item = self._ready.get()
        if item.kind == "item":
            return cast("T", item.value)
        self.close()
        if item.kind == "error":
            raise cast("BaseException", item.value)
        raise StopIteration

    def close(self) -> None:
        """End the thread; the iterator is at its end afterwards."""
        self._ended = True
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_stop"):
            self._stop.set()


class _Item:
    """What the thread hands over: an item, the end, or what `source` raised."""

    def __init__(self, kind: str, value: object = None) -> None:
        self.kind, self.value = kind, value


def _make(source: Iterator[object], ready: queue.Queue[_Item], stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            item = _next(source)
            if not _put(item, ready, stop) or item.kind != "item":
                return
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()


def _next(source: Iterator[object]) -> _Item:
    try:
        return _Item("item", next(source))
    except StopIteration:
        return _Item("end")
    except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
        return _Item("error", error)


def _put(item: _Item, ready: queue.Queue[_Item], stop: threading.Event) -> bool:
    """Wait for room; False once the consumer has gone."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=_LOOK)
            return True
        except queue.Full:
            continue
    return False
