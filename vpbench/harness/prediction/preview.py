"""Pictures of a run to look at; never hashed, never needed."""

from __future__ import annotations

import numpy as np

from vpbench.api.types import Frames
from vpbench.core.files import make_folder
from vpbench.core.rundir import RunDir
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard

ROWS = 6


def write_preview(folder: RunDir, task_data: TaskData) -> None:
    """A contact sheet of the first clips (real above predicted) and one GIF a clip."""
    from vpbench.media.encode import write_gif, write_png
    from vpbench.render.sheets import contact_sheet

    if (folder.preview / "grid.png").is_file():
        return
    items = {item.id: item for item in task_data.task.test}
    row = folder.read_manifest()["shards"][0]
    fakes = read_shard(folder, row)
    target = make_folder(folder.preview)
    rows: list[tuple[str, Frames]] = []
    for k, name in enumerate(row["items"][:ROWS]):
        real = np.concatenate([task_data.given(items[name]), task_data.targets(items[name])])
        fake = np.concatenate([task_data.given(items[name]), fakes[k, 0]])
        label = items[name].clip.label
        title = name if label is None else f"{name} {task_data.task.info.class_names[label]}"
        rows += [(f"real {title}", real), ("predicted", fake)]
        write_gif(target / f"clip-{k}.gif", np.concatenate([real, fake], axis=2), 12)
    write_png(target / "grid.png", contact_sheet(rows, first=0))
