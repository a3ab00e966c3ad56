"""measure."""

from __future__ import annotations

import click

from vpbench.cli import options
from vpbench.cli.show import Progress, print_json

_EPILOG = """\b
Examples:
  vpbench measure real/ generated/
  vpbench measure real/ 'folder:generated[layout=strips]' --frames 16 --size 64 --metrics psnr"""


@click.command(epilog=_EPILOG)
@click.argument("real")
@click.argument("fake")
@options.metrics
@click.option("--frames", type=int, metavar="T", help="The first T frames of every clip.")
@click.option("--size", type=click.IntRange(4), metavar="PX", help="Resize and crop to PX x PX.")
@options.workers
@options.device("cpu", "Device for the networks of set metrics.")
@click.option("--recompute", is_flag=True, help="Hash and decode all clips again.")
@options.storage
@options.output
def measure(
    real: str,
    fake: str,
    metrics: str | None,
    frames: int | None,
    size: int | None,
    workers: int | None,
    device: str,
    recompute: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Score the clips in FAKE against those in REAL.

    Both are folders of video files, gifs, strips, frame folders or npz. Metrics on single frames
    compare clips of equal names. The scores are the same for any number of workers.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.scoring.measure import measure as work
    from vpbench.harness.scoring.measure import open_side
    from vpbench.harness.scoring.score import wanted_metrics

    paths = options.folders(runs, offline)
    plugins = registry()
    wanted = wanted_metrics(options.split_names(metrics), plugins)
    with Progress() as progress:
        fetch_metric_weights([w.spec for w in wanted], paths, progress)
        first, second = (open_side(x, plugins, paths, fresh=recompute) for x in (real, fake))
        result = work(
            first,
            second,
            wanted,
            frames,
            size,
            plugins,
            paths,
            progress,
            workers=workers,
            device=device,
        )
    if as_json:
        print_json(result.json())
        return 0
    from vpbench.render.text import format_score

    counts = [len(side.clips) for side in (first, second)]
    click.echo(
        f"{fake} ({counts[1]} clips) against {real} ({counts[0]} clips), {result.frames} frames"
    )
    for name, value in result.scores.items():
        arrow = "↑" if plugins.metric(name.partition("@")[0]).direction == "up" else "↓"
        unit = plugins.metric(name.partition("@")[0]).unit
        reason = f"  ({value['reason']})" if value["reason"] else ""
        click.echo(f"  {name} {arrow}  {format_score(value, name)} {unit}{reason}".rstrip())
    return 0
