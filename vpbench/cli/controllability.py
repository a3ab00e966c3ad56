"""controllability."""

from __future__ import annotations

from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.opening import open_task, prepare_dataset, task_ref
from vpbench.cli.progress import Progress
from vpbench.cli.show import print_json
from vpbench.core.options import RunOptions

_EPILOG = """\b
Examples:
  vpbench controllability my-method --dataset puppets
  vpbench controllability my-method --labels all
  vpbench compare my-method --metrics action,controllability --per-class"""


@click.command(epilog=_EPILOG)
@options.methods
@options.dataset
@click.option(
    "--labels",
    default="1",
    show_default=True,
    metavar="N|all",
    help="Wrong labels for each test clip; with 1, the clip's id decides which.",
)
@options.preset
@options.seed
@options.fit_seed
@options.device()
@options.storage
@options.output
def controllability(
    methods: tuple[str, ...],
    dataset: str,
    task_name: str | None,
    root: str | None,
    labels: str,
    preset: str | None,
    seed: int,
    fit_seed: int,
    device: str,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Predict test clips under wrong labels: how many are recognised as that label?

    For finished runs of methods that use labels. Predictions are stored beside the run, made once,
    and recognised as `action` does.
    """
    from vpbench.harness.jobs.controllability import check_run, control
    from vpbench.harness.prediction.loaded import plan_loaded

    ref = task_ref(dataset, task_name, root)
    opened = open_task(methods, ref, runs, offline)
    task_data = opened.task_data
    chosen = RunOptions(
        preset=preset, seeds=(seed,), fit_seeds=(fit_seed,), device=device, plugins=opened.plugins
    )
    plans = plan_loaded(opened.methods, chosen, task_data, opened.registry, opened.paths)
    for run in plans:
        check_run(run, task_data)
    count = _count(labels, task_data.task.info.n_classes)
    rows: list[dict[str, Any]] = []
    with Progress() as progress:
        prepare_dataset(task_data.dataset, progress)
        for run in plans:
            record = control(run, task_data, count, opened.registry, opened.paths, chosen, progress)
            keys = ("value", "se", "ci95", "n", "fp8")
            rows.append({"method": run.name, **{key: record.get(key) for key in keys}})
    if as_json:
        print_json({"schema": "vpbench.controllability/1", "wrong_labels": count, "rows": rows})
        return 0
    for row in rows:
        ends = f" [{row['ci95'][0]:.3f}, {row['ci95'][1]:.3f}]" if row["ci95"] else ""
        click.echo(
            f"{row['method']}: {row['value']:.3f}{ends} of {row['n']} predictions under a wrong "
            "label are recognised as that label"
        )
    return 0


def _count(text: str, classes: int) -> int:
    if text == "all":
        return classes - 1
    if not text.isdigit() or not 1 <= int(text) < classes:
        raise click.UsageError(f"--labels {text} must be all, or 1 to {classes - 1}.")
    return int(text)
