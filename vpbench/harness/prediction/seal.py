"""The leak probe: does a method's prediction depend on the future that it must not see?

Some test clips are written to a folder of their own; the method predicts; then the futures in those
files are replaced by noise, in place, and it predicts again. Only the predictions of a
method that reads the files, or the harness's memory, can change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vpbench.api.errors import Refused
from vpbench.api.types import Frames
from vpbench.core.files import make_folder, write_bytes
from vpbench.core.options import TaskRef
from vpbench.core.plan import RunPlan
from vpbench.core.registry import Registry
from vpbench.core.seeding import seed_of
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import BATCH, TaskData, open_task_data
from vpbench.harness.prediction.loaded import load_method
from vpbench.harness.prediction.shards import predict_items


@dataclass(frozen=True)
class LeakReport:
    """Result of the probe.

    Attributes:
        clips: ids of clips whose predictions changed with the future.
        exempt: the method is an oracle, which may look.
    """

    method: str
    clips: tuple[str, ...]
    exempt: bool

    @property
    def leaks(self) -> bool:
        """Whether the method depends on what it must not see."""
        return bool(self.clips) and not self.exempt


def leak_probe(run: RunPlan, task_data: TaskData, registry: Registry, scratch: Path) -> LeakReport:
    """Predict the same clips twice, with their true futures and with noise in their place.

    Args:
        run: a planned run whose stages are trained.
        scratch: an empty folder; the clips lie in `scratch/clips`, where a method that looks for
            files would find them.

    Raises:
        MethodFailed: the method raised.
    """
    items = task_data.task.test[:BATCH]
    true = [np.concatenate([task_data.given(i), task_data.targets(i)]) for i in items]
    noisy = [_noised(frames, len(i.given), i.id) for frames, i in zip(true, items, strict=True)]
    first, second = (
        _predict(
            run,
            task_data,
            registry,
            _probe_task_data(run, task_data, registry, scratch, items, clips),
        )
        for clips in (true, noisy)
    )
    changed = tuple(
        item.id for item, a, b in zip(items, first, second, strict=True) if not np.array_equal(a, b)
    )
    return LeakReport(run.name, changed, run.method.capabilities.oracle)


def _noised(frames: Frames, given: int, name: str) -> Frames:
    out = frames.copy()
    rng = np.random.Generator(np.random.PCG64(seed_of("leak", name)))
    out[given:] = rng.integers(0, 256, out[given:].shape, np.uint8)
    return out


def _probe_task_data(
    run: RunPlan,
    task_data: TaskData,
    registry: Registry,
    scratch: Path,
    items: Sequence[Item],
    clips: Sequence[Frames],
) -> TaskData:
    """A folder task over the clips as they are now; labels stay the real ones."""
    from vpbench.core.paths import Paths
    from vpbench.harness.prediction.shards import pack

    folder = make_folder(scratch / "clips" / "test")
    for k, frames in enumerate(clips):
        write_bytes(folder / f"{k:05d}.npz", pack(frames))
    window = task_data.task.spec.window
    ref = TaskRef(
        dataset=f"folder:{scratch / 'clips'}[conditioning={window.n_max},horizon={window.horizon},"
        f"size={task_data.task.spec.size}]"
    )
    return open_task_data(ref, registry, Paths(scratch / "runs", scratch / "cache", True))


def _predict(run: RunPlan, task_data: TaskData, registry: Registry, probe: TaskData) -> Frames:
    """Predictions of the probe's clips, by the method as it was trained on the real task."""
    if run.method.spec.kind in ("floor", "reference"):
        raise Refused(f"{run.name} is part of the harness; the probe is for methods.")
    instance = load_method(run, task_data, registry, "cpu").instance
    named = _relabelled(probe, task_data)
    return predict_items(named.task.test, run.method, run.seed, run.samples, named, instance)


def _relabelled(probe: TaskData, task_data: TaskData) -> TaskData:
    """The probe's clips with the labels and the task description of the real ones."""
    from dataclasses import replace

    real = task_data.task.test
    items = tuple(
        replace(p, clip=replace(p.clip, label=r.clip.label))
        for p, r in zip(probe.task.test, real[: len(probe.task.test)], strict=True)
    )
    info = replace(
        probe.task.info,
        n_classes=task_data.task.info.n_classes,
        class_names=task_data.task.info.class_names,
    )
    task = replace(probe.task, items={**probe.task.items, "test": items}, info=info)
    return replace(probe, task=task)
