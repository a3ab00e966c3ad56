"""Pictures of a run to look at; never hashed, never needed."""

from __future__ import annotations

import numpy as np

from vpbench.api.types import Frames
from vpbench.core.files import make_folder
from vpbench.core.rundir import RunDir
from vpbench.core.tasks import Task
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard

MOST = 16
"""Classes that a preview shows."""
WITHOUT_CLASSES = 6
"""Clips that it shows of a task without classes."""


def previewed(task: Task) -> list[str]:
    """Ids of the test items that a preview shows: the first of each class."""
    if not task.has_label:
        return [item.id for item in task.test[:WITHOUT_CLASSES]]
    first: dict[int, str] = {}
    for item in task.test:
        if item.clip.label is not None:
            first.setdefault(item.clip.label, item.id)
    return [first[label] for label in sorted(first)][:MOST]


def write_preview(folder: RunDir, task_data: TaskData) -> None:
    """A contact sheet of one clip a class (real above predicted) and one GIF a clip.

    In the GIFs the real clip stands on the left.
    """
    from vpbench.media.encode import write_gif, write_png
    from vpbench.render.sheets import contact_sheet

    if (folder.preview / "grid.png").is_file():
        return
    task = task_data.task
    items = {item.id: item for item in task.test}
    chosen = previewed(task)
    fakes = _first_samples(folder, set(chosen))
    target = make_folder(folder.preview)
    rows: list[tuple[str, Frames]] = []
    given = task.spec.window.n_max
    for k, name in enumerate(name for name in chosen if name in fakes):
        before = task_data.given(items[name])
        real = np.concatenate([before, task_data.targets(items[name])])
        fake = np.concatenate([before, fakes[name]])
        label = items[name].clip.label
        title = name if label is None else f"{name} {task.info.class_names[label]}"
        rows += [(f"real {title}", real), ("predicted", fake)]
        write_gif(target / f"clip-{k}.gif", np.concatenate([real, fake], axis=2), 12)
    write_png(target / "grid.png", contact_sheet(rows, first=1 - given, given=given))


def _first_samples(folder: RunDir, wanted: set[str]) -> dict[str, Frames]:
    """Item id -> uint8 [T,H,W,3] of the wanted items."""
    frames: dict[str, Frames] = {}
    for row in folder.read_manifest()["shards"]:
        if wanted & set(row["items"]):
            shard = read_shard(folder, row)
            for k, name in enumerate(row["items"]):
                if name in wanted:
                    frames[name] = shard[k, 0]
    return frames
