"""figure confusion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from vpbench.cli import figure_options, options
from vpbench.cli.opening import parse_methods
from vpbench.cli.pages import screen_width
from vpbench.cli.show import print_json
from vpbench.core.options import RunOptions, TaskRef

_EPILOG = """\b
Examples:
  vpbench figure confusion my-method
  vpbench figure confusion my-method real copy-last --metric action-2s --out figures"""


@click.command(epilog=_EPILOG)
@options.methods
@click.option("--dataset", metavar="D", help="Show only runs on this dataset.")
@click.option("--task", "task_name", metavar="T", help="Show only this task.")
@click.option("--preset", metavar="P", help="Preset of all named methods.")
@click.option(
    "--metric",
    default="action",
    show_default=True,
    metavar="M",
    help="A metric that recognises classes.",
)
@click.option("--frames", type=click.IntRange(1), metavar="T", help="Scores over T frames.")
@click.option("--no-references", is_flag=True, help="Omit the reference rows.")
@figure_options.background
@figure_options.out_folder
@options.storage
@options.output
def confusion(
    methods: tuple[str, ...],
    dataset: str | None,
    task_name: str | None,
    preset: str | None,
    metric: str,
    frames: int | None,
    no_references: bool,
    background: Literal["light", "dark"],
    out: Path,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Which class was asked for, and which was recognised; from finished runs.

    A PNG with a matrix for each row, and a JSON with the counts.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.figures.confusion import write_confusion
    from vpbench.harness.results.compare import compare

    refs, plugins = parse_methods(methods)
    paths = options.folders(runs, offline)
    chosen = RunOptions(
        preset=preset, references=not no_references, metrics=(metric,), plugins=plugins
    )
    ref = TaskRef(dataset=dataset or "", task=task_name)
    result = compare(refs, chosen, registry(plugins), paths, ref)
    target = out.expanduser().absolute()
    record = write_confusion(result.groups, metric, frames, target, background)
    if as_json:
        print_json({**record, "out": str(target)})
        return 0
    for name in record["files"]:
        click.echo(f"Figure: {target / name}")
    click.echo(f"What it shows: {target / 'confusion.json'}")
    return 0


def print_recognition(groups: Any) -> None:
    """Recognised actions of every group in full, as text."""
    from vpbench.render.recognition import recognition_lines

    for group in groups:
        for name, found in group.get("recognition", {}).items():
            click.echo("\n".join(recognition_lines(name, found, screen_width())))
            click.echo()
