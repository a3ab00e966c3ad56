"""What a metric can tell from real clips, as lines of text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from vpbench.core.schema import ControlJson, ControlsJson
from vpbench.render.text import DASH, aligned, clean, error_text, markdown, rounded, short_p

_YES = {True: "yes", False: "no", None: DASH}
_HEAD = ("control", "value", "corrected", "p", "told apart", "worse")


def control_lines(table: ControlsJson, metric: str, of_clips: bool) -> list[str]:
    """The table of one metric with what it says in words.

    Args:
        metric: its name.
        of_clips: it is one of single clips.
    """
    rows = [_cells(row, metric) for row in table["rows"]]
    corrected = any(row["corrected"] is not None for row in table["rows"])
    kept = [k for k in range(len(_HEAD)) if corrected or k != 2]
    lines = [
        f"controls on {clean(table['dataset'])}: {table['n']} clips, {table['frames']} frames",
        *aligned([[row[k] for k in kept] for row in (list(_HEAD), *rows)]),
    ]
    reasons = dict.fromkeys(row["reason"] for row in table["rows"] if row["reason"])
    lines += [f"  {clean(reason)}" for reason in reasons]
    summary = verdict(table, metric)
    if summary:
        other = "the clips themselves" if of_clips else "half of the real clips is to the others"
        lines += ["", summary, f"worse: further off than {other}; information, not a check"]
    return lines


def verdict(table: ControlsJson, metric: str) -> str:
    """Which controls are told from real clips, as a sentence; "" where none was tested."""
    tested = [row for row in table["rows"] if row["told"] is not None]
    spoilt = [row for row in tested if row["worse"] is not None]
    if not spoilt:
        return ""
    missed = [row["control"] for row in spoilt if not row["told"]]
    text = (
        f"{metric} tells {len(spoilt) - len(missed)} of {len(spoilt)} controls from real clips "
        f"(p < {table['level']:g}, adjusted for {len(tested)} tests)"
    )
    text += f"; not {', '.join(missed)}" if missed else ""
    false = [row["control"] for row in tested if row["told"] and row["worse"] is None]
    return f"{text}; also {false[0]}, which nothing can tell apart" if false else text


def control_markdown(tables: Sequence[tuple[str, ControlsJson]]) -> list[str]:
    """One row a metric, one column a control: its corrected value and p, bold where told apart."""
    # Metrics of single clips lack one; the longest table has them in the right order.
    longest = max((table["rows"] for _, table in tables), key=len, default=[])
    names = [row["control"] for row in longest]
    lines = [
        f"| | {' | '.join(markdown(name) for name in names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for metric, table in tables:
        rows = {row["control"]: row for row in table["rows"]}
        cells = [_cell(rows[name], metric) if name in rows else "" for name in names]
        lines.append(f"| `{metric}` | {' | '.join(cells)} |")
    return lines


def _cell(row: ControlJson, metric: str) -> str:
    value = row["value"] if row["corrected"] is None else row["corrected"]
    if value is None or row["p"] is None:
        return DASH
    text = f"{rounded(value, row['se'], metric)} ({short_p(row['p'])})"
    return f"**{text}**" if row["told"] else text


def _cells(row: ControlJson, metric: str) -> list[str]:
    value, p = DASH, DASH if row["p"] is None else short_p(row["p"]).removeprefix("p")
    if row["value"] is not None:
        error = error_text(row["se"], metric)
        value = rounded(row["value"], row["se"], metric) + (f" ± {error}" if error else "")
    corrected = row["corrected"]
    bare = DASH if corrected is None else rounded(corrected, row["se"], metric)
    told, worse = _YES[row["told"]], _YES[row["worse"]]
    return [row["control"], value, bare, p.removeprefix("="), told, worse]
