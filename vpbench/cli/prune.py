"""prune."""

from __future__ import annotations

import shutil

import click

from vpbench.cli import options
from vpbench.cli.show import print_json

_EPILOG = """\b
Examples:
  vpbench prune --dry-run
  vpbench prune --runs results"""


@click.command(epilog=_EPILOG)
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@options.storage
@options.output
def prune(dry_run: bool, runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """Remove runs and stages that were set aside as out of date.

    Runs and stages are set aside, never deleted, when their code, inputs or training changed;
    this deletes them for good. Files that killed processes have left half written are removed, too.
    """
    from vpbench.core.files import storage
    from vpbench.core.leftovers import sweep
    from vpbench.core.run_folders import folder_size, retired

    paths = options.folders(runs, offline)
    folders = retired(paths.runs)
    swept = 0 if dry_run else sweep([paths.runs, paths.cache])
    rows = [{"path": str(folder), "bytes": folder_size(folder)} for folder in folders]
    for folder in [] if dry_run else folders:
        with storage(folder):
            shutil.rmtree(folder)
    if as_json:
        print_json(
            {
                "schema": "vpbench.prune/1",
                "removed": not dry_run,
                "folders": rows,
                "leftovers": swept,
            }
        )
        return 0
    for row in rows:
        click.echo(f"{row['bytes'] / 1e6:8.1f} MB  {row['path']}")
    total = sum(int(row["bytes"]) for row in rows) / 1e6
    verb = "would be removed" if dry_run else "removed"
    if swept:
        click.echo(f"{swept} files of killed processes removed.")
    click.echo(f"{len(rows)} folders, {total:.1f} MB {verb}." if rows else "Nothing was set aside.")
    return 0
