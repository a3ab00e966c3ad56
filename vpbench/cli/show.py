"""Everything that reaches the terminal but progress: tables, JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from vpbench.core.hashing import plain


def print_json(value: Any) -> None:
    """One JSON object on standard output, without NaN."""
    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def console(stderr: bool = False) -> Any:
    """A rich console; plain text when it is no terminal."""
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else 160)
