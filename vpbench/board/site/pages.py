"""What stands on the pages of the site, ready to be drawn; texts are not escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vpbench.board.page import Section
from vpbench.board.reported import Paper, Reported
from vpbench.board.reproduction import Reproduction
from vpbench.core.schema import ScoreJson
from vpbench.render.legend import Line
from vpbench.render.model import Cell, Column

LEVELS = {
    "self-reported": "the authors alone",
    "rescored": "somebody who scored the stored predictions again",
    "rerun": "somebody who predicted again",
}
"""Who vouches for an entry's scores, from the least to the most."""

REFERENCE = "reference"
"""Tier of what comes with vpbench."""

TIERS = {
    "original": "the authors' own plugin",
    "reimplementation": "rewritten from the paper",
    "wrapped": "the authors' program, unchanged, in a process of its own",
    "folder": "videos that were made elsewhere",
    REFERENCE: "a trivial baseline, or real clips; comes with vpbench",
}
"""Whose code predicted."""


@dataclass(frozen=True)
class Fact:
    """A line of a list of facts; `link` is an https address, "" for none."""

    name: str
    value: str
    link: str = ""


@dataclass(frozen=True)
class FactSection:
    """Facts under a heading; long lists are `folded` away at first."""

    title: str
    facts: tuple[Fact, ...]
    folded: bool = False


FigureKey = tuple[str, int, str]
"""Metric, predicted frames and short fingerprint of a figure."""

Recalled = Mapping[FigureKey, str]


@dataclass(frozen=True)
class Listed:
    """An entry as pages show it.

    Attributes:
        base: the method's name without its parameters; all its variants share one page.
        recalled: figure -> why it does not count any more.
        source: the entry's file, byte for byte.
    """

    id: str
    task: str
    dataset: str
    method: str
    base: str
    level: str
    tier: str
    created: str = ""
    notes: tuple[str, ...] = ()
    errata: tuple[str, ...] = ()
    recalled: Recalled = field(default_factory=dict[FigureKey, str])
    sections: tuple[FactSection, ...] = ()
    source: bytes = b""

    @property
    def path(self) -> str:
        """Task and id, which together are unique."""
        return f"{self.task}/{self.id}"


@dataclass(frozen=True)
class Whisker:
    """An interval on its column's axis, in per cent of the axis.

    Attributes:
        cut: which ends lie off the axis: "", "low", "high", "both".
    """

    low: float
    at: float
    high: float
    cut: str = ""


@dataclass(frozen=True)
class Figure:
    """A cell of a metric.

    Attributes:
        order: by which rows are sorted, without bias; None comes last.
        interval: "95 % interval 796 to 1180", "" for none.
        corrected: "715 without bias", "" where a metric has none.
        reason: why it is a dash.
        recalled: why it is struck through.
        score: the figure in full precision.
    """

    cell: Cell
    order: float | None
    whisker: Whisker | None = None
    interval: str = ""
    corrected: str = ""
    reason: str = ""
    recalled: str = ""
    score: ScoreJson | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: for readers.
        cells: one a column; a metric's is a `Figure`.
        anchor: where links to it lead, "" where another table of the page has it.
        given: "1", "2+" or "" for what has no given frames.
        label: whether the action label is used.
        part: of the table.
        method: what the row is called in a comparison.
        rare: a reference that says little and is hidden at first.
    """

    name: str
    method: str
    entry: Listed
    flags: tuple[str, ...]
    cells: tuple[Cell | Figure, ...]
    anchor: str
    given: str
    label: bool
    part: Literal["methods", "unranked", "references"]
    rare: bool


@dataclass(frozen=True)
class Axis:
    """The axis of a column's whiskers, in the metric's unit, with its ends as text."""

    low: float
    high: float
    ends: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Table:
    """Rows that may share columns: one task, one number of frames.

    Attributes:
        sorted_by: place of the column that rows are sorted by at first, None for none.
        heading: "16 predicted frames", with the subset where it is one.
        title: what was measured, in parts.
        methods: rows that may be compared, in that order; below them `unranked`, oracles and what
            else may not be ranked, and `references`.
        axes: one a column, None for those without whiskers.
        recalled: what is struck through, each reason once.
    """

    key: str
    heading: str
    title: tuple[str, ...]
    columns: tuple[Column, ...]
    directions: tuple[str, ...]
    axes: tuple[Axis | None, ...]
    methods: tuple[Row, ...]
    unranked: tuple[Row, ...]
    references: tuple[Row, ...]
    sorted_by: int | None
    legend: tuple[Line, ...]
    notes: tuple[str, ...]
    fingerprints: tuple[tuple[str, str], ...]
    recalled: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return (*self.methods, *self.unranked, *self.references)


@dataclass(frozen=True)
class ReportedRow:
    """A paper's figure, and whether it is reproduced; figures as text, with their units."""

    figure: Reported
    value: str
    spread: str
    reproduction: Reproduction
    measured: str
    delta: str


@dataclass(frozen=True)
class Clips:
    """A player on a task's page.

    Attributes:
        body: HTML of the player.
        blocks: HTML for the end of the page.
        files: films beside the page: path below the site's root -> content.
    """

    body: str
    blocks: tuple[str, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class TaskPage:
    """All that is known of one task.

    Attributes:
        details: below the first table; their bodies are HTML.
    """

    id: str
    dataset: str
    summary: str
    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]
    apart: tuple[str, ...]
    reported: tuple[ReportedRow, ...]
    papers: tuple[Paper, ...]
    entries: tuple[Listed, ...]
    file: str
    csv: str = ""
    details: tuple[Section, ...] = ()
    clips: Clips | None = None


@dataclass(frozen=True)
class MethodPage:
    """All entries of a method and its variants, and what papers report of it.

    Attributes:
        figures: path of an entry -> its figures on the task's own horizon.
    """

    name: str
    file: str
    entries: tuple[Listed, ...]
    figures: Mapping[str, tuple[tuple[Column, Figure], ...]]
    reported: tuple[ReportedRow, ...]


@dataclass(frozen=True)
class Site:
    """The whole site; `files` are further ones to write, such as tables as CSV."""

    tasks: tuple[TaskPage, ...]
    methods: tuple[MethodPage, ...]
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
