"""From entries and papers' figures to the pages of the site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vpbench.board.entry import Entry
from vpbench.board.reported import Reported, ReportedFigures, Settings, papers_of
from vpbench.board.reproduction import Measured, reproduction
from vpbench.board.site.comparison import Compared, compare_entries
from vpbench.board.site.csv_file import to_csv
from vpbench.board.site.details import Behind, details
from vpbench.board.site.facts import listed
from vpbench.board.site.pages import (
    Clips,
    Fact,
    Figure,
    FigureKey,
    Listed,
    MethodPage,
    Recalled,
    ReportedRow,
    Site,
    Table,
    TaskPage,
)
from vpbench.board.site.places import file_name, method_file, task_file
from vpbench.board.site.recalls import with_claims, without_recalled
from vpbench.board.site.tables import site_table
from vpbench.core.names import MethodRef
from vpbench.core.plan import REFERENCES
from vpbench.core.schema import CompareJson, GroupJson
from vpbench.data.specs import BUILTIN
from vpbench.render.model import Column
from vpbench.render.text import rounded


@dataclass(frozen=True)
class Source:
    """An entry, its file, and what was recalled of it.

    Attributes:
        content: the file, byte for byte.
        recalled: figure -> why it does not count any more.
    """

    entry: Entry
    content: bytes
    recalled: Recalled


Play = Callable[[GroupJson, Compared], Clips | None]
"""Makes the player of a task from its first table."""


def assemble(
    sources: Sequence[Source], reported: ReportedFigures, play: Play | None = None
) -> Site:
    """All pages: a task for each task of an entry and each dataset of a paper's figure.

    Args:
        play: makes the players of tasks; None for pages without.
    """
    by_task: dict[str, list[Source]] = {}
    for source in sorted(sources, key=lambda s: (s.entry.task.id, s.entry.id)):
        by_task.setdefault(source.entry.task.id, []).append(source)
    figures = [figure for source in sources for figure in _measured(source)]
    of_papers = {
        dataset: tuple(_reported_row(row, figures) for row in reported.on(dataset))
        for dataset in reported.datasets
    }
    tasks = [_task_page(own, of_papers, play) for own in by_task.values()]
    tasks += [
        _empty_page(dataset, rows)
        for dataset, rows in of_papers.items()
        if all(dataset not in (page.id, page.dataset) for page in tasks)
    ]
    files = {page.csv: to_csv(page) for page in tasks if page.csv}
    for page in tasks:
        files |= page.clips.files if page.clips else {}
    return Site(tuple(tasks), _method_pages(tasks, of_papers), files)


def _task_page(
    sources: Sequence[Source],
    of_papers: Mapping[str, tuple[ReportedRow, ...]],
    play: Play | None,
) -> TaskPage:
    task = sources[0].entry.task
    entries = tuple(listed(s.entry, s.content, s.recalled) for s in sources)
    by_id = {entry.id: entry for entry in entries}
    compared = compare_entries([s.entry for s in sources])
    rows = {name: by_id[own] for name, own in compared.names.items()}
    groups = _groups(compared.comparison, rows)
    if any(s.recalled for s in sources):
        kept = compare_entries([without_recalled(s.entry, s.recalled) for s in sources])
        groups = with_claims(groups, kept.comparison)
    tables = _tables(groups, rows)
    first = _in_order(groups[0], tables[0]) if groups else None
    sources_by_id = {s.entry.id: Behind(s.entry, s.recalled) for s in sources}
    behind = {name: sources_by_id[own] for name, own in compared.names.items()}
    papers = of_papers.get(task.dataset, ())
    return TaskPage(
        id=task.id,
        dataset=task.dataset,
        summary=_summary(task.dataset),
        facts=_task_facts(sources[0].entry),
        tables=tables,
        apart=tuple(compared.comparison["differences"]),
        reported=papers,
        papers=papers_of([row.figure for row in papers]),
        entries=entries,
        file=task_file(task.id),
        csv=f"tasks/{file_name(task.id)}.csv",
        details=details(first, behind, compared.runs) if first else (),
        clips=play(first, compared) if play and first else None,
    )


def _groups(comparison: CompareJson, rows: Mapping[str, Listed]) -> list[GroupJson]:
    """The tables, with rows that have an entry and nothing that is still to be run."""
    return [
        {**group, "rows": [r for r in group["rows"] if r["method"] in rows], "to_run": ""}
        for group in comparison["groups"]
    ]


def _in_order(group: GroupJson, table: Table) -> GroupJson:
    """The group with its rows in the order of the table."""
    place = {row.method: k for k, row in enumerate(table.rows)}
    return {**group, "rows": sorted(group["rows"], key=lambda row: place[row["method"]])}


def _tables(groups: Sequence[GroupJson], rows: Mapping[str, Listed]) -> tuple[Table, ...]:
    tables: list[Table] = []
    for group in groups:
        table = site_table(group, rows, anchors=not tables)
        taken = {t.key for t in tables}
        key = table.key if table.key not in taken else f"{table.key}-{len(tables)}"
        tables.append(replace(table, key=key))
    return tuple(tables)


def _empty_page(dataset: str, rows: tuple[ReportedRow, ...]) -> TaskPage:
    return TaskPage(
        id=dataset,
        dataset=dataset,
        summary=_summary(dataset),
        facts=(),
        tables=(),
        apart=(),
        reported=rows,
        papers=papers_of([row.figure for row in rows]),
        entries=(),
        file=task_file(dataset),
    )


def _summary(dataset: str) -> str:
    """What vpbench says about a dataset that comes with it; "" for those of others."""
    return next((spec.summary for spec in BUILTIN if spec.name == dataset), "")


def _task_facts(entry: Entry) -> tuple[Fact, ...]:
    task = entry.task
    pairs = (
        ("dataset", task.dataset),
        ("test clips", f"{task.n}"),
        ("size", f"{task.size}x{task.size} px"),
        ("given frames", f"up to {task.n_max}"),
        ("predicted frames", f"{task.horizon}"),
        ("stride", f"{task.stride}"),
        ("figures", "rendered" if task.rendered else ""),
        ("split", task.split_sha256[:8]),
    )
    return tuple(Fact(name, value) for name, value in pairs if value)


def _measured(source: Source) -> list[Measured]:
    """The figures of an entry over all test clips, means over its runs where these are several.

    An interval is that of the only run; of several runs none is known here.
    """
    entry = source.entry
    values: dict[FigureKey, list[float]] = {}
    ends: dict[FigureKey, tuple[float, float] | None] = {}
    for run in entry.runs:
        for score in run.scores:
            if score.subset is None and score.value is not None:
                key = (score.metric, score.frames, score.fp8)
                values.setdefault(key, []).append(score.value)
                ends[key] = score.ci95 if len(entry.runs) == 1 else None
    settings = Settings(entry.task.n, entry.method.conditioning_frames, entry.task.size)
    return [
        Measured(
            entry=f"{entry.task.id}/{entry.id}",
            dataset=entry.task.dataset,
            method=entry.method.name,
            metric=key[0],
            value=sum(own) / len(own),
            ci95=ends[key],
            settings=replace(settings, frames=key[1]),
            recalled=source.recalled.get(key, ""),
        )
        for key, own in values.items()
    ]


def _reported_row(figure: Reported, figures: Sequence[Measured]) -> ReportedRow:
    found, metric = reproduction(figure, figures), figure.metric
    unit = f" {metric.unit}" if metric.unit else ""
    measured = delta = ""
    if found.value is not None and found.delta is not None:
        measured = (
            f"{rounded(found.value, _error(found.measured, metric.factor), metric.key)}{unit}"
        )
        sign = "+" if found.delta > 0 else ""
        change = rounded(found.delta, _error(found.measured, metric.factor), metric.key)
        delta = f"{sign}{change}{unit}"
    spread = "" if figure.sd is None else f"SD of votes {figure.sd:g}"
    return ReportedRow(figure, f"{figure.value:g}{unit}", spread, found, measured, delta)


def _error(measured: Measured | None, factor: float) -> float | None:
    """About the standard error, by which a figure is rounded."""
    if measured is None or measured.ci95 is None:
        return None
    return abs(factor) * (measured.ci95[1] - measured.ci95[0]) / (2 * 1.96)


def _method_pages(
    tasks: Sequence[TaskPage], of_papers: Mapping[str, tuple[ReportedRow, ...]]
) -> tuple[MethodPage, ...]:
    """A page for each method of an entry and each that papers report, references last."""
    entries: dict[str, list[Listed]] = {}
    figures = {path: row for page in tasks for path, row in _figures(page).items()}
    papers: dict[str, list[ReportedRow]] = {}
    for page in tasks:
        for entry in page.entries:
            entries.setdefault(entry.base, []).append(entry)
    for rows in of_papers.values():
        for row in rows:
            if row.figure.measured:
                base = MethodRef.parse(row.figure.measured).base
                papers.setdefault(base, []).append(row)
    names = sorted({*entries, *papers}, key=lambda name: (name in REFERENCES, name))
    pages: list[MethodPage] = []
    for name in names:
        # The bare method before its variants.
        own = sorted(entries.get(name, []), key=lambda e: (e.task, len(e.method), e.method, e.id))
        shown = {e.path: figures[e.path] for e in own if e.path in figures}
        rows = tuple(papers.get(name, ()))
        pages.append(MethodPage(name, method_file(name), tuple(own), shown, rows))
    return tuple(pages)


def _figures(page: TaskPage) -> dict[str, tuple[tuple[Column, Figure], ...]]:
    """The figures of each entry in the page's first table."""
    if not page.tables:
        return {}
    table = page.tables[0]
    return {
        row.entry.path: tuple(
            (column, cell)
            for column, cell in zip(table.columns, row.cells, strict=True)
            if isinstance(cell, Figure)
        )
        for row in table.rows
    }
