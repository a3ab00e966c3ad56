"""board add."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import completion, options
from vpbench.cli.opening import methods_or_runs, recorded_files
from vpbench.cli.show import print_json

if TYPE_CHECKING:
    from vpbench.board.entry import Entry

BOARD = click.option(
    "--board",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("leaderboards"),
    show_default=True,
    metavar="DIR",
    help="Folder of the leaderboards.",
)


@click.command(
    epilog="""\b
Examples:
  vpbench board add my-method --task puppets --by 'A. Author'
  vpbench board add mine.vpb --tier wrapped --url https://example.org/mine.vpb
  vpbench board add --all --task puppets"""
)
@click.argument(
    "what", nargs=-1, metavar="METHOD|RUN|BUNDLE...", shell_complete=completion.names("method")
)
@click.option("--all", "everything", is_flag=True, help="Every finished run of the runs folder.")
@click.option("--task", "task_name", default="", metavar="T", help="Only runs of this task.")
@BOARD
@click.option("--id", "entry_id", metavar="ID", help="Name of the entry.  [default: METHOD-<run>]")
@click.option("--by", metavar="NAME", help="Who made the predictions.")
@click.option("--scored-by", metavar="NAME", help="Who scored them, if somebody else.")
@click.option(
    "--tier",
    type=click.Choice(["original", "reimplementation", "wrapped", "folder"]),
    help="Whose code predicted.  [default: original; reimplementation for what comes with vpbench]",
)
@click.option("--url", metavar="ADDRESS", help="Where the bundle is published.")
@click.option("--note", "notes", multiple=True, metavar="TEXT", help="A note; may be repeated.")
@click.option("--replace", is_flag=True, help="Replace an entry of the same name.")
@options.storage
@options.output
def add(
    what: tuple[str, ...],
    everything: bool,
    task_name: str,
    root: Path,
    replace: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
    **fields: Any,
) -> int:
    """Make leaderboard entries of finished runs; those that differ in seeds alone make one.

    An entry that `board check` would refuse is not written. Its level is self-reported until
    `board verify` has scored the predictions again.
    """
    from vpbench.api.errors import UsageError
    from vpbench.board.collect import About
    from vpbench.board.form import entry_of
    from vpbench.board.select import Selection, selected
    from vpbench.core.registry import registry

    if everything == bool(what):
        raise click.UsageError("Name methods, runs or bundles, or give --all.")
    paths = options.folders(runs, offline)
    names, values = methods_or_runs(what)
    plugins = registry((*values, *recorded_files([] if everything else names, paths.runs)))
    with selected(Selection(names, task_name), plugins, paths) as groups:
        if fields["entry_id"] and len(groups) > 1:
            raise UsageError(f"--id names one entry, and these are {len(groups)}.")
        entries = [entry_of(group, plugins, paths, About(**fields)) for group in groups]
    written = [(entry, *_write(entry, root, plugins, replace=replace)) for entry in entries]
    if as_json:
        rows = [{"id": e.id, "path": str(path), "new": new} for e, path, new in written]
        print_json({"schema": "vpbench.board-add/1", "entries": rows})
        return 0
    for entry, path, new in written:
        click.echo(f"{path}{'' if new else ' (as it was)'}: {entry.method.name}, {_scores(entry)}")
    click.echo(f"Next: vpbench board check --board {shlex.quote(str(root))}")
    return 0


def _scores(entry: Entry) -> str:
    names = dict.fromkeys(score.metric for run in entry.runs for score in run.scores)
    plural = "" if len(entry.runs) == 1 else "s"
    return f"{len(entry.runs)} run{plural}, {', '.join(names)}"


def _write(entry: Entry, root: Path, plugins: Any, *, replace: bool) -> tuple[Path, bool]:
    """Write an entry that is in order; its file, and whether anything is new."""
    from vpbench.api.errors import Corrupt, UsageError
    from vpbench.board.check import refusals
    from vpbench.board.entry import read_entry as read
    from vpbench.board.entry import same_claims, write_entry
    from vpbench.core.outdir import named_output

    path = root / entry.task.id / f"{entry.id}.json"
    reasons = refusals(entry, root, plugins)
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise Corrupt(f"{entry.id} is refused: {reasons[0]}{more}.")
    if path.is_file() and not replace:
        if same_claims(read(path), entry):
            return path, False
        raise UsageError(
            f"{path} is another entry.", fix="Choose a name with --id, or give --replace."
        )
    with named_output("another folder with --board DIR"):
        return write_entry(entry, root), True
