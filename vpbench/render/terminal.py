"""A table model as plain text that fits a terminal: no digit is ever cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vpbench.render.model import Cell, TableModel, TableRow
from vpbench.render.text import DASH, clean, width

GAP = 2
"""Columns between two columns of a table, and around it."""

_ERROR = re.compile(r" ± [0-9.]+")

_FIGURE = re.compile(r"(\S+)( ± )([^.]*)(.*)")
"""A figure with an error, which is split where its decimals begin."""

_TEST = re.compile(r"(\S+)()()(, p .*)")
"""A figure with a p-value."""


@dataclass(frozen=True)
class TerminalTable:
    """Texts of equal width in each column.

    Attributes:
        model: what is shown of the table.
        titles: of the columns.
        lines: one a row of the model, a text for each column.
        omitted: what there was no room for.
        blocks: the lines of each row, one for each figure, where the columns do not fit side by
            side; `titles` and `lines` are empty then.
    """

    model: TableModel
    titles: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    omitted: tuple[str, ...] = ()
    blocks: tuple[tuple[str, ...], ...] = ()

    @property
    def stacked(self) -> bool:
        """Whether rows are blocks of lines."""
        return bool(self.blocks)


def terminal_table(model: TableModel, columns: int) -> TerminalTable:
    """Lay out a table: whole, else without `uses`, without what kinds of references there are,
    without ±, else as a block of lines for each row.

    Args:
        columns: characters in a line.
    """
    omitted: list[str] = []
    for narrower, what in _NARROWER:
        shorter = narrower(model)
        if what and shorter == model:
            continue
        model = shorter
        omitted += [what] if what else []
        titles, lines = _aligned(model)
        if sum(map(width, titles)) + GAP * (len(titles) + 1) <= columns or not lines:
            return TerminalTable(model, titles, lines, tuple(omitted))
    return TerminalTable(
        model, (), (), tuple(omitted), tuple(_block(model, k) for k in _rows(model))
    )


def _rows(model: TableModel) -> range:
    return range(len(model.rows))


def _without_uses(model: TableModel) -> TableModel:
    keep = [k for k, column in enumerate(model.columns) if column.title != "uses"]
    return replace(
        model,
        columns=tuple(model.columns[k] for k in keep),
        rows=tuple(replace(row, cells=tuple(row.cells[k] for k in keep)) for row in model.rows),
    )


def _without_errors(model: TableModel) -> TableModel:
    return replace(
        model,
        rows=tuple(
            replace(row, cells=tuple(replace(c, text=_ERROR.sub("", c.text)) for c in row.cells))
            for row in model.rows
        ),
    )


def _without_kinds(model: TableModel) -> TableModel:
    """Names of references without what they are: they are dimmed, and stand apart."""

    def shorter(row: TableRow) -> TableRow:
        name, *rest = row.cells
        return replace(row, cells=(replace(name, text=clean(row.source["method"])), *rest))

    return replace(model, rows=tuple(shorter(r) if r.dimmed else r for r in model.rows))


_NARROWER: tuple[tuple[Callable[[TableModel], TableModel], str], ...] = (
    (lambda model: model, ""),
    (_without_uses, "uses"),
    (_without_kinds, "kinds of references"),
    (_without_errors, "±"),
)
"""What is done, one after the other, until the columns fit; and what is missing then."""


def _aligned(model: TableModel) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    texts: list[list[str]] = []
    titles: list[str] = []
    for k, column in enumerate(model.columns):
        cells = [row.cells[k] for row in model.rows]
        right = column.align == "right"
        body = _bodies(cells) if right else [cell.plain for cell in cells]
        wide = max(map(width, (column.title, *body)), default=0)
        titles.append(_pad(column.title, wide, right))
        texts.append([_pad(text, wide, right) for text in body])
    return tuple(titles), tuple(zip(*texts, strict=True))


def _bodies(cells: Sequence[Cell]) -> list[str]:
    """Figures below figures, errors below errors, then marks, then labels."""
    parts = [_parts(cell.text) for cell in cells]
    value, whole = (max((width(p[k]) for p in parts), default=0) for k in (0, 2))
    figures = [
        f"{_pad(before, value, True)}{sign}{_pad(digits, whole if sign else 0, True)}{after}"
        for before, sign, digits, after in parts
    ]
    tested = [bool(_TEST.fullmatch(cell.text)) for cell in cells]
    # A p-value is as long as an error and a mark, which it never stands beside.
    errors = max((width(f) for f, p in zip(figures, tested, strict=True) if not p), default=0)
    marked = max((width(cell.mark) for cell in cells), default=0)
    bodies = [
        figure if p else f"{_pad(figure, errors, False)}{_tail(cell.mark, marked)}"
        for figure, p, cell in zip(figures, tested, cells, strict=True)
    ]
    wide = max(map(width, bodies), default=0)
    labels = ["" if cell.text == DASH else _labels(cell) for cell in cells]
    labelled = max(map(width, labels), default=0)
    lines = [
        f"{_pad(body, wide, False)}{_tail(label, labelled)}"
        for body, label in zip(bodies, labels, strict=True)
    ]
    return [
        cell.plain if cell.text == DASH else line for cell, line in zip(cells, lines, strict=True)
    ]


def _parts(text: str) -> tuple[str, str, str, str]:
    """A figure, ` ± `, the digits of its error before the point, and the rest."""
    match = _FIGURE.fullmatch(text) or _TEST.fullmatch(text)
    if match is not None:
        return match[1], match[2], match[3], match[4]
    return ("" if text == DASH else text), "", "", ""


def _labels(cell: Cell) -> str:
    return replace(cell, text="", mark="").plain.strip()


def _tail(text: str, wide: int) -> str:
    return f" {_pad(text, wide, False)}" if wide else ""


def _blocks(model: TableModel) -> tuple[tuple[str, ...], ...]:
    return tuple(_block(model, k) for k in range(len(model.rows)))


def _block(model: TableModel, k: int) -> tuple[str, ...]:
    """The name of a row, and a line for each figure below it."""
    row = model.rows[k]
    pairs = [
        (column.title, cell.plain)
        for column, cell in zip(model.columns[1:], row.cells[1:], strict=True)
        if cell.plain
    ]
    wide = max((width(title) for title, _ in pairs), default=0)
    return (row.cells[0].plain, *(f"  {_pad(title, wide, False)}  {text}" for title, text in pairs))


def _pad(text: str, wide: int, right: bool) -> str:
    space = " " * (wide - width(text))
    return space + text if right else text + space
