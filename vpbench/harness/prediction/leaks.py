"""Does a finished prediction depend on futures that the method must not see?

One shard is predicted again by a new instance, where the harness knows no future of any test
clip: in memory and in the cache noise stands in its place. A method that looks at the harness or at
the cache by path predicts something else then.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.protocols import Dataset
from vpbench.api.types import ClipInfo, Frames
from vpbench.core import schema
from vpbench.core.lock import lock_or_wait
from vpbench.core.plan import RunPlan
from vpbench.core.registry import Registry
from vpbench.core.rundir import read_sealed, write_sealed
from vpbench.core.seeding import seed_of
from vpbench.harness.inputs.clip_cache import ClipCache
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.loaded import load_method
from vpbench.harness.prediction.manifest import read_shard_record
from vpbench.harness.prediction.probe import MEAN_TOLERANCE
from vpbench.harness.prediction.shards import predict_items, read_array, shards


@dataclass(frozen=True)
class LeakAnswer:
    """What predicting one shard again without the futures gave.

    Attributes:
        clips: ids of clips whose prediction depends on their future.
        reproducible: whether predicting again, with the futures, gives the same.
    """

    clips: tuple[str, ...]
    reproducible: bool = True


def leak_answer(
    run: RunPlan, task_data: TaskData, registry: Registry, device: str, cache: Path
) -> LeakAnswer:
    """The answer of the probe, which is made once for a run; of several processes one makes it.

    Raises:
        MethodFailed, HashMismatch: as `probe_leaks`.
    """
    path = run.folder.path / "leaks.json"
    lock = lock_or_wait(path.with_suffix(".lock"), path.is_file)
    if lock is not None:
        with lock, tempfile.TemporaryDirectory(prefix="vpbench-leaks-") as scratch:
            made = probe_leaks(run, task_data, registry, device, cache, Path(scratch))
            fields = {"schema": schema.LEAKS, "run": run.key, **asdict(made)}
            write_sealed(path, fields, lock.check)
    stored = read_sealed(path, schema.LEAKS)
    return LeakAnswer(tuple(stored["clips"]), stored["reproducible"])


def probe_leaks(
    run: RunPlan, task_data: TaskData, registry: Registry, device: str, cache: Path, scratch: Path
) -> LeakAnswer:
    """Compare the first shard of a run with one that is predicted without the futures.

    Args:
        cache: the user's; the method finds one in `scratch` in its place.
        scratch: an empty folder.

    Raises:
        MethodFailed: the method raised.
        HashMismatch: the stored shard is not what was written.
    """
    shard = shards(task_data.task)[0]
    read_shard_record(run, shard)
    stored = read_array(run.folder.shard(shard.index))

    def changed(blind: TaskData) -> tuple[str, ...]:
        instance = load_method(run, blind, registry, device).instance
        frames = predict_items(shard.items, run.method, run.seed, run.samples, blind, instance)
        pairs = zip(shard.items, stored, frames, strict=True)
        return tuple(item.id for item, a, b in pairs if _differ(a, b, device))

    with _cache_without_clips(cache, scratch):
        blind = without_futures(task_data, scratch)
        for item in shard.items:
            blind.targets(item)  # where the true ones would lie in the cache
        clips = changed(blind)
    if clips and changed(task_data):
        return LeakAnswer((), reproducible=False)
    return LeakAnswer(clips)


def _differ(stored: Frames, again: Frames, device: str) -> bool:
    """Whether two predictions differ; on a GPU by more than rounding."""
    if device == "cpu":
        return not np.array_equal(stored, again)
    difference = np.abs(stored.astype(np.int16) - again.astype(np.int16))
    return float(difference.mean(dtype=np.float64)) > MEAN_TOLERANCE


def without_futures(task_data: TaskData, scratch: Path) -> TaskData:
    """The same task over clips that are noise wherever no method is given them.

    Args:
        scratch: where clips are cached.
    """
    given: dict[str, set[int]] = {}
    for item in task_data.task.test:
        given.setdefault(item.clip.id, set()).update(item.given)
    dataset: Any = _Blinded(task_data.dataset, given)
    return replace(
        task_data,
        dataset=dataset,
        clip_cache=ClipCache(dataset, task_data.clip_cache.geometry, scratch),
    )


class _Blinded:
    """A dataset whose test clips are noise but for the given frames."""

    def __init__(self, dataset: Dataset, given: dict[str, set[int]]) -> None:
        self._dataset, self._given = dataset, given

    def __getattr__(self, name: str) -> Any:
        if name == "read_each":  # frames go through `read` and no other way
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3]; noise where the clip's future would be."""
        frames = np.array(self._dataset.read(clip, indices))
        kept = self._given.get(clip.id)
        for k, index in enumerate(indices):
            if kept is not None and index not in kept:
                rng = np.random.Generator(np.random.PCG64(seed_of("leak", clip.id, index)))
                frames[k] = rng.integers(0, 256, frames[k].shape, np.uint8)
        return frames


@contextmanager
def _cache_without_clips(cache: Path, scratch: Path) -> Generator[None]:
    """VPBENCH_HOME leads to a folder with all of the cache but clips."""
    scratch.mkdir(parents=True, exist_ok=True)
    for entry in cache.iterdir() if cache.is_dir() else ():
        if entry.name not in ("clips", "salt"):
            (scratch / entry.name).symlink_to(entry)
    before = os.environ.get("VPBENCH_HOME")
    os.environ["VPBENCH_HOME"] = str(scratch)
    try:
        yield
    finally:
        if before is None:
            del os.environ["VPBENCH_HOME"]
        else:
            os.environ["VPBENCH_HOME"] = before
