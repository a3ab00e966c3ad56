"""report."""

from __future__ import annotations

from pathlib import Path

import click

from vpbench.cli import completion, options
from vpbench.cli.html_page import media_options, room_of, write_page
from vpbench.cli.opening import local_dataset, parse_methods, task_ref
from vpbench.cli.show import Progress, print_json
from vpbench.core.options import RunOptions
from vpbench.core.surroundings import plugin_output

_EPILOG = """\b
Examples:
  vpbench report my-method --dataset puppets --out my-method.html
  vpbench report runs/puppets/my-method/0f1e2d3c
  vpbench report my-method --no-layers --clips 20"""


@click.command(epilog=_EPILOG)
@click.argument("what", metavar="RUN|METHOD", shell_complete=completion.names("method"))
@click.option("--dataset", metavar="D", help="The dataset of the method's run.")
@click.option("--task", "task_name", metavar="T", help="The task of the method's run.")
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@options.preset
@click.option(
    "--layers/--no-layers",
    default=True,
    show_default=True,
    help="Keypoints and masks, where the method has them: its clips are predicted once more for "
    "them, and they are kept beside the run.",
)
@media_options("METHOD-TASK.html")
@options.device()
@options.storage
@options.output
def report(
    what: str,
    dataset: str | None,
    task_name: str | None,
    root: str | None,
    preset: str | None,
    layers: bool,
    out: Path | None,
    clips: int | None,
    media_folder: bool,
    device: str,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Write a page about one finished run: figures, clips, training, provenance.

    The page is one file that opens from disk and needs no server. RUN is a run folder; of a METHOD
    the newest finished run is taken.
    """
    from vpbench.board.report_page import find_run, report_page
    from vpbench.core.registry import registry

    chosen = RunOptions(preset=preset)
    ref, plugins, folder = None, (), None
    paths = options.folders(runs, offline)
    if (Path(what) / "run.json").is_file():
        folder = Path(what)
    else:
        (ref,), plugins = parse_methods([what])
    name, own = local_dataset(dataset or "")
    known = registry((*plugins, *own))
    found = find_run(folder, ref, task_ref(name, task_name, root), chosen, known, paths)
    target = out or Path(f"{found.stem}.html")
    room = room_of(target, clips, media_folder)
    with Progress("report") as progress, plugin_output():
        page = report_page(found, known, paths, room, layers, device, progress)
    record = write_page(target, page)
    if as_json:
        print_json({"schema": "vpbench.page/1", "run": str(found.run.folder.path), **record})
    else:
        click.echo(record["file"])
    return 0
