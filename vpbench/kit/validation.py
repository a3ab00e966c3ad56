"""Validation clips as a task cuts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

from vpbench.api import BadData, Batch, Clip, KeypointView, TaskInfo, TrainView


class _Indexed(Protocol):
    """A batch that says which clips it holds."""

    @property
    def index(self) -> Any:
        """int64 [B]."""
        ...


B = TypeVar("B", bound=_Indexed)


def task_window(task: TaskInfo) -> Clip:
    """All given and all target frames, as the task cuts a test clip."""
    return Clip(task.n_max + task.horizon, "task", "task")


def each_once(batches: Iterable[B], most: int) -> Iterator[B]:
    """Batches of one clip, until the first clip comes again; at most `most`.

    None where no clip is long enough for the window that the batches were asked with.
    """
    seen: set[int] = set()
    try:
        for batch in batches:
            number = int(batch.index[0])
            if number in seen or len(seen) >= most:
                return
            seen.add(number)
            yield batch
    except BadData:  # no clip is long enough
        return


def validation_clips(data: TrainView | KeypointView, task: TaskInfo, most: int) -> Iterator[Batch]:
    """Each validation clip once, as the task cuts it, in batches of one; at most `most`.

    None where there are no validation clips, or none is long enough.
    """
    if data.len("val"):
        yield from each_once(data.batches("val", task_window(task), 1, stream="validation"), most)
