"""figure limits."""

from __future__ import annotations

from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.figure_options import target, tell
from vpbench.cli.opening import open_task, task_ref
from vpbench.core.options import RunOptions


@click.command(
    epilog="\b\nExample:\n  vpbench figure limits my-method 'my-method[label=off]' other-method"
)
@options.methods
@options.dataset
@click.option(
    "--metric", default="fvd", metavar="M", show_default=True, help="Which scores to show."
)
@target
@options.preset
@options.storage
@options.output
def limits(methods: tuple[str, ...], debug: bool, metric: str, **fields: Any) -> int:
    """Where each method's error arises, from the scores of finished runs; computes nothing.

    For each method: its own row, its oracle (its renderer with the true motion), reference motions
    where it has a slot for motion, and other variants that are named; real clips and nulls are
    lines. Rows without a score stay, with the command that makes them.
    """
    from vpbench.harness.figures.limits import limits as work
    from vpbench.harness.figures.write import Style, check_target, write_figure

    out = fields["out"].expanduser().absolute()
    check_target(out, fields["kind"])
    opened = open_task(
        methods,
        task_ref(fields["dataset"], fields["task_name"], fields["root"]),
        fields["runs"],
        fields["offline"],
    )
    task, chosen = opened.task_data.task, RunOptions(preset=fields["preset"])
    drawn = work(opened.methods, task, metric, chosen, opened.registry, opened.paths)
    style = Style(fields["background"], fields["titles"], fields["dpi"])
    record = write_figure(drawn, task, out, fields["kind"], style)
    for row in record["missing"]:
        made = f" Run: {row['command']}" if row["command"] else ""
        click.echo(f"{row['method']}: {row['reason']}.{made}", err=True)
    return tell(record, out, fields["as_json"])
