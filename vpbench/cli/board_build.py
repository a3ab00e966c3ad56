"""board build."""

from __future__ import annotations

from pathlib import Path

import click

from vpbench.cli import options
from vpbench.cli.pages import counted
from vpbench.cli.show import Progress, print_json

_EPILOG = """\b
Examples:
  vpbench board build
  vpbench board build --runs runs
  vpbench board build --entries leaderboards --out site --force"""


@click.command(epilog=_EPILOG)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("site"),
    show_default=True,
    metavar="DIR",
    help="Where the site goes: a new or an empty folder.",
)
@click.option(
    "--entries",
    "--board",
    "root",
    type=click.Path(path_type=Path),
    default=Path("leaderboards"),
    show_default=True,
    metavar="DIR",
    help="The folder of leaderboards.",
)
@click.option(
    "--runs",
    type=click.Path(file_okay=False, exists=True),
    metavar="DIR",
    help="A runs folder: the predictions of entries' runs in it are shown as clips.",
)
@click.option("--force", is_flag=True, help="Replace an earlier site in DIR.")
@options.output
def build(out: Path, root: Path, runs: str | None, force: bool, as_json: bool, debug: bool) -> int:
    """Build a static site of all entries: pages of tasks and methods, with papers' figures apart.

    It opens from the disk and from any web space and needs no network; the same entries
    give the same bytes. An entry that `board check` refuses is left out and listed, and
    the exit code is 4.
    """
    from vpbench.api.errors import printable
    from vpbench.board.site.build import build_site
    from vpbench.core.paths import user_paths
    from vpbench.core.registry import registry

    paths = user_paths(runs) if runs else None
    with Progress("site") as progress:
        built = build_site(root, out, registry(()), paths=paths, force=force, report=progress)
    if as_json:
        print_json(
            {
                "schema": "vpbench.board-build/1",
                "out": str(built.folder),
                "entries": built.entries,
                "tasks": built.tasks,
                "methods": built.methods,
                "bytes": built.size,
                "refused": [
                    {"path": path, "problems": list(texts)} for path, texts in built.refused.items()
                ],
            }
        )
    else:
        click.echo(
            f"{counted(built.entries, 'entry', 'entries')} on "
            f"{counted(built.tasks, 'task')}, {built.size / 1e6:.1f} MB: "
            f"{built.folder / 'index.html'}"
        )
    for path, texts in built.refused.items():
        reasons = "; ".join(text.rstrip(".") for text in texts)
        click.echo(printable(f"not built: {path}: {reasons}."), err=True)
    return 4 if built.refused else 0
