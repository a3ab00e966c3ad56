"""Predicted clips below the real ones: several methods, variants of one, and the worst clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vpbench.api.errors import MissingData, UsageError
from vpbench.api.types import Frames
from vpbench.core.command_names import typed_name
from vpbench.core.plan import RunPlan
from vpbench.core.tasks import Item
from vpbench.harness.figures.sources import (
    Figure,
    Shown,
    Studio,
    clips_json,
    find_stored,
    show,
)
from vpbench.harness.prediction.image_files import frame_row, points_row, time_headers
from vpbench.render.grid import Block, Cell, Row, Sheet
from vpbench.render.sheets import frame_times

ABLATION_ROWS = 4
"""Moments of each clip that an ablation shows."""


def _first(studio: Studio, item: Item) -> Frames:
    return studio.task_data.given(item)[-1]


def _numbers(times: Sequence[int]) -> list[int]:
    """Frame numbers as figures print them: 1 is the first predicted frame."""
    return [t + 1 for t in times]


def predictions(
    studio: Studio,
    runs: Sequence[RunPlan],
    items: Sequence[Item],
    points: bool,
    *,
    wide: bool = False,
    per_page: int | None = None,
) -> Figure:
    """For each clip: the real frames, then those of each method, over time.

    Args:
        points: a row of keypoints below each method that shows them.
        wide: clips side by side instead of below each other.
        per_page: clips of one sheet, at most; None puts all on one.
    """
    times = frame_times(studio.task_data.task.horizon, studio.columns)
    shown = [show(studio, run, items, points=points) for run in runs]
    size = per_page or len(items)
    pages = [items[k : k + size] for k in range(0, len(items), size)]
    sheets: dict[str, Sheet] = {}
    for number, page in enumerate(pages, 1):
        words = [f"sample {studio.sample}" if studio.sample else ""]
        words += [f"page {number} of {len(pages)}"] if len(pages) > 1 else []
        stem = f"predictions-{number:02d}" if len(pages) > 1 else "predictions"
        draw = _wide_sheet if wide else _tall_sheet
        sheets[stem] = draw(studio, shown, page, times, studio.caption(*words))
    record = {
        "methods": [one.record for one in shown],
        "clips": clips_json(studio, items),
        "frames": _numbers(times),
    }
    return Figure("predictions", sheets, record)


def _rows(studio: Studio, shown: Sequence[Shown], item: Item, times: Sequence[int]) -> list[Row]:
    """The real frames of a clip, and those of each method with their keypoints."""
    first = _first(studio, item)
    rows = [frame_row("real", first, studio.task_data.targets(item), times)]
    for one in shown:
        rows.append(frame_row(one.name, first, one.frames[item.id], times))
        if item.id in one.points:
            rows.append(_points(one, item, first, times))
    return rows


def _tall_sheet(
    studio: Studio, shown: Sequence[Shown], items: Sequence[Item], times: Sequence[int], note: str
) -> Sheet:
    """Clips below each other."""
    blocks = [
        Block(studio.title(item), _rows(studio, shown, item, times), time_headers(times))
        for item in items
    ]
    count = max(one.count for one in shown)
    return Sheet("Predictions", blocks, note, points=count, rules=(1,))


def _wide_sheet(
    studio: Studio, shown: Sequence[Shown], items: Sequence[Item], times: Sequence[int], note: str
) -> Sheet:
    """Clips side by side: one row a method."""
    across = len(times) + 1
    per_clip = [_rows(studio, shown, item, times) for item in items]
    rows = [
        Row(parts[0].label, [cell for part in parts for cell in part.cells], parts[0].note)
        for parts in zip(*per_clip, strict=True)
    ]
    block = Block(
        "",
        rows,
        [header for _ in items for header in time_headers(times)],
        [(studio.title(item), across) for item in items],
    )
    starts = [k * across for k in range(len(items))]
    count = max(one.count for one in shown)
    rules = [k + 1 for k in starts]
    return Sheet("Predictions", [block], note, starts[1:], count, rules=rules)


def _points(one: Shown, item: Item, first: Frames, times: Sequence[int], note: str = "") -> Row:
    points = one.points[item.id]
    return points_row("", first, one.frames[item.id], points, times, note or "keypoints")


def ablation(studio: Studio, runs: Sequence[RunPlan], items: Sequence[Item]) -> Figure:
    """Variants of a method side by side: a column each, with its keypoints, time from top down.

    Raises:
        UsageError: fewer than two variants.
    """
    if len(runs) < 2:
        raise UsageError(
            "an ablation needs two variants or more.", fix="Name them: 'NAME' 'NAME[key=value]'."
        )
    horizon = studio.task_data.task.horizon
    times = frame_times(horizon, ABLATION_ROWS + 1)[-ABLATION_ROWS:]
    shown = [show(studio, run, items, points=True) for run in runs]
    wide = [2 if one.points else 1 for one in shown]
    breaks = [1 + sum(wide[:k]) for k in range(len(wide))]
    headers = [("real", 1), *((one.name, w) for one, w in zip(shown, wide, strict=True))]
    blocks: list[Block] = []
    for item in items:
        real = studio.task_data.targets(item)
        rows: list[Row] = []
        for t in times:
            cells = [Cell(real[t])]
            for one in shown:
                frame = one.frames[item.id][t]
                cells.append(Cell(frame))
                if one.points:
                    cells.append(Cell(frame, one.points[item.id][t + 1], dim=True))
            rows.append(Row(f"frame {t + 1}", cells))
        blocks.append(Block(studio.title(item), rows, headers))
    count = max(one.count for one in shown)
    sheet = Sheet("Ablation", blocks, studio.caption(), breaks, count)
    record = {
        "methods": [one.record for one in shown],
        "clips": clips_json(studio, items),
        "frames": _numbers(times),
    }
    return Figure("ablation", {"ablation": sheet}, record)


def failures(
    studio: Studio, runs: Sequence[RunPlan], by: str, count: int, only: Sequence[Item]
) -> Figure:
    """The worst clips of each method by a stored value per clip: real, predicted, keypoints.

    Args:
        by: a metric on single clips, such as psnr.
        count: how many clips of each method.
        only: choose among these; empty for all test clips.

    Raises:
        MissingData: no finished run, or the metric was not scored.
        UsageError: the metric has no value per clip.
    """
    times = frame_times(studio.task_data.task.horizon, studio.columns)
    blocks: list[Block] = []
    records: list[dict[str, Any]] = []
    most = 0
    for run in runs:
        worst, record, unit = _worst(studio, run, by, count, only)
        one = show(studio, run, [item for item, _ in worst], points=True)
        _same_run(one, record)
        most = max(most, one.count)
        for item, value in worst:
            first, text = _first(studio, item), f"{by} {value:.4g} {unit}".strip()
            rows = [
                frame_row("real", first, studio.task_data.targets(item), times),
                frame_row(one.name, first, one.frames[item.id], times, text),
            ]
            if item.id in one.points:
                rows.append(_points(one, item, first, times))
            blocks.append(Block(studio.title(item), rows, time_headers(times)))
        clips = [
            {**row, "value": value}
            for row, (_, value) in zip(
                clips_json(studio, [i for i, _ in worst]), worst, strict=True
            )
        ]
        records.append({**one.record, **record, "clips": clips})
    title = f"Worst clips by {by}"
    sheet = Sheet(title, blocks, studio.caption(), points=most, rules=(1,))
    return Figure(
        "failures", {"failures": sheet}, {"methods": records, "frames": _numbers(times), "by": by}
    )


def _worst(
    studio: Studio, run: RunPlan, by: str, count: int, only: Sequence[Item]
) -> tuple[list[tuple[Item, float]], dict[str, Any], str]:
    """The worst clips of a run with their values, what they were read from, and the unit."""
    task_data = studio.task_data
    spec = studio.registry.metric(by.partition("@")[0])
    if spec.kind != "clip":
        raise UsageError(
            f"{by} compares sets of clips, it has no values for single clips.",
            fix="Use --by psnr, for example.",
        )
    items = {item.id: item for item in only or task_data.task.test}
    stored = find_stored(studio, run, list(only))
    if stored is None:
        raise MissingData(
            f"there is no finished run of {run.name} on {task_data.task.id}.",
            fix=_run_command(run, studio),
        )
    score = stored.scores.get((by, task_data.task.horizon))
    if score is None:
        raise MissingData(
            f"{by} of {run.name} is not scored.", fix=f"{_run_command(run, studio)} --metrics {by}"
        )
    values = {k: float(v) for k, v in score["per_clip"].items() if v is not None and k in items}
    if not values:
        raise MissingData(f"{by} of {run.name} has no value for any of the clips.")
    sign = 1 if score["direction"] == "up" else -1
    order = sorted(values, key=lambda name: (sign * values[name], name))[:count]
    record = {
        "metric": by,
        "score": score["sha256"],
        "fingerprint": score["fp8"],
        "run": str(stored.folder.path),
    }
    return [(items[name], values[name]) for name in order], record, score["unit"]


def _run_command(run: RunPlan, studio: Studio) -> str:
    import shlex

    typed = typed_name(run.name, run.method.home)
    words = ["vpbench", "run", typed, *studio.task_data.ref.words]
    words += ["--seeds", str(run.seed)] if run.seed else []
    return f"Run: {shlex.join(words)}"


def _same_run(one: Shown, record: dict[str, Any]) -> None:
    """Values and frames must be of one run, not of one that finished in between."""
    if one.record["run"] != record["run"]:
        raise MissingData(
            "another run finished while the figure was made.", fix="Make the figure again."
        )
