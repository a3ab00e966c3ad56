"""compare."""

from __future__ import annotations

from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.confusion import print_recognition
from vpbench.cli.opening import parse_methods
from vpbench.cli.show import print_comparison, print_json
from vpbench.core.options import RunOptions, TaskRef

_EPILOG = """\b
Examples:
  vpbench compare copy-last nearest-train
  vpbench compare my-method copy-last --dataset folder:clips --format tex > table.tex
  vpbench compare my-method copy-last --one-table --json
  vpbench compare my-method real copy-last --metrics action --per-class
  vpbench compare my-method --dataset penn --subset villegas70,no-neighbour"""


@click.command(epilog=_EPILOG)
@click.argument("methods", nargs=-1, required=True, metavar="METHOD...")
@click.option("--dataset", metavar="D", help="Show only runs on this dataset.")
@click.option("--task", "task_name", metavar="T", help="Show only this task.")
@click.option("--preset", metavar="P", help="Preset of all named methods.")
@options.metrics
@click.option(
    "--format",
    "form",
    type=click.Choice(["rich", "md", "tex", "csv", "json"]),
    default="rich",
    show_default=True,
    help="Output format of the tables.",
)
@click.option(
    "--subset",
    "subsets",
    metavar="a,b",
    help="Named parts of the test split to show besides: names, all or none.  [default: "
    "the one that the dataset always shows]",
)
@click.option(
    "--per-class",
    is_flag=True,
    help="Recognised actions in full: per class and stream, with McNemar tests of all pairs.",
)
@click.option("--one-table", is_flag=True, help="Exit with 3 unless all rows can share one table.")
@click.option("--no-references", is_flag=True, help="Omit the reference rows.")
@options.storage
@options.output
def compare(
    methods: tuple[str, ...],
    dataset: str | None,
    task_name: str | None,
    preset: str | None,
    metrics: str | None,
    form: str,
    subsets: str | None,
    per_class: bool,
    one_table: bool,
    no_references: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Print the scores of finished runs as tables; computes nothing.

    One table for each task under the runs folder that has a run of any of the methods. Rows that
    differ in anything that moves a number stand in different columns or tables, and the difference
    is named. A missing run is a dash with the command that makes it.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.results import compare as harness

    refs, plugins = parse_methods(methods)
    paths = options.folders(runs, offline)
    names = options.split_names(metrics)
    chosen = RunOptions(
        preset=preset,
        references=not no_references,
        metrics=None if names is None else tuple(names),
        plugins=plugins,
    )
    ref = TaskRef(dataset=dataset or "", task=task_name)
    result = harness.compare(
        refs, chosen, registry(plugins), paths, ref, options.split_names(subsets)
    )
    if as_json or form == "json":
        print_json(result.json())
    if not result.groups:
        _report_no_runs(methods, dataset, paths.runs)
        return 5
    if one_table:
        harness.one_table(result)
    if not as_json and form != "json":
        _print(result.json(), form)
        if per_class:
            print_recognition(result.groups)
    return 0


def _report_no_runs(methods: tuple[str, ...], dataset: str | None, runs: Any) -> None:
    import shlex

    names = " ".join(shlex.quote(m) for m in methods)
    where = shlex.quote(dataset) if dataset else "puppets"
    click.echo(
        f"No finished run of {', '.join(methods)} in {runs}. Make them with:\n"
        f"  vpbench run {names} --dataset {where}",
        err=True,
    )


def _print(comparison: Any, form: str) -> None:
    from vpbench.render import tables

    if form == "rich":
        print_comparison(comparison)
        return
    draw = {"md": tables.to_markdown, "tex": tables.to_latex, "csv": tables.to_csv}[form]
    click.echo(draw(comparison), nl=False)
