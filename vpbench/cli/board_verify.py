"""board verify."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import options
from vpbench.cli.show import Progress, console, print_json

if TYPE_CHECKING:
    from vpbench.board.verify import Evidence, VerifiedJson


@click.command(
    epilog="""\b
Examples:
  vpbench board verify leaderboards/puppets/mine-0f1e2d3c.json --bundle mine.vpb
  vpbench board verify leaderboards/puppets/mine-0f1e2d3c.json --run runs/puppets/mine/0f1e2d3c
  vpbench board verify ENTRY --bundle mine.vpb --write --by 'B. Reader'

Exit codes: 0 nothing differs, 4 something does, 5 not verifiable."""
)
@click.argument("path", type=click.Path(path_type=Path), metavar="ENTRY")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Predictions, as `vpbench pack` wrote them.",
)
@click.option(
    "--run",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A run folder: that of the entry, or one of your own; may be repeated.",
)
@click.option("--dataset", metavar="D", help="What the dataset is called here, if otherwise.")
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@click.option("--write", is_flag=True, help="Write the level into the entry if nothing differs.")
@click.option("--by", metavar="NAME", help="Who verified; goes into the entry.")
@options.storage
@options.output
def verify(
    path: Path,
    bundle: Path | None,
    folders: tuple[Path, ...],
    dataset: str | None,
    root: str | None,
    write: bool,
    by: str | None,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Hash and score the predictions of an entry again, and print what differs.

    With the predictions that the entry was made of, the entry is rescored; with a run of your own
    of the same method, rerun. Without evidence it is not verifiable.
    """
    from vpbench.api.errors import MissingData
    from vpbench.board.entry import read_entry
    from vpbench.board.verify import task_of
    from vpbench.board.verify import verify as work
    from vpbench.cli.opening import open_task

    if write and not by:
        raise click.UsageError("--write needs --by NAME: an entry says who verified it.")
    if bundle is not None and folders:
        raise click.UsageError("give --bundle or --run, not both.")
    entry = read_entry(path)
    if bundle is None and not folders:
        url = next((run.predictions_url for run in entry.runs if run.predictions_url), None)
        where = f"Its bundle is at {url}; download it and" if url else "Ask for its bundle, and"
        raise MissingData(
            f"not verifiable: there is no evidence for {entry.id}.",
            fix=f"{where} give --bundle FILE or --run RUN.",
        )
    with (
        _evidence(bundle, folders, dataset, root) as evidence,
        tempfile.TemporaryDirectory(prefix="vpbench-") as name,
    ):
        opened = open_task((), task_of(entry, evidence), runs, offline, prepare=True)
        with Progress("scoring") as progress:
            found = work(entry, evidence, Path(name), opened.registry, opened.paths, progress)
    if write and found["level"] is not None:
        _store(path, found, str(by))
    if as_json:
        print_json(found)
    else:
        _print(found, written=write)
    if not found["ok"]:
        return 4
    return 0 if found["complete"] else 5


@contextmanager
def _evidence(
    bundle: Path | None, folders: tuple[Path, ...], dataset: str | None, root: str | None
) -> Generator[Evidence]:
    from vpbench.board.bundle import bundle_runs
    from vpbench.board.verify import Evidence
    from vpbench.core.rundir import RunDir
    from vpbench.harness.inputs.task_data import absolute

    named = absolute(dataset) if dataset else None
    home = str(Path(root).expanduser().absolute()) if root else None
    if bundle is not None:
        with bundle_runs(bundle.expanduser()) as own:
            yield Evidence(own, True, named, home)
    else:
        runs = [RunDir(folder.expanduser().absolute()) for folder in folders]
        yield Evidence(runs, False, named, home)


def _store(path: Path, found: VerifiedJson, by: str) -> None:
    from vpbench.board.collect import timestamp
    from vpbench.board.entry import entry_bytes, parse_entry, read_entry, with_verification
    from vpbench.board.verify import verification
    from vpbench.core.files import write_bytes

    entry = with_verification(read_entry(path), verification(found, by, timestamp(time.time())))
    data = entry_bytes(entry)
    parse_entry(data, path)  # a name with a control character goes no further
    write_bytes(path, data)


def _print(found: VerifiedJson, *, written: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    seeds = len({(row["seed"], row["fit_seed"]) for row in found["scores"]}) > 1
    for title in (*(("seeds",) if seeds else ()), "metric", "frames"):
        table.add_column(title)
    for title in ("stated", "found", "difference", "of a clip"):
        table.add_column(title, justify="right")
    table.add_column("")
    for row in found["scores"]:
        name = row["metric"] + (f" ({row['subset']})" if row["subset"] else "")
        cells = [f"{row['fit_seed']}/{row['seed']}"] if seeds else []
        cells += [name, str(row["frames"]), _number(row["stated"]), _number(row["found"])]
        cells += [_small(row["difference"]), _small(row["clip_difference"]), _verdict(row)]
        table.add_row(*map(Text, cells))
    console().print(table)
    for problem in found["problems"]:
        click.echo(f"hashes: {problem}")
    click.echo(_summary(found, written=written))


def _verdict(row: Any) -> str:
    from vpbench.api.errors import printable

    if row["found"] is None and row["stated"] is not None:
        return printable(f"not scored: {row['reason']}")
    if row["differing"]:
        return printable(f"differs in {'; '.join(row['differing'])}")
    return "same" if row["ok"] else "DIFFERS"


def _summary(found: VerifiedJson, *, written: bool) -> str:
    if not found["ok"]:
        return f"{found['entry']}: not what the evidence gives."
    if found["level"] is None:
        return f"{found['entry']}: not verifiable in full; what was scored is the same."
    kept = "; written into the entry" if written else ""
    return f"{found['entry']}: {found['level']}{kept}."


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}" if value else "0"
