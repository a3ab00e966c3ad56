"""Figures that papers report, from one file beside the entries; never ranked with measured ones."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from vpbench.api.errors import Corrupt
from vpbench.board.decode import decode

T = TypeVar("T")

FILE = "reported.toml"


@dataclass(frozen=True)
class Settings:
    """The conditions of a paper's figure; None where the paper does not say.

    Attributes:
        n: test clips.
        given: given frames.
        size: pixels of a side.
        frames: predicted frames.
    """

    n: int | None = None
    given: int | None = None
    size: int | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Paper:
    """A paper whose figures are listed."""

    key: str
    title: str
    authors: str
    venue: str
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportedMetric:
    """How papers print a metric.

    Attributes:
        factor: what a figure of vpbench is multiplied by before it stands beside theirs.
        irreproducible: why no figure of vpbench can reproduce theirs; "" where one can.
    """

    key: str
    title: str
    direction: Literal["up", "down"]
    unit: str = ""
    factor: float = 1.0
    irreproducible: str = ""


@dataclass(frozen=True)
class Reported:
    """One figure of a paper.

    Attributes:
        method: what the paper calls it in this file.
        title: its name for readers, with the variant.
        measured: the method of vpbench that stands for it, "" for none.
        sd: standard deviation as printed, which is not a standard error.
        tolerance: how far a figure may lie off, besides its own interval.
        inferred: fields that were worked out and are not in the paper.
    """

    paper: Paper
    table: int
    metric: ReportedMetric
    dataset: str
    method: str
    title: str
    measured: str
    value: float
    settings: Settings
    sd: float | None = None
    hits: int | None = None
    tolerance: float = 0.0
    inferred: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class ReportedFigures:
    """All that the file lists, in its order."""

    figures: tuple[Reported, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """Datasets in order of their first figure."""
        return tuple(dict.fromkeys(figure.dataset for figure in self.figures))

    def on(self, dataset: str) -> tuple[Reported, ...]:
        """The figures on one dataset."""
        return tuple(figure for figure in self.figures if figure.dataset == dataset)


@dataclass(frozen=True, kw_only=True)
class _Paper:
    title: str
    authors: str
    venue: str
    caveats: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])


@dataclass(frozen=True, kw_only=True)
class _Method:
    title: str
    measured: str = ""
    variants: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class _Metric:
    title: str
    direction: Literal["up", "down"]
    unit: str = ""
    factor: float = 1
    irreproducible: str = ""


@dataclass(frozen=True, kw_only=True)
class _Figure:
    paper: str
    table: int
    metric: str
    dataset: str
    method: str
    value: float
    variant: str = ""
    n: int | None = None
    sd: float | None = None
    hits: int | None = None
    tolerance: float = 0
    inferred: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class _File:
    """The file as it is written."""

    papers: Mapping[str, _Paper] = field(default_factory=dict[str, _Paper])
    methods: Mapping[str, _Method] = field(default_factory=dict[str, _Method])
    metrics: Mapping[str, _Metric] = field(default_factory=dict[str, _Metric])
    reported: tuple[_Figure, ...] = ()


def read_reported(path: Path) -> ReportedFigures:
    """Read `reported.toml`; a file that is not there lists nothing.

    Raises:
        Corrupt: the file is not TOML, or something in it is not what it should be; names the place.
    """
    if not path.is_file():
        return ReportedFigures()
    try:
        content: Any = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} is not valid TOML: {error}.") from error
    file = decode(_File, content, path.name)
    return ReportedFigures(
        tuple(_figure(file, k, f"{path.name}: reported[{k}]") for k in range(len(file.reported)))
    )


def _figure(file: _File, number: int, place: str) -> Reported:
    row = file.reported[number]
    paper, method = (
        _named(file.papers, row.paper, place, "paper"),
        _named(file.methods, row.method, place, "method"),
    )
    metric = _named(file.metrics, row.metric, place, "metric")
    measured = method.variants.get(row.variant, "") if row.variant else method.measured
    return Reported(
        paper=Paper(row.paper, paper.title, paper.authors, paper.venue, paper.caveats),
        table=row.table,
        metric=ReportedMetric(
            row.metric,
            metric.title,
            metric.direction,
            metric.unit,
            metric.factor,
            metric.irreproducible,
        ),
        dataset=row.dataset,
        method=row.method,
        title=f"{method.title}, {row.variant}" if row.variant else method.title,
        measured=measured,
        value=row.value,
        settings=_settings(paper, row, place),
        sd=row.sd,
        hits=row.hits,
        tolerance=row.tolerance,
        inferred=row.inferred,
        note=row.note,
    )


def _named(known: Mapping[str, T], name: str, place: str, kind: str) -> T:
    if name not in known:
        names = ", ".join(known) or "none"
        raise Corrupt(f"{place} has the unknown {kind} {name!r}; the file defines {names}.")
    return known[name]


def _settings(paper: _Paper, row: _Figure, place: str) -> Settings:
    """What is known of a figure's conditions; sizes may differ by dataset (`size_penn`)."""
    known = paper.settings.get(row.method, {})
    for name in known:
        if name not in ("given", "frames") and not name.startswith("size_"):
            raise Corrupt(f"{place}: the settings of {row.method!r} have an unknown {name!r}.")
    size = known.get(f"size_{row.dataset}")
    return Settings(n=row.n, given=known.get("given"), size=size, frames=known.get("frames"))


def papers_of(figures: Sequence[Reported]) -> tuple[Paper, ...]:
    """The papers behind some figures, each once."""
    return tuple({figure.paper.key: figure.paper for figure in figures}.values())
