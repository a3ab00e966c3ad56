"""recogniser train, list, publish, install."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.groups import OrderedGroup
from vpbench.cli.progress import Progress
from vpbench.cli.show import print_json

_EPILOG = """\b
Examples:
  vpbench recogniser train --dataset penn
  vpbench recogniser list
  vpbench recogniser publish penn-paper-1a2b3c4d --out to-share
  vpbench recogniser install penn-paper-1a2b3c4d.entry.json
  vpbench score my-method --metrics action-2s"""


@click.group(cls=OrderedGroup, epilog=_EPILOG)
def recogniser() -> None:
    """Two-stream networks that recognise actions, for the metric action-2s.

    Figures of different recognisers never share a column. The metric `action` needs none of them.
    """


@recogniser.command(
    epilog="\b\nExample:\n  vpbench recogniser train --dataset puppets --preset cpu --seed 1"
)
@options.dataset
@click.option(
    "--preset",
    type=click.Choice(["paper", "cpu"]),
    help="paper: a day on a GPU.  cpu: minutes.  [default: cpu up to 64 px, else paper]",
)
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Steps of each stream.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the training.",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="safetensors of the preset's backbone as timm names them, to begin with.  [default: "
    "random weights]",
)
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads.  [default: cores]")
@options.device(what="Device to train on.")
@options.storage
@options.output
def train(
    dataset: str,
    task_name: str | None,
    preset: str | None,
    steps: int | None,
    seed: int,
    weights: Path | None,
    threads: int | None,
    device: str,
    root: str | None,
    as_json: bool,
    debug: bool,
    runs: str | None,
    offline: bool,
) -> int:
    """Train a recogniser on the training clips of a task, and keep it in the cache.

    Classes are drawn equally often; the weights that recognise most validation clips count.
    Run the same command again to resume a training that was interrupted.
    """
    from vpbench.cli.opening import open_task, task_ref
    from vpbench.harness.inputs.preprocess import preprocess_clips
    from vpbench.harness.training.recogniser import RecogniserOptions, train_recogniser

    ref = task_ref(dataset, task_name, root)
    opened = open_task([], ref, runs, offline, prepare=True)
    size = opened.task_data.task.spec.size
    chosen = RecogniserOptions(
        preset=preset or ("cpu" if size <= 64 else "paper"),
        steps=steps,
        seed=seed,
        pretrained=weights,
        threads=threads,
        device=device,
    )
    with Progress() as progress:
        preprocess_clips(opened.task_data, ("train", "val"), None, progress)
        made = train_recogniser(opened.task_data, opened.paths.cache, chosen, progress)
    if as_json:
        print_json(_json(made))
        return 0
    record = made.record
    shares = ", ".join(f"{name} {100 * v:.1f} %" for name, v in record["accuracy"].items())
    click.echo(f"Recogniser: {record['name']} ({made.folder})")
    click.echo(f"Of {record['n_validation']} validation clips it recognises: {shares}")
    click.echo(f"Next: vpbench run METHOD --dataset {shlex.quote(dataset)} --metrics action-2s")
    return 0


@recogniser.command("list", epilog="\b\nExample:\n  vpbench recogniser list --json")
@options.storage
@options.output
def list_(runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """List the recognisers that are here."""
    from vpbench.metrics.action.two_stream.store import all_recognisers

    found = all_recognisers(options.folders(runs, offline).cache)
    if as_json:
        print_json({"schema": "vpbench.recognisers/1", "items": [_json(r) for r in found]})
        return 0
    for one in found:
        record = one.record
        made = time.strftime("%Y-%m-%d", time.gmtime(record["created"]))
        share = f"{100 * record['accuracy']['fused']:.1f} % of {record['n_validation']}"
        click.echo(f"{record['name']}  {record['dataset']}, {share} validation clips, {made}")
    if not found:
        click.echo("No recogniser is here. Train one: vpbench recogniser train --dataset D")
    return 0


@recogniser.command(
    epilog="\b\nExample:\n  vpbench recogniser publish penn-paper-1a2b3c4d --out to-share"
)
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="recognisers",
    metavar="DIR",
    show_default=True,
    help="Output folder.",
)
@click.option("--url", default="", metavar="URL", help="https address that the zip will have.")
@options.storage
@options.output
def publish(
    name: str, out: Path, url: str, runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Write a recogniser as a zip, and the entry that pins it by its hash."""
    from vpbench.api.errors import UnknownName
    from vpbench.core.outdir import named_output
    from vpbench.metrics.action.two_stream.files import publish as work
    from vpbench.metrics.action.two_stream.store import all_recognisers

    here = {r.record["name"]: r for r in all_recognisers(options.folders(runs, offline).cache)}
    if name not in here:
        raise UnknownName("recogniser", name, here, hint="See: vpbench recogniser list")
    with named_output():
        path = work(here[name], out.expanduser().absolute(), url)
    if as_json:
        print_json({**_json(here[name]), "entry": str(path)})
        return 0
    click.echo(f"Entry: {path}")
    click.echo(f"Others install it with: vpbench recogniser install {path.name}")
    return 0


@recogniser.command(
    epilog="\b\nExample:\n  vpbench recogniser install penn-paper-1a2b3c4d.entry.json"
)
@click.argument("entry", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.storage
@options.output
def install(entry: Path, runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """Put a published recogniser into the cache; it is checked by its hash."""
    from vpbench.metrics.action.two_stream.files import install as work

    paths = options.folders(runs, offline)
    made = work(entry, paths.cache, offline=paths.offline)
    if as_json:
        print_json(_json(made))
    else:
        click.echo(f"Recogniser: {made.record['name']} ({made.folder})")
    return 0


def _json(one: Any) -> dict[str, Any]:
    """A recogniser without the list of its training clips."""
    kept = {k: v for k, v in one.record.items() if k not in ("train", "schema")}
    return {**kept, "n_train": len(one.record["train"]), "path": str(one.folder)}
