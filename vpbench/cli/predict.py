"""predict: the test clips of a dataset, or any picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.opening import open_task, prepare_dataset, task_ref
from vpbench.cli.run import execute
from vpbench.cli.show import Progress, print_json
from vpbench.core.options import RunOptions
from vpbench.core.surroundings import plugin_output

_EPILOG = """\b
Examples:
  vpbench predict copy-last --dataset folder:clips
  vpbench predict my-method --image photo.jpg --label all --out photo
  vpbench predict my-method --image photo.jpg --label squats --samples 4 --seed 7 --out photo"""

_CLIPS_ONLY = {
    "seeds": "--seeds",
    "limit": "--limit",
    "refit": "--fit",
    "workers": "--workers",
    "threads": "--threads",
    "train_on": "--train-on",
    "yes": "--yes",
}


@click.command(epilog=_EPILOG)
@options.methods
@click.option(
    "--image",
    metavar="FILE",
    help="Predict from this picture, of any size, instead of the test clips.",
)
@click.option(
    "--label",
    metavar="NAME|all",
    help="With --image: the action, by name or number; several with commas.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="With --image: seed of the samples.  [default: 0]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With --image: a new or empty output folder.",
)
@click.option("--force", is_flag=True, help="With --image: overwrite an earlier prediction in DIR.")
@options.task
@options.effort
@options.yes
@options.storage
@options.output
@click.pass_context
def predict(
    ctx: click.Context,
    methods: tuple[str, ...],
    debug: bool,
    image: str | None,
    label: str | None,
    seed: int | None,
    out: Path | None,
    force: bool,
    **fields: Any,
) -> int:
    """Predict the test clips of a dataset, or what happens after a picture.

    Without --image: predict all test clips, fitting first if needed; `vpbench score` then scores
    them.

    With --image: decode any picture, bring it to the size of the task (short side, centre crop),
    and predict from this one frame with an existing checkpoint. The default task is
    puppets; --dataset, --task, --preset and --checkpoint choose another. DIR gets the frames,
    keypoints, masks and coarse images where the method has them, a GIF for each label and sample,
    and contact sheets.
    """
    if image is None:
        for name, value in (
            ("--label", label),
            ("--seed", seed),
            ("--out", out),
            ("--force", force or None),
        ):
            if value is not None:
                raise click.UsageError(f"{name} requires --image FILE.")
        return execute("predict", methods, metrics=None, references=False, strict=False, **fields)
    for name, option in _CLIPS_ONLY.items():
        if ctx.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT):
            hint = " Write --seed N --samples S." if name == "seeds" else ""
            raise click.UsageError(f"{option} cannot be used with --image.{hint}")
    if out is None:
        raise click.UsageError("--image requires --out DIR, a folder for the images.")
    return _pictures(methods, Path(image), label, seed or 0, out, force, **fields)


def _pictures(
    methods: Sequence[str],
    image: Path,
    label: str | None,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
    **fields: Any,
) -> int:
    from vpbench.core.outdir import check_out, out_folder
    from vpbench.harness.prediction.from_image import check_pictured, pick_labels, read_picture
    from vpbench.harness.prediction.image_files import RECORD, write_pictures
    from vpbench.harness.prediction.loaded import check_trained, plan_loaded

    target = out.expanduser().absolute()
    check_out(target, RECORD, force)
    opened = open_task(
        methods,
        task_ref(fields["dataset"], fields["task_name"], fields["root"]),
        fields["runs"],
        fields["offline"],
    )
    task_data = opened.task_data
    chosen = _one_training(seed=seed, **fields)
    runs = plan_loaded(opened.methods, chosen, task_data, opened.registry, opened.paths)
    picture = read_picture(image.expanduser(), task_data.task.spec.size)
    labels: dict[str, list[int | None]] = {}
    for run in runs:
        check_pictured(run.method)
        labels[run.name] = pick_labels(label, run.method, task_data.task.info)
    for run in runs:
        check_trained(run, task_data)
        if labels[run.name] == [None] and label is not None:
            click.echo(f"{run.name} does not use labels: --label is ignored.", err=True)
        if chosen.samples > 1 and not run.method.capabilities.stochastic:
            click.echo(f"{run.name} is not stochastic: one sample.", err=True)
    # what a plugin prints must not end up in the JSON
    with (
        out_folder(target, RECORD, force) as work,
        Progress("predicting") as progress,
        plugin_output(),
    ):
        if any(run.method.spec.kind == "reference" for run in runs):
            prepare_dataset(task_data.dataset, progress)
        record = write_pictures(
            work,
            runs,
            task_data,
            opened.registry,
            opened.paths,
            picture,
            labels,
            chosen,
            progress,
        )
    if as_json:
        print_json({**record, "out": str(target)})
        return 0
    for row in record["methods"]:
        click.echo(f"{row['method']}: {target / row['folder'] / row['sheet']}")
    click.echo(f"Frames, keypoints and animations: {target}")
    return 0


def _one_training(
    seed: int,
    preset: str | None,
    fit_seeds: str,
    samples: int,
    checkpoint: str | None,
    device: str,
    **_: Any,
) -> RunOptions:
    """The options of a command, for images from one fitted method."""
    from vpbench.core.names import parse_seeds

    fit_seed, *more = parse_seeds(fit_seeds)
    if more:
        raise click.UsageError(
            "images are predicted from one fit: --fit-seeds takes one seed here."
        )
    path = Path(checkpoint).absolute() if checkpoint else None
    return RunOptions(
        preset=preset,
        seeds=(seed,),
        fit_seeds=(fit_seed,),
        samples=samples,
        checkpoint=path,
        device=device,
    )
