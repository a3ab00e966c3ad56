"""Pictures of a dataset to look at; never hashed, never needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpbench.api.errors import MissingData
from vpbench.api.types import ClipInfo, Frames
from vpbench.core.files import make_folder
from vpbench.harness.inputs.task_data import TaskData

_MOST_CLASSES = 16


def write_dataset_preview(task_data: TaskData, split: str, out: Path) -> tuple[Path, Path]:
    """One clip of each class: frames over time, and a tile of moving clips.

    Returns:
        Paths of sheet.png and preview.gif.

    Raises:
        MissingData: the split has no clips.
    """
    from vpbench.media.encode import write_gif, write_png
    from vpbench.render.sheets import contact_sheet

    clips = _one_a_class(list(task_data.dataset.clips(split)))
    if not clips:
        raise MissingData(f"{task_data.ref.dataset} has no clips in {split!r}.")
    names = task_data.task.info.class_names
    rows: list[tuple[str, Frames]] = []
    for clip in clips:
        frames = task_data.clip_cache.whole(clip, range(min(clip.frames, 48)))
        rows.append((names[clip.label] if clip.label is not None else clip.id, frames))
    make_folder(out)
    size = task_data.task.spec.size
    write_png(out / "sheet.png", contact_sheet(rows, columns=12, first=0))
    write_gif(out / "preview.gif", _tile([f for _, f in rows], max(1, 128 // size)), 12)
    return out / "sheet.png", out / "preview.gif"


def _one_a_class(clips: list[ClipInfo]) -> list[ClipInfo]:
    first: dict[int | None, ClipInfo] = {}
    for clip in clips:
        first.setdefault(clip.label, clip)
    if list(first) == [None]:
        return clips[:9]
    return [first[label] for label in sorted(first, key=lambda x: -1 if x is None else x)][
        :_MOST_CLASSES
    ]


def _tile(videos: list[Frames], zoom: int) -> Frames:
    """Videos side by side in a square, the shorter ones starting again."""
    across = int(np.ceil(len(videos) ** 0.5))
    length = max(len(v) for v in videos)
    blank = np.full_like(videos[0][:1], 255)
    padded = [v[np.arange(length) % len(v)] for v in videos]
    padded += [np.repeat(blank, length, 0)] * (-len(padded) % across)
    bands = [np.concatenate(padded[k : k + across], axis=2) for k in range(0, len(padded), across)]
    whole = np.concatenate(bands, axis=1)
    return np.ascontiguousarray(whole.repeat(zoom, axis=1).repeat(zoom, axis=2))
