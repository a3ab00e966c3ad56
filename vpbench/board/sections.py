"""The parts of a page that show one table of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.board.charts import Curve, chart, curve_classes
from vpbench.board.clips import choose_clips
from vpbench.board.films import Reel, make_reel
from vpbench.board.footage import Footage
from vpbench.board.layers import RowLayers
from vpbench.board.page import Section
from vpbench.board.player import (
    Kind,
    PlayerClip,
    PlayerData,
    PlayerMetric,
    Track,
    film_blocks,
    player_html,
)
from vpbench.board.shown_rows import ShownRow, clip_metrics, metric_title, per_clip, per_frame
from vpbench.board.tables import class_tables, confusions, main_table, plain_table, text
from vpbench.core.progress import Report
from vpbench.core.schema import GroupJson
from vpbench.harness.results.ranking import NULLS
from vpbench.render.model import TableModel
from vpbench.render.text import column_title

_FPS = 8.0
"""At which clips play whose own rate is unknown."""
_PER_VALUE = 12
"""Bytes of one value of the player's list in the page."""

_KINDS: dict[str, Kind] = {"method": "method", "oracle": "oracle", "imported": "method"}


@dataclass(frozen=True)
class Room:
    """How much a page may hold.

    Attributes:
        weight: bytes of all films and their lists.
        clips: with a film in the page, at most; None for all that fit.
        folder: for the films of other clips; None leaves them out.
    """

    weight: int
    clips: int | None = None
    folder: Path | None = None


def listed(lines: Sequence[str], kind: str) -> str:
    """A list of texts; "" for none."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if lines else ""


def folded(summary: str, body: str, *, is_open: bool = False) -> str:
    """HTML that folds out; "" for none."""
    flag = " open" if is_open else ""
    return f"<details{flag}><summary>{text(summary)}</summary>{body}</details>" if body else ""


def table_section(model: TableModel, group: GroupJson, title: str) -> Section:
    """The table, the lines below it, and its notes."""
    legend = [f"{line.flag} {line.text}".strip() for line in model.legend]
    legend.append("whiskers: 95 % intervals; dashed: copy-last; arrows: outside the scale")
    notes = [note.plain for note in model.notes]
    body = main_table(model, group) + listed(legend, "legend")
    body += folded(f"{len(notes)} notes", listed(notes, "notes"))
    return Section(title, body)


def versus_section(model: TableModel) -> Section:
    """Paired differences of all rows to one, as `vpbench compare --vs` shows them."""
    legend = [f"{line.flag} {line.text}".strip() for line in model.legend]
    notes = folded(f"{len(model.notes)} notes", listed([n.plain for n in model.notes], "notes"))
    return Section(
        model.title[1].capitalize(), plain_table(model) + listed(legend, "legend") + notes
    )


def curve_section(group: GroupJson, rows: Sequence[ShownRow]) -> Section | None:
    """Metrics over predicted frames, one chart a metric."""
    figures: list[str] = []
    named: dict[str, str] = {}
    for metric in clip_metrics(group, rows):
        curves = [_curve(row, group, metric) for row in rows if _drawn(row)]
        record = group["metrics"][metric]
        title = column_title(metric, record["direction"], unit=record.get("unit", ""))
        drawn = chart(curves, "predicted frame", title)
        if drawn:
            figures.append(f"<figure>{drawn}</figure>")
            named |= dict(zip([c.title for c in curves], curve_classes(curves), strict=True))
    if not figures:
        return None
    body = f'<div class="charts">{"".join(figures)}</div>{legend_of(named)}'
    said = (
        "Means over clips; bands are their 95 % intervals. Methods share their clips, so bands "
        "may overlap where the paired tests of the table tell them apart."
    )
    return Section("Error over time", f'{body}<p class="faint">{said}</p>')


def _drawn(row: ShownRow) -> bool:
    """Other real clips lie so far off that the methods would share one line with them."""
    return row.row["kind"] in _KINDS or row.row["method"] in NULLS


def legend_of(named: Mapping[str, str]) -> str:
    """Which line is whose.

    Args:
        named: title -> class of the line.
    """
    items = "".join(
        f'<li><svg class="curve {name}" viewBox="0 0 30 8" aria-hidden="true"><path d="M0 4H30"/>'
        f"</svg>{text(title)}</li>"
        for title, name in named.items()
    )
    return f'<ul class="lines">{items}</ul>'


def _curve(row: ShownRow, group: GroupJson, metric: str) -> Curve:
    records = row.records(group, metric)
    spreads = per_frame(records) if records else []
    points = [(float(t), spread) for t, spread in enumerate(spreads, 1)]
    return Curve(row.title, points, dimmed=row.row["kind"] not in _KINDS)


def class_section(
    group: GroupJson, rows: Sequence[ShownRow], labels: Mapping[str, str]
) -> Section | None:
    """Means by class; None without classes."""
    tables = class_tables(group, rows, labels)
    if not tables:
        return None
    body = "".join(folded(title, table, is_open=k == 0) for k, (title, table) in enumerate(tables))
    said = (
        "The better a mean within its class, the stronger its colour. Each figure is of few clips; "
        "hover over it for its interval. References stronger than all methods have the strongest "
        "colour, too."
    )
    return Section("By class", f'{body}<p class="faint">{said}</p>')


def confusion_section(group: GroupJson, rows: Sequence[ShownRow]) -> Section | None:
    """Which class a recogniser sees in the predictions; None where nothing was recognised."""
    parts: list[str] = []
    titles = {row.row["row"]: row.title for row in rows}
    for name, found in group.get("recognition", {}).items():
        chosen = [row for row in found["rows"] if row["row"] in titles]
        if chosen:
            drawn = confusions(chosen, found["classes"], titles)
            heading = f"<h3>{text(name)}</h3>" if len(group.get("recognition", {})) > 1 else ""
            parts.append(f'{heading}<div class="confusions">{drawn}</div>')
    if not parts:
        return None
    said = "Down: the class that was asked for. Across: the class that the recogniser sees."
    return Section("Recognised actions", f'<p class="faint">{said}</p>{"".join(parts)}')


@dataclass(frozen=True)
class Played:
    """A player's section, and what belongs to the end of the page."""

    section: Section
    blocks: list[str]
    reel: Reel


def player_section(
    group: GroupJson,
    rows: Sequence[ShownRow],
    footage: Footage,
    layers: Sequence[RowLayers | None],
    room: Room,
    name: str,
    report: Report | None = None,
) -> Played:
    """Real clips and predictions side by side.

    Args:
        rows: those of the footage, in its order.
        layers: of each row.
        name: id of the player, its own on the page.
    """
    metrics = clip_metrics(group, rows)
    values = [[per_clip(row.records(group, metric)) for row in rows] for metric in metrics]
    labels = {clip: footage.labels.get(clip, "") for clip in footage.names}
    choice = choose_clips(
        labels, values[0] if values else [], metric_title(group, metrics[0]) if metrics else ""
    )
    spare = len(labels) * (80 + _PER_VALUE * len(metrics) * (len(rows) + 1))
    reel = make_reel(
        footage, choice, layers, max(room.weight - spare, 1), room.clips, room.folder, name, report
    )
    inside = frozenset(film.key for film in reel.films)
    real = [Track("real", "real")] if footage.has_real else []
    tracks = [*real, *(_track(row, own) for row, own in zip(rows, layers, strict=True))]
    empty = [None] * len(real)
    data = PlayerData(
        tracks,
        [_metric(group, metric) for metric in metrics],
        [
            PlayerClip(
                clip,
                labels[clip],
                [[*empty, *(own.get(clip) for own in row)] for row in values],
                reel.keys.get(clip, ""),
            )
            for clip in sorted(footage.names)
        ],
        reel.layout,
        rows[0].first.inputs["task"]["horizon"] + int(footage.has_given and footage.has_real),
        footage.fps or _FPS,
        footage.has_given and footage.has_real,
        room.folder.name if room.folder is not None and reel.outside else "",
        inside,
    )
    said = [reel.rule, reel.quality, *footage.notes]
    body = player_html(data, name) + "".join(f'<p class="faint">{text(s)}</p>' for s in said)
    return Played(Section("Clips", body), list(film_blocks(reel.films, name)), reel)


def _track(row: ShownRow, layers: RowLayers | None) -> Track:
    kind = _KINDS.get(row.row["kind"], "reference")
    return Track(row.title, kind, mask=bool(layers and layers.masks))


def _metric(group: GroupJson, metric: str) -> PlayerMetric:
    record = group["metrics"][metric]
    up = record["direction"] == "up"
    return PlayerMetric(metric_title(group, metric), "up" if up else "down", record.get("unit", ""))
