"""References that show real videos: the true one, other ones, the nearest, a random one.

They are part of the harness and are bound to the task's training clips; a plugin never is.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Conditioning, Frames, Seeds, TaskInfo
from vpbench.core.tasks import Item

if TYPE_CHECKING:
    from vpbench.harness.inputs.task_data import TaskData

_CHUNK = 128


class Real:
    """The true future itself."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task = task

    def predict(self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        shape = (len(future), seeds.shape[1], *future.shape[1:])
        return np.ascontiguousarray(np.broadcast_to(future[:, None], shape))


class RealShuffled(Real):
    """The frames of the true future, each once, in an order drawn from the clip's seed.

    A metric that tells it from `real` sees motion; one that does not sees frames.
    """

    def predict(self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        orders = [[permutation(int(seed), future.shape[1]) for seed in row] for row in seeds]
        clips = zip(future, orders, strict=True)
        return np.stack([np.stack([clip[order] for order in rows]) for clip, rows in clips])


def permutation(seed: int, count: int) -> npt.NDArray[np.intp]:
    """0 .. count-1 in a random order, from raw bits, which no release of numpy changes."""
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


class _Retrieval:
    """Shows the future of training clips."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task = task

    def bind(self, task_data: TaskData) -> None:
        """Give it the training clips."""
        self.task_data = task_data
        self.train = task_data.task.items["train"]

    def _futures(self, items: Sequence[Sequence[Item]]) -> Frames:
        return np.stack([np.stack([self.task_data.targets(i) for i in row]) for row in items])


def _order(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda i: hashlib.sha256(f"other\x1f{i.id}".encode()).hexdigest())


class RealOther(_Retrieval):
    """A different real clip for every test clip, of the same class where there are classes.

    Clips are used once before any is used again.
    """

    def bind(self, task_data: TaskData) -> None:
        """Pair every test clip with a training clip."""
        super().bind(task_data)
        pools: dict[int | None, list[Item]] = defaultdict(list)
        for item in _order(self.train):
            pools[item.clip.label].append(item)
        everything = _order(self.train)
        taken: dict[int | None, int] = defaultdict(int)
        self.partner: dict[str, Item] = {}
        for item in _order(task_data.task.test):
            label = item.clip.label
            pool = pools[label] or everything
            self.partner[task_data.opaque(item.id)] = pool[taken[label] % len(pool)]
            taken[label] += 1

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        return self._futures([[self.partner[c]] * seeds.shape[1] for c in given.clip])


class ClassRandom(_Retrieval):
    """A random training clip of the given class."""

    def bind(self, task_data: TaskData) -> None:
        """Sort the training clips by class."""
        super().bind(task_data)
        self.pools: dict[int | None, list[Item]] = defaultdict(list)
        for item in self.train:
            self.pools[item.clip.label].append(item)

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        assert given.label is not None  # its capabilities require a label
        rows: list[list[Item]] = []
        for label, row in zip(given.label, seeds, strict=True):
            pool = self.pools[int(label)] or list(self.train)
            rows.append([pool[int(seed) % len(pool)] for seed in row])
        return self._futures(rows)


class NearestTrain(_Retrieval):
    """The training clip whose frame at t0 is nearest in squared pixel differences; ties by id."""

    def bind(self, task_data: TaskData) -> None:
        """Read frame t0 of every training clip."""
        super().bind(task_data)
        self.frames = np.stack([task_data.given(i)[-1].reshape(-1) for i in self.train])

    def _distances(self, wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Squared differences [B,N]; sums of integers below 2**53, exact in any order."""
        own = (wanted**2).sum(1)[:, None]
        parts: list[npt.NDArray[np.float64]] = []
        for start in range(0, len(self.frames), _CHUNK):
            chunk = self.frames[start : start + _CHUNK].astype(np.float64)
            parts.append(own + (chunk**2).sum(1)[None] - 2 * wanted @ chunk.T)
        return np.concatenate(parts, 1)

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        wanted = given.frames[:, -1].reshape(len(given), -1).astype(np.float64)
        nearest = self._distances(wanted).argmin(1)  # the first of equals; items are in id order
        return self._futures([[self.train[k]] * seeds.shape[1] for k in nearest])
