"""Groups of comparable entries as tables of the site: columns of `compare`, whiskers, sort keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from vpbench.board.site.pages import Axis, Figure, Listed, Row, Table, Whisker
from vpbench.board.site.places import row_id
from vpbench.core.names import safe_name
from vpbench.core.schema import GroupJson, RowJson, ScoreJson, compared
from vpbench.render.flags import RARELY_SHOWN, row_flags
from vpbench.render.legend import Line
from vpbench.render.model import EVERYTHING, Cell, Column, TableModel, TableRow, table_model
from vpbench.render.text import clean, figure_range, rounded

_MARGIN = 0.04
"""Room at both ends of an axis, as a part of it."""


_RECALLED = "recalled: "


def site_table(group: GroupJson, listed: Mapping[str, Listed], *, anchors: bool = True) -> Table:
    """Lay out one group of a comparison of entries.

    Figures that were recalled take no part: they are neither best, nor sorted, nor on an axis.

    Args:
        listed: the entry of each row by the row's name.
        anchors: whether links to entries lead to this table.
    """
    counted, recalled = _without_recalled(group, listed)
    model, struck = table_model(counted, EVERYTHING), table_model(group, EVERYTHING)
    axes = tuple(_axis(model, column) for column in model.columns)
    directions = tuple(
        group["metrics"][c.metric]["direction"] if c.metric else "" for c in model.columns
    )
    old = {row.source["method"]: row for row in struck.rows}
    rows = [
        _row(
            row,
            old[row.source["method"]],
            model,
            struck,
            axes,
            recalled,
            listed[row.source["method"]],
            anchors,
        )
        for row in model.rows
    ]
    first = next((k for k, d in enumerate(directions) if d in ("up", "down")), None)
    down = first is not None and directions[first] == "down"
    subset, frames = group["task"].get("subset"), group["frames"]
    part = f", subset {clean(str(subset))}" if subset else ""
    return Table(
        key=_key(group),
        heading=f"{frames} predicted frame{'s' * (frames != 1)}{part}",
        title=model.title,
        columns=model.columns,
        directions=directions,
        axes=axes,
        methods=_sorted([r for r in rows if r.part == "methods"], first, down),
        unranked=_sorted([r for r in rows if r.part == "unranked"], first, down),
        references=_sorted([r for r in rows if r.part == "references"], first, down),
        sorted_by=first,
        legend=tuple(line for line in model.legend if _is_for_pages(line)),
        notes=tuple(note.plain for note in model.notes),
        fingerprints=tuple((name, m["fingerprint"]) for name, m in group["metrics"].items()),
        recalled=tuple(
            f"{clean(method)}, {name}: {reason}" for (method, name), reason in recalled.items()
        ),
    )


def _is_for_pages(line: Line) -> bool:
    """Lines on options of the command, and on recalled figures, which stand apart."""
    return "--notes" not in line.text and f": {_RECALLED}" not in line.text


def _part(row: TableRow) -> Literal["methods", "unranked", "references"]:
    if row.dimmed:
        return "references"
    ranked = row.source["kind"] == "method" and not row.source["not_comparable"]
    return "methods" if ranked else "unranked"


def _without_recalled(
    group: GroupJson, listed: Mapping[str, Listed]
) -> tuple[GroupJson, dict[tuple[str, str], str]]:
    """The group with dashes where a figure was recalled, and the reasons by row and column."""
    said: dict[tuple[str, str], str] = {}
    rows: list[RowJson] = []
    for row in group["rows"]:
        entry, scores = listed[row["method"]], dict(row["scores"])
        for name, score in scores.items():
            reason = _recall(group, name, entry)
            if reason and score["value"] is not None:
                said[row["method"], name] = reason
                scores[name] = _dash(score, f"{_RECALLED}{reason}")
        gone = {name for name, score in scores.items() if score["value"] is None}
        rows.append(
            {
                **row,
                "scores": scores,
                "nulls": [null for null in row["nulls"] if null["metric"] not in gone],
                "tied": [name for name in row["tied"] if name not in gone],
            }
        )
    return {**group, "rows": rows}, said


def _recall(group: GroupJson, column: str, entry: Listed) -> str:
    """Why a row's figure in some column does not count any more, "" if it does."""
    short = group["metrics"][column]["fingerprint"]
    return entry.recalled.get((column.partition("#")[0], group["frames"], short), "")


def _dash(score: ScoreJson, reason: str) -> ScoreJson:
    return {
        **score,
        "value": None,
        "reason": reason,
        "se": None,
        "ci95": None,
        "bias": None,
        "corrected": None,
        "corrected_se": None,
        "corrected_ci95": None,
        "p": None,
        "rank": None,
    }


def _row(
    row: TableRow,
    struck: TableRow,
    model: TableModel,
    old: TableModel,
    axes: Sequence[Axis | None],
    recalled: Mapping[tuple[str, str], str],
    entry: Listed,
    anchors: bool,
) -> Row:
    cells: list[Cell | Figure] = []
    for k, column in enumerate(model.columns):
        if column.metric:
            place = old.columns.index(column)
            gone = recalled.get((row.source["method"], column.metric), "")
            cells.append(_figure(row, row.cells[k], struck.cells[place], column, axes[k], gone))
        else:
            cells.append(row.cells[k])
    source = row.source
    given = source["conditioning_frames"] or 0
    return Row(
        name=row.cells[0].text,
        method=source["method"],
        entry=entry,
        flags=row_flags(source),
        cells=tuple(cells),
        anchor=row_id(entry.id) if anchors else "",
        given="" if not given else "1" if given == 1 else "2+",
        label=any(use.startswith("label") for use in source["uses"]),
        part=_part(row),
        rare=source["method"] in RARELY_SHOWN,
    )


def _figure(
    row: TableRow, cell: Cell, struck: Cell, column: Column, axis: Axis | None, recalled: str
) -> Figure:
    metric = column.metric
    score = row.source["scores"].get(metric)
    if recalled:
        old = replace(struck, bold=False, underlined=False, mark="", rank="")
        return Figure(old, None, recalled=recalled)
    if score is None or score["value"] is None:
        return Figure(cell, None, reason="" if score is None else clean(score["reason"] or ""))
    ends, value, interval = score["ci95"], score["value"], ""
    if ends is not None:
        low, high = (rounded(end, score["se"], metric) for end in ends)
        interval = f"95 % interval {low} to {high}"
    corrected, bias = score["corrected"], score["bias"]
    noted = (
        corrected is not None and bias and abs(bias) > max(score["se"] or 0.0, 1e-6 * abs(value))
    )
    return Figure(
        cell,
        compared(score),
        whisker=None if axis is None or cell.text == "—" else _whisker(axis, value, ends),
        interval=interval,
        corrected=rounded(corrected, score["se"], metric)
        if noted and corrected is not None
        else "",
        score=score,
    )


def _axis(model: TableModel, column: Column) -> Axis | None:
    """From the lowest to the highest end of an interval; None where no row has a figure."""
    if not column.metric:
        return None
    ends: list[float] = []
    for row in model.rows:
        score = row.source["scores"].get(column.metric)
        if score is None or score["value"] is None or row.source["method"] in RARELY_SHOWN:
            continue  # those lie far from all others, and are cut off
        if row.cells[model.columns.index(column)].text == "—":
            continue  # the same clips against themselves
        ends += [score["value"], *(score["ci95"] or ())]
    if not ends:
        return None
    low, high = min(ends), max(ends)
    room = _MARGIN * ((high - low) or abs(high) or 1.0)
    return Axis(low - room, high + room, figure_range(low, high))


def _whisker(axis: Axis, value: float, ends: Sequence[float] | None) -> Whisker:
    def place(x: float) -> float:
        part = (x - axis.low) / (axis.high - axis.low)
        return round(100 * min(1.0, max(0.0, part)), 2)

    low, high = (value, value) if ends is None else (min(ends), max(ends))
    cut = {(True, False): "low", (False, True): "high", (True, True): "both"}
    return Whisker(
        place(low), place(value), place(high), cut.get((low < axis.low, high > axis.high), "")
    )


def _sorted(rows: list[Row], column: int | None, down: bool) -> tuple[Row, ...]:
    """Best first by a column of figures; rows without one last, equal ones as they were."""

    def key(row: Row) -> tuple[bool, float]:
        cell = row.cells[column] if column is not None else None
        order = cell.order if isinstance(cell, Figure) else None
        if order is None or not math.isfinite(order):
            return True, 0.0
        return False, order if down else -order

    return tuple(rows if column is None else sorted(rows, key=key))


def _key(group: GroupJson) -> str:
    subset = str(group["task"].get("subset") or "")
    return safe_name("-".join(part for part in (subset, f"t{group['frames']}") if part))
