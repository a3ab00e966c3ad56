"""A comparison as one page: tables, curves, classes, confusion and the player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vpbench.board.footage import REAL, open_footage, recorded_classes
from vpbench.board.layers import stored_layers
from vpbench.board.page import Section, render_page
from vpbench.board.sections import (
    Room,
    class_section,
    confusion_section,
    curve_section,
    listed,
    player_section,
    table_section,
    versus_section,
)
from vpbench.board.shown_rows import ShownRow, shown_rows
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.schema import GroupJson
from vpbench.harness.results.compare import Comparison
from vpbench.render.model import View, shown_groups, table_model
from vpbench.render.tables import APART, apart
from vpbench.render.versus import versus_model

WEIGHT = 12_000_000
"""Bytes of a page, at most."""
TEXT = 400_000
"""Bytes for everything on a page but its clips."""


def compare_page(
    comparison: Comparison,
    view: View,
    registry: Registry,
    paths: Paths,
    room: Room,
    report: Report | None = None,
) -> str:
    """The page of a comparison; nothing is predicted or scored.

    Args:
        view: which tables and rows are shown.
        room: for the films of all its players.

    Raises:
        HashMismatch: a stored file is not what was written.
        MissingDependency: PyAV cannot write H.264.
    """
    obj = comparison.json()
    groups = shown_groups(obj, view)
    with_player = [g for g in groups if _plays(g, groups)]
    each = (room.weight - TEXT) // max(1, len(with_player))
    sections: list[Section] = []
    blocks: list[str] = []
    outside = False
    for k, group in enumerate(groups):
        model = table_model(group, view)
        runs = comparison.behind(group)
        rows = shown_rows([row.source for row in model.rows], runs)
        sections.append(table_section(model, group, _title(group, groups)))
        against = versus_model(group, view)
        if against is not None:
            sections.append(versus_section(against))
        if not rows or not _plays(group, groups):
            continue
        shown = [row for row in rows if row.has_frames and row.row["method"] != REAL]
        footage = open_footage(shown, runs, registry, paths) if shown else None
        if footage is not None and footage.names:
            layers = [stored_layers(row.first) for row in shown]
            own = Room(each, room.clips, _folder(room, k, len(with_player)))
            played = player_section(group, shown, footage, layers, own, f"player{k}", report)
            sections.append(played.section)
            blocks += played.blocks
            outside = outside or bool(played.reel.outside)
        sections += details(group, rows, footage.labels if footage else recorded_classes(rows))
    if lines := apart(obj, view):
        sections.append(Section(APART.rstrip(":"), listed(lines, "notes")))
    title = f"{', '.join(dict.fromkeys(str(g['task']['id']) for g in groups))}: results"
    return render_page(title, [_methods(groups)], sections, blocks, beside=outside)


def _plays(group: GroupJson, groups: Sequence[GroupJson]) -> bool:
    """Whether a table has the clips below it: that of all clips, the first of its task."""
    if group["task"].get("subset"):
        return False
    same = [g for g in groups if _dataset(g) == _dataset(group)]
    first = next(g for g in same if not g["task"].get("subset"))
    return first is group and any(row["n"] for row in group["rows"])


def _dataset(group: GroupJson) -> tuple[str, str]:
    return group["task"]["id"], group["task"]["dataset"]


def _folder(room: Room, k: int, players: int) -> Path | None:
    """Each player's films in a folder of their own, where there are several."""
    if room.folder is None or players == 1:
        return room.folder
    return room.folder.with_name(f"{room.folder.name}-{k}")


def _title(group: GroupJson, groups: Sequence[GroupJson]) -> str:
    subset = group["task"].get("subset")
    name = f"{group['task']['id']}, subset {subset}" if subset else str(group["task"]["id"])
    alone = sum(g["task"]["id"] == group["task"]["id"] for g in groups) == 1
    return f"Scores on {name}" if alone else f"Scores on {name}, {group['frames']} frames"


def _methods(groups: Sequence[GroupJson]) -> str:
    names = [row["method"] for g in groups for row in g["rows"] if row["kind"] == "method"]
    return ", ".join(dict.fromkeys(names))


def details(group: GroupJson, rows: Sequence[ShownRow], labels: Mapping[str, str]) -> list[Section]:
    """Curves, classes and confusion of one table, where there are any."""
    sections = [
        curve_section(group, rows),
        class_section(group, rows, labels),
        confusion_section(group, rows),
    ]
    return [section for section in sections if section is not None]
