"""The figures of a task's page as CSV that a spreadsheet does not run."""

from __future__ import annotations

import csv
import io

from vpbench.board.site.pages import Figure, Row, Table, TaskPage
from vpbench.render.text import csv_text

FIELDS = (
    "task",
    "table",
    "entry",
    "method",
    "tier",
    "level",
    "given",
    "label",
    "metric",
    "fingerprint",
    "value",
    "se",
    "ci_low",
    "ci_high",
    "corrected",
    "n",
    "recalled",
)


def to_csv(page: TaskPage) -> bytes:
    """One line an entry and metric, in full precision; figures of papers are not in it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for table in page.tables:
        for row in table.rows:
            for k, column in enumerate(table.columns):
                cell = row.cells[k]
                if column.metric and isinstance(cell, Figure):
                    writer.writerow(_line(page, table, row, column.metric, cell))
    return out.getvalue().encode("utf-8", "replace")


def _line(page: TaskPage, table: Table, row: Row, metric: str, cell: Figure) -> list[object]:
    entry, score = row.entry, cell.score
    texts = (page.id, table.key, entry.id, entry.method, entry.tier, entry.level, row.given)
    prints = dict(table.fingerprints)
    line: list[object] = [csv_text(text) for text in texts]
    line += ["yes" if row.label else "no", csv_text(metric), prints.get(metric, "")]
    if score is None or score["value"] is None:
        return [*line, "", "", "", "", "", "", csv_text(cell.recalled)]
    low, high = score["ci95"] or ("", "")
    figures = (score["value"], score["se"], low, high, score["corrected"], score["n"])
    line += ["" if figure is None else figure for figure in figures]
    return [*line, csv_text(cell.recalled)]
