"""The few lines below a table that every reader needs; `vpbench.render.notes` has all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vpbench.core.schema import GroupJson, RowJson, ScoreJson
from vpbench.render.flags import flag_lines, row_title
from vpbench.render.statistics import (
    NOT_BETTER,
    WORSE,
    no_comparison,
    real_clips_line,
    shown_p,
    small_n_line,
)
from vpbench.render.text import DASH, clean, column_title

_MOST_REASONS = 3
"""Reasons for missing figures below a table."""

_ALWAYS, _USUALLY, _IF_ROOM = range(3)


@dataclass(frozen=True)
class Line:
    """A line, or a part of one.

    Attributes:
        text: what it says.
        flag: the letter that it explains, drawn raised before the text; "" for none.
        about: "±", "uses" or "styles" where it is needless without them.
        weight: lines of the highest weight go first where there is no room.
    """

    text: str
    flag: str = ""
    about: str = ""
    weight: int = _ALWAYS


def legend_lines(group: GroupJson, rows: Sequence[RowJson]) -> list[Line]:
    """The lines in the order in which they are drawn.

    Args:
        rows: those that are drawn.
    """
    return [
        *_missing(group, rows),
        *_marks(rows),
        *(Line(text, flag=flag, weight=_USUALLY) for flag, text in flag_lines(rows)),
        *_conventions(group, rows),
        *_limits(group, rows),
    ]


def _marks(rows: Sequence[RowJson]) -> Iterable[Line]:
    claims = {null["claim"] for row in rows for null in row["nulls"]}
    words = {"not better": f"{NOT_BETTER} not shown to beat", "worse": f"{WORSE} worse than"}
    said = [text for claim, text in words.items() if claim in claims]
    if said:
        yield Line(f"{', '.join(said)} a trivial baseline (95 %)")
    if any(row["missed"] for row in rows):
        yield Line("▲ training checks missed")


def _conventions(group: GroupJson, rows: Sequence[RowJson]) -> Iterable[Line]:
    if any("(training)" in use for row in rows for use in row["uses"]):
        yield Line("* in training only", about="uses", weight=_USUALLY)
    scores = [s for row in rows for s in row["scores"].values() if s["value"] is not None]
    if any(s["se"] for s in scores):
        yield Line("± one standard error", about="±", weight=_IF_ROOM)
    if any(shown_p(row, s) is not None for row in rows for s in row["scores"].values()):
        yield Line("p: of no difference from the real clips", about="p", weight=_IF_ROOM)
    if any(s["rank"] for s in scores):
        yield Line("(2–3) rank, a range is a tie", weight=_USUALLY)
    methods = [row for row in rows if row["kind"] == "method" and _scored(row)]
    if len(methods) > 1:
        tied = ", underlined: not told apart from it" if any(r["tied"] for r in methods) else ""
        yield Line(f"bold: best value shown{tied}", about="styles", weight=_IF_ROOM)


def _limits(group: GroupJson, rows: Sequence[RowJson]) -> Iterable[Line]:
    none = no_comparison(rows)
    if none:
        yield Line(f"{none[0].upper()}{none[1:]}.")
    for metric in group["metrics"]:
        small = small_n_line(metric, rows)
        if small:
            yield Line(f"{small}.")
    for metric in group["metrics"]:
        floor = real_clips_line(metric, rows)
        if floor:
            yield Line(f"{floor}.", weight=_USUALLY)
    for note in task_notes(group):
        yield Line(f"{note[0].upper()}{note[1:]}.", weight=_USUALLY)
    if group["task"].get("rendered"):
        yield Line("Rendered figures: says nothing about photographic video.")


def task_notes(group: GroupJson) -> list[str]:
    """What is said about the task's test clips, such as how many are too short."""
    return [
        f"{count} test clip{'s' * (count != 1)} {clean(what)}"
        for what, count in (group["task"].get("notes") or {}).items()
    ]


def _missing(group: GroupJson, rows: Sequence[RowJson]) -> list[Line]:
    """Why figures are missing, each reason once."""
    lines = [Line(f"{DASH} not run: `{group['to_run']}`")] if group["to_run"] else []
    by_reason: dict[str, tuple[list[str], list[str]]] = {}
    for row in rows:
        if not _scored(row):
            reason = _row_reason(row)
            if reason and not reason.startswith("not run: "):
                by_reason.setdefault(reason, ([], []))[0].append(row_title(row))
            continue
        for name in group["metrics"]:
            score = row["scores"].get(name)
            if score is None or score["value"] is None:
                where = by_reason.setdefault(why_missing(score), ([], []))
                where[0].append(row_title(row))
                where[1].append(clean(column_title(name, "")))
    everybody = {row_title(row) for row in rows if _scored(row)}
    for reason, (names, metrics) in by_reason.items():
        who = "" if metrics and set(names) == everybody else ", ".join(dict.fromkeys(names))
        what = ", ".join(dict.fromkeys(metrics))
        lines.append(Line(f"{DASH} {' '.join(part for part in (who, what) if part)}: {reason}"))
    more = len(lines) - _MOST_REASONS
    return lines if more <= 0 else [*lines[:_MOST_REASONS], Line(f"{DASH} {more} more: --notes")]


def _scored(row: RowJson) -> bool:
    return any(score["value"] is not None for score in row["scores"].values())


def why_missing(score: ScoreJson | None) -> str:
    """The reason for a dash."""
    return clean((score["reason"] if score else None) or "not scored")


def _row_reason(row: RowJson) -> str:
    """The reason of a row without any figure."""
    reasons = dict.fromkeys(why_missing(score) for score in row["scores"].values())
    return "; ".join(reasons) or "; ".join(clean(note) for note in row["notes"][:1])
