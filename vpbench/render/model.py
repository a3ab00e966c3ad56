"""A comparison as a table that every format draws: columns, rows, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from vpbench.api.errors import Incomparable
from vpbench.core.intervals import MIN_FITS
from vpbench.core.schema import GroupJson, RowJson, ScoreJson
from vpbench.render.statistics import (
    best_figures,
    compared,
    explained_by_marks,
    mark,
    shown_p,
    statistics_notes,
)
from vpbench.render.text import DASH, clean, column_title, format_p, format_score, rounded

_SECTION = {"ceiling": 0, "floor": 1, "reference": 2, "null": 4}
"""Order of the kinds; what is not listed stands between, in the order given."""

_METHODS = 3

_KIND = {"ceiling": "same clips", "floor": "other real clips"}
"""What tables call a kind whose name would mean little to readers; the others as they are."""

_EXPLAINED = {
    "chained": "predicted in pieces, each from the end of the one before",
    "adapted n=1": "a method for several given frames, retrained with one",
}


@dataclass(frozen=True)
class Column:
    """A column; `metric` is the metric's name in the compare object, "" for the others."""

    title: str
    align: Literal["left", "right"]
    metric: str = ""


@dataclass(frozen=True)
class Cell:
    """Text with its mark and the labels of its notes."""

    text: str
    notes: tuple[str, ...] = ()
    bold: bool = False
    mark: str = ""

    @property
    def marked(self) -> str:
        """The text with its mark."""
        return f"{self.text} {self.mark}" if self.mark else self.text

    @property
    def plain(self) -> str:
        """The text with mark, and labels in brackets. No markup: rich must be told so (`Text`)."""
        return f"{self.marked} [{_listed(self.notes)}]" if self.notes else self.marked


@dataclass(frozen=True)
class TableRow:
    """A row.

    Attributes:
        cells: one a column.
        dimmed: not a method: real clips, reference or null.
        rule_above: a rule stands between this row and the one before.
        source: the row of the compare object, with figures in full precision.
    """

    cells: tuple[Cell, ...]
    dimmed: bool
    rule_above: bool
    source: RowJson


@dataclass(frozen=True)
class Note:
    """A line below the table; `label` is what cells refer to, "" for the whole table."""

    label: str
    text: str

    @property
    def plain(self) -> str:
        """The line with its label in brackets."""
        return f"[{self.label}] {self.text}" if self.label else self.text


@dataclass(frozen=True)
class TableModel:
    """One table, ready to draw; texts are not escaped."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[Note, ...]


@dataclass
class _Labels:
    """Gives each distinct note a letter."""

    texts: list[str] = field(default_factory=list)

    def of(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return _letter(self.texts.index(text))

    def notes(self) -> list[Note]:
        return [Note(_letter(k), text) for k, text in enumerate(self.texts)]


def table_model(group: GroupJson) -> TableModel:
    """Lay out one group of a compare object.

    Real clips stand on top, then references, methods in the order given (oracles, imported
    and reported rows are labelled), nulls at the bottom.

    Raises:
        Incomparable: a figure's fingerprint is not its column's.
    """
    rows = sorted(group["rows"], key=lambda row: _SECTION.get(row["kind"], _METHODS))
    labels = _Labels()
    columns = _columns(group, rows)
    best = best_figures(group, rows)
    drawn = tuple(
        TableRow(
            cells=_cells(row, columns, group, labels, best),
            dimmed=row["kind"] in _SECTION,
            rule_above=k > 0 and _part(row) != _part(rows[k - 1]),
            source=row,
        )
        for k, row in enumerate(rows)
    )
    notes = (*labels.notes(), *(Note("", text) for text in _general_notes(group, rows)))
    frames = group["frames"]
    subset = clean(str(group["task"].get("subset") or ""))
    name = clean(str(group["task"].get("id", ""))) + (f", subset {subset}" if subset else "")
    title = f"{name}, {frames} frame{'s' * (frames != 1)}"
    return TableModel(title, columns, drawn, notes)


def table_notes(group: GroupJson) -> list[str]:
    """What must be read with the table, one line each; the labelled ones first."""
    return [note.plain for note in table_model(group).notes]


def _part(row: RowJson) -> int:
    """Rules separate three parts: references of all kinds, methods, nulls."""
    section = _SECTION.get(row["kind"], _METHODS)
    return max(section, 2)


def _columns(group: GroupJson, rows: list[RowJson]) -> tuple[Column, ...]:
    columns = [Column("method", "left"), Column("given", "right")]
    if any(row["uses"] for row in rows):
        columns.append(Column("uses", "left"))
    if len({row["n"] for row in rows if row["n"] is not None}) > 1:
        columns.append(Column("n", "right"))
    if any(row["samples"] not in (None, 1) for row in rows):
        columns.append(Column("S", "right"))
    for name, metric in group["metrics"].items():
        title = column_title(name, metric["direction"], unit=metric.get("unit", ""))
        columns.append(Column(title, "right", metric=name))
    return tuple(columns)


def _cells(
    row: RowJson,
    columns: tuple[Column, ...],
    group: GroupJson,
    labels: _Labels,
    best: Mapping[str, float],
) -> tuple[Cell, ...]:
    plain = {
        "given": _count(row["conditioning_frames"]),
        "uses": ", ".join(clean(use) for use in row["uses"]),
        "n": _count(row["n"]),
        "S": _count(row["samples"]),
    }
    reason = _common_reason(row, group)
    cells: list[Cell] = []
    for column in columns:
        if column.metric:
            wanted = group["metrics"][column.metric]["fingerprint"]
            cell = _score_cell(row, column.metric, wanted, labels, silent=bool(reason))
            figure = compared(row["scores"].get(column.metric))
            first = row["kind"] == "method" and not row["not_comparable"]
            bold = first and figure is not None and figure == best.get(column.metric)
            cells.append(replace(cell, bold=bold))
        elif column.title == "method":
            cells.append(_name_cell(row, reason, labels))
        else:
            cells.append(Cell(plain[column.title]))
    return tuple(cells)


def _name_cell(row: RowJson, reason: str | None, labels: _Labels) -> Cell:
    name = clean(row["method"])
    if row["kind"] != "method":
        name += f" ({_KIND.get(row['kind'], row['kind'])})"
    own = [note for note in row["notes"] if not explained_by_marks(row, note)]
    notes = [_explained(note) for note in own] + ([reason] if reason else [])
    return Cell(name, tuple(labels.of(note) for note in notes))


def _score_cell(row: RowJson, metric: str, wanted: str, labels: _Labels, *, silent: bool) -> Cell:
    score = row["scores"].get(metric)
    if score is None or score["value"] is None:
        return Cell(DASH, () if silent else (labels.of(_why(score)),))
    _check_fingerprint(row["method"], metric, score["fingerprint"], wanted)
    notes = [labels.of(clean(score["reason"]))] if score["reason"] else []
    if row["n"] is not None and score["n"] != row["n"]:
        notes.append(labels.of(f"n = {score['n']}"))
    text, rank, p = format_score(score, metric), score["rank"], shown_p(row, score)
    if p is not None:
        text = f"{rounded(score['value'], score['se'], metric)}, {format_p(p)}"
    return Cell(f"{text} ({rank})" if rank else text, tuple(notes), mark=mark(row, metric))


def _check_fingerprint(method: str, metric: str, own: str | None, column: str | None) -> None:
    """A last check before printing; a reported figure has no fingerprint."""
    if own and column and not (own.startswith(column) or column.startswith(own)):
        raise Incomparable(
            f"{metric} of {method} has the fingerprint {own[:8]}, its column has {column[:8]}."
        )


def _why(score: ScoreJson | None) -> str:
    return clean((score["reason"] if score else None) or "not scored")


def _common_reason(row: RowJson, group: GroupJson) -> str | None:
    """The one reason why a row has no figure at all; None if it has some, or several reasons."""
    scores = [row["scores"].get(name) for name in group["metrics"]]
    if len(scores) < 2 or any(s is not None and s["value"] is not None for s in scores):
        return None
    reasons = {_why(score) for score in scores}
    return reasons.pop() if len(reasons) == 1 else None


def _explained(note: str) -> str:
    note = clean(note)
    for start, meaning in _EXPLAINED.items():
        if note.startswith(start):
            return f"{note}: {meaning}"
    return note


def _general_notes(group: GroupJson, rows: list[RowJson]) -> list[str]:
    notes = statistics_notes(group, rows)
    notes += [note for note in (_size_note(rows), _training_note(rows), _origin_note(rows)) if note]
    notes += _task_notes(group)
    if group["task"].get("rendered"):
        notes.append("rendered figures: says nothing about photographic video")
    prints = {clean(k): m["fingerprint"] for k, m in group["metrics"].items() if m["fingerprint"]}
    if rows and prints:
        listed = ", ".join(f"{name} {value[:8]}" for name, value in prints.items())
        notes.append(f"fingerprints: {listed}")
    return notes


def _task_notes(group: GroupJson) -> list[str]:
    """Notes on the task's test clips, and the subset that is shown."""
    task = group["task"]
    if task.get("subset"):
        return [f"subset {clean(str(task['subset']))}: split hash {str(task['split_hash'])[:8]}"]
    return [
        f"{count} test clip{'s' * (count != 1)} {clean(what)}"
        for what, count in (task.get("notes") or {}).items()
    ]


def _size_note(rows: list[RowJson]) -> str | None:
    n, samples = _common(row["n"] for row in rows), _common(row["samples"] for row in rows)
    if n is None:
        return None
    clips = f"n = {n} clip{'s' * (n != 1)}"
    return clips if samples is None else f"{clips}, {samples} sample{'s' * (samples != 1)} each"


def _training_note(rows: list[RowJson]) -> str | None:
    trained = [r for r in rows if r["kind"] in ("method", "oracle") and _was_trained(r)]
    few = [r for r in trained if len(r["fit_seeds"]) < MIN_FITS]
    if not few:
        return None
    once = all(len(r["fit_seeds"]) < 2 for r in few)
    who = "one training run each" if once else f"fewer than {MIN_FITS} training runs"
    if len(few) < len(trained) or not once:
        who += f" ({', '.join(clean(r['method']) for r in few)})"
    return f"{who}: differences include training variance"


def _was_trained(row: RowJson) -> bool:
    scored = any(score["value"] is not None for score in row["scores"].values())
    return scored and bool(row["fit_seeds"] or row["checkpoint"])


def _origin_note(rows: list[RowJson]) -> str | None:
    origins = [f"{clean(r['method'])}: {clean(r['checkpoint'])}" for r in rows if r["checkpoint"]]
    return f"checkpoints: {'; '.join(origins)}" if origins else None


def _common(values: Iterable[int | None]) -> int | None:
    """The one number that all rows share, those without a number left out."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


def _count(value: int | None) -> str:
    return DASH if value is None else str(value)


def _listed(labels: tuple[str, ...]) -> str:
    """Labels in the order of their letters, "d-g" for three and more in a row."""
    places = sorted(_place(label) for label in labels)
    parts: list[str] = []
    start = 0
    for k in range(1, len(places) + 1):
        if k == len(places) or places[k] != places[k - 1] + 1:
            run = [_letter(place) for place in places[start:k]]
            parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else run
            start = k
    return ",".join(parts)


def _place(label: str) -> int:
    """What `_letter` was given."""
    number = 0
    for letter in label:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def _letter(k: int) -> str:
    """a, b, ... z, aa, ab, ..."""
    text = ""
    k += 1
    while k:
        k, rest = divmod(k - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
