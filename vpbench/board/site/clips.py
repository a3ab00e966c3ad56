"""The player of a task's page, where the runs behind its entries lie on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vpbench.board.footage import REAL, open_footage
from vpbench.board.sections import Room, player_section
from vpbench.board.shown_rows import ShownRow, shown_rows
from vpbench.board.site.comparison import Compared
from vpbench.board.site.pages import Clips
from vpbench.board.site.places import file_name
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.run_folders import finished
from vpbench.core.schema import GroupJson
from vpbench.harness.results.finished_runs import FinishedRun, newest

WEIGHT = 2_000_000
"""Bytes of the films in the page itself; all others lie beside it and load when they are chosen."""

INSIDE = 9
"""Films in the page, at most."""

_MOST = 12
"""Rows of a player: more do not fit beside each other."""

_BASELINE = "copy-last"


def play_clips(
    group: GroupJson,
    compared: Compared,
    registry: Registry,
    paths: Paths,
    report: Report | None = None,
) -> Clips | None:
    """The player of the first methods of a table; None where none of their runs is here.

    A run is an entry's if its manifest is, which holds the hashes of all predicted frames.

    Args:
        group: with its rows in the order of the table.
        paths: where runs, and the dataset's clips, lie.

    Raises:
        HashMismatch: a stored file is not what was written.
        MissingDependency: PyAV cannot write H.264.
    """
    task = str(group["task"]["id"])
    stored = list(newest(finished(paths.runs, task), registry).values())
    named = _named(stored, compared.runs)
    wanted = [r for r in group["rows"] if r["kind"] in ("method", "imported")][:_MOST]
    wanted += [r for r in group["rows"] if r["method"] == _BASELINE]
    rows = shown_rows(wanted, named)
    if not any(row.row["kind"] != "null" for row in rows):
        return None
    real = [run for run in stored if run.inputs["method"] == REAL]
    footage = open_footage(rows, [*named, *real], registry, paths)
    if not footage.names:
        return None
    with TemporaryDirectory() as work:
        folder = Path(work) / f"{file_name(task)}-clips"
        room = Room(WEIGHT, INSIDE, folder)
        played = player_section(group, rows, footage, _no_layers(rows), room, "player", report)
        films = sorted(folder.glob("*.js")) if folder.is_dir() else []
        files = {f"tasks/{folder.name}/{film.name}": film.read_bytes() for film in films}
    return Clips(played.section.body, tuple(played.blocks), files)


def _no_layers(rows: Sequence[ShownRow]) -> list[None]:
    """No masks and keypoints: they are not evidence."""
    return [None] * len(rows)


def _named(stored: Sequence[FinishedRun], entered: Sequence[FinishedRun]) -> list[FinishedRun]:
    """The stored runs of entries, under the names of their rows and with the entries' scores."""
    by_manifest = {run.manifest["sha256"]: run for run in stored}
    return [
        replace(
            by_manifest[own.manifest["sha256"]],
            inputs={
                **by_manifest[own.manifest["sha256"]].inputs,
                "method": own.inputs["method"],
            },
            scores=own.scores,
        )
        for own in entered
        if own.manifest["sha256"] in by_manifest
    ]
