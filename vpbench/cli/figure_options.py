"""What the figures' commands share: where they go, how they look, what is said at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vpbench.cli import options
from vpbench.cli.show import print_json

F = TypeVar("F", bound=Callable[..., Any])


out_folder = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="figures",
    metavar="DIR",
    show_default=True,
    help="Output folder.",
)

background = click.option(
    "--background",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    help="Background colour.",
)


def target(function: F) -> F:
    """--out, --format, --background and what papers set."""
    return options.chain(
        out_folder,
        click.option(
            "--format",
            "kind",
            type=click.Choice(["png", "pdf", "svg"]),
            default="png",
            show_default=True,
            help="pdf and svg need the extra `figures`.",
        ),
        background,
        click.option(
            "--titles/--no-titles", default=True, help="Title and caption; papers have their own."
        ),
        click.option(
            "--dpi",
            type=click.IntRange(10, 2400),
            metavar="N",
            help="Pixels for an inch in print: a higher number makes a smaller figure.",
        ),
    )(function)


def tell(record: dict[str, Any], out: Path, as_json: bool) -> int:
    """Print where a figure is, or its record."""
    from vpbench.harness.figures.write import written

    if as_json:
        print_json({**record, "out": str(out)})
        return 0
    for path in written(out, record):
        click.echo(f"Figure: {path}")
    click.echo(f"What it shows: {out / (record['figure'] + '.json')}")
    return 0
