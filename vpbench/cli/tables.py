"""Comparisons on the terminal: as many columns as fit, styles where they can be seen, notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vpbench.cli.pages import screen_width, styles
from vpbench.core.schema import CompareJson, GroupJson

if TYPE_CHECKING:
    from vpbench.render.model import TableModel, View
    from vpbench.render.notes import Note
    from vpbench.render.terminal import Spans


def print_comparison(
    comparison: CompareJson,
    view: View | None = None,
    notes: str = "short",
    command: str = "",
    fingerprints: bool = False,
) -> None:
    """Draw the tables, differences to one row after their table, and in what tables differ.

    Args:
        notes: "none", "short", "all", or the name of the row whose notes are shown.
        command: the `vpbench compare` that shows the same; "" where that is what was typed.
        fingerprints: also the recipe of each column.

    Raises:
        UnknownName: no row has the name in `notes`.
    """
    from vpbench.render.model import View, shown_groups, table_model
    from vpbench.render.notes import fingerprint_notes
    from vpbench.render.tables import apart
    from vpbench.render.versus import versus_model

    view = view or View()
    groups = shown_groups(comparison, view)
    _check_notes(notes, groups)
    others = len(comparison["groups"]) - len(groups)
    for k, group in enumerate(groups):
        model = table_model(group, view)
        more = others if k == len(groups) - 1 else 0
        _print_table(model, notes, _pointers(model, notes, command, more))
        _print_notes(model.notes, notes)
        against = versus_model(group, view)
        if against is not None:
            _print_table(against, notes, [])
            _print_notes(against.notes, notes)
        for line in fingerprint_notes(group) if fingerprints else []:
            click.echo(f"{line}\n")
    for text in apart(comparison, view):
        click.secho(f"Not in one table: {text}", fg="yellow", color=styles())


def _pointers(model: TableModel, notes: str, command: str, others: int) -> list[str]:
    """Where to find what the table leaves out."""
    count = len(model.notes)
    said = {"all": 0, "none": 0}.get(notes, count)
    lead = f"{command} " if command else ""
    parts = [f"{said} note{'s' * (said != 1)}: {lead}--notes" if said else ""]
    if not command:
        parts += ["paper: --format tex"]
        parts += ["all references: --references all"] if model.hidden else []
    if others:
        parts += [f"{others} more table{'s' * (others != 1)}: {lead}--all-groups"]
    return [part for part in parts if part]


def _print_table(model: TableModel, notes: str, pointers: Sequence[str]) -> None:
    from dataclasses import replace

    from vpbench.render.terminal import draw_table

    if notes == "none":
        model = replace(model, legend=())
    styled = styles()
    for line in draw_table(model, screen_width(), styled=styled, pointers=pointers):
        click.echo(_styled(line) if styled else "".join(span.text for span in line).rstrip())
    click.echo()


def _styled(line: Spans) -> str:
    """Text with the codes of its styles."""
    return "".join(
        click.style(
            span.text,
            bold="bold" in span.style or None,
            underline="underline" in span.style or None,
            dim="dim" in span.style or None,
        )
        if span.style
        else span.text
        for span in line
    )


def _print_notes(notes: Sequence[Note], which: str) -> None:
    """All notes below the rows that they belong to, or those of one row."""
    from vpbench.render.terminal import wrapped

    if which in ("short", "none"):
        return
    shown = [n for n in notes if which in ("all", n.method, n.label)]
    wide = max(20, screen_width() - 4)
    above = None
    for note in shown:
        if note.label != above:
            click.secho(f" {note.label or 'the whole table'}", bold=True, color=styles())
            above = note.label
        first, *rest = wrapped([note.text], wide)
        click.echo("\n".join([f"  - {first}", *(f"    {text}" for text in rest)]))
    if shown:
        click.echo()


def _check_notes(which: str, groups: Sequence[GroupJson]) -> None:
    names = dict.fromkeys(row["method"] for group in groups for row in group["rows"])
    if names and which not in ("all", "short", "none", *names):
        from vpbench.api.errors import UnknownName

        raise UnknownName("row", which, names, hint="--notes takes a row, all, short or none.")
