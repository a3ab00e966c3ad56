"""Options that verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vpbench.cli import completion
from vpbench.core.paths import Paths, user_paths

F = TypeVar("F", bound=Callable[..., Any])


def chain(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one, in the order of the help."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def output(function: F) -> F:
    """--json, --debug."""
    return chain(
        click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output."),
        click.option("--debug", is_flag=True, help="Show tracebacks."),
    )(function)


def storage(function: F) -> F:
    """--runs, --offline."""
    return chain(
        click.option(
            "--runs",
            type=click.Path(file_okay=False),
            metavar="DIR",
            help="Folder of the results.  [default: ./runs, or VPBENCH_RUNS]",
        ),
        click.option("--offline", is_flag=True, help="Use no network."),
    )(function)


def dataset(function: F) -> F:
    """--dataset, --task, --root."""
    return chain(
        click.option(
            "--dataset",
            default="puppets",
            show_default=True,
            metavar="D",
            shell_complete=completion.names("dataset"),
            help="A dataset, such as puppets or 'folder:PATH[group=subject]'.",
        ),
        click.option(
            "--task", "task_name", metavar="T", help="A task of the dataset.  [default: its first]"
        ),
        click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder."),
    )(function)


def methods(function: F) -> F:
    """METHOD..., the names of methods."""
    return _named("methods", "METHOD...")(function)


def methods_or_runs(function: F) -> F:
    """METHOD|RUN..., names of methods or run folders, as `what`."""
    return _named("what", "METHOD|RUN...")(function)


def _named(name: str, metavar: str) -> Callable[[F], F]:
    return click.argument(
        name,
        nargs=-1,
        required=True,
        metavar=metavar,
        shell_complete=completion.names("method"),
    )


def preset(function: F) -> F:
    """--preset."""
    return click.option("--preset", metavar="P", help="Preset of all named methods.")(function)


def seed(function: F) -> F:
    """--seed."""
    return click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Prediction seed.",
    )(function)


def fit_seed(function: F) -> F:
    """--fit-seed."""
    return click.option(
        "--fit-seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Training seed.",
    )(function)


def checkpoint(function: F) -> F:
    """--checkpoint."""
    return click.option(
        "--checkpoint",
        type=click.Path(exists=True, file_okay=False),
        metavar="PATH",
        help="A trained stage folder, or a folder of them.",
    )(function)


def workers(function: F) -> F:
    """--workers."""
    return click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Worker processes.  [default: the free cores]",
    )(function)


def device(default: str = "auto", what: str = "Device for methods.") -> Callable[[F], F]:
    """--device."""
    return click.option(
        "--device", default=default, metavar="auto|cpu|cuda:N", show_default=True, help=what
    )


def task(function: F) -> F:
    """--dataset, --task, --root, --limit, --train-on."""
    return chain(
        dataset,
        click.option(
            "--limit",
            type=click.IntRange(1),
            metavar="N",
            help="Use only N test clips; the run is noted as not comparable.",
        ),
        click.option(
            "--train-on",
            type=click.Choice(["train", "train+val"]),
            default="train",
            show_default=True,
            help="Clips to fit on. train+val leaves no validation set for model selection, so the "
            "number of steps is fixed; the row has a note.",
        ),
    )(function)


def effort(function: F) -> F:
    """--seeds, --fit-seeds, --samples, --preset, --checkpoint, --workers, --threads, --device."""
    return chain(
        preset,
        click.option(
            "--seeds", default="0", metavar="0-2", help="Prediction seeds.", show_default=True
        ),
        click.option(
            "--fit-seeds", default="0", metavar="0-2", help="Training seeds.", show_default=True
        ),
        click.option(
            "--samples",
            type=click.IntRange(1, 1000),
            default=1,
            metavar="S",
            help="Samples per clip, for stochastic methods.",
            show_default=True,
        ),
        click.option("--fit", "refit", is_flag=True, help="Train even if a checkpoint exists."),
        checkpoint,
        workers,
        click.option(
            "--threads",
            type=click.IntRange(1),
            metavar="N",
            help="Threads for fitting only.  [default: the free cores]",
        ),
        device(),
        click.option(
            "--on",
            "executor",
            default="local",
            show_default=True,
            metavar="NAME",
            help="The executor that decides where jobs run; see: vpbench list executors.",
        ),
    )(function)


def yes(function: F) -> F:
    """--yes."""
    return click.option(
        "--yes", is_flag=True, help="Do not ask before a training of more than two hours."
    )(function)


def metrics(function: F) -> F:
    """--metrics."""
    return click.option(
        "--metrics",
        metavar="a,b",
        shell_complete=completion.names("metric", listed=True),
        help="Metrics, such as psnr,ssim.  [default: all default ones]",
    )(function)


def split_names(text: str | None) -> list[str] | None:
    """`a,b` -> ["a", "b"]; None stays None.

    Raises:
        UsageError: no name is in it.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise click.UsageError("an empty list of names. Separate names by commas: psnr,ssim")
    return names


def folders(runs: str | None, offline: bool) -> Paths:
    """The folders that the options and the environment name."""
    return user_paths(Path(runs) if runs else None, offline=offline)
