"""Everything that reaches the terminal: tables, JSON, progress."""

from __future__ import annotations

import json
from typing import Any

import click

from vpbench.cli.progress import Progress
from vpbench.cli.screen import console
from vpbench.core.hashing import plain
from vpbench.core.schema import CompareJson, GroupJson

__all__ = ["Progress", "console", "print_comparison", "print_json"]


def print_json(value: Any) -> None:
    """One JSON object on standard output, without NaN."""
    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def print_comparison(comparison: CompareJson) -> None:
    """Draw every group as a table, and list how the groups differ."""
    from rich.text import Text

    out = console()
    for group in comparison["groups"]:
        _print_group(out, group)
    for line in comparison["differences"]:
        out.print(Text(f"Not in one table: {line}", style="yellow"))


def _print_group(out: Any, group: GroupJson) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from vpbench.render.tables import table_model
    from vpbench.render.terminal import terminal_table

    model = table_model(group)
    shown = terminal_table(model, out.width)
    table = Table(
        box=None if shown.stacked else box.SIMPLE_HEAD,
        title=model.title,
        title_justify="left",
        title_style="bold",
        show_header=not shown.stacked,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for title in shown.titles:
        table.add_column(Text(title), no_wrap=True)
    for k, row in enumerate(shown.model.rows):
        if row.rule_above:
            table.add_section()
        style = "dim" if row.dimmed else ""
        if shown.stacked:
            for line in shown.blocks[k]:
                table.add_row(Text(line), style=style)
            continue
        cells = zip(row.cells, shown.lines[k], strict=True)
        table.add_row(*(Text(t, style="bold" if c.bold else "") for c, t in cells), style=style)
    out.print(table)
    notes = [note.plain for note in model.notes]
    if shown.omitted:
        notes.append(
            f"left out for want of room: {', '.join(shown.omitted)} (--format md shows all)"
        )
    for note in notes:
        out.print(Text(note, style="dim"))
    out.print()
