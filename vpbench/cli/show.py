"""Everything that reaches the terminal: JSON, progress; tables are in `vpbench.cli.tables`."""

from __future__ import annotations

import json
from typing import Any

import click

from vpbench.cli.progress import Progress
from vpbench.cli.screen import console
from vpbench.core.hashing import plain

__all__ = ["Progress", "console", "print_json"]


def print_json(value: Any) -> None:
    """One JSON object on standard output, without NaN."""
    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))
