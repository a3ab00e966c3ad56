"""figure curves, and `compare --curves`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.figure_options import target, tell
from vpbench.cli.opening import open_task, task_ref
from vpbench.core.options import RunOptions
from vpbench.core.schema import GroupJson


@click.command(
    epilog="\b\nExample:\n  vpbench figure curves my-method copy-last --metric ssim --format pdf"
)
@options.methods
@options.dataset
@click.option(
    "--metric",
    default="psnr",
    metavar="M",
    show_default=True,
    help="A metric with a value for each frame, such as psnr, ssim, psnr@best10.",
)
@click.option("--references", is_flag=True, help="Also the reference rows.")
@target
@options.preset
@options.storage
@options.output
def curves(
    methods: tuple[str, ...], debug: bool, metric: str, references: bool, **fields: Any
) -> int:
    """A metric over time, one line for each method; from finished runs, computes nothing."""
    from vpbench.harness.figures.curves import curves_figure
    from vpbench.harness.figures.write import Style, check_target, write_figure
    from vpbench.harness.results.compare import compare

    out = fields["out"].expanduser().absolute()
    check_target(out, fields["kind"])
    ref = task_ref(fields["dataset"], fields["task_name"], fields["root"])
    opened = open_task(methods, ref, fields["runs"], fields["offline"])
    chosen = RunOptions(
        preset=fields["preset"],
        references=references,
        metrics=(metric,),
        plugins=opened.plugins,
    )
    compared = compare(
        opened.methods, chosen, opened.registry, opened.paths, opened.task_data.ref, curves=True
    )
    task = opened.task_data.task
    drawn = curves_figure(compared.groups, metric, task)
    style = Style(fields["background"], fields["titles"], fields["dpi"])
    return tell(write_figure(drawn, task, out, fields["kind"], style), out, fields["as_json"])


def print_curves(groups: Sequence[GroupJson], all_groups: bool) -> None:
    """Metrics over time as tables of some frames.

    Args:
        all_groups: also of other horizons than the task's own, and of subsets.
    """
    from vpbench.render.curves import curve_rows
    from vpbench.render.text import aligned, clean, column_title

    for group in groups:
        task = group["task"]
        if not all_groups and (group["frames"] != task.get("horizon") or task.get("subset")):
            continue
        for name, rows in group.get("curves", {}).items():
            about = group["metrics"][name]
            title = column_title(name, about["direction"], unit=about["unit"])
            click.echo(
                f"{clean(str(task['id']))}: {title} of each predicted frame, mean over clips"
            )
            click.echo("\n".join(f"  {line}" for line in aligned(curve_rows(rows, name))) + "\n")
