"""From a folder and its options to clips with splits and labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import MissingData, UnknownName, VpbenchError
from vpbench.api.types import ClipInfo
from vpbench.core.hashing import digest
from vpbench.data.folder import labels, split
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.index import Facts
from vpbench.data.folder.media_notes import table_notes
from vpbench.data.folder.options import Options
from vpbench.data.folder.scan import OnProgress, scan, silent
from vpbench.data.folder.split import ROLES, Role
from vpbench.data.folder.walk import LABELS, Source
from vpbench.media.kinds import ARRAY_SUFFIXES, ground_text

BY_FOLDER = "folders"
"""The value of label= that makes sub-folders of one set classes."""


@dataclass(frozen=True)
class Contents:
    """A folder, understood.

    Attributes:
        clips: of each split, in the order of their ids.
        classes: names of the classes; () without labels.
        sources: where each clip is stored, by its id.
        hashes: sha256 of the source bytes by clip id.
    """

    clips: Mapping[Role, tuple[ClipInfo, ...]]
    classes: tuple[str, ...]
    sources: Mapping[str, Source]
    hashes: Mapping[str, str]

    def all(self) -> list[ClipInfo]:
        """The clips of all splits, in the order of their ids."""
        return sorted((c for part in self.clips.values() for c in part), key=lambda c: c.id)


def build(
    options: Options,
    cache: Path,
    findings: Findings,
    *,
    fresh: bool = False,
    report: OnProgress = silent,
) -> Contents:
    """Scan a folder; what is wrong goes to `findings`, clips with errors are left out."""
    scanned = scan(options.path, options.reading, cache, findings, fresh=fresh, report=report)
    facts = {source: fact for source, fact in scanned.items() if fact is not None}
    if not scanned:
        findings.error(
            options.path,
            MissingData(
                f"{options.path} holds no clips.",
                fix="Put video files, gifs, arrays, image strips or folders of frames there.",
            ),
        )
    columns = _Columns(options, list(scanned), findings)
    ids = [source.id for source in facts]
    places = {source.id: source.id.split("/")[:-1] for source in facts}
    groups = columns.cells(options.group, ids) if options.group else {}
    roles = _roles(options, columns, places, groups, findings)
    named = _labels(options, columns, places, findings)
    classes = labels.class_names(named.values())
    numbers = {name: number for number, name in enumerate(classes)}
    parts: dict[Role, list[ClipInfo]] = {part: [] for part in ROLES}
    for source, fact in facts.items():
        label = numbers[named[source.id]] if source.id in named else None
        if source.id in roles and (label is not None or not classes):
            clip = _clip(options, source, fact, label, groups.get(source.id, ""))
            parts[roles[source.id]].append(clip)
    clips: dict[Role, tuple[ClipInfo, ...]] = {
        part: tuple(kept) for part, kept in parts.items() if kept
    }
    hashes = {source.id: fact.sha256 for source, fact in facts.items()}
    return Contents(clips, classes, {source.id: source for source in scanned}, hashes)


def _clip(
    options: Options, source: Source, facts: Facts, label: int | None, group: str
) -> ClipInfo:
    return ClipInfo(
        id=source.id,
        frames=facts.frames,
        height=facts.height,
        width=facts.width,
        label=label,
        fps=facts.fps,
        group=group,
        sha256=_content(options, source, facts),
        source=facts.source,
        note="; ".join(table_notes(facts.changes, options.reading)),
    )


def _content(options: Options, source: Source, facts: Facts) -> str:
    """The hash of a clip's frames: of its bytes, and of whatever else decided about its pixels.

    The same image may be read as 8 frames of 64x64 or as 4 of 128x64, and a transparent one on
    white or on black; results of one must not pass for results of the other. A clip of which
    nothing had to be decided is known by its bytes alone.
    """
    how = options.reading
    frame = how.frame if source.image else None
    decided: list[object] = [] if frame is None or frame[0] == frame[1] else [frame]
    if "transparent" in facts.changes:
        decided.append(f"ground={ground_text(how.ground)}")
    if "squared" in facts.changes:
        decided.append("square pixels")
    if how.rate is not None:
        decided.append(f"rate={how.rate}")
    if how.axes and os.path.splitext(source.rel)[1].lower() in ARRAY_SUFFIXES:
        decided.append(f"axes={how.axes}")
    if source.part is not None:
        decided.append(f"part={source.part}")
    return digest([facts.sha256, *decided]) if decided else facts.sha256


class _Columns:
    """labels.csv, read when the first column of it is asked for."""

    def __init__(self, options: Options, clips: Sequence[Source], findings: Findings) -> None:
        self.path = options.path / LABELS
        self.clips = clips
        self._findings = findings
        self._loaded = False
        self._table: labels.Table | None = None
        self._rows: dict[str, labels.Row] = {}

    def table(self) -> labels.Table | None:
        """The table, None when it is missing, or broken (which is reported)."""
        if not self._loaded:
            self._loaded = True
            if self.path.is_file():
                try:
                    self._table = labels.load(self.path)
                except VpbenchError as error:
                    self._findings.error(self.path, error)
                else:
                    self._rows = labels.match(self._table, self.clips, self._findings)
        return self._table

    def cells(self, name: str, ids: Sequence[str]) -> dict[str, str]:
        """Cells of a column by clip id."""
        table = self.table()
        if table is None:
            if not self.path.is_file():
                self._findings.error(
                    self.path,
                    MissingData(
                        f"{self.path} is not there, but its column {name!r} was asked for.",
                        fix=f"Write it: a csv table with the columns {labels.KEY},{name}.",
                    ),
                )
            return {}
        if name not in table.columns or name == labels.KEY:
            known = set(table.columns) - {labels.KEY}
            self._findings.error(self.path, UnknownName(f"column of {self.path}", name, known))
            return {}
        return labels.column(table, self._rows, name, ids, self._findings)


def _roles(
    options: Options,
    columns: _Columns,
    places: Mapping[str, Sequence[str]],
    groups: Mapping[str, str],
    findings: Findings,
) -> dict[str, Role]:
    if options.one_set:
        return dict.fromkeys(places, "test")
    if options.split:
        cells, where = _split_cells(options, columns, list(places), findings)
        roles = split.from_cells(cells, where, findings)
        return split.completed(roles, groups, where, findings) if roles else {}
    roles = split.by_folder(places, findings)
    if roles:
        return split.completed(roles, groups, str(options.path), findings)
    keys = {clip_id: groups.get(clip_id) or clip_id for clip_id in places}
    by_key = split.by_hash(keys.values())
    return {clip_id: by_key[key] for clip_id, key in keys.items()}


def _split_cells(
    options: Options, columns: _Columns, ids: Sequence[str], findings: Findings
) -> tuple[dict[str, str], str]:
    """The split's cells and where they stand: a column of labels.csv, else a file."""
    name = options.split
    table = columns.table()
    if table is not None and name in table.columns:
        return columns.cells(name, ids), f"{columns.path}, column {name}"
    file = next((f for f in (options.path / name, Path(name).expanduser()) if f.is_file()), None)
    if file is None:
        known = set(table.columns) - {labels.KEY} if table else set()
        hint = "" if table else f"There is neither {columns.path} nor such a file."
        findings.error(
            options.path, UnknownName("split: neither column nor file", name, known, hint=hint)
        )
        return {}, str(options.path)
    try:
        listed = labels.load(file, required=("split",))
    except VpbenchError as error:
        findings.error(file, error)
        return {}, str(file)
    rows = labels.match(listed, columns.clips, findings)
    return labels.column(listed, rows, "split", ids, findings), str(file)


def _labels(
    options: Options, columns: _Columns, places: Mapping[str, Sequence[str]], findings: Findings
) -> dict[str, str]:
    if options.one_set and options.label in ("", BY_FOLDER):
        return labels.from_folders(places, findings) if options.label else {}
    if options.label:
        return columns.cells(options.label, list(places))
    level = split.split_level(places)
    # One folder around train and test is the archive's own, not a class.
    wrapped = level == 1 and len({folders[0] for folders in places.values()}) == 1
    inner = {
        clip_id: [
            name
            for depth, name in enumerate(folders)
            if depth != level and not (wrapped and depth == 0)
        ]
        for clip_id, folders in places.items()
    }
    return labels.from_folders(inner, findings)
