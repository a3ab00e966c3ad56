"""A table model as lines that fit a terminal: no digit is ever cut, nothing is left out unsaid."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vpbench.render.flags import RAISED
from vpbench.render.legend import Line
from vpbench.render.model import Cell, TableModel, TableRow
from vpbench.render.text import width

MOST_LINES = 6
"""Lines below a table."""

_APART = "   "
"""Between two parts of a line below a table."""

_NAME = 24
"""Characters that a name of a method may take where there is little room."""

_RULE = "┄┄┄"

GAPS = (2, 1)
"""Blanks between two columns, where there is room and where there is little."""


@dataclass(frozen=True)
class Span:
    """A piece of a line; `style` is words of "bold", "underline", "dim", or ""."""

    text: str
    style: str = ""


Spans = tuple[Span, ...]


def draw_table(
    model: TableModel, columns: int, *, styled: bool = True, pointers: Sequence[str] = ()
) -> list[Spans]:
    """Lines of a table: title, head, rows, and at most six lines below.

    Whole where there is room, else with names over several lines and columns close together, then
    without `uses`, then without ± and p, else as a block of lines for each row. What is left out is
    said below.

    Args:
        columns: characters in a line.
        styled: whether bold and underlined can be seen, and are explained.
        pointers: parts of the last line: where to find more.
    """
    shown, omitted = _fitted(model, columns)
    lines: list[Spans] = [(Span(text, "bold"),) for text in wrapped(model.title, columns, " · ")]
    lines.append(())
    lines += _blocks(model, columns) if shown is None else _drawn(shown, columns)
    lines.append(())
    lines += [
        (Span(text, "dim"),)
        for text in _below(model.legend, omitted, columns, styled=styled, pointers=pointers)
    ]
    return lines


def plain_lines(lines: Sequence[Spans]) -> list[str]:
    """The lines without styles, without blanks at their ends."""
    return ["".join(span.text for span in line).rstrip() for line in lines]


def wrapped(parts: Sequence[str], columns: int, between: str = _APART) -> list[str]:
    """Parts side by side, in as many lines as they need; one that is too long breaks at blanks."""
    lines: list[str] = []
    for part in parts:
        if lines and _fits(lines[-1], part, columns, between):
            lines[-1] += between + part
        else:
            lines += _broken(part, columns)
    return lines


def _packed(parts: Sequence[str], columns: int) -> list[str]:
    """As `wrapped`, but a part goes into the first line that has room; commands stand alone."""
    lines: list[str] = []
    for part in parts:
        room = [k for k, line in enumerate(lines) if _fits(line, part, columns, _APART)]
        if room and width(part) <= columns and "`" not in lines[room[0]] + part:
            lines[room[0]] += _APART + part
        else:
            lines += _broken(part, columns)
    return lines


def _fits(line: str, part: str, columns: int, between: str) -> bool:
    return width(line) + width(between) + width(part) <= columns


def _broken(text: str, columns: int) -> list[str]:
    """Lines of whole words; a word that is longer than a line has one of its own."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and width(longer) > columns:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


# What is left out.


@dataclass(frozen=True)
class _Grid:
    """A table as texts of equal width in each column."""

    model: TableModel
    titles: list[str]
    bodies: list[tuple[str, ...]]

    def width(self, gap: int) -> int:
        """Characters of a line, and one on both sides."""
        return sum(map(width, self.titles)) + gap * (len(self.titles) - 1) + 2


def _fitted(model: TableModel, columns: int) -> tuple[_Grid | None, tuple[str, ...]]:
    """The table as it fits, None where only blocks do; and what it lacks."""
    omitted: list[str] = []
    for narrower, what in _NARROWER:
        shorter = narrower(model)
        if shorter == model and what:
            continue
        model = shorter
        omitted += what
        grid = _Grid(model, *_aligned(model))
        if grid.width(GAPS[-1]) <= columns:
            return grid, tuple(omitted)
    return None, ()


def _without_uses(model: TableModel) -> TableModel:
    return model.keep(k for k, column in enumerate(model.columns) if column.title != "uses")


def _without_errors(model: TableModel) -> TableModel:
    rows = (
        replace(row, cells=tuple(replace(cell, error="", p="") for cell in row.cells))
        for row in model.rows
    )
    return replace(model, rows=tuple(rows))


def _with_broken_names(model: TableModel) -> TableModel:
    """Long names over several lines: a line feed in the text of the cell."""

    def shorter(row: TableRow) -> TableRow:
        name, *rest = row.cells
        text = "\n".join(break_name(name.text, _NAME))
        return replace(row, cells=(replace(name, text=text), *rest))

    return replace(model, rows=tuple(shorter(row) for row in model.rows))


def break_name(name: str, longest: int) -> list[str]:
    """`mine[preset=gpu,motion=x]` in lines that end at brackets, commas, blanks, or where full."""
    parts = re.sub(r"([\[, ])", "\\1\n", name).split("\n")
    pieces = [part[k : k + longest] for part in parts for k in range(0, len(part) or 1, longest)]
    lines = [""]
    for piece in pieces:
        if lines[-1] and width(lines[-1] + piece) > longest:
            lines.append(f" {piece}")
        else:
            lines[-1] += piece
    return [line.rstrip() for line in lines]


_NARROWER: tuple[tuple[Callable[[TableModel], TableModel], tuple[str, ...]], ...] = (
    (lambda model: model, ()),
    (_with_broken_names, ()),
    (_without_uses, ("uses",)),
    (_without_errors, ("±", "p")),
)
"""What is done, one after the other, until the columns fit; and what is missing then."""


# Side by side.


def _drawn(grid: _Grid, columns: int) -> list[Spans]:
    """Head, rule and rows."""
    gap = next(g for g in GAPS if grid.width(g) <= columns)
    rule = "─" * (grid.width(gap) - 2)
    lines: list[Spans] = [(Span(" " + (" " * gap).join(grid.titles)),), (Span(f" {rule}", "dim"),)]
    for row, body in zip(grid.model.rows, grid.bodies, strict=True):
        if row.rule_above:
            lines.append((Span(f" {_RULE}", "dim"),))
        for k in range(max(len(text.split("\n")) for text in body)):
            lines.append(_row_line(row, [_part(text, k) for text in body], gap))
    return lines


def _part(text: str, k: int) -> str:
    """Line k of a text, as wide as the others of its column; figures stand in the first."""
    parts = text.split("\n")
    return parts[k] if k < len(parts) else " " * width(parts[0])


def _row_line(row: TableRow, texts: Sequence[str], gap: int) -> Spans:
    spans: list[Span] = [Span(" ")]
    for k, (cell, text) in enumerate(zip(row.cells, texts, strict=True)):
        spans += [Span(" " * gap)] if k else []
        # Only the figure is underlined, not the blanks around it and not its mark.
        core = text.strip().removesuffix(cell.mark).strip()
        before, _, after = text.partition(core) if core else (text, "", "")
        spans += [Span(before), Span(core, _style(row, cell)), Span(after)]
    return tuple(span for span in spans if span.text)


def _style(row: TableRow, cell: Cell) -> str:
    words = (
        "dim" if row.dimmed else "",
        "bold" if cell.bold else "",
        "underline" if cell.underlined else "",
    )
    return " ".join(word for word in words if word)


def _aligned(model: TableModel) -> tuple[list[str], list[tuple[str, ...]]]:
    """Titles, and the texts of each row, of equal width in each column."""
    titles: list[str] = []
    bodies: list[list[str]] = []
    for k, column in enumerate(model.columns):
        cells = [row.cells[k] for row in model.rows]
        right = column.align == "right"
        body = _figures(cells) if right else [_named(cell) for cell in cells]
        wide = max(
            (width(w) for text in (column.title, *body) for w in text.split("\n")), default=0
        )
        titles.append(_pad(column.title, wide, right))
        bodies.append(["\n".join(_pad(t, wide, right) for t in text.split("\n")) for text in body])
    return titles, list(zip(*bodies, strict=True))


def _named(cell: Cell) -> str:
    raised = "".join(RAISED[flag] for flag in cell.flags)
    first, *rest = cell.text.split("\n")
    return "\n".join([f"{first} {raised}" if raised else first, *rest])


def _figures(cells: Sequence[Cell]) -> list[str]:
    """Figures below figures, errors below errors at their points, then ranks, then marks."""
    value = max((width(c.text) for c in cells if c.error or c.p), default=0)
    whole = max((width(c.error.partition(".")[0]) for c in cells), default=0)
    parts: list[str] = []
    for cell in cells:
        text = _pad(cell.text, value, True)
        if cell.error:
            before, point, after = cell.error.partition(".")
            text += f" ± {_pad(before, whole, True)}{point}{after}"
        elif cell.p:
            text += f" {cell.p}"
        parts.append(text)
    has_error = any(cell.error or cell.p for cell in cells)
    for of in (lambda c: f"({c.rank})" if c.rank else "", lambda c: c.mark):
        tails = [of(cell) for cell in cells]
        if any(tails):
            longest = max(map(width, tails))
            # A p-value may reach into the room of a mark, which it never stands beside.
            plain = (width(p) for p, c in zip(parts, cells, strict=True) if not c.p)
            wide = max(plain, default=0)
            parts = [
                p
                if width(p) > wide
                else f"{_pad(p, wide, not has_error)} {_pad(t, longest, False)}"
                for p, t in zip(parts, tails, strict=True)
            ]
    wide = max(map(width, parts), default=0)
    return [_pad(part, wide, not has_error) for part in parts]


def _pad(text: str, wide: int, right: bool) -> str:
    space = " " * (wide - width(text))
    return space + text if right else text + space


# One below the other.


def _blocks(model: TableModel, columns: int) -> list[Spans]:
    """Each row as its name, and a line for each figure below it."""
    lines: list[Spans] = []
    for row in model.rows:
        if row.rule_above:
            lines.append((Span(_RULE, "dim"),))
        name, *cells = row.cells
        for text in _broken(_named(name), columns):
            lines.append((Span(text, "dim" if row.dimmed else "bold"),))
        pairs = [
            (column.title, cell)
            for column, cell in zip(model.columns[1:], cells, strict=True)
            if cell.text and (cell.text != "-")
        ]
        wide = max((width(title) for title, _ in pairs), default=0)
        for title, cell in pairs:
            lead = Span(f"  {_pad(title, wide, False)}  ", "dim")
            lines.append((lead, Span(cell.marked, _style(row, cell))))
    return lines


# Below the table.


def _below(
    legend: Sequence[Line],
    omitted: Sequence[str],
    columns: int,
    *,
    styled: bool,
    pointers: Sequence[str],
) -> list[str]:
    """At most six lines, if need be without the least important; the last says where more is."""
    lines = [line for line in legend if line.about not in omitted]
    lines = [line for line in lines if styled or line.about != "styles"]
    if omitted:
        text = f"left out: {', '.join(omitted)} (--format md has all)"
        lines.insert(0, Line(text))
    where = list(pointers)
    while True:
        texts = [f"{RAISED[x.flag]} {x.text}" if x.flag else x.text for x in lines]
        drawn = [*_packed(texts, columns), *wrapped(where, columns)]
        expendable = [k for k, line in enumerate(lines) if line.weight]
        if len(drawn) <= MOST_LINES or not (expendable or where[1:]):
            return drawn
        if where[1:] and (len(wrapped(where, columns)) > 1 or not expendable):
            where.pop()
            continue
        heaviest = max(lines[k].weight for k in expendable)
        del lines[max(k for k in expendable if lines[k].weight == heaviest)]
