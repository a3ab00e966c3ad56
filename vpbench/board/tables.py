"""Tables of a page: figures with whiskers, means by class, confusion of the recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from vpbench.board.charts import Scale, whisker, whisker_scale
from vpbench.board.shown_rows import ShownRow, Spread, clip_metrics, metric_title, per_class
from vpbench.core.schema import GroupJson, RecognisedJson, RowJson, ScoreJson
from vpbench.harness.results.ranking import NULLS
from vpbench.render.dots import figure_text
from vpbench.render.model import Cell, Column, TableModel, TableRow
from vpbench.render.text import DASH, clean

_BASELINE = "copy-last"


def text(value: object) -> str:
    """Text for HTML: one line, escaped."""
    return escape(clean(str(value)))


def main_table(model: TableModel, group: GroupJson) -> str:
    """The table with whiskers; buttons in its header sort methods and references, each apart."""
    scales = {c.metric: _scale(model, c.metric) for c in model.columns if c.metric}
    lines = {
        metric: _value(row, metric)
        for row in group["rows"]
        if row["method"] == _BASELINE
        for metric in scales
    }
    head = "".join(_head(column, group) for column in model.columns)
    methods = [row for row in model.rows if not row.dimmed]
    others = [row for row in model.rows if row.dimmed]
    bodies = "".join(
        f"<tbody{kind}>{''.join(_row(row, model.columns, scales, lines) for row in part)}</tbody>"
        for kind, part in (("", methods), (' class="references"', others))
        if part
    )
    caption = text(" · ".join(model.title))
    return (
        f'<p class="faint">{caption}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="Scores: {caption}">'
        f'<table class="sortable scores">'
        f"<thead><tr>{head}</tr></thead>{bodies}</table></div>"
    )


def _head(column: Column, group: GroupJson) -> str:
    first = group["metrics"][column.metric]["direction"] if column.metric else ""
    order = {"up": "descending", "down": "ascending"}.get(first, "ascending")
    return (
        f'<th scope="col" class="{column.align}"><button type="button" data-first="{order}">'
        f"{text(column.title)}</button></th>"
    )


def _row(
    row: TableRow,
    columns: Sequence[Column],
    scales: Mapping[str, Scale | None],
    lines: Mapping[str, float | None],
) -> str:
    cells: list[str] = []
    for column, cell in zip(columns, row.cells, strict=True):
        if column.title == "method":
            cells.append(f'<th scope="row" data-value="{text(cell.text)}">{_name(cell)}</th>')
        elif column.metric:
            cells.append(_score(row, column.metric, cell, scales, lines))
        else:
            value = text(cell.marked)
            cells.append(f'<td class="{column.align}" data-value="{value}">{value}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _name(cell: Cell) -> str:
    flags = f"<sup>{text(','.join(cell.flags))}</sup>" if cell.flags else ""
    return f"{text(cell.text)}{flags}"


def _score(
    row: TableRow,
    metric: str,
    cell: Cell,
    scales: Mapping[str, Scale | None],
    lines: Mapping[str, float | None],
) -> str:
    score, scale = row.source["scores"].get(metric), scales[metric]
    value = None if cell.text == DASH else _value(row.source, metric)
    if score is None or value is None or scale is None:
        why = text((score or {}).get("reason") or "not scored")
        return f'<td class="right" data-value="" title="{why}">{text(cell.marked)}</td>'
    figure = text(cell.marked)
    if cell.bold:
        figure = f"<b>{figure}</b>"
    elif cell.underlined:
        figure = f"<u>{figure}</u>"
    ends = _ends(score)
    said = f' title="95 %: {figure_text(ends[0])} to {figure_text(ends[1])}"' if ends else ""
    drawn = whisker(value, ends, scale, lines.get(metric))
    return f'<td class="right" data-value="{value!r}"{said}><span>{figure}</span>{drawn}</td>'


def _value(row: RowJson, metric: str) -> float | None:
    score = row["scores"].get(metric)
    return None if score is None else score["value"]


def _ends(score: ScoreJson) -> tuple[float, float] | None:
    ends = score["ci95"]
    return None if ends is None else (ends[0], ends[1])


def _scale(model: TableModel, metric: str) -> Scale | None:
    """The scale of methods and trivial baselines: real clips lie so far off in many columns that
    the methods would stand in one place.
    """
    near = [row for row in model.rows if not row.dimmed or row.source["method"] in NULLS]
    values: list[float] = []
    for row in near or model.rows:
        score = row.source["scores"].get(metric)
        if score is not None and score["value"] is not None:
            values += [score["value"], *(_ends(score) or ())]
    return whisker_scale(values) if values else None


def plain_table(model: TableModel) -> str:
    """A table of figures alone."""
    head = "".join(f'<th scope="col" class="{c.align}">{text(c.title)}</th>' for c in model.columns)
    body = "".join(
        f"<tr>{''.join(_plain(cell, k) for k, cell in enumerate(row.cells))}</tr>"
        for row in model.rows
    )
    caption = text(" · ".join(model.title))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _plain(cell: Cell, place: int) -> str:
    if place == 0:
        return f'<th scope="row">{_name(cell)}</th>'
    return f"<td>{text(cell.marked)}</td>"


def class_tables(
    group: GroupJson, rows: Sequence[ShownRow], labels: Mapping[str, str]
) -> list[tuple[str, str]]:
    """(metric, table of the means by class) for each metric of single clips; [] without classes.

    The better a mean within its class, the stronger its colour.

    Args:
        labels: clip -> class, "" without one.
    """
    classes = sorted({name for name in labels.values() if name})
    if len(classes) < 2:
        return []
    tables: list[tuple[str, str]] = []
    for metric in clip_metrics(group, rows):
        found = [(row, per_class(row.records(group, metric), labels, classes)) for row in rows]
        found = [(row, spreads) for row, spreads in found if any(spreads)]
        if found:
            up = group["metrics"][metric]["direction"] == "up"
            tables.append((metric_title(group, metric), _class_table(found, classes, up)))
    return tables


def _class_table(
    found: Sequence[tuple[ShownRow, Sequence[Spread | None]]], classes: Sequence[str], up: bool
) -> str:
    head = "".join(f'<th scope="col">{_broken(name)}</th>' for name in classes)
    near = [f for f in found if f[0].row["kind"] == "method"] or found
    columns = [[s.mean for s in column if s] for column in zip(*(f[1] for f in near), strict=True)]
    body = ""
    for row, spreads in found:
        cells = "".join(_class_cell(spread, columns[k], up) for k, spread in enumerate(spreads))
        body += f'<tr><th scope="row">{text(row.title)}</th>{cells}</tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Means by class"><table '
        f'class="classes"><thead><tr><th scope="col" class="left">method</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _class_cell(spread: Spread | None, column: Sequence[float], up: bool) -> str:
    if spread is None or not column:
        return f"<td>{DASH if spread is None else figure_text(spread.mean)}</td>"
    low, high = min(column), max(column)
    part = min(1.0, max(0.0, (spread.mean - low) / (high - low))) if high > low else 0.0
    heat = round(9 * (part if up else 1 - part))
    said = f"n = {spread.n}"
    if spread.ends:
        said += f", 95 %: {figure_text(spread.ends[0])} to {figure_text(spread.ends[1])}"
    return f'<td class="h{heat}" title="{said}">{figure_text(spread.mean)}</td>'


def confusions(
    rows: Sequence[RecognisedJson], classes: Sequence[str], titles: Mapping[str, str]
) -> str:
    """One table a row: class asked for (down) against class recognised (across).

    Args:
        titles: row -> what readers call it.
    """
    return "".join(_confusion(row, classes, titles) for row in rows)


def _confusion(row: RecognisedJson, classes: Sequence[str], titles: Mapping[str, str]) -> str:
    overall = row["overall"]
    share = DASH if overall["share"] is None else f"{100 * overall['share']:.0f} %"
    title = text(titles.get(row["row"], row["row"]))
    head = "".join(
        f'<th scope="col"><abbr title="{text(c)}">{k + 1}</abbr></th>'
        for k, c in enumerate(classes)
    )
    body = ""
    for k, counts in enumerate(row["confusion"]):
        total, own = max(sum(counts), 1), " own"
        cells = "".join(
            f'<td class="h{round(9 * n / total)}{own if j == k else ""}">{n or ""}</td>'
            for j, n in enumerate(counts)
        )
        body += f'<tr><th scope="row">{k + 1} {text(classes[k])}</th>{cells}</tr>'
    return (
        f'<div class="confusion"><table><caption>{title}: {share} of {overall["n"]}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _broken(name: str) -> str:
    """A name that may break at underlines."""
    return text(name).replace("_", "_<wbr>")
