"""What a translator does with the keypoints of the true target, and with none in the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vpbench.api.errors import Refused
from vpbench.api.types import Frames
from vpbench.core.names import safe_name
from vpbench.core.plan import RunPlan
from vpbench.core.tasks import Item
from vpbench.harness.figures.sources import Figure, Studio, clips_json
from vpbench.harness.prediction.loaded import Intermediates, LoadedMethod, check_intermediates
from vpbench.render.grid import Block, Cell, Row, Sheet
from vpbench.render.sheets import frame_times

AWAY = (4.0, 0.0)
"""Added to keypoints in [-1,1]: two frame widths to the right, out of sight."""
_MOMENTS = 2
"""Target frames of each clip."""


def translation(studio: Studio, runs: Sequence[RunPlan], items: Sequence[Item]) -> Figure:
    """Columns: target frames of each clip. Rows: reference, target, keypoints, mask, coarse, final.

    A method with the slots detector and translator is shown with the true target's keypoints, and
    with the object removed: all keypoints moved out of the frame. An oracle with intermediates
    is shown as it is.

    Raises:
        Refused: a method is neither.
    """
    sheets: dict[str, Sheet] = {}
    records: list[dict[str, Any]] = []
    horizon = studio.task_data.task.horizon
    times = frame_times(horizon, _MOMENTS + 1)[-_MOMENTS:]
    for run in runs:
        _check(studio, run)
    for run in runs:
        loaded = studio.load(run)
        true, removed = _intermediates(studio, loaded, items)
        stem = "translation" if len(runs) == 1 else f"translation-{safe_name(run.name)}"
        sheets[stem] = _sheet(studio, loaded, items, times, true, removed)
        records.append(
            {
                "method": run.name,
                "source": "live",
                "seed": run.seed,
                "fit_seed": run.fit_seed if run.stages else None,
                "stages": loaded.stages(),
                "removed": removed is not None,
            }
        )
    record = {
        "methods": records,
        "clips": clips_json(studio, items),
        "frames": [t + 1 for t in times],
    }
    return Figure("translation", sheets, record)


def _translates(slots: Mapping[str, Any]) -> bool:
    return {"detector", "translator"} <= set(slots)


def _check(studio: Studio, run: RunPlan) -> None:
    if not _translates(run.method.slots) and not run.method.capabilities.oracle:
        raise Refused(
            f"{run.name} has no detector and translator: this figure shows composed methods, and "
            "oracles with intermediates."
        )


def _intermediates(
    studio: Studio, loaded: LoadedMethod, items: Sequence[Item]
) -> tuple[Intermediates, Intermediates | None]:
    """Intermediates with the true keypoints, and with all of them out of the frame, [B,1,...]."""
    task_data = studio.task_data
    given = task_data.conditioning(items, loaded.run.method)
    future = np.stack([task_data.targets(item) for item in items])
    shape = (len(items), 1, *future.shape[1:])
    if _translates(loaded.slots):
        from vpbench.kit.translation import translation_intermediates

        pose = _pose(studio, loaded, items)
        raw = [
            translation_intermediates(task_data.task.info, loaded.slots, given, future, pose, shift)
            for shift in ((0.0, 0.0), AWAY)
        ]
        true, removed = (check_intermediates(one, shape, loaded.name) for one in raw)
        return true, removed
    seeds = task_data.seeds(items, loaded.run.seed, 1)
    shown = loaded.intermediates(given, task_data.task.horizon, seeds, future)
    if shown is None:
        raise Refused(f"{loaded.name} has no intermediates to show.")
    return shown, None


def _pose(studio: Studio, loaded: LoadedMethod, items: Sequence[Item]) -> Any:
    """Joints of the true future, where the method's detector needs joints."""
    if not studio.task_data.task.has_pose or loaded.run.method.capabilities.pose not in (
        "required",
        "optional",
    ):
        return None
    poses = [studio.task_data.clip_cache.pose(item.clip, item.targets) for item in items]
    return np.stack([pose for pose in poses if pose is not None])


def _sheet(
    studio: Studio,
    loaded: LoadedMethod,
    items: Sequence[Item],
    times: Sequence[int],
    true: Intermediates,
    removed: Intermediates | None,
) -> Sheet:
    horizon = studio.task_data.task.horizon
    first = [studio.task_data.given(item)[-1] for item in items]
    real = [studio.task_data.targets(item) for item in items]
    at = [(b, t) for b in range(len(items)) for t in times]
    rows = [
        Row("reference", [Cell(first[b]) for b, _ in at]),
        Row("target", [Cell(real[b][t]) for b, t in at]),
    ]
    points = [true.at(b, 0, horizon) for b in range(len(items))]
    count = 0
    known = [p for p in points if p is not None]
    if len(known) == len(items):
        count = known[0].shape[1]
        rows.append(
            Row(
                "",
                [Cell(first[b], known[b][0], dim=True) for b, _ in at],
                "keypoints of the reference",
            )
        )
        rows.append(
            Row(
                "",
                [Cell(real[b][t], known[b][t + 1], dim=True) for b, t in at],
                "keypoints of the target",
            )
        )
    names = [name for name in true.images if name != "final"]
    rows += [_image_row(name, true.images[name], at) for name in names]
    if "final" in true.images:
        rows.append(_image_row("translated", true.images["final"], at))
    blocks = [Block("", rows, [(_header(studio, items[b], t), 1) for b, t in at])]
    if removed is not None:
        gone = [_image_row(name, removed.images[name], at) for name in names]
        if "final" in removed.images:
            gone.append(_image_row("translated", removed.images["final"], at))
        blocks.append(Block("Object removed: all keypoints moved out of the frame", gone))
    breaks = [b * len(times) for b in range(1, len(items))]
    caption = studio.caption("keypoints of the true target frames")
    return Sheet(f"Translation by {loaded.name}", blocks, caption, breaks, count)


def _image_row(label: str, images: Frames, at: Sequence[tuple[int, int]]) -> Row:
    return Row(label, [Cell(images[b, 0, t]) for b, t in at])


def _header(studio: Studio, item: Item, t: int) -> str:
    name = studio.class_name(item) or (item.id if studio.ids else "")
    return f"{name}\nframe {t + 1}".strip()
