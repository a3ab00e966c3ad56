"""All that must be read with a table, row by row, then for the whole table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vpbench.core.intervals import MIN_FITS
from vpbench.core.schema import GroupJson, RowJson
from vpbench.render.flags import TITLES, row_title
from vpbench.render.legend import task_notes, why_missing
from vpbench.render.statistics import explained_by_marks, statistics_notes
from vpbench.render.text import clean, column_title


@dataclass(frozen=True)
class Note:
    """One line.

    Attributes:
        label: the row that it belongs to as the table calls it, "" for the whole table.
        method: the name of that row as it is typed.
    """

    label: str
    text: str
    method: str = ""

    @property
    def plain(self) -> str:
        """The line with its row before it."""
        return f"{self.label}: {self.text}" if self.label else self.text


def table_notes(group: GroupJson, rows: Sequence[RowJson]) -> list[Note]:
    """Notes of the rows in their order, then those of the whole table."""
    notes: list[Note] = []
    for row in rows:
        texts = [clean(n) for n in row["notes"] if not explained_by_marks(row, n)]
        for text in dict.fromkeys([*texts, *_score_notes(group, row)]):
            notes.append(Note(row_title(row), text, row["method"]))
    return [*notes, *(Note("", text) for text in _general_notes(group, rows))]


def _score_notes(group: GroupJson, row: RowJson) -> list[str]:
    """What the figures of a row have to say, one line for each reason."""
    where: dict[str, list[str]] = {}
    for name in group["metrics"]:
        score = row["scores"].get(name)
        title = clean(column_title(name, ""))
        if score is None or score["value"] is None or score["reason"]:
            where.setdefault(why_missing(score), []).append(title)
        if score and score["value"] is not None and row["n"] not in (None, score["n"]):
            where.setdefault(f"n = {score['n']}", []).append(title)
    everywhere = len(group["metrics"])
    return [
        reason if len(titles) == everywhere > 1 else f"{', '.join(titles)}: {reason}"
        for reason, titles in where.items()
    ]


def _general_notes(group: GroupJson, rows: Sequence[RowJson]) -> list[str]:
    notes = statistics_notes(group, rows)
    notes += [note for note in (_training_note(rows), _origin_note(rows)) if note]
    notes += _task_notes(group)
    if group["task"].get("rendered"):
        notes.append("rendered figures: says nothing about photographic video")
    named = dict.fromkeys(row["method"] for row in rows if row["method"] in TITLES)
    renamed = [f"{TITLES[name]} is {name}" for name in named]
    renamed = [text for text in renamed if not text.startswith("noise ")]
    if renamed:
        notes.append(f"names of references: {', '.join(renamed)}")
    return [*notes, *fingerprint_notes(group)]


def fingerprint_notes(group: GroupJson) -> list[str]:
    """Which recipe each column has, in short."""
    prints = {clean(k): m["fingerprint"] for k, m in group["metrics"].items() if m["fingerprint"]}
    listed = ", ".join(f"{name} {value[:8]}" for name, value in prints.items())
    return [f"fingerprints: {listed}"] if group["rows"] and prints else []


def _task_notes(group: GroupJson) -> list[str]:
    """Notes on the task's test clips, and the subset that is shown."""
    task = group["task"]
    if task.get("subset"):
        return [f"subset {clean(str(task['subset']))}: split hash {str(task['split_hash'])[:8]}"]
    return task_notes(group)


def trained(row: RowJson) -> bool:
    """Whether a row shows figures of a method that was trained."""
    scored = any(score["value"] is not None for score in row["scores"].values())
    fitted = bool(row["fit_seeds"] or row["checkpoint"])
    return scored and fitted and row["kind"] in ("method", "oracle")


def _training_note(rows: Sequence[RowJson]) -> str | None:
    everyone = [r for r in rows if trained(r)]
    few = [r for r in everyone if len(r["fit_seeds"]) < MIN_FITS]
    if not few:
        return None
    once = all(len(r["fit_seeds"]) < 2 for r in few)
    who = "one training run each" if once else f"fewer than {MIN_FITS} training runs"
    if len(few) < len(everyone) or not once:
        who += f" ({', '.join(clean(r['row']) for r in few)})"
    return f"{who}: differences include training variance"


def _origin_note(rows: Sequence[RowJson]) -> str | None:
    origins = [f"{clean(r['row'])}: {clean(r['checkpoint'])}" for r in rows if r["checkpoint"]]
    return f"checkpoints: {'; '.join(origins)}" if origins else None
