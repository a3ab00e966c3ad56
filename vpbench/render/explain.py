"""Why an FVD differs, as lines of text and as Markdown."""

from __future__ import annotations

from vpbench.core.schema import ExplainedJson, ExplainJson
from vpbench.render.text import DASH, aligned, clean, error_text, markdown, rounded

_HEAD = ("", "", "fvd", "change", "", "bias", "n")


def explain_lines(explained: ExplainJson) -> list[str]:
    """The figure of the definition, what each choice moves, and what could not be tried."""
    default = explained["default"]
    rows = [list(_HEAD), *(_cells(line) for line in _tried(explained))]
    lines = [
        f"FVD of {clean(explained['fake'])} against {clean(explained['real'])}, "
        f"{explained['frames']} frames: {_value(default)} ({_more(default)})",
        "Each line changes one thing of the definition (tf2018); the largest change first.",
        "",
        *(f"  {line}" for line in aligned(rows, left=2)),
    ]
    untried = [line for line in explained["lines"] if line["value"] is None]
    lines += [
        f"  not tried: {line['factor']}, {line['setting']}: {clean(line['reason'] or '')}"
        for line in untried
    ]
    lines += [f"  note: {note}" for note in _notes(explained)]
    return lines


def explain_markdown(explained: ExplainJson) -> list[str]:
    """The lines as a table, without what could not be tried."""
    rows = [["", "", _value(explained["default"]), "", "", *_tail(explained["default"])]]
    rows += [_cells(line) for line in _tried(explained)]
    lines = ["| | | FVD | change | | bias | n |", "|---|---|---|---|---|---|---|"]
    rows[0][0] = "definition"
    return [*lines, *(f"| {' | '.join(markdown(cell) for cell in row)} |" for row in rows)]


def _tried(explained: ExplainJson) -> list[ExplainedJson]:
    return [line for line in explained["lines"] if line["value"] is not None]


def _more(default: ExplainedJson) -> str:
    parts = [_clips(default)]
    if default["bias"] is not None and default["corrected"] is not None:
        parts.append(f"of which about {_rounded(default['bias'], default)} is bias")
        parts.append(f"corrected {_rounded(default['corrected'], default)}")
    return "; ".join(parts)


def _notes(explained: ExplainJson) -> list[str]:
    unverified = [line["setting"] for line in _tried(explained) if line["reason"]]
    notes = [f"{', '.join(unverified)}: by recipe, unverified"] if unverified else []
    if explained["default"]["bias"] is not None:
        notes.append(
            "± of a change is that of the same clips under both choices; bias and n belong to the "
            "figure of the line"
        )
    return [*notes, *(clean(note) for note in explained["notes"])]


def _clips(line: ExplainedJson) -> str:
    same = line["n"] == line["n_real"]
    return f"n = {line['n']}" if same else f"n = {line['n']} and {line['n_real']} real"


def _value(line: ExplainedJson) -> str:
    if line["value"] is None:
        return DASH
    error = error_text(line["se"], "fvd")
    return _rounded(line["value"], line) + (f" ± {error}" if error else "")


def _rounded(value: float, line: ExplainedJson) -> str:
    return rounded(value, line["se"], "fvd")


def _cells(line: ExplainedJson) -> list[str]:
    """Factor, setting, value, change, its part of the definition's figure, bias and n."""
    change, se, part = line["change"], line["change_se"], line["change_percent"]
    moved = DASH if change is None else _signed(change, se)
    percent = "" if part is None else f"{part:+.1f} %"
    return [line["factor"], line["setting"], _value(line), moved, percent, *_tail(line)]


def _tail(line: ExplainedJson) -> list[str]:
    bias = DASH if line["bias"] is None else _rounded(line["bias"], line)
    n = str(line["n"]) if line["n"] == line["n_real"] else f"{line['n']}/{line['n_real']}"
    return [bias, n]


def _signed(change: float, se: float | None) -> str:
    text = rounded(change, se, "fvd")
    sign = "+" if change > 0 and not text.startswith("+") and float(text) != 0 else ""
    error = error_text(se, "fvd")
    return f"{sign}{text}" + (f" ± {error}" if error else "")
