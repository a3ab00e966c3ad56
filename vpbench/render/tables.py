"""A comparison as Markdown, LaTeX and CSV. Pure functions of the compare object."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from vpbench.core.schema import CompareJson, GroupJson, RowJson
from vpbench.render.latex import PACKAGES, Notes, latex_table
from vpbench.render.model import EVERYTHING, Cell, TableModel, View, shown_groups, table_model
from vpbench.render.text import csv_text, latex_prose, markdown, markdown_prose, width
from vpbench.render.versus import versus_model

CSV_FIELDS = (
    "task",
    "frames",
    "method",
    "row",
    "kind",
    "conditioning_frames",
    "n",
    "samples",
    "metric",
    "value",
    "se",
    "ci_low",
    "ci_high",
    "bias",
    "corrected",
    "corrected_se",
    "p",
    "rank",
    "fingerprint",
    "reason",
    "notes",
    "versus",
    "difference",
    "difference_se",
    "difference_p",
    "difference_claim",
    "detectable",
)
"""Columns of `to_csv`."""

NOTHING = "Nothing to compare."
APART = "Not in one column:"
"""Before what `apart` says."""


def models(obj: CompareJson, view: View = EVERYTHING) -> list[TableModel]:
    """All tables of a comparison in their order, differences to one row after their table."""
    found: list[TableModel] = []
    for group in shown_groups(obj, view):
        found.append(table_model(group, view))
        against = versus_model(group, view)
        found += [against] if against else []
    return found


def apart(obj: CompareJson, view: View = EVERYTHING) -> list[str]:
    """In what the tables, or the columns of one metric, differ from each other."""
    groups = shown_groups(obj, view)
    split = [name for group in groups for name in group["metrics"] if "#" in name]
    if len(groups) == len(obj["groups"]):
        return obj["differences"]
    return [text for text in obj["differences"] if text.startswith(tuple(split))]


def to_markdown(obj: CompareJson, view: View = EVERYTHING, notes: Notes = "all") -> str:
    """Aligned Markdown tables with their notes; dimmed rows are in italics."""
    blocks = [_markdown_table(model, notes) for model in models(obj, view)]
    lines = [f"- {markdown_prose(text)}" for text in apart(obj, view)]
    if lines:
        blocks.append("\n".join([APART, "", *lines]))
    return "\n\n".join(blocks or [NOTHING]) + "\n"


def to_latex(
    obj: CompareJson,
    view: View = EVERYTHING,
    notes: Notes = "short",
    columns: int | None = None,
) -> str:
    """LaTeX tables; needs the packages booktabs and xcolor.

    Args:
        columns: metrics side by side; None is as many as fit one column of a two-column paper.
    """
    blocks = [latex_table(model, notes, columns) for model in models(obj, view)]
    items = [f"  \\item {latex_prose(text)}" for text in apart(obj, view)]
    if items:
        blocks.append("\n".join([APART, "\\begin{itemize}", *items, "\\end{itemize}"]))
    return "\n\n".join([PACKAGES, *(blocks or [NOTHING])]) + "\n"


def to_csv(obj: CompareJson) -> str:
    """One line a row and metric, with figures in full precision; empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for group in obj["groups"]:
        for row in table_model(group).rows:
            writer.writerows(_csv_line(group, row.source, name) for name in group["metrics"])
    return out.getvalue()


def _markdown_table(model: TableModel, notes: Notes) -> str:
    grid = [[markdown(column.title) for column in model.columns]]
    for row in model.rows:
        if row.rule_above:
            # Markdown has no rules inside a table; an empty row is the nearest thing.
            grid.append([""] * len(model.columns))
        grid.append([_markdown_cell(cell, dimmed=row.dimmed) for cell in row.cells])
    rights = [column.align == "right" for column in model.columns]
    widths = [max(3, *(width(line[k]) for line in grid)) for k in range(len(rights))]
    rule = [f"{'-' * (w - 1)}{':' if r else '-'}" for w, r in zip(widths, rights, strict=True)]
    lines = [_markdown_line(line, widths, rights) for line in grid]
    lines.insert(1, _markdown_line(rule, widths, rights))
    below = _markdown_notes(model, notes)
    title = " · ".join(model.title)
    return "\n".join([f"### {markdown(title)}", "", *lines, *(["", *below] if below else [])])


def _markdown_notes(model: TableModel, notes: Notes) -> list[str]:
    if notes == "none":
        return []
    lines = [
        f"- {f'<sup>{line.flag}</sup> ' if line.flag else ''}{markdown_prose(line.text)}"
        for line in model.legend
    ]
    if notes == "all":
        lines += [f"- {markdown_prose(note.plain)}" for note in model.notes]
    return lines


def _markdown_line(texts: Sequence[str], widths: Sequence[int], rights: Sequence[bool]) -> str:
    padded: list[str] = []
    for text, wanted, right in zip(texts, widths, rights, strict=True):
        space = " " * (wanted - width(text))
        padded.append(space + text if right else text + space)
    return f"| {' | '.join(padded)} |"


def _markdown_cell(cell: Cell, *, dimmed: bool) -> str:
    text = markdown(cell.marked)
    if text and dimmed:
        text = f"*{text}*"
    elif text and cell.bold:
        text = f"**{text}**"
    elif text and cell.underlined:
        text = f"<ins>{text}</ins>"
    return f"{text}<sup>{','.join(cell.flags)}</sup>" if cell.flags else text


def _csv_line(group: GroupJson, row: RowJson, metric: str) -> list[str]:
    score = row["scores"].get(metric)
    low, high = (score["ci95"] if score else None) or (None, None)
    return [
        csv_text(str(group["task"].get("id", ""))),
        _number(group["frames"]),
        csv_text(row["method"]),
        csv_text(row["row"]),
        csv_text(row["kind"]),
        _number(row["conditioning_frames"]),
        _number(score["n"] if score else row["n"]),
        _number(row["samples"]),
        csv_text(metric),
        _number(score["value"] if score else None),
        _number(score["se"] if score else None),
        _number(low),
        _number(high),
        *(_number(score[key] if score else None) for key in ("bias", "corrected", "corrected_se")),
        _number(score["p"] if score else None),
        csv_text((score["rank"] if score else None) or ""),
        csv_text((score["fingerprint"] if score else None) or ""),
        csv_text((score["reason"] if score else "not scored") or ""),
        csv_text("; ".join(row["notes"])),
        *_csv_pair(group, row, metric),
    ]


def _csv_pair(group: GroupJson, row: RowJson, metric: str) -> list[str]:
    """The difference to the row of `--vs`; empty without."""
    against = group.get("versus")
    if against is None:
        return [""] * 6
    name = csv_text(against["row"])
    for pair in against["pairs"]:
        if pair["row"] == row["row"] and pair["metric"] == metric:
            figures = [_number(pair["difference"]), _number(pair["se"]), _number(pair["p"])]
            return [name, *figures, pair["claim"] or "", _number(pair["detectable"])]
    return [name, *[""] * 5]


def _number(value: float | None) -> str:
    """All digits, so that the same float is read back; empty for None."""
    return "" if value is None else repr(value)
