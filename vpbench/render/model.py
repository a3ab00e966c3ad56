"""A comparison as a table that every format draws: columns, rows, lines below it, notes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from vpbench.api.errors import Incomparable
from vpbench.core.intervals import MIN_FITS
from vpbench.core.schema import CompareJson, GroupJson, RowJson, ScoreJson, compared
from vpbench.render.flags import RARELY_SHOWN, row_flags, row_title
from vpbench.render.legend import Line, legend_lines
from vpbench.render.notes import Note, table_notes, trained
from vpbench.render.statistics import best_figures, mark, shown_p
from vpbench.render.text import DASH, clean, column_title, error_text, rounded, short_p

_SECTION = {"floor": 1, "ceiling": 2, "reference": 3, "null": 4}
"""Order of the kinds below the methods, which stand in the order given."""

MISSED = "▲"
"""Mark of missed acceptance checks."""

_TRAINING = " (training)"
"""How `uses` says that something is needed in training only."""


@dataclass(frozen=True)
class View:
    """What of a comparison is shown.

    Attributes:
        references: "few" leaves out those that say little: the same clips, noise, blurred copies.
        names: rows that were asked for by name, which are always shown.
        all_groups: also the tables of other horizons than the task's own, and those of subsets
            with references and all that is said below.
    """

    references: Literal["few", "all"] = "few"
    names: Collection[str] = ()
    all_groups: bool = False

    def shows(self, row: RowJson) -> bool:
        """Whether a row is drawn."""
        name = row["method"]
        return self.references == "all" or name not in RARELY_SHOWN or name in self.names


EVERYTHING = View(references="all", all_groups=True)


@dataclass(frozen=True)
class Column:
    """A column; `metric` is the metric's name in the compare object, "" for the others."""

    title: str
    align: Literal["left", "right"]
    metric: str = ""


@dataclass(frozen=True)
class Cell:
    """A figure, or a text.

    Attributes:
        text: the text, or the figure without its error.
        error: what stands behind ±, "" for none.
        p: of the test that stands in place of an error: "p=.18", "p<.001"; "" for none.
        rank: "1" or "2–3", "" for none.
        mark: what it is against the nulls: "≈", "▼" or "".
        flags: letters that are drawn raised behind a name.
        bold: the best value of its column.
        underlined: not told apart from the best value.
        second: the second best value.
    """

    text: str
    error: str = ""
    p: str = ""
    rank: str = ""
    mark: str = ""
    flags: tuple[str, ...] = ()
    bold: bool = False
    underlined: bool = False
    second: bool = False

    @property
    def figure(self) -> str:
        """The figure with its error or p-value, and its rank."""
        parts = (
            self.text,
            f"± {self.error}" if self.error else "",
            self.p,
            f"({self.rank})" if self.rank else "",
        )
        return " ".join(part for part in parts if part)

    @property
    def marked(self) -> str:
        """The figure with its mark. No markup: rich must be told so (`Text`)."""
        return f"{self.figure} {self.mark}" if self.mark else self.figure


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
class TableModel:
    """One table, ready to draw; texts are not escaped.

    Attributes:
        title: parts of the line above it.
        label: short name for references in a paper, such as "puppets-16".
        legend: what every reader needs, in the order in which it is drawn.
        notes: all that must be read with it.
        hidden: references that are left out.
    """

    title: tuple[str, ...]
    label: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    legend: tuple[Line, ...]
    notes: tuple[Note, ...]
    hidden: int = 0

    def metrics(self, names: Collection[str]) -> TableModel:
        """The table with only some of its metrics, in its own order."""
        keep = [k for k, c in enumerate(self.columns) if not c.metric or c.metric in names]
        return self.keep(keep)

    def keep(self, places: Iterable[int]) -> TableModel:
        """The table with only the columns at some places."""
        kept = sorted(places)
        rows = (replace(row, cells=tuple(row.cells[k] for k in kept)) for row in self.rows)
        columns = tuple(self.columns[k] for k in kept)
        return replace(self, columns=columns, rows=tuple(rows))


def shown_groups(obj: CompareJson, view: View) -> list[GroupJson]:
    """The tables to draw: of each task and dataset that of its own horizon, and of its subsets.

    The first of a task stands for it where none has the own horizon.
    """
    if view.all_groups:
        return obj["groups"]
    firsts: dict[tuple[str, str, str], GroupJson] = {}
    for group in obj["groups"]:
        task = group["task"]
        key = (str(task.get("id")), str(task.get("subset") or ""), group.get("on", ""))
        own = group["frames"] == task.get("horizon")
        if key not in firsts or own:
            firsts[key] = group
    return [g for g in obj["groups"] if any(g is first for first in firsts.values())]


def table_model(group: GroupJson, view: View = EVERYTHING) -> TableModel:
    """Lay out one group of a compare object.

    Methods stand on top in the order given (oracles, imported and reported rows are labelled), real
    clips, references and nulls below.

    Raises:
        Incomparable: a figure's fingerprint is not its column's.
    """
    ordered = sorted(group["rows"], key=lambda row: _SECTION.get(row["kind"], 0))
    rows = [row for row in ordered if view.shows(row)]
    short = _is_short(group, view)
    if short:
        rows = [row for row in rows if _is_method(row) or row["method"] in view.names] or rows
    columns = _columns(group, rows)
    best, errors = best_figures(group, rows), _usual_errors(group, rows)
    drawn = tuple(
        TableRow(
            cells=tuple(_cell(row, column, group, best, errors) for column in columns),
            dimmed=row["kind"] in _SECTION,
            rule_above=k > 0 and _is_method(rows[k - 1]) and not _is_method(row),
            source=row,
        )
        for k, row in enumerate(rows)
    )
    return TableModel(
        title=_title(group, rows),
        label=_label(group),
        columns=columns,
        rows=drawn,
        legend=() if short else tuple(legend_lines(group, rows)),
        notes=tuple(table_notes(group, ordered)),
        hidden=len(ordered) - len(rows),
    )


def _is_short(group: GroupJson, view: View) -> bool:
    """Whether a table stands below that of all clips, which explains it and has the references."""
    return bool(group["task"].get("subset")) and not view.all_groups


def _is_method(row: RowJson) -> bool:
    return row["kind"] not in _SECTION


def _title(group: GroupJson, rows: list[RowJson]) -> tuple[str, ...]:
    """`puppets`, `test`, `n = 90 clips`, `64x64 px`, ..."""
    task, frames = group["task"], group["frames"]
    name = clean(str(task.get("id", "")))
    subset = clean(str(task.get("subset") or ""))
    size, n = task.get("size"), _common(row["n"] for row in rows)
    samples = _common(row["samples"] for row in rows)
    parts = [
        name,
        clean(group.get("on", "")),
        f"subset {subset}" if subset else "test",
        f"n = {n} clip{'s' * (n != 1)}" if n is not None else "",
        f"{size}x{size} px" if size else "",
        f"given -> {frames} predicted frame{'s' * (frames != 1)}",
        f"{samples} sample{'s' * (samples != 1)}" if samples is not None else "",
        _training(rows),
    ]
    return tuple(part for part in parts if part)


def _training(rows: list[RowJson]) -> str:
    """`1 training run`, `1 to 3 training runs`, "" where nothing was trained."""
    counts = {max(1, len(row["fit_seeds"])) for row in rows if trained(row)}
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    few = "; no ranks" if low < MIN_FITS else ""
    many = str(high) if low == high else f"{low} to {high}"
    return f"{many} training run{'s' * (high != 1)}{few}"


def _label(group: GroupJson) -> str:
    subset = str(group["task"].get("subset") or "")
    parts = (str(group["task"].get("id", "")), subset, str(group["frames"]))
    text = "-".join(part for part in parts if part)
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text).strip("-")


def _columns(group: GroupJson, rows: list[RowJson]) -> tuple[Column, ...]:
    columns = [Column("method", "left"), Column("given", "right")]
    if any(row["uses"] for row in rows):
        columns.append(Column("uses", "left"))
    if len({row["n"] for row in rows if row["n"] is not None}) > 1:
        columns.append(Column("n", "right"))
    if len({row["samples"] for row in rows if row["samples"] is not None}) > 1:
        columns.append(Column("samples", "right"))
    for name, metric in group["metrics"].items():
        title = column_title(name, metric["direction"], unit=metric.get("unit", ""))
        columns.append(Column(title, "right", metric=name))
    if any(row["missed"] for row in rows):
        columns.append(Column("checks", "right"))
    return tuple(columns)


def _usual_errors(group: GroupJson, rows: list[RowJson]) -> dict[str, float]:
    """Metric -> the median standard error, by which figures without one are rounded."""
    usual: dict[str, float] = {}
    for name in group["metrics"]:
        scores = [row["scores"].get(name) for row in rows]
        known = sorted(s["se"] for s in scores if s and s["value"] is not None and s["se"])
        if known:
            usual[name] = known[(len(known) - 1) // 2]
    return usual


def _cell(
    row: RowJson,
    column: Column,
    group: GroupJson,
    best: Mapping[str, tuple[float, float]],
    errors: Mapping[str, float],
) -> Cell:
    if column.metric:
        return _score_cell(row, column.metric, group, best, errors)
    if column.title == "method":
        return _name_cell(row)
    missed = len(row["missed"])
    texts = {
        "given": _given(row),
        "uses": ", ".join(clean(use).replace(_TRAINING, "*") for use in row["uses"]),
        "n": _count(row["n"]),
        "samples": _count(row["samples"]),
        "checks": f"{missed} {MISSED}" if missed else "",
    }
    return Cell(texts[column.title])


def _name_cell(row: RowJson) -> Cell:
    name = row_title(row)
    if row["kind"] in ("imported", "reported"):
        name += f" ({row['kind']})"
    return Cell(name, flags=row_flags(row))


def _score_cell(
    row: RowJson,
    metric: str,
    group: GroupJson,
    best: Mapping[str, tuple[float, float]],
    errors: Mapping[str, float],
) -> Cell:
    score = row["scores"].get(metric)
    if score is None or score["value"] is None or _against_itself(row, score):
        return Cell(DASH)
    wanted = group["metrics"][metric]["fingerprint"]
    _check_fingerprint(row["method"], metric, score["fingerprint"], wanted)
    p = shown_p(row, score)
    figure, value = compared(score), score["value"]
    ranked = row["kind"] == "method" and not row["not_comparable"]
    first, second = (ranked and figure == x for x in best.get(metric, (None, None)))
    first, second = (x and figure is not None for x in (first, second))
    return Cell(
        rounded(value, score["se"] if p is None else errors.get(metric), metric),
        error="" if p is not None else error_text(score["se"], metric),
        p="" if p is None else short_p(p),
        rank=score["rank"] or "",
        mark=mark(row, metric),
        bold=first,
        underlined=ranked and not first and metric in row["tied"],
        second=second and not first,
    )


def _against_itself(row: RowJson, score: ScoreJson) -> bool:
    """Whether a set metric would compare the real clips with themselves: 0 that says nothing."""
    return row["kind"] == "ceiling" and score["p"] is not None


def _check_fingerprint(method: str, metric: str, own: str | None, column: str | None) -> None:
    """A last check before printing; a reported figure has no fingerprint."""
    if own and column and not (own.startswith(column) or column.startswith(own)):
        raise Incomparable(
            f"{metric} of {method} has the fingerprint {own[:8]}, its column has {column[:8]}."
        )


def _common(values: Iterable[int | None]) -> int | None:
    """The one number that all rows share, those without a number left out."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


def _given(row: RowJson) -> str:
    """Given frames; real clips and rows without a run have none."""
    return _count(row["conditioning_frames"] or None)


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)
