"""Paired differences to one row as a table, and what differences so many clips could show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vpbench.core.schema import DifferenceJson, GroupJson, RowJson
from vpbench.render.flags import row_title
from vpbench.render.legend import Line
from vpbench.render.model import EVERYTHING, Cell, Column, TableModel, TableRow, View
from vpbench.render.notes import Note, trained
from vpbench.render.statistics import NOT_BETTER, WORSE, family
from vpbench.render.text import DASH, clean, column_title, error_text, rounded

_MARKS = {"not told apart": NOT_BETTER, "worse": WORSE, "better": "", None: ""}

_REFERENCES = ("ceiling", "floor", "reference", "null")


def versus_model(group: GroupJson, view: View = EVERYTHING) -> TableModel | None:
    """The differences of one group as a table; None where none were asked for."""
    against = group.get("versus")
    if against is None:
        return None
    by_row: dict[str, dict[str, DifferenceJson]] = {}
    for pair in against["pairs"]:
        by_row.setdefault(pair["row"], {})[pair["metric"]] = pair
    shown = [r for r in group["rows"] if r["row"] in by_row and view.shows(r)]
    shown.sort(key=lambda row: row["kind"] in _REFERENCES)
    columns = [Column("method", "left")] + [
        Column(column_title(name, metric["direction"], unit=metric.get("unit", "")), "right", name)
        for name, metric in group["metrics"].items()
    ]
    rows = tuple(
        TableRow(
            cells=(Cell(row_title(row)), *_cells(by_row[row["row"]], columns[1:])),
            dimmed=row["kind"] in _REFERENCES,
            rule_above=k > 0
            and row["kind"] in _REFERENCES
            and shown[k - 1]["kind"] not in _REFERENCES,
            source=row,
        )
        for k, row in enumerate(shown)
    )
    name = clean(against["row"])
    task = clean(str(group["task"].get("id", "")))
    return TableModel(
        title=(task, f"less {name}", "the same clips", f"{group['frames']} predicted frames"),
        label=f"versus-{''.join(c if c.isalnum() else '-' for c in name)}-{group['frames']}",
        columns=tuple(columns),
        rows=rows,
        legend=tuple(_legend(group, against["pairs"], shown, name)),
        notes=tuple(_notes(group, against["pairs"])),
    )


def _cells(pairs: dict[str, DifferenceJson], columns: Sequence[Column]) -> Iterable[Cell]:
    for column in columns:
        pair = pairs.get(column.metric)
        if pair is None or pair["difference"] is None:
            yield Cell(DASH)
            continue
        value = pair["difference"]
        text = rounded(value, pair["se"], column.metric)
        yield Cell(
            f"+{text}" if value > 0 else text,
            error=error_text(pair["se"], column.metric),
            mark=_MARKS[pair["claim"]],
        )


def _legend(
    group: GroupJson, pairs: Sequence[DifferenceJson], shown: Sequence[RowJson], name: str
) -> Iterable[Line]:
    claims = {pair["claim"] for pair in pairs}
    if "not told apart" in claims:
        yield Line(f"{NOT_BETTER} not told apart from {name}")
    if "worse" in claims:
        yield Line(f"{WORSE} worse than {name}")
    if any(pair["se"] for pair in pairs):
        yield Line("± one standard error of the difference", about="±", weight=1)
    against = group.get("versus")
    if against is not None and against["comparisons"]:
        yield Line(f"{family(against['comparisons'], against['level'])}.", weight=1)
    for reason, titles in _untested(pairs).items():
        yield Line(f"{', '.join(titles)}: {reason}.")
    line = _detectable(group, pairs, {row["row"] for row in shown})
    if line:
        yield Line(line)
    if any(trained(row) for row in shown):
        yield Line("Training variance is part of it from 3 training runs a side on.", weight=1)


def _untested(pairs: Sequence[DifferenceJson]) -> dict[str, list[str]]:
    """Why differences that have an error make no claim -> titles of their metrics."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        if _is_untested(pair):
            found.setdefault(clean(pair["reason"] or ""), []).append(pair["metric"])
    return {
        reason: [clean(column_title(name, "")) for name in dict.fromkeys(names)]
        for reason, names in found.items()
    }


def _is_untested(pair: DifferenceJson) -> bool:
    return pair["se"] is not None and pair["claim"] is None


def _detectable(group: GroupJson, pairs: Sequence[DifferenceJson], rows: set[str]) -> str:
    """What one comparison at 5 % finds; marks are Holm's, over all comparisons, and find less."""
    parts: list[str] = []
    for name, metric in group["metrics"].items():
        known = sorted(
            p["detectable"]
            for p in pairs
            if p["metric"] == name and p["row"] in rows and p["detectable"]
        )
        if known:
            low, high = (f"{float(f'{x:.2g}'):g}" for x in (known[0], known[-1]))
            unit = f" {metric['unit']}" if metric.get("unit") else ""
            size = low if low == high else f"{low} to {high}"
            parts.append(f"{clean(column_title(name, ''))} {size}{unit}")
    counts = {row["n"] for row in group["rows"] if row["n"] is not None}
    n = f"n = {counts.pop()}" if len(counts) == 1 else "this n"
    if not parts:
        return ""
    several = sum(pair["p"] is not None for pair in pairs) > 1
    more = "; a mark needs larger ones" if several else ""
    found = f"One comparison alone (5 %) finds, 4 times in 5 at {n}, true differences of"
    return f"{found} {', '.join(parts)}{more}."


def _notes(group: GroupJson, pairs: Sequence[DifferenceJson]) -> Iterable[Note]:
    titles = {row["row"]: row_title(row) for row in group["rows"]}
    for pair in pairs:
        title = clean(column_title(pair["metric"], ""))
        if pair["reason"] and not _is_untested(pair):
            yield Note(titles[pair["row"]], f"{title}: {pair['reason']}", pair["method"])
