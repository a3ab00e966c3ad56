"""measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import options
from vpbench.cli.show import Progress, print_json

if TYPE_CHECKING:
    from vpbench.core.paths import Paths
    from vpbench.core.registry import Registry
    from vpbench.harness.scoring.measure import Measured
    from vpbench.harness.scoring.sampling import Sampling

_EPILOG = """\b
Examples:
  vpbench measure real/ generated/
  vpbench measure real/ generated/ --frames 16 --start all --metrics fvd,kvd
  vpbench measure real/ generated/ --protocol fvd2048_16f --size 128
  vpbench measure 'folder:real[conditioning=1,stride=2]' generated/ --per-clip clips.csv
  vpbench measure real/ 'folder:generated[layout=strips]' --frames 16 --size 64 --metrics psnr
  vpbench measure real/ generated/ --frames 16 --explain --reference train/"""

_sampling = options.chain(
    click.option(
        "--frames",
        type=click.IntRange(1),
        metavar="T",
        help="Frames of each window.  [default: all]",
    ),
    click.option(
        "--stride",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        metavar="N",
        help="Take every N-th frame.",
    ),
    click.option(
        "--start",
        type=click.Choice(["first", "random", "all"]),
        default="first",
        show_default=True,
        help="Where windows lie in a video: from its start, at random places, or one after the "
        "other over all of it.",
    ),
    click.option(
        "--clips-per-video",
        type=click.IntRange(1),
        metavar="K",
        help="At most K windows of each video.  [default: 1; all of them with --start all]",
    ),
    click.option(
        "--given",
        type=click.Choice(["include", "exclude"]),
        help="Whether the given frames count that conditioning=N in the brackets of a side says "
        "its clips begin with.  [default: exclude]",
    ),
    click.option(
        "--size", type=click.IntRange(4), metavar="PX", help="Resize and crop to PX x PX."
    ),
    click.option(
        "--protocol",
        metavar="NAME",
        help="Settings that publications name: fvd2048_16f, fvd2048_128f (one window at a random "
        "place of up to 2048 videos).",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Seed of what is drawn at random.",
    ),
)


@click.command(epilog=_EPILOG)
@click.argument("real")
@click.argument("fake")
@options.metrics
@_sampling
@click.option(
    "--per-clip",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the values of all clips to FILE as csv.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Why does my FVD differ: what presets, resizing, epsilon, divisor, number of frames, "
    "reference and codec each move on these clips.",
)
@click.option(
    "--reference",
    metavar="REAL2",
    help="With --explain: other real clips, such as the training split.",
)
@options.workers
@options.device("cpu", "Device for the networks of set metrics.")
@click.option("--recompute", is_flag=True, help="Hash and decode all clips again.")
@options.storage
@options.output
def measure(
    real: str,
    fake: str,
    metrics: str | None,
    per_clip: Path | None,
    explain: bool,
    reference: str | None,
    workers: int | None,
    device: str,
    recompute: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
    protocol: str | None,
    **sampling: Any,
) -> int:
    """Score the clips in FAKE against those in REAL.

    Both are folders of video files, gifs, strips, frame folders or npz; sub-folders belong to the
    set, and files such as .txt, .json and .wav are skipped. Options in brackets, as in
    'folder:PATH[conditioning=1,horizon=16,stride=2,windows=4]', hold for one side. PSNR and SSIM
    compare clips of equal names. The scores are the same for any number of workers.

    Exits with 5 where a metric that was asked for could not be scored.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.scoring.measure import measure as work
    from vpbench.harness.scoring.measure import open_side, write_per_clip
    from vpbench.harness.scoring.sampling import Sampling, with_protocol
    from vpbench.harness.scoring.score import wanted_metrics

    paths = options.folders(runs, offline)
    chosen = with_protocol(Sampling(**sampling), protocol)
    if explain:
        if metrics is not None or per_clip is not None:
            raise click.UsageError("--explain is about fvd: leave --metrics and --per-clip out.")
        sides = (real, fake, reference)
        return _explain(sides, chosen, paths, workers, device, recompute, as_json)
    if reference is not None:
        raise click.UsageError("--reference goes with --explain.")
    plugins = registry()
    wanted = wanted_metrics(options.split_names(metrics), plugins, classes=0)
    with Progress("measuring") as progress:
        fetch_metric_weights([f for w in wanted for f in w.weights], paths, progress)
        first, second = (open_side(x, paths, fresh=recompute) for x in (real, fake))
        result = work(
            first, second, wanted, chosen, plugins, paths, progress, workers=workers, device=device
        )
    if as_json:
        print_json(result.json())
    else:
        _print(result, plugins)
    if per_clip is not None:  # last: where it cannot be written, the scores are known all the same
        write_per_clip(per_clip.expanduser(), result)
    missing = any(score.json["value"] is None for score in result.scores.values())
    return 5 if missing and metrics is not None else 0


def _explain(
    sides: tuple[str, str, str | None],
    sampling: Sampling,
    paths: Paths,
    workers: int | None,
    device: str,
    recompute: bool,
    as_json: bool,
) -> int:
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.scoring.explain import explain
    from vpbench.harness.scoring.measure import open_side
    from vpbench.metrics.video_specs import FVD
    from vpbench.render.explain import explain_lines

    with Progress("explaining") as progress:
        fetch_metric_weights(FVD.weights, paths, progress)
        real, fake = (open_side(x, paths, fresh=recompute) for x in sides[:2] if x is not None)
        third = None if sides[2] is None else open_side(sides[2], paths, fresh=recompute)
        found = explain(
            real, fake, third, sampling, paths, progress, workers=workers, device=device
        )
    if as_json:
        print_json(found.json())
    else:
        click.echo("\n".join(explain_lines(found.json())))
    return 0


_CHOICES = {
    "clips_per_video": "clips per video",
    "clips": "videos at most",
    "given": "given frames",
}
"""Field of the sampling -> what the report calls it, where that is not its name."""


def _print(result: Measured, plugins: Registry) -> None:
    from vpbench.render.text import clean, format_score, rounded

    sides = [
        f"{clean(side.path)} ({_count(len(windows.items), windows.videos)})"
        for side, windows in zip((result.fake, result.real), reversed(result.windows), strict=True)
    ]
    click.echo(f"{' against '.join(sides)}, {result.frames} frames")
    if result.sampling:
        chosen = [f"{_CHOICES.get(k, k)} {v}" for k, v in result.sampling.items() if k != "window"]
        click.echo(f"  sampling: {', '.join(chosen).replace(':', ' ')}")
    for name, scored in result.scores.items():
        spec, value = plugins.metric(name.partition("@")[0]), scored.json
        arrow = "↑" if spec.direction == "up" else "↓"
        more = [f"n = {value['n']}"] if value["value"] is not None else []
        if value["corrected"] is not None:
            more.append(f"corrected {rounded(value['corrected'], value['corrected_se'], name)}")
        if value["floor"] is not None:
            floor = rounded(value["floor"], value["se"], name)
            more.append(f"floor {floor} at n = {value['floor_n']}")
        if value["value"] is not None and value["reason"]:
            more.append(clean(value["reason"]))
        extra = f"  ({'; '.join(more)})" if more else ""
        click.echo(f"  {name} {arrow}  {format_score(value, name)} {spec.unit}".rstrip() + extra)
    for note in result.notes:
        click.echo(f"  note: {clean(note)}")


def _count(windows: int, videos: int) -> str:
    plain = f"{windows} clip{'s' * (windows != 1)}"
    return plain if windows == videos else f"{plain} of {videos} videos"
