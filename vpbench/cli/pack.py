"""pack and import: finished runs as one file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from vpbench.cli import options
from vpbench.cli.opening import methods_or_runs
from vpbench.cli.show import print_json

_PACK_EPILOG = """\b
Examples:
  vpbench pack my-method
  vpbench pack my-method copy-last --task puppets --out mine.vpb
  vpbench pack runs/puppets/my-method/0f1e2d3c
  vpbench compare mine.vpb"""


@click.command(epilog=_PACK_EPILOG)
@options.methods_or_runs
@click.option("--task", "task_name", default="", metavar="T", help="Only runs of this task.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file.  [default: METHOD-<run id>.vpb]",
)
@options.storage
@options.output
def pack(
    what: tuple[str, ...],
    task_name: str,
    out: Path | None,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Pack finished runs into one file that loads on another machine.

    Predictions, scores and records, not checkpoints; the same runs give the same bytes. `compare`
    and `board` take the file as it is; `import` puts it into a runs folder.
    """
    from vpbench.board.bundle import ENDING, write_bundle
    from vpbench.board.collect import entry_id
    from vpbench.board.select import Selection, selected
    from vpbench.core.registry import registry

    paths = options.folders(runs, offline)
    names, values = methods_or_runs(what)
    with selected(Selection(names, task_name), registry(values), paths) as groups:
        chosen = [run for group in groups for run in group]
        target = out or Path(f"{entry_id(chosen)}{ENDING}")
        packed = write_bundle([run.folder for run in chosen], target)
    if as_json:
        print_json(
            {
                "schema": "vpbench.pack/1",
                "path": str(packed.path),
                "sha256": packed.sha256,
                "bytes": packed.size,
                "runs": packed.runs,
            }
        )
        return 0
    plural = "" if packed.runs == 1 else "s"
    click.echo(f"{packed.path}: {packed.runs} run{plural}, {packed.size / 2**20:.1f} MiB")
    click.echo(f"sha256 {packed.sha256}")
    return 0


@click.command(
    "import",
    epilog="\b\nExamples:\n  vpbench import mine.vpb\n  vpbench import *.vpb --runs elsewhere",
)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@options.storage
@options.output
def import_(
    files: tuple[Path, ...], runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Put the runs of bundles into the runs folder; existing runs are kept."""
    from vpbench.board.unpack import import_bundle

    paths = options.folders(runs, offline)
    done = [pair for file in files for pair in import_bundle(file.expanduser(), paths.runs)]
    if as_json:
        rows = [{"run_dir": str(folder), "new": new} for folder, new in done]
        print_json({"schema": "vpbench.import/1", "runs": rows})
        return 0
    for folder, new in done:
        click.echo(f"{folder}{'' if new else ' (there already)'}")
    return 0
