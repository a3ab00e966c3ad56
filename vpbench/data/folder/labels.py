"""labels.csv, columns of it for each clip, and class names."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import BadData, UnknownName
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.walk import LABELS, Source

KEY = "file"


@dataclass(frozen=True)
class Row:
    """One row: the clip as it was written, the number of its line, and its cells by column."""

    name: str
    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A csv file whose column `file` names clips, with or without their extension."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def load(path: Path, required: Sequence[str] = ()) -> Table:
    """Read a table: comma, semicolon or tab separated, UTF-8, first line = column names.

    Raises:
        BadData: not such a file, no column `file`, a row with too few or too many cells.
        UnknownName: a required column is not there.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} is not readable UTF-8 text: {error}.") from error
    lines = text.splitlines()
    head = lines[0] if lines else ""
    separator = max(",;\t", key=head.count)
    try:
        cells = [row for row in _rows(lines, separator) if any(row[1])]
    except csv.Error as error:
        raise BadData(f"{path} is not a csv table: {error}.") from error
    columns = tuple(cells[0][1]) if cells else ()
    if KEY not in columns:
        raise BadData(
            f"{path} has no column {KEY!r}, only {', '.join(columns) or 'nothing'}.",
            fix=f"Its first line must name the columns, one of them {KEY!r}.",
        )
    if len(set(columns)) < len(columns):
        raise BadData(f"{path} has two columns of the same name.", fix="Rename one of them.")
    for name in required:
        if name not in columns:
            raise UnknownName(f"column of {path.name}", name, set(columns) - {KEY})
    rows = [_row(path, columns, line, values) for line, values in cells[1:]]
    return Table(path, columns, tuple(rows))


def match(table: Table, clips: Iterable[Source], findings: Findings) -> dict[str, Row]:
    """The row of each clip id; rows without a clip and clips with two rows go to `findings`."""
    names: dict[str, str] = {}
    for clip in clips:
        names[clip.id] = clip.id
        if clip.part is None:
            names[_plain(clip.rel)] = clip.id
    rows: dict[str, Row] = {}
    for row in table.rows:
        where = f"{table.path}, line {row.line}"
        clip_id = names.get(_plain(row.name))
        if clip_id is None:
            findings.bad(
                table.path,
                f"{where}: {row.name!r} is not a clip of this folder.",
                "Correct the row, restore the clip, or remove the row.",
            )
        elif clip_id in rows:
            findings.bad(
                table.path,
                f"{where}: clip {clip_id!r} already has line {rows[clip_id].line}.",
                "Keep one of the rows.",
            )
        else:
            rows[clip_id] = row
    return rows


def column(
    table: Table, rows: Mapping[str, Row], name: str, ids: Iterable[str], findings: Findings
) -> dict[str, str]:
    """Cells of a column by clip id; clips without a row and empty cells go to `findings`."""
    values: dict[str, str] = {}
    for clip_id in ids:
        row = rows.get(clip_id)
        if row is None:
            findings.bad(
                table.path,
                f"{table.path} has no row for clip {clip_id!r}, whose {name} is needed.",
                "Add the row or remove the clip.",
            )
        elif not row.cells[name]:
            findings.bad(
                table.path,
                f"{table.path}, line {row.line}: the {name} of {row.name!r} is empty.",
                "Fill it in.",
            )
        else:
            values[clip_id] = unicodedata.normalize("NFC", row.cells[name])
    return values


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Different labels in order: as numbers when all are whole numbers, else as text."""
    names = set(labels)
    if all(re.fullmatch(r"[+-]?[0-9]{1,18}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def from_folders(places: Mapping[str, Sequence[str]], findings: Findings) -> dict[str, str]:
    """Labels by clip id from the folders above each clip (split folders left out); {} without any.

    Clips outside of folders, where others are in some, go to `findings`.
    """
    labels = {clip_id: folders[0] for clip_id, folders in places.items() if folders}
    if not labels:
        return {}
    for clip_id in places:
        if clip_id not in labels:
            findings.bad(
                clip_id,
                f"clip {clip_id!r} is not in a class folder, other clips are.",
                f"Move it into one, or give label=COLUMN of {LABELS}.",
            )
    return labels


def _rows(lines: Sequence[str], separator: str) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    for row in reader:
        yield reader.line_num, [cell.strip() for cell in row]


def _row(path: Path, columns: Sequence[str], line: int, values: Sequence[str]) -> Row:
    if len(values) != len(columns):
        raise BadData(
            f"{path}, line {line}: {len(values)} cells under {len(columns)} column names.",
            fix="Give every row a cell for each column; quote cells that hold the separator.",
        )
    cells = dict(zip(columns, values, strict=True))
    if not cells[KEY]:
        raise BadData(f"{path}, line {line}: the {KEY} is empty.", fix="Fill it in.")
    return Row(cells[KEY], line, cells)


def _plain(name: str) -> str:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return unicodedata.normalize("NFC", "/".join(parts))
