"""A comparison as HTML tables for notebooks: no scripts, no styles but those of single cells."""

from __future__ import annotations

from html import escape

from vpbench.core.schema import CompareJson
from vpbench.render.model import Cell, Column, TableModel, TableRow, table_model
from vpbench.render.text import clean

_RULE = ' style="border-top:1px solid"'


def to_html(obj: CompareJson) -> str:
    """All groups as tables with their notes; rows that are no methods are dimmed."""
    blocks = [_table(table_model(group)) for group in obj["groups"]]
    if obj["differences"]:
        lines = "".join(f"<li>{escape(clean(text))}</li>" for text in obj["differences"])
        blocks.append(f"<p>Not in one column:</p><ul>{lines}</ul>")
    return "\n".join(blocks or ["<p>Nothing to compare.</p>"])


def _table(model: TableModel) -> str:
    head = "".join(_cell("th", column, escape(column.title)) for column in model.columns)
    rows = "\n".join(_row(row, model.columns) for row in model.rows)
    notes = "".join(f"<li>{escape(clean(note.plain))}</li>" for note in model.notes)
    listed = f"\n<ul>{notes}</ul>" if notes else ""
    return (
        f"<table>\n<caption>{escape(clean(model.title))}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>{listed}"
    )


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
    return f"{text}<sup>{escape(','.join(cell.notes))}</sup>" if cell.notes else text


def _cell(tag: str, column: Column, text: str) -> str:
    return f'<{tag} style="text-align:{column.align}">{text}</{tag}>'
