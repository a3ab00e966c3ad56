"""A comparison as Markdown, LaTeX and CSV. Pure functions of the compare object."""

from __future__ import annotations

import csv
import io

from vpbench.core.schema import CompareJson, GroupJson, RowJson
from vpbench.render.model import Cell, Column, Note, TableModel, TableRow, table_model, table_notes
from vpbench.render.text import (
    column_title,
    csv_text,
    format_score,
    latex,
    latex_prose,
    markdown,
    markdown_prose,
    width,
)

__all__ = [
    "CSV_FIELDS",
    "Cell",
    "Column",
    "Note",
    "TableModel",
    "TableRow",
    "column_title",
    "format_score",
    "table_model",
    "table_notes",
    "to_csv",
    "to_latex",
    "to_markdown",
]

CSV_FIELDS = (
    "task",
    "frames",
    "method",
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
)
"""Columns of `to_csv`."""

_NOTHING = "Nothing to compare."
_APART = "Not in one column:"


def to_markdown(obj: CompareJson) -> str:
    """All groups as aligned Markdown tables with their notes; dimmed rows are in italics."""
    blocks = [_markdown_table(table_model(group)) for group in obj["groups"]]
    if obj["differences"]:
        lines = [f"- {markdown_prose(text)}" for text in obj["differences"]]
        blocks.append("\n".join([_APART, "", *lines]))
    return "\n\n".join(blocks or [_NOTHING]) + "\n"


def to_latex(obj: CompareJson) -> str:
    """All groups as LaTeX tables; needs the packages booktabs and xcolor."""
    blocks = [_latex_table(table_model(group)) for group in obj["groups"]]
    if obj["differences"]:
        items = [f"  \\item {latex_prose(text)}" for text in obj["differences"]]
        blocks.append("\n".join([_APART, "\\begin{itemize}", *items, "\\end{itemize}"]))
    head = "% \\usepackage{booktabs,xcolor}"
    return "\n\n".join([head, *(blocks or [_NOTHING])]) + "\n"


def to_csv(obj: CompareJson) -> str:
    """One line a row and metric, with figures in full precision; empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for group in obj["groups"]:
        for row in table_model(group).rows:
            writer.writerows(_csv_line(group, row.source, name) for name in group["metrics"])
    return out.getvalue()


def _markdown_table(model: TableModel) -> str:
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
    notes = [f"- {_markdown_label(note.label)}{markdown_prose(note.text)}" for note in model.notes]
    return "\n".join([f"### {markdown(model.title)}", "", *lines, *(["", *notes] if notes else [])])


def _markdown_line(texts: list[str], widths: list[int], rights: list[bool]) -> str:
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
    return f"{text}<sup>{','.join(cell.notes)}</sup>" if cell.notes else text


def _markdown_label(label: str) -> str:
    return f"<sup>{label}</sup> " if label else ""


def _latex_table(model: TableModel) -> str:
    align = "".join("r" if column.align == "right" else "l" for column in model.columns)
    head = " & ".join(latex(column.title) for column in model.columns)
    body: list[str] = []
    for row in model.rows:
        if row.rule_above:
            body.append("\\midrule")
        cells = (_latex_cell(cell, dimmed=row.dimmed) for cell in row.cells)
        body.append(f"{' & '.join(cells)} \\\\")
    notes = [f"\\par {_latex_label(n.label)}{latex_prose(n.text)}" for n in model.notes]
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{latex(model.title)}}}",
            f"\\begin{{tabular}}{{{align}}}",
            "\\toprule",
            f"{head} \\\\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            *(["", "\\raggedright\\footnotesize", *notes] if notes else []),
            "\\end{table}",
        ]
    )


def _latex_cell(cell: Cell, *, dimmed: bool) -> str:
    text = latex(cell.marked)
    if text and dimmed:
        text = f"\\textcolor{{gray}}{{{text}}}"
    elif text and cell.bold:
        text = f"\\textbf{{{text}}}"
    return f"{text}\\textsuperscript{{{','.join(cell.notes)}}}" if cell.notes else text


def _latex_label(label: str) -> str:
    return f"\\textsuperscript{{{label}}} " if label else ""


def _csv_line(group: GroupJson, row: RowJson, metric: str) -> list[str]:
    score = row["scores"].get(metric)
    low, high = (score["ci95"] if score else None) or (None, None)
    return [
        csv_text(str(group["task"].get("id", ""))),
        _number(group["frames"]),
        csv_text(row["method"]),
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
    ]


def _number(value: float | None) -> str:
    """All digits, so that the same float is read back; empty for None."""
    return "" if value is None else repr(value)
