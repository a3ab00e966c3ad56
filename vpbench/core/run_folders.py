"""Lists the folders below the runs folder, and sets aside outdated results."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from vpbench.core import schema
from vpbench.core.files import make_folder, storage
from vpbench.core.records import RunInputs, ScoreRecord
from vpbench.core.rundir import RunDir, read_object

RETIRED = ".retired-"
"""In names of run and stage folders that were set aside: outdated results."""


def runs_of(runs: Path, task: str | None = None) -> Iterator[RunDir]:
    """All run folders below the runs folder, of one task or of all, in the order of their names."""
    for folder in task_folders(runs, task):
        for record in sorted(folder.glob("*/*/run.json")):
            if record.parent.parent.name != "stages" and RETIRED not in record.parent.name:
                yield RunDir(record.parent)


def task_folders(runs: Path, task: str | None = None) -> list[Path]:
    """Folders of tasks below the runs folder, all or the one named."""
    if not runs.is_dir():
        return []
    tasks = [runs / task] if task else sorted(p for p in runs.iterdir() if p.is_dir())
    return [folder for folder in tasks if folder.is_dir()]


def retired(runs: Path) -> list[Path]:
    """Run and stage folders that were set aside, in the order of their names."""
    folders = [p for f in task_folders(runs) for p in f.glob(f"*/*{RETIRED}*") if p.is_dir()]
    return sorted(folders)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def retire(folder: Path) -> Path:
    """Set a run or stage folder aside: nothing is lost, none of it is used again.

    Returns:
        Where it is now.
    """
    target = _free_name(folder)
    with storage(target):
        folder.rename(target)
    return target


def retire_parts(folder: Path, names: Iterable[str]) -> Path:
    """Set parts of a folder aside that is in use itself, beside it as `retire` does.

    Args:
        names: of files and folders in it, in the order in which they go; some may be missing.

    Returns:
        The folder that they are in now.
    """
    target = _free_name(folder)
    with storage(target):
        target.mkdir()
        for name in names:
            if (folder / name).exists():
                (folder / name).rename(target / name)
    return target


def _free_name(folder: Path) -> Path:
    """A name for what is set aside now."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    for k in itertools.count():
        target = folder.with_name(f"{folder.name}{RETIRED}{stamp}{f'-{k}' if k else ''}")
        if not target.exists():
            return target
    raise AssertionError("unreachable")  # pragma: no cover - count() does not end


def retire_score(folder: RunDir, path: Path) -> None:
    """Set a score of a run aside: it lies where nothing reads it."""
    target = make_folder(folder.scores / "retired") / path.name
    with storage(target):
        path.replace(target)


def retire_earlier_scores(folder: RunDir, path: Path, record: ScoreRecord) -> None:
    """Set aside what another version of a metric gave for the same frames and clips.

    Args:
        path: where the new score stands.
        record: the new score.
    """
    for other in folder.scores.glob(f"{path.name.partition('@')[0]}@*.json"):
        if other != path and _stands_for(folder.read_score(other)) == _stands_for(record):
            retire_score(folder, other)


def _stands_for(score: ScoreRecord) -> tuple[str, int, str]:
    subset = score.get("subset")
    return score["metric"], score["frames"], subset["name"] if subset else ""


def finished(runs: Path, task: str | None = None) -> Iterator[tuple[RunDir, RunInputs]]:
    """Run folders with complete predictions, and the inputs of each.

    Only run.json is verified yet. Runs of an earlier vpbench, which did not record their code and
    data, are left out.
    """
    for folder in runs_of(runs, task):
        if folder.manifest.is_file() and not of_earlier_version(folder):
            yield folder, folder.read_record()["inputs"]


def of_earlier_version(folder: RunDir) -> bool:
    """Whether a run folder was made by a vpbench that recorded neither code nor data."""
    return read_object(folder.record).get("schema") == schema.RUN
