"""Figures that papers report, from one file beside the entries; never ranked with measured ones."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vpbench.api.errors import Corrupt

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


@dataclass
class _Reader:
    """Reads one file strictly; every fault is a sentence that names file and place."""

    path: Path
    papers: dict[str, Paper] = field(default_factory=dict[str, Paper])
    settings: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    metrics: dict[str, ReportedMetric] = field(default_factory=dict[str, ReportedMetric])
    methods: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def fault(self, place: str, what: str) -> Corrupt:
        return Corrupt(f"{self.path}, {place}: {what}.")

    def fields(self, table: Any, place: str, need: str, may: str = "") -> dict[str, Any]:
        """A table whose keys are known, none of them missing."""
        if not isinstance(table, dict):
            raise self.fault(place, "is not a table")
        needed, allowed = need.split(), {*need.split(), *may.split()}
        missing = [key for key in needed if key not in table]
        strange = [key for key in table if key not in allowed]
        if missing or strange:
            words = f"lacks {missing[0]!r}" if missing else f"has an unknown key {strange[0]!r}"
            raise self.fault(place, words)
        return table

    def text(self, value: Any, place: str) -> str:
        if not isinstance(value, str):
            raise self.fault(place, f"{value!r} is not text")
        return value

    def texts(self, value: Any, place: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self.fault(place, f"{value!r} is not a list of texts")
        return tuple(self.text(item, place) for item in value)

    def number(self, value: Any, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fault(place, f"{value!r} is not a finite number")
        return float(value)

    def count(self, value: Any, place: str) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.fault(place, f"{value!r} is not a count")
        return value

    def known(self, key: Any, names: Mapping[str, Any], place: str, kind: str) -> str:
        if not isinstance(key, str) or key not in names:
            raise self.fault(place, f"{key!r} is not one of its {kind}: {', '.join(names) or 'none'}")
        return key


def read_reported(path: Path) -> ReportedFigures:
    """Read `reported.toml`; a file that is not there lists nothing.

    Raises:
        Corrupt: the file is not TOML, or an entry is not what it should be; names the place.
    """
    if not path.is_file():
        return ReportedFigures()
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} is not TOML: {error}.") from error
    reader = _Reader(path)
    tables = reader.fields(content, "the file", "", "papers methods metrics reported")
    _read_papers(reader, tables.get("papers", {}))
    _read_metrics(reader, tables.get("metrics", {}))
    _read_methods(reader, tables.get("methods", {}))
    rows = tables.get("reported", [])
    if not isinstance(rows, list):
        raise reader.fault("reported", "is not a list of tables: write [[reported]]")
    return ReportedFigures(tuple(_figure(reader, row, k) for k, row in enumerate(rows, start=1)))


def _read_papers(reader: _Reader, tables: Any) -> None:
    for key, table in reader.fields(tables, "papers", "", " ".join(tables)).items():
        place = f"papers.{key}"
        paper = reader.fields(table, place, "title authors venue", "caveats settings")
        words = {name: reader.text(paper[name], place) for name in ("title", "authors", "venue")}
        caveats = reader.texts(paper.get("caveats", []), place)
        reader.papers[key] = Paper(key, caveats=caveats, **words)
        reader.settings[key] = paper.get("settings", {})


def _read_metrics(reader: _Reader, tables: Any) -> None:
    for key, table in reader.fields(tables, "metrics", "", " ".join(tables)).items():
        place = f"metrics.{key}"
        metric = reader.fields(table, place, "title direction", "unit factor irreproducible")
        direction = metric["direction"]
        if direction not in ("up", "down"):
            raise reader.fault(place, f"direction {direction!r} is neither up nor down")
        reader.metrics[key] = ReportedMetric(
            key,
            reader.text(metric["title"], place),
            direction,
            reader.text(metric.get("unit", ""), place),
            reader.number(metric.get("factor", 1), place),
            reader.text(metric.get("irreproducible", ""), place),
        )


def _read_methods(reader: _Reader, tables: Any) -> None:
    for key, table in reader.fields(tables, "methods", "", " ".join(tables)).items():
        place = f"methods.{key}"
        method = reader.fields(table, place, "title", "measured variants")
        variants = method.get("variants", {})
        if not isinstance(variants, dict):
            raise reader.fault(place, "variants is not a table")
        for text in (method["title"], method.get("measured", ""), *variants.values()):
            reader.text(text, place)
        reader.methods[key] = method


def _figure(reader: _Reader, row: Any, number: int) -> Reported:
    place = f"[[reported]] number {number}"
    table = reader.fields(
        row,
        place,
        "paper table metric dataset method value",
        "variant n sd hits tolerance inferred note",
    )
    paper = reader.papers[reader.known(table["paper"], reader.papers, place, "papers")]
    metric = reader.metrics[reader.known(table["metric"], reader.metrics, place, "metrics")]
    key = reader.known(table["method"], reader.methods, place, "methods")
    method, variant = reader.methods[key], reader.text(table.get("variant", ""), place)
    measured = method.get("variants", {}).get(variant, "") if variant else method.get("measured", "")
    dataset = reader.text(table["dataset"], place)
    sd = table.get("sd")
    return Reported(
        paper=paper,
        table=reader.count(table["table"], place) or 0,
        metric=metric,
        dataset=dataset,
        method=key,
        title=f"{method['title']}, {variant}" if variant else method["title"],
        measured=measured,
        value=reader.number(table["value"], place),
        settings=_settings(reader, paper.key, key, dataset, table.get("n")),
        sd=None if sd is None else reader.number(sd, place),
        hits=reader.count(table.get("hits"), place),
        tolerance=reader.number(table.get("tolerance", 0), place),
        inferred=reader.texts(table.get("inferred", []), place),
        note=reader.text(table.get("note", ""), place),
    )


def _settings(reader: _Reader, paper: str, method: str, dataset: str, n: Any) -> Settings:
    """What is known of a figure's conditions; sizes may differ by dataset (`size_penn`)."""
    place = f"papers.{paper}.settings.{method}"
    known: Any = reader.settings[paper].get(method, {})
    if not isinstance(known, dict):
        raise reader.fault(place, "is not a table")
    strange = [k for k in known if k not in ("given", "frames") and not k.startswith("size_")]
    if strange:
        raise reader.fault(place, f"has an unknown key {strange[0]!r}")
    return Settings(
        n=reader.count(n, place),
        given=reader.count(known.get("given"), place),
        size=reader.count(known.get(f"size_{dataset}"), place),
        frames=reader.count(known.get("frames"), place),
    )


def papers_of(figures: Sequence[Reported]) -> tuple[Paper, ...]:
    """The papers behind some figures, each once."""
    return tuple({figure.paper.key: figure.paper for figure in figures}.values())
