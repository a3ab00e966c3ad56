"""data list, prepare, verify, preview."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.api.optional import HasPublishedCounts
from vpbench.cli import completion, options
from vpbench.cli.groups import OrderedGroup
from vpbench.cli.pages import beside, counted
from vpbench.cli.show import Progress, print_json

if TYPE_CHECKING:
    from vpbench.api.protocols import Dataset
    from vpbench.api.types import Problem
    from vpbench.harness.inputs.task_data import TaskData

_EPILOG = """\b
Examples:
  vpbench data list
  vpbench data prepare puppets
  vpbench data verify 'folder:clips[group=person]'
  vpbench data preview puppets --out preview"""


@click.group(cls=OrderedGroup, epilog=_EPILOG)
def data() -> None:
    """List, prepare, check and look at datasets."""


@data.command("list", epilog="\b\nExample:\n  vpbench data list --json")
@options.output
def list_(as_json: bool, debug: bool) -> int:
    """List datasets with their tasks."""
    from vpbench.api.specs import DatasetSpec
    from vpbench.core.registry import registry

    rows: list[dict[str, Any]] = []
    for entry in registry().of("dataset"):
        spec = entry.spec
        tasks = [t.id for t in spec.tasks] if isinstance(spec, DatasetSpec) else []
        rows.append(
            {
                "name": entry.name,
                "kind": "dataset",
                "source": entry.origin,
                "status": entry.status,
                "reason": entry.reason or None,
                "tasks": tasks,
                "summary": spec.summary if spec is not None else "",
            }
        )
    if as_json:
        print_json({"schema": "vpbench.list/1", "items": rows})
        return 0
    wide = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        tasks = ", ".join(row["tasks"]) or "made from its options"
        beside(row["name"], [row["reason"] or row["summary"], f"tasks: {tasks}"], wide)
    return 0


def _open(dataset: str, root: str | None, runs: str | None, offline: bool) -> Any:
    from vpbench.cli.opening import local_dataset
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.task_data import open_dataset

    full = str(Path(root).expanduser().absolute()) if root else None
    name, values = local_dataset(dataset)
    return open_dataset(name, registry(values), options.folders(runs, offline), full)[0]


def _task_data(
    dataset: str, root: str | None, runs: str | None, offline: bool, task: str | None = None
) -> TaskData:
    """A task of a dataset, opened."""
    from vpbench.cli.opening import local_dataset, task_ref
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.task_data import open_task_data

    name, values = local_dataset(dataset)
    ref = task_ref(name, task, root)
    return open_task_data(ref, registry(values), options.folders(runs, offline))


_PREPARE_EPILOG = """\b
Examples:
  vpbench data prepare puppets
  vpbench data prepare penn --download --root data/penn
  vpbench data prepare mgif --root data/moving-gif-128"""


@data.command(epilog=_PREPARE_EPILOG)
@click.argument("dataset", shell_complete=completion.names("dataset"))
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@click.option(
    "--task",
    "task_name",
    metavar="T",
    help="Convert for this task of the dataset.  [default: its first]",
)
@click.option(
    "--download",
    is_flag=True,
    help="Download it first, resuming an earlier download; "
    "where that is not allowed, print how to get it.",
)
@options.workers
@options.storage
@options.output
def prepare(
    dataset: str,
    root: str | None,
    task_name: str | None,
    download: bool,
    workers: int | None,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Convert or render a dataset once, so that later runs start immediately."""
    from vpbench.cli.opening import prepare_dataset
    from vpbench.core.tasks import SPLITS
    from vpbench.harness.inputs.preprocess import preprocess_clips

    opened = _open(dataset, root, runs, offline)
    paths = options.folders(runs, offline)
    if download and not _download(opened, paths.offline):
        return 5
    with Progress() as progress:
        prepare_dataset(opened, progress, fresh=True)
        task_data = _task_data(dataset, root, runs, offline, task_name)
        preprocess_clips(task_data, SPLITS, workers, progress, check=True)
    counts = {split: len(opened.clips(split)) for split in opened.splits()}
    if as_json:
        print_json(
            {
                "schema": "vpbench.verify/1",
                "ok": True,
                "published": _published(opened),
                "counts": counts,
                "excluded": {},
                "problems": [],
            }
        )
    else:
        click.echo(f"{dataset} is ready: " + ", ".join(f"{n} {s}" for s, n in counts.items()))
    return 0


def _published(opened: Dataset) -> dict[str, int]:
    return dict(opened.published()) if isinstance(opened, HasPublishedCounts) else {}


def _download(opened: Dataset, offline: bool) -> bool:
    """Download the dataset; False, with instructions printed, where it must be done by hand."""
    from vpbench.api.errors import MissingData, UsageError
    from vpbench.harness.inputs.stored_dataset import downloads, has_instructions

    name = opened.spec.name
    source = downloads(opened)
    if source is not None:
        if offline:
            raise MissingData(
                f"{name} cannot be downloaded offline.",
                fix="Drop --offline and unset VPBENCH_OFFLINE.",
            )
        with Progress() as progress:
            folder = source.download(progress.of(name, "MiB"))
        click.echo(f"{name} is in {folder}.", err=True)
        return True
    by_hand = has_instructions(opened)
    if by_hand is None:
        raise UsageError(f"{name} is not downloaded.", fix=f"Leave --download out of {name}.")
    click.echo(f"{name} must be downloaded by hand.\n{by_hand.instructions()}", err=True)
    return False


@data.command(epilog="\b\nExample:\n  vpbench data verify folder:clips --json")
@click.argument("dataset", shell_complete=completion.names("dataset"))
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@options.storage
@options.output
def verify(
    dataset: str, root: str | None, runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Hash and check every clip in the dataset folder and in the cache, and list all problems.

    Test clips that look like training clips are listed as warnings.
    """
    from vpbench.api.errors import VpbenchError

    opened = _open(dataset, root, runs, offline)
    problems = _problems(opened)
    if not any(p.level == "error" for p in problems):
        named = shlex.join([dataset, "--root", root] if root else [dataset])
        problems += _cache_problems(opened, named, options.folders(runs, offline).cache)
    errors = [p for p in problems if p.level == "error"]
    counts: dict[str, int] = {}
    excluded: dict[str, int] = {}
    if not errors:
        counts = {split: len(opened.clips(split)) for split in opened.splits()}
        try:
            excluded = _excluded(dataset, root, runs, offline)
        except VpbenchError as error:
            click.echo(f"note: {error}", err=True)
    published = _published(opened)
    if as_json:
        print_json(
            {
                "schema": "vpbench.verify/1",
                "ok": not errors,
                "published": published,
                "counts": counts,
                "excluded": excluded,
                "problems": problems,
            }
        )
        return _exit_code(opened) if errors else 0
    for problem in problems:
        where = "" if not problem.path or str(problem.path) in problem.what else f"{problem.path}: "
        click.echo(f"{problem.level}: {where}{problem.what} {problem.fix}".rstrip())
    shown = ", ".join(f"{n} {s}" for s, n in counts.items())
    if published:
        shown += f" (published: {', '.join(f'{n} {s}' for s, n in published.items())})"
    click.echo(
        f"{dataset}: {shown if counts else 'not usable'}; {counted(len(errors), 'error')}, "
        f"{counted(len(problems) - len(errors), 'warning')}"
    )
    return _exit_code(opened) if errors else 0


def _exit_code(opened: Dataset) -> int:
    """Of a dataset with errors: what is not there is missing, what is there is corrupt."""
    from vpbench.api.errors import MissingData, VpbenchError

    try:
        for split in opened.splits():
            opened.clips(split)
    except MissingData as error:
        return error.exit_code
    except VpbenchError:
        pass
    return 4


def _problems(opened: Dataset) -> list[Problem]:
    """What `verify` finds, with a bar where the dataset reports progress."""
    from vpbench.cli.opening import reports_progress

    reporting = reports_progress(opened)
    if reporting is None:
        return opened.verify()
    with Progress() as progress:
        return reporting.verify(None, progress.of(opened.spec.name, "verify"))


def _cache_problems(opened: Any, dataset: str, cache: Path) -> list[Any]:
    """Damaged files among the clips of a dataset that were converted for its tasks."""
    from vpbench.api.optional import MakesTasks
    from vpbench.api.types import Problem
    from vpbench.harness.inputs.clip_cache import ClipCache, damaged_files
    from vpbench.media.geometry import Geometry

    own: object = opened
    tasks = own.tasks() if isinstance(own, MakesTasks) else opened.spec.tasks
    folders = {
        ClipCache(opened, Geometry(task.size, task.resize, task.native), cache).folder
        for task in tasks
    }
    return [
        Problem(
            "error",
            str(path),
            f"{path} in the cache is corrupt.",
            f"Rebuild it: vpbench data prepare {dataset}",
        )
        for folder in sorted(folders)
        for path in damaged_files(folder)
    ]


def _excluded(dataset: str, root: str | None, runs: str | None, offline: bool) -> dict[str, int]:
    task_data = _task_data(dataset, root, runs, offline)
    return {split: n for split, n in task_data.task.excluded.items() if n}


@data.command(epilog="\b\nExample:\n  vpbench data preview puppets --out preview")
@click.argument("dataset", shell_complete=completion.names("dataset"))
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    default="preview",
    show_default=True,
    metavar="DIR",
    help="Output folder.",
)
@click.option(
    "--split", default="test", metavar="NAME", show_default=True, help="Split to draw clips from."
)
@options.storage
@options.output
def preview(
    dataset: str,
    root: str | None,
    out: str,
    split: str,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Draw a contact sheet (one clip of each class over time) and an animated version."""
    from vpbench.core.outdir import named_output
    from vpbench.data.folder.media_notes import clip_notes
    from vpbench.harness.inputs.preview import write_dataset_preview

    task_data = _task_data(dataset, root, runs, offline)
    with named_output():
        sheet, animation = write_dataset_preview(task_data, split, Path(out))
    notes = clip_notes(task_data.dataset.clips(split))
    if as_json:
        record = {"schema": "vpbench.preview/1", "sheet": sheet, "animation": animation}
        print_json({**record, "notes": notes})
        return 0
    for note in notes:
        click.echo(f"note: {note}")
    click.echo(f"Contact sheet: {sheet}\nAnimation: {animation}")
    return 0
