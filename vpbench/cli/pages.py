"""Pages for a person: a name at the left, text beside it that breaks at blanks."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable

import click

_NO_TERMINAL = 160
"""Characters in a line where there is no terminal and COLUMNS says nothing."""

_WIDEST = 80
"""Longer lines are hard to read, even where there is room."""


def page_width() -> int:
    """Characters in a line of a page."""
    return min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)


def screen_width() -> int:
    """Characters in a line of a table."""
    return shutil.get_terminal_size((_NO_TERMINAL, 24)).columns


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


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 entry", "2 entries"; without `many`, an s is added."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def plain_text(value: object) -> str:
    """A value of a parameter or a record as one line."""
    from vpbench.core.hashing import plain

    shown = plain(value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _styled(text: str, style: str) -> str:
    if not styles() or not text or not style:
        return text
    return click.style(text, dim=True) if style == "dim" else click.style(text, fg=style)
