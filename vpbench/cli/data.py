"""data list, prepare, verify, preview."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.show import Progress, console, emit_json

_EPILOG = """\b
Examples:
  vpbench data list
  vpbench data prepare puppets
  vpbench data verify 'folder:clips[group=person]'
  vpbench data preview puppets --out preview"""


@click.group(epilog=_EPILOG)
def data() -> None:
    """List, prepare, check and look at datasets."""


@data.command("list", epilog="\b\nExample:\n  vpbench data list --json")
@options.output
def list_(as_json: bool, debug: bool) -> int:
    """List datasets with their tasks."""
    from vpbench.api.specs import DatasetSpec
    from vpbench.core.registry import registry

    rows: list[dict[str, Any]] = []
    for entry in registry().of("dataset"):
        spec = entry.spec
        tasks = [t.id for t in spec.tasks] if isinstance(spec, DatasetSpec) else []
        rows.append(
            {"name": entry.name, "kind": "dataset", "source": entry.origin, "status": entry.status,
             "reason": entry.reason or None, "tasks": tasks,
             "summary": spec.summary if spec is not None else ""}
        )  # fmt: skip
    if as_json:
        emit_json({"schema": "vpbench.list/1", "items": rows})
        return 0
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("dataset", "tasks", "what it is"):
        table.add_column(name)
    for row in rows:
        tasks = ", ".join(row["tasks"]) or "from its options"
        table.add_row(*(Text(c) for c in (row["name"], tasks, row["reason"] or row["summary"])))
    console().print(table)
    return 0


def _open(dataset: str, root: str | None, runs: str | None, offline: bool) -> Any:
    from vpbench.core.registry import registry
    from vpbench.harness.bench import open_dataset

    return open_dataset(dataset, registry(), options.folders(runs, offline), root)[0]


@data.command(epilog="\b\nExample:\n  vpbench data prepare puppets")
@click.argument("dataset")
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@options.storage
@options.output
def prepare(
    dataset: str, root: str | None, runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Convert or render a dataset once, so that later runs start at once."""
    from vpbench.cli.run import prepare_dataset

    opened = _open(dataset, root, runs, offline)
    with Progress() as progress:
        prepare_dataset(opened, progress)
    counts = {split: len(opened.clips(split)) for split in opened.splits()}
    if as_json:
        emit_json({"schema": "vpbench.verify/1", "ok": True, "published": {}, "counts": counts,
                   "excluded": {}, "problems": []})  # fmt: skip
    else:
        click.echo(f"{dataset} is ready: " + ", ".join(f"{n} {s}" for s, n in counts.items()))
    return 0


@data.command(epilog="\b\nExample:\n  vpbench data verify folder:clips --json")
@click.argument("dataset")
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@options.storage
@options.output
def verify(
    dataset: str, root: str | None, runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Check every clip and list all problems at once."""
    from vpbench.api.errors import VpbenchError

    opened = _open(dataset, root, runs, offline)
    problems = opened.verify()
    errors = [p for p in problems if p.level == "error"]
    counts: dict[str, int] = {}
    excluded: dict[str, int] = {}
    if not errors:
        counts = {split: len(opened.clips(split)) for split in opened.splits()}
        try:
            excluded = _excluded(dataset, root, runs, offline)
        except VpbenchError as error:
            click.echo(f"note: {error}", err=True)
    if as_json:
        emit_json({"schema": "vpbench.verify/1", "ok": not errors, "published": {},
                   "counts": counts, "excluded": excluded, "problems": problems})  # fmt: skip
        return 4 if errors else 0
    for problem in problems:
        click.echo(f"{problem.level}: {problem.path}: {problem.what} {problem.fix}".rstrip())
    shown = ", ".join(f"{n} {s}" for s, n in counts.items())
    click.echo(f"{dataset}: {shown or 'not usable'}; {len(errors)} errors, "
               f"{len(problems) - len(errors)} warnings")  # fmt: skip
    return 4 if errors else 0


def _excluded(dataset: str, root: str | None, runs: str | None, offline: bool) -> dict[str, int]:
    from vpbench.core.registry import registry
    from vpbench.harness.bench import Place, absolute, open_bench

    place = Place(absolute(dataset), None, str(Path(root).absolute()) if root else None)
    bench = open_bench(place, registry(), options.folders(runs, offline))
    return {split: n for split, n in bench.task.excluded.items() if n}


@data.command(epilog="\b\nExample:\n  vpbench data preview puppets --out preview")
@click.argument("dataset")
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@click.option("--out", type=click.Path(file_okay=False), default="preview", show_default=True,
              metavar="DIR", help="Where the pictures go.")  # fmt: skip
@click.option("--split", default="test", show_default=True, help="Clips of this split.")
@options.storage
@options.output
def preview(
    dataset: str, root: str | None, out: str, split: str, runs: str | None, offline: bool,
    as_json: bool, debug: bool,
) -> int:  # fmt: skip
    """Draw a contact sheet (one clip of each class over time) and an animated version."""
    from vpbench.core.registry import registry
    from vpbench.harness.bench import Place, absolute, open_bench
    from vpbench.harness.preview import write_dataset_preview

    place = Place(absolute(dataset), None, str(Path(root).absolute()) if root else None)
    bench = open_bench(place, registry(), options.folders(runs, offline))
    sheet, animation = write_dataset_preview(bench, split, Path(out))
    if as_json:
        emit_json({"schema": "vpbench.preview/1", "sheet": sheet, "animation": animation})
    else:
        click.echo(f"Contact sheet: {sheet}\nAnimation: {animation}")
    return 0
