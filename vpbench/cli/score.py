"""score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.opening import local_dataset, methods_or_runs
from vpbench.cli.progress import Progress
from vpbench.cli.show import print_json

_EPILOG = """\b
Examples:
  vpbench score my-method --metrics ssim
  vpbench score runs/folder-clips-1a2b3c4d/my-method/0f1e2d3c"""


@click.command(epilog=_EPILOG)
@options.methods_or_runs
@click.option("--dataset", metavar="D", help="Only runs on this dataset.")
@click.option("--task", "task_name", metavar="T", help="Only runs of this task.")
@click.option(
    "--root",
    type=click.Path(),
    metavar="DIR",
    help="The dataset's folder.  [default: that of the run]",
)
@options.metrics
@options.storage
@options.output
def score(
    what: tuple[str, ...],
    dataset: str | None,
    task_name: str | None,
    root: str | None,
    metrics: str | None,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Score finished predictions; the method itself is not needed.

    Takes names of methods (all their finished runs) or run folders. Existing scores are
    kept; where their code has changed since, a part is first computed again and compared.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.jobs.rescore import find_runs, rescore
    from vpbench.harness.scoring.score import wanted_metrics

    paths = options.folders(runs, offline)
    asked = options.split_names(metrics)
    names, values = methods_or_runs(what)
    plugins = registry(values)
    wanted = wanted_metrics(asked, plugins)
    own = local_dataset(dataset)[0] if dataset else None
    folders = find_runs(names, own, task_name, paths.runs, plugins)
    full = str(Path(root).expanduser().absolute()) if root else None
    results: list[Any] = []
    missing = False
    with Progress("scoring") as progress:
        for folder in folders:
            result = rescore(folder, wanted, plugins, paths, progress, full)
            missing = missing or any(
                s["value"] is None and s["n"] == 0 for s in result["scores"].values()
            )
            results.append(result)
    if as_json:
        print_json({"schema": "vpbench.run/1", "runs": results})
    else:
        _print(results)
    return 5 if missing and asked is not None else 0


def _print(results: list[Any]) -> None:
    from vpbench.render.text import format_score

    for result in results:
        click.echo(f"{result['method']}  {Path(result['run_dir'])}")
        for name, value in sorted(result["scores"].items()):
            text = format_score(value, name)
            click.echo(f"  {name:8} {text}" + (f"  ({value['reason']})" if value["reason"] else ""))
