"""figure predictions, sweep, translation, ablation, failures, limits, confusion, curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from vpbench.cli import options
from vpbench.cli.confusion import confusion
from vpbench.cli.curves import curves
from vpbench.cli.figure_options import target, tell
from vpbench.cli.groups import OrderedGroup
from vpbench.cli.limits import limits
from vpbench.cli.opening import open_task, prepare_dataset, task_ref
from vpbench.cli.show import Progress
from vpbench.core.options import RunOptions
from vpbench.core.surroundings import plugin_output

F = TypeVar("F", bound=Callable[..., Any])

_EPILOG = """\b
Examples:
  vpbench figure predictions my-method copy-last --dataset puppets
  vpbench figure sweep my-method --image photo.jpg
  vpbench figure translation my-method --out figures
  vpbench figure ablation my-method 'my-method[label=off]' 'my-method[motion=frozen]'
  vpbench figure failures my-method --by ssim --format pdf
  vpbench figure limits my-method other-method
  vpbench figure confusion my-method real
  vpbench figure curves my-method other-method --metric ssim

Every figure is a PNG (or PDF, SVG) in DIR, next to a JSON that records what it shows."""


@click.group(cls=OrderedGroup, epilog=_EPILOG)
def figure() -> None:
    """Draw predictions, sweeps, translations, ablations, failures, limits, confusion and curves.

    Frames come from the newest finished run where there is one, and from the method itself
    otherwise; keypoints and masks always from the method, for pictures only.
    """


def _shared(function: F) -> F:
    """Options of every figure of frames."""
    return options.chain(
        options.methods,
        options.dataset,
        click.option(
            "--clips",
            multiple=True,
            metavar="a,b",
            help="Test clips by id.  [default: a few of different classes]",
        ),
        target,
        click.option("--ids/--no-ids", default=True, help="Ids of the clips."),
        click.option(
            "--columns",
            type=click.IntRange(1, 64),
            default=8,
            metavar="N",
            show_default=True,
            help="Predicted frames per row.",
        ),
        options.preset,
        options.seed,
        options.fit_seed,
        options.checkpoint,
        options.device(),
        options.storage,
        options.output,
    )(function)


def _count(default: int, what: str) -> Callable[[F], F]:
    return click.option(
        "--count",
        type=click.IntRange(1, 1000),
        default=default,
        metavar="N",
        show_default=True,
        help=what,
    )


def _sample(function: F) -> F:
    return click.option(
        "--sample",
        type=click.IntRange(0),
        default=0,
        metavar="K",
        show_default=True,
        help="Which sample of each clip.",
    )(function)


def _draw(make: Callable[[Any, Any], Any], methods: Sequence[str], **fields: Any) -> int:
    """Open everything, make a figure, write it and print its path.

    Args:
        make: (studio, planned methods) -> figure.
    """
    from vpbench.harness.figures.sources import Studio
    from vpbench.harness.figures.write import Style, check_target, write_figure
    from vpbench.harness.prediction.loaded import plan_loaded

    out = fields["out"].expanduser().absolute()
    check_target(out, fields["kind"])
    opened = open_task(
        methods,
        task_ref(fields["dataset"], fields["task_name"], fields["root"]),
        fields["runs"],
        fields["offline"],
    )
    checkpoint = fields["checkpoint"]
    chosen = RunOptions(
        preset=fields["preset"],
        seeds=(fields["seed"],),
        fit_seeds=(fields["fit_seed"],),
        samples=fields.get("sample", 0) + 1,
        checkpoint=Path(checkpoint).absolute() if checkpoint else None,
        device=fields["device"],
    )
    task_data = opened.task_data
    runs = plan_loaded(opened.methods, chosen, task_data, opened.registry, opened.paths)
    # what a plugin prints must not end up in the JSON
    with Progress("drawing") as progress, plugin_output():
        prepare_dataset(task_data.dataset, progress)
        studio = Studio(
            task_data,
            opened.registry,
            opened.paths,
            chosen,
            fields["columns"],
            fields.get("sample", 0),
            fields["ids"],
            progress,
            lambda text: click.echo(f"note: {text}", err=True),
        )
        drawn = make(studio, runs)
        style = Style(fields["background"], fields["titles"], fields["dpi"])
        record = write_figure(drawn, task_data.task, out, fields["kind"], style)
    return tell(record, out, fields["as_json"])


def _items(studio: Any, clips: Sequence[str], count: int) -> Any:
    """The clips that --clips names; `a,b` are two unless a clip is called so."""
    from vpbench.harness.figures.sources import pick_clips

    known = {item.id for item in studio.task_data.task.test}
    ids: list[str] = []
    for text in clips:
        whole = text in known
        ids += [text] if whole else [part.strip() for part in text.split(",") if part.strip()]
    return pick_clips(studio.task_data, ids, count)


@figure.command(epilog="\b\nExample:\n  vpbench figure predictions my-method copy-last --count 3")
@_shared
@_count(4, "Number of clips.")
@_sample
@click.option("--keypoints", is_flag=True, help="A row of keypoints below each method.")
@click.option(
    "--layout",
    type=click.Choice(["tall", "wide"]),
    default="tall",
    show_default=True,
    help="Clips below each other, or side by side with one row a method.",
)
@click.option(
    "--per-page",
    type=click.IntRange(1),
    metavar="N",
    help="Clips a file: predictions-01, predictions-02, ...  [default: all in one]",
)
def predictions(
    methods: tuple[str, ...],
    debug: bool,
    clips: tuple[str, ...],
    count: int,
    keypoints: bool,
    layout: str,
    per_page: int | None,
    **fields: Any,
) -> int:
    """Real frames, and those of each method, over time."""

    def make(studio: Any, runs: Any) -> Any:
        from vpbench.harness.figures.predictions import predictions as work

        items = _items(studio, clips, count)
        return work(studio, runs, items, keypoints, wide=layout == "wide", per_page=per_page)

    return _draw(make, methods, **fields)


@figure.command(epilog="\b\nExample:\n  vpbench figure sweep my-method --image photo.jpg --label 0")
@_shared
@click.option("--image", metavar="FILE", help="A picture of your own instead of a test clip.")
@click.option("--label", metavar="NAME", help="Class of the seed sweep.  [default: the clip's]")
@click.option(
    "--samples",
    type=click.IntRange(1, 100),
    default=5,
    metavar="S",
    show_default=True,
    help="Number of seeds.",
)
def sweep(
    methods: tuple[str, ...],
    debug: bool,
    clips: tuple[str, ...],
    image: str | None,
    label: str | None,
    samples: int,
    **fields: Any,
) -> int:
    """One picture under all classes, and one class under several seeds."""
    if image is not None and clips:
        raise click.UsageError("--image and --clips are two pictures; a sweep shows one.")

    def make(studio: Any, runs: Any) -> Any:
        from vpbench.harness.figures.sweep import sweep as work
        from vpbench.harness.prediction.from_image import read_picture

        if image is not None:
            source: Any = read_picture(Path(image).expanduser(), studio.task_data.task.spec.size)
        else:
            source, *more = _items(studio, clips, 1)
            if more:
                raise click.UsageError("a sweep shows one clip; --clips names several.")
        return work(studio, runs, source, label, samples)

    return _draw(make, methods, **fields)


@figure.command(epilog="\b\nExample:\n  vpbench figure translation my-method --count 6")
@_shared
@_count(4, "Number of clips.")
def translation(
    methods: tuple[str, ...], debug: bool, clips: tuple[str, ...], count: int, **fields: Any
) -> int:
    """Keypoints of the true target, mask, coarse and final image; the object removed."""

    def make(studio: Any, runs: Any) -> Any:
        from vpbench.harness.figures.translation import translation as work

        return work(studio, runs, _items(studio, clips, count))

    return _draw(make, methods, **fields)


@figure.command(
    epilog="\b\nExample:\n  vpbench figure ablation my-method 'my-method[motion=frozen]'"
)
@_shared
@_count(3, "Number of clips.")
@_sample
def ablation(
    methods: tuple[str, ...], debug: bool, clips: tuple[str, ...], count: int, **fields: Any
) -> int:
    """The same clips by several variants, side by side."""

    def make(studio: Any, runs: Any) -> Any:
        from vpbench.harness.figures.predictions import ablation as work

        return work(studio, runs, _items(studio, clips, count))

    return _draw(make, methods, **fields)


@figure.command(epilog="\b\nExample:\n  vpbench figure failures my-method --by ssim --count 5")
@_shared
@_count(4, "Number of clips for each method.")
@_sample
@click.option(
    "--by",
    default="psnr",
    metavar="METRIC",
    show_default=True,
    help="A per-clip metric of the finished runs.",
)
def failures(
    methods: tuple[str, ...],
    debug: bool,
    clips: tuple[str, ...],
    count: int,
    by: str,
    **fields: Any,
) -> int:
    """The worst clips of finished runs: real, predicted, keypoints."""

    def make(studio: Any, runs: Any) -> Any:
        from vpbench.harness.figures.predictions import failures as work

        only = _items(studio, clips, count) if clips else ()
        return work(studio, runs, by, count, only)

    return _draw(make, methods, **fields)


for _command in (limits, confusion, curves):
    figure.add_command(_command)
