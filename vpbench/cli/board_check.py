"""board check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpbench.cli import options
from vpbench.cli.board_add import BOARD
from vpbench.cli.show import print_json

if TYPE_CHECKING:
    from vpbench.board.check import BoardCheckJson


@click.command(
    epilog="""\b
Examples:
  vpbench board check
  vpbench board check leaderboards/puppets/my-method-0f1e2d3c.json
  vpbench board check --bundles downloads --json

Exit codes: 0 all is in order, 4 an entry is refused, 5 there is none."""
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[ENTRY|FOLDER...]")
@BOARD
@click.option(
    "--bundles",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Folder with bundles ID.vpb; those beside entries are found anyway.",
)
@options.output
def check(
    paths: tuple[Path, ...], root: Path, bundles: Path | None, as_json: bool, debug: bool
) -> int:
    """Check entries, and the hashes of their bundles where these are there.

    Refused are: a changed byte, another schema, NaN, an unknown or recalled metric version, a clip
    without a score, a recogniser that was trained on test clips, weights that are not pinned by a
    whole sha256, figures that contradict each other. Nothing is computed.
    """
    from vpbench.api.errors import MissingData
    from vpbench.board.check import check_board
    from vpbench.core.registry import registry

    files: list[Path] = []
    for path in paths:
        own = sorted(path.glob("**/*.json")) if path.is_dir() else [path]
        if not own or not own[0].exists():
            raise MissingData(f"there is no entry {path}.")
        files += own
    found = check_board(_board_of(root, files), registry(), files, bundles)
    if as_json:
        print_json(found)
    else:
        _print(found)
    return 0 if found["ok"] else 4


def _board_of(root: Path, files: Sequence[Path]) -> Path:
    """The folder with the rules: `root`, or, where that is not there, the one above the entries."""
    from vpbench.board.check import TASKS

    if not root.is_dir() and files:
        above = files[0].absolute().parents
        return next((folder for folder in above if (folder / TASKS).is_file()), root.absolute())
    return root.absolute()


def _print(found: BoardCheckJson) -> None:
    from vpbench.api.errors import printable

    refused = 0
    for row in found["entries"]:
        refused += not row["ok"]
        click.echo(f"{'ok     ' if row['ok'] else 'refused'}  {printable(row['path'])}")
        for problem in row["problems"]:
            warning = "warning: " if problem["level"] == "warning" else ""
            click.echo(f"         {warning}{printable(problem['what'])}")
    count = len(found["entries"])
    plural = "y" if count == 1 else "ies"
    click.echo(f"{count} entr{plural}, {refused} refused")
