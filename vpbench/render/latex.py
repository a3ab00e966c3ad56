"""A table model as LaTeX that fits one column of a two-column paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from vpbench.render.legend import Line
from vpbench.render.model import Cell, TableModel, TableRow
from vpbench.render.terminal import break_name
from vpbench.render.text import latex, latex_prose

Notes = Literal["none", "short", "all"]
"""What stands below a table: nothing, what every reader needs, or all."""

PACKAGES = "% \\usepackage{booktabs,xcolor}"

COLUMN_PT = 220.0
"""Most that a table may take by the estimate below, in points. A column of the `article` class with
two columns has 200; the estimate is a tenth too large. Publishers' columns are wider."""

_NAME = 22
"""Characters of a name in one line."""

_GAP_PT = 5.0
"""Between two columns: twice \\tabcolsep."""

_POINTS = {
    **dict.fromkeys("0123456789", 4.3),
    **dict.fromkeys("ijl.,:;'|[]()-!", 3.3),
    **dict.fromkeys("frst", 3.5),
    **dict.fromkeys("ceaogz", 4.3),
    **dict.fromkeys("mwMW%@", 8.1),
    **dict.fromkeys("±≈▼▲↑↓", 7.0),
    " ": 2.9,
}
"""Widths of characters of Computer Modern at 8 points, rounded up; the others take 4.8 or 6.6."""

_SUBSCRIPT = 0.85
"""Size of an error or mark against that of its figure, rounded up."""


def latex_table(model: TableModel, notes: Notes = "short", columns: int | None = None) -> str:
    """A `table`, or a `table*` over both columns where so many metrics do not fit in one.

    Needs booktabs and xcolor. Figures are in \\footnotesize, errors subscripts; the best is bold,
    the second and what is not told apart from the best are underlined.

    Args:
        notes: what stands below.
        columns: metrics side by side; the rest stand below them. None is as many as fit.
    """
    metrics = [c.metric for c in model.columns if c.metric]
    parts = _split(model, metrics, columns)
    wide = any(_width(part) > COLUMN_PT for part in parts)
    name = "table*" if wide else "table"
    caption = latex(", ".join(model.title)).replace("-\\textgreater{}", "$\\rightarrow$")
    tabulars = "\n\\par\\medskip\n".join(_tabular(part) for part in parts)
    return "\n".join(
        [
            f"\\begin{{{name}}}",
            "\\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{tab:{model.label}}}",
            "\\par\\smallskip\\footnotesize\\setlength{\\tabcolsep}{2.5pt}",
            tabulars,
            *_below(model, notes),
            f"\\end{{{name}}}",
        ]
    )


def _split(model: TableModel, metrics: Sequence[str], columns: int | None) -> list[TableModel]:
    """The table in parts of so many metrics; what a row is given stands in the first."""
    parts: list[TableModel] = []
    rest = list(metrics)
    while rest or not parts:
        count = columns or 1
        if columns is None:
            while count < len(rest) and _width(_take(model, rest[: count + 1], parts)) <= COLUMN_PT:
                count += 1
        parts.append(_take(model, rest[:count], parts))
        rest = rest[count:]
    return parts


def _take(model: TableModel, metrics: Sequence[str], before: Sequence[TableModel]) -> TableModel:
    """Name and some metrics; the first part has the other columns too, but not the checks."""
    keep = [
        k
        for k, c in enumerate(model.columns)
        if c.metric in metrics or k == 0 or (not c.metric and not before and c.title != "checks")
    ]
    return model.keep(keep)


def _width(model: TableModel) -> float:
    """Of a part in points, from above."""
    total = _GAP_PT * (len(model.columns) - 1)
    for k, column in enumerate(model.columns):
        cells = [row.cells[k] for row in model.rows]
        widths = [_points(column.title)]
        for cell in cells:
            raised = cell.error and f"±{cell.error}"
            small = f"{raised}{'  ' if cell.mark else ''}{cell.mark}{''.join(cell.flags)}"
            rank = f" {cell.rank}" if cell.rank else ""
            longest = max(break_name(cell.text, _NAME), key=_points) if not k else cell.text
            text = " ".join(part for part in (longest, cell.p) if part)
            widths.append(_points(text + rank) + _SUBSCRIPT * _points(small))
        total += max(widths)
    return total


def _points(text: str) -> float:
    return sum(_POINTS.get(c, 6.6 if c.isupper() else 4.8) for c in text)


def _tabular(model: TableModel) -> str:
    align = "".join("r" if column.align == "right" else "l" for column in model.columns)
    head = " & ".join(latex(column.title) for column in model.columns)
    body: list[str] = []
    for row in model.rows:
        if row.rule_above:
            body.append("\\midrule")
        body += _row_lines(row)
    return "\n".join(
        [
            f"\\begin{{tabular}}{{@{{}}{align}@{{}}}}",
            "\\toprule",
            f"{head} \\\\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


def _row_lines(row: TableRow) -> list[str]:
    """A row, and a line for each further part of a long name."""
    name, *cells = row.cells
    first, *rest = break_name(name.text, _NAME)
    texts = [_cell(replace(name, text=first), dimmed=row.dimmed)]
    texts += [_cell(cell, dimmed=row.dimmed) for cell in cells]
    lines = [f"{' & '.join(texts)} \\\\"]
    for text in rest:
        part = _cell(Cell(text.strip()), dimmed=row.dimmed)
        lines.append(f"\\quad {part}{' &' * len(cells)} \\\\")
    return lines


def _cell(cell: Cell, *, dimmed: bool) -> str:
    text = latex(cell.text)
    if cell.error:
        text += f"$_{{\\pm {cell.error}}}$"
    if cell.p:
        text += f" {latex(cell.p)}"
    if cell.rank:
        text += f" ({latex(cell.rank)})"
    if text and dimmed:
        text = f"\\textcolor{{gray}}{{{text}}}"
    elif text and cell.bold:
        text = f"\\textbf{{\\boldmath {text}}}"
    elif text and (cell.underlined or cell.second):
        text = f"\\underline{{{text}}}"
    if cell.mark:
        text += f"$^{{{latex(cell.mark).strip('$')}}}$"
    return f"{text}\\textsuperscript{{{','.join(cell.flags)}}}" if cell.flags else text


def _below(model: TableModel, notes: Notes) -> list[str]:
    if notes == "none":
        return []
    if notes == "all":
        texts = [latex_prose(note.plain) for note in model.notes]
    else:
        lines = [line for line in model.legend if line.about != "styles"]
        texts = [_legend_text(line) for line in lines]
        if any(cell.bold for row in model.rows for cell in row.cells):
            second = "second, or not told apart from the best"
            texts.append(f"Bold: best value; \\underline{{underlined}}: {second}.")
    if not texts:
        return []
    between = "\\par\n" if notes == "all" else "\n\\quad "
    return ["\\par\\smallskip\\raggedright\\scriptsize", between.join(texts)]


def _legend_text(line: Line) -> str:
    flag = f"\\textsuperscript{{{line.flag}}} " if line.flag else ""
    return f"{flag}{latex_prose(line.text)}"
