"""What stands below a table of the site: curves over time, means by class, recognised actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vpbench.board.charts import Curve, chart, curve_classes
from vpbench.board.entry import Entry
from vpbench.board.page import Section
from vpbench.board.sections import class_section, confusion_section, legend_of
from vpbench.board.shown_rows import ShownRow, Spread, clip_metrics, shown_rows
from vpbench.board.site.pages import FigureKey, Recalled
from vpbench.core.schema import GroupJson, RecognitionJson
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.ranking import NULLS
from vpbench.render.flags import RARELY_SHOWN
from vpbench.render.text import column_title

_DRAWN = ("method", "imported")


@dataclass(frozen=True)
class Behind:
    """An entry behind a row, without the figures of it that were recalled."""

    entry: Entry
    recalled: Recalled

    def counts(self, key: FigureKey) -> bool:
        """Whether a figure was not recalled."""
        return key not in self.recalled


def details(
    group: GroupJson, behind: Mapping[str, Behind], runs: Sequence[FinishedRun]
) -> tuple[Section, ...]:
    """The sections that the entries of one table have content for; their bodies are HTML.

    Args:
        group: with its rows in the order of the table.
        behind: the entry of each row by the row's name.
        runs: of all rows, under the rows' names.
    """
    counted = [_counted(run, behind[run.inputs["method"]]) for run in runs]
    methods = shown_rows([row for row in group["rows"] if row["kind"] in _DRAWN], counted)
    nulls = [r for r in group["rows"] if r["method"] in NULLS and r["method"] not in RARELY_SHOWN]
    rows = [*methods, *shown_rows(nulls, counted)]
    labels: dict[str, str] = {}
    for one in behind.values():
        entry = one.entry
        if entry.labels:
            classes = (entry.classes[k] for k in entry.labels)
            labels |= dict(zip(entry.clips, classes, strict=True))
    found = (
        _curves(group, rows, behind),
        class_section(group, rows, labels) if labels else None,
        confusion_section(_recognised(group, behind), methods),
    )
    return tuple(section for section in found if section is not None)


def _counted(run: FinishedRun, own: Behind) -> FinishedRun:
    kept = {
        (metric, frames): record
        for (metric, frames), record in run.scores.items()
        if own.counts((metric, frames, record["fp8"]))
    }
    return replace(run, scores=kept)


def _recognised(group: GroupJson, behind: Mapping[str, Behind]) -> GroupJson:
    """The group without what was recognised in figures that count no more."""
    recognition = group.get("recognition")
    if not recognition:
        return group
    kept: dict[str, RecognitionJson] = {}
    for name, found in recognition.items():
        rows = [row for row in found["rows"] if _kept(group, name, row["method"], behind)]
        if rows:
            kept[name] = {**found, "rows": rows}
    return {**group, "recognition": kept}


def _kept(group: GroupJson, column: str, method: str, behind: Mapping[str, Behind]) -> bool:
    short = group["metrics"][column]["fingerprint"]
    key = column.partition("#")[0], group["frames"], short
    return method in behind and behind[method].counts(key)


def _curves(
    group: GroupJson, rows: Sequence[ShownRow], behind: Mapping[str, Behind]
) -> Section | None:
    """Means over predicted frames, one chart a metric; entries hold no curves of single clips."""
    figures: list[str] = []
    named: dict[str, str] = {}
    for metric in clip_metrics(group, rows):
        curves = [_curve(group, row, metric, behind[row.row["method"]]) for row in rows]
        record = group["metrics"][metric]
        title = column_title(metric, record["direction"], unit=record.get("unit", ""))
        drawn = chart(curves, "predicted frame", title)
        if drawn:
            figures.append(f"<figure>{drawn}</figure>")
            lines = zip(curves, curve_classes(curves), strict=True)
            named |= {curve.title: line for curve, line in lines if curve.points}
    if not figures:
        return None
    body = f'<div class="charts">{"".join(figures)}</div>{legend_of(named)}'
    return Section("Error over time", f'{body}<p class="faint">Means over clips.</p>')


def _curve(group: GroupJson, row: ShownRow, metric: str, own: Behind) -> Curve:
    """The mean over an entry's runs at each frame; no points where it has no curve."""
    short = group["metrics"][metric]["fingerprint"]
    key = metric.partition("#")[0], group["frames"], short
    paths = [
        score.curve
        for run in own.entry.runs
        for score in run.scores
        if (score.metric, score.frames, score.fp8) == key
        and score.subset is None
        and own.counts(key)
    ]
    points: list[tuple[float, Spread]] = []
    for t, values in enumerate(zip(*paths, strict=False), 1):
        known = [v for v in values if v is not None]
        if known:
            points.append((float(t), Spread(sum(known) / len(known), None, len(own.entry.clips))))
    return Curve(row.title, points, dimmed=row.row["kind"] not in _DRAWN)
