"""Pages for a person: a name at the left, text beside it that breaks at blanks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

import click

_NO_TERMINAL = 160
_WIDEST = 80
"""Longer lines are hard to read, even where there is room."""


def page_width() -> int:
    """Characters in a line of a page."""
    return min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)


def screen_width() -> int:
    """Characters in a line of a table: those of the terminal, many where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _NO_TERMINAL


def styles() -> bool:
    """Whether styles can be seen on standard output."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def heading(text: str) -> None:
    """Text that stands above others, by itself."""
    from vpbench.render.terminal import wrapped

    for line in wrapped([text], page_width()):
        click.secho(line, bold=True, color=styles())


def beside(
    name: str, texts: str | Iterable[str], wide: int, *, style: str = "", indent: int = 0
) -> None:
    """A name, padded to `wide`, and lines of text beside it; a long name stands above them.

    Args:
        style: of the name: "", "dim", "red".
        indent: blanks before everything.
    """
    from vpbench.render.terminal import wrapped

    lines = [texts] if isinstance(texts, str) else list(texts)
    room = max(20, page_width() - indent - wide - 2)
    broken = [part for text in lines for part in wrapped([text], room)]
    lead = " " * indent
    if len(name) > wide:
        click.echo(lead + _styled(name, style))
        name = ""
    for k, text in enumerate(broken or [""]):
        left = _styled(name, style) + " " * (wide - len(name)) if k == 0 else " " * wide
        click.echo(f"{lead}{left}  {text}".rstrip())


def grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns, the first at the left, the others at the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(w) if k == 0 else text.rjust(w)
            for k, (text, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _styled(text: str, style: str) -> str:
    if not styles() or not text or not style:
        return text
    return click.style(text, dim=True) if style == "dim" else click.style(text, fg=style)
