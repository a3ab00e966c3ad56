"""A comparison as HTML tables for notebooks: no scripts, no styles but those of single cells."""

from __future__ import annotations

from html import escape

from vpbench.core.schema import CompareJson
from vpbench.render.model import EVERYTHING, Cell, Column, TableModel, TableRow, View
from vpbench.render.tables import APART, NOTHING, apart, models
from vpbench.render.text import clean

_RULE = ' style="border-top:1px solid"'


def to_html(obj: CompareJson, view: View = EVERYTHING) -> str:
    """Tables with the lines that every reader needs; notes fold out. References are dimmed."""
    blocks = [_table(model) for model in models(obj, view)]
    if lines := apart(obj, view):
        blocks.append(f"<p>{APART}</p>{_list(lines)}")
    return "\n".join(blocks or [f"<p>{NOTHING}</p>"])


def _table(model: TableModel) -> str:
    head = "".join(_cell("th", column, escape(column.title)) for column in model.columns)
    rows = "\n".join(_row(row, model.columns) for row in model.rows)
    lines = [f"{line.flag} {line.text}".strip() for line in model.legend]
    notes = [note.plain for note in model.notes]
    folded = f"\n<details><summary>{len(notes)} notes</summary>{_list(notes)}</details>"
    return (
        f"<table>\n<caption>{escape(clean(' · '.join(model.title)))}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
        f"{_list(lines) if lines else ''}{folded if notes else ''}"
    )


def _list(texts: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(clean(text))}</li>' for text in texts)}</ul>"


def _row(row: TableRow, columns: tuple[Column, ...]) -> str:
    cells = "".join(
        _cell("td", column, _text(cell, row.dimmed))
        for column, cell in zip(columns, row.cells, strict=True)
    )
    return f"<tr{_RULE if row.rule_above else ''}>{cells}</tr>"


def _text(cell: Cell, dimmed: bool) -> str:
    text = escape(clean(cell.marked))
    if text and dimmed:
        text = f'<span style="opacity:0.6">{text}</span>'
    elif text and cell.bold:
        text = f"<b>{text}</b>"
    elif text and cell.underlined:
        text = f"<u>{text}</u>"
    return f"{text}<sup>{escape(','.join(cell.flags))}</sup>" if cell.flags else text


def _cell(tag: str, column: Column, text: str) -> str:
    return f'<{tag} style="text-align:{column.align}">{text}</{tag}>'
