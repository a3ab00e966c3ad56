"""One finished run as a page: figures, clips with keypoints and masks, training, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vpbench.api.errors import MissingData, UsageError
from vpbench.board.compare_page import TEXT, details
from vpbench.board.footage import Footage, open_footage
from vpbench.board.layers import RowLayers, make_layers, stored_layers
from vpbench.board.page import render_page
from vpbench.board.provenance import provenance_section, training_section
from vpbench.board.sections import Room, player_section, table_section
from vpbench.board.shown_rows import ShownRow, shown_rows
from vpbench.core.command_names import name_in_commands
from vpbench.core.names import MethodRef, safe_name
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.core.schema import GroupJson
from vpbench.harness.results.compare import compare
from vpbench.harness.results.finished_runs import FinishedRun, stored_run
from vpbench.harness.results.ranking import NULLS
from vpbench.render.model import View, table_model


@dataclass(frozen=True)
class FoundRun:
    """A run with the table that it stands in.

    Attributes:
        row: its row; the page shows `run`, the row's figures are over all of its seeds.
        known: all runs of the task.
    """

    run: FinishedRun
    row: ShownRow
    group: GroupJson
    known: Sequence[FinishedRun]

    @property
    def stem(self) -> str:
        """A name for the page's file."""
        inputs = self.run.inputs
        return f"{safe_name(inputs['method'])}-{safe_name(inputs['task']['id'])}"


def find_run(
    folder: Path | None,
    method: MethodRef | None,
    task: TaskRef,
    options: RunOptions,
    registry: Registry,
    paths: Paths,
) -> FoundRun:
    """A run by its folder, or the newest one of a method.

    Raises:
        MissingData: there is none.
        UsageError: a method has runs on several tasks.
        HashMismatch: a stored file is not what was written.
    """
    if folder is not None:
        given = stored_run(folder.absolute())
        paths = replace(paths, runs=given.folder.path.parents[2])
        method = MethodRef.parse(given.inputs["method"])
        task = TaskRef(dataset=given.inputs["dataset"], task=given.inputs["task"]["id"])
        options = replace(options, preset=given.inputs["preset"] or None)
    assert method is not None  # one of the two is given
    wanted = () if folder is None else (folder.absolute(),)
    found = compare([method], options, registry, paths, task, ("none",), folders=wanted)
    own = [g for g in found.groups if any(_is_shown(row["kind"], row["n"]) for row in g["rows"])]
    tasks = list(dict.fromkeys(str(g["task"]["id"]) for g in own))
    if not tasks:
        typed = name_in_commands(str(method), registry)
        words = ["vpbench", "run", typed, "--dataset", task.dataset or "puppets"]
        raise MissingData(
            f"there is no finished run of {typed} in {paths.runs}.",
            fix=f"Make it with: {shlex.join(words)}",
        )
    if len(tasks) > 1:
        raise UsageError(
            f"{method} has finished runs on {', '.join(tasks)}.", fix="Name one with --dataset."
        )
    group = own[0]
    known = found.behind(group)
    rows = shown_rows([r for r in group["rows"] if _is_shown(r["kind"], r["n"])], known)
    if folder is not None:
        rows = [row for row in rows if any(r.folder.path == folder.absolute() for r in row.runs)]
    if not rows:
        raise MissingData(
            f"{folder} is not the run that tables show of {method}.",
            fix="Run the same command with --dataset and the method's name.",
        )
    run = rows[0].first
    if folder is not None:
        run = next(r for r in rows[0].runs if r.folder.path == folder.absolute())
    return FoundRun(run, rows[0], group, known)


def _is_shown(kind: str, n: int | None) -> bool:
    return kind in ("method", "oracle", "imported") and n is not None


def report_page(
    found: FoundRun,
    registry: Registry,
    paths: Paths,
    room: Room,
    layers: bool = True,
    device: str = "auto",
    report: Report = silent,
) -> str:
    """The page of a run.

    Args:
        layers: predict the run's clips once more for keypoints and masks, unless that was done.

    Raises:
        HashMismatch: a stored file is not what was written.
        MissingDependency: PyAV cannot write H.264.
    """
    group, run = found.group, found.run
    shown = replace(found.row, runs=[run])
    model = table_model(group, View(names=(found.row.row["method"],)))
    sections = [table_section(model, group, "Scores")]
    footage = open_footage([shown], found.known, registry, paths)
    own, why = _layers(run, footage, registry, paths, device, report) if layers else (None, "")
    if own is None:
        own = stored_layers(run)
    footage.notes += [why] if why else []
    room = replace(room, weight=room.weight - TEXT)
    played = player_section(group, [shown], footage, [own], room, "player0", report)
    sections.append(played.section)
    listed = [row.source for row in model.rows if row.source["method"] in NULLS]
    nulls = shown_rows(listed, found.known)
    sections += details(group, [found.row, *nulls], footage.labels)
    parts = [training_section(run, registry), provenance_section(run, registry, paths)]
    sections += [part for part in parts if part is not None]
    inputs = run.inputs
    lines = [
        f"One run of {inputs['method']} on {inputs['task']['id']}: prediction seed "
        f"{inputs['seed']}{_fit_seed(inputs['fit_seed'])}, {run.folder.path.name}"
    ]
    title = f"{found.row.title} on {inputs['task']['id']}"
    return render_page(title, lines, sections, played.blocks, beside=bool(played.reel.outside))


def _fit_seed(seed: int | None) -> str:
    return "" if seed is None else f", training seed {seed}"


def _layers(
    run: FinishedRun,
    footage: Footage,
    registry: Registry,
    paths: Paths,
    device: str,
    report: Report,
) -> tuple[RowLayers | None, str]:
    kept = stored_layers(run)
    if kept is not None or footage.task_data is None:
        return kept, ""
    return make_layers(run, footage.task_data, registry, paths, device, report)
