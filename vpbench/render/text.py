"""Figures and names as text: rounding, titles, and escaping for each format."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from vpbench.core.schema import ScoreJson

DASH = "—"
"""What stands where a figure is missing."""

_UPPER = {"fvd", "kvd", "psnr", "ssim", "lpips", "fid"}
_ARROW = {"up": "↑", "down": "↓"}
_DECIMALS = {"psnr": 2, "ssim": 4, "lpips": 4, "fvd": 1, "kvd": 1, "fid": 1}
_MOST_DECIMALS = 6
_ROUNDING = 1e-9


def format_score(score: ScoreJson | None, metric: str) -> str:
    """A figure as a table shows it: `24.31 ± 0.12`, or a dash with the reason.

    The standard error has one or two digits by the rule of the Particle Data Group (Review of
    Particle Physics, introduction 5.3), and the value as many decimals; without one the metric's
    usual decimals are shown.

    Args:
        score: SCORE of the contract, or None.
        metric: its name, such as "fvd@styleganv"; picks the usual decimals.

    Raises:
        ValueError: the value or its error is NaN or infinite.
    """
    if score is None or score["value"] is None:
        reason = None if score is None else score["reason"]
        return f"{DASH} ({clean(reason)})" if reason else DASH
    value, se = score["value"], score["se"]
    text, error = rounded(value, se, metric), error_text(se, metric)
    return f"{text} ± {error}" if error else text


def rounded(value: float, se: float | None, metric: str) -> str:
    """A figure with as many decimals as its standard error warrants, without the error."""
    if not se or abs(se) < _ROUNDING:  # an error of rounding, not of sampling
        return _fixed(value, _DECIMALS.get(_base(metric), 3))
    return _fixed(value, _error_decimals(se))


def error_text(se: float | None, metric: str) -> str:
    """A standard error with the digits of `rounded`; "" where there is none."""
    return rounded(se, se, metric) if se and abs(se) >= _ROUNDING else ""


def figure_range(low: float, high: float) -> tuple[str, str]:
    """The ends of an axis with as many decimals as two digits of their distance have."""
    span = abs(high - low)
    places = min(max(1 - math.floor(math.log10(span)), 0), _MOST_DECIMALS) if span else 2
    return _fixed(low, places), _fixed(high, places)


def format_p(p: float) -> str:
    """`p = 0.43`, and `p < 0.001` below that."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.{2 if p >= 0.1 else 3}f}"


def short_p(p: float) -> str:
    """`p=.43`, and `p<.001` below that: as `format_p`, where there is little room."""
    return format_p(p).replace(" ", "").replace("0.", ".")


def column_title(metric: str, direction: str, fingerprint: str = "", unit: str = "") -> str:
    """`PSNR ↑ dB`: what the metric is called, where better lies, and its unit.

    Args:
        metric: name as in the compare object; a recipe (`@`) and a `#` stay as they are.
        direction: "up" or "down"; anything else gives no arrow.
        fingerprint: if given, its first 8 digits are shown unless the name has them.
        unit: shown behind the arrow.
    """
    base = _base(metric)
    title = (base.upper() if base in _UPPER else base) + metric[len(base) :]
    if fingerprint and "#" not in metric:
        title += f"#{fingerprint[:8]}"
    parts = (title, _ARROW.get(direction, ""), clean(unit))
    return " ".join(part for part in parts if part)


def clean(text: str) -> str:
    """One line without control characters."""
    visible = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(visible).split())


@lru_cache(maxsize=4096)
def width(text: str) -> int:
    """Columns that the text takes in a terminal."""
    if text.isascii():
        return len(text)
    combining = sum(unicodedata.category(c) in ("Mn", "Me", "Cf") for c in text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) - combining + wide


def markdown(text: str) -> str:
    """Escape text for a Markdown table cell or list."""
    escaped = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", clean(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_prose(text: str) -> str:
    """As `markdown`, but `code` in backticks stays code."""
    return _prose(text, markdown, lambda code: f"`{code}`")


def latex(text: str) -> str:
    """Escape text for LaTeX; a leading minus of a figure becomes a mathematical one."""
    text = clean(text)
    sign = "$-$" if re.match(r"-\d", text) else ""
    return sign + "".join(_LATEX.get(c, c) for c in (text[1:] if sign else text))


def latex_prose(text: str) -> str:
    """As `latex`, with `code` in backticks set in typewriter letters."""
    # Some typewriter fonts join two hyphens into a dash.
    return _prose(text, latex, _typewriter)


def _typewriter(code: str) -> str:
    """Code that may break after the signs at which paths and options do."""
    text = latex(code).replace("--", "-{}-")
    return f"\\texttt{{{re.sub(r'([/,=.:])', _BREAK, text)}}}"


_BREAK = r"\1\\allowbreak{}"


def csv_text(text: str) -> str:
    """Text that a spreadsheet does not run as a formula: a quote goes before = + - @."""
    text = clean(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else text


def _base(metric: str) -> str:
    return re.split(r"[@#]", metric, maxsplit=1)[0]


def _fixed(value: float, places: int) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number that a table can show.")
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _error_decimals(se: float) -> int:
    """Decimals that leave an error two digits if they are 10 to 35 or 95 to 99, else one."""
    if not math.isfinite(se):
        raise ValueError(f"{se} is not a standard error.")
    lead, exponent = f"{abs(se):.2e}".split("e")
    # Above 9.49 the error rounds up to the next power of ten, whose two digits end here too.
    places = (1 if float(lead) < 3.55 else 0) - int(exponent)
    return min(max(places, 0), _MOST_DECIMALS)


def _prose(text: str, plain: Callable[[str], str], code: Callable[[str], str]) -> str:
    parts = re.split(r"`([^`]*)`", clean(text))
    # `clean` inside `plain` would eat the spaces next to code.
    return "".join(code(p) if k % 2 else _keep_ends(p, plain) for k, p in enumerate(parts))


def _keep_ends(text: str, escape: Callable[[str], str]) -> str:
    core = text.strip()
    if not core:
        return text
    start = text.index(core)
    return text[:start] + escape(core) + text[start + len(core) :]


_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "`": "\\textasciigrave{}",
    "±": "$\\pm$",
    "≈": "$\\approx$",
    "▼": "$\\bigtriangledown$",
    "▲": "$\\bigtriangleup$",
    "×": "$\\times$",
    "−": "$-$",
    "↑": "$\\uparrow$",
    "↓": "$\\downarrow$",
    "–": "--",
    "—": "---",
    # After a line end these would be read as its options.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of columns two blanks apart, without blanks at the end.

    Args:
        rows: cells; a row may have fewer than others.
        left: so many columns stand to the left, the others to the right.
    """
    columns = max(len(row) for row in rows)
    wide = [max(width(row[k]) for row in rows if k < len(row)) for k in range(columns)]
    lines: list[str] = []
    for row in rows:
        blanks = [" " * (wide[k] - width(cell)) for k, cell in enumerate(row)]
        pairs = enumerate(zip(row, blanks, strict=True))
        lines.append("  ".join(c + b if k < left else b + c for k, (c, b) in pairs).rstrip())
    return lines


def blocks(rows: Sequence[Sequence[str]], room: int) -> list[list[str]]:
    """Lines of columns; where they do not fit, the last ones go below, beside the first column.

    Args:
        rows: cells, the head first; all have as many.
        room: characters in a line. A column that does not fit by itself sticks out: no figure is
            cut.
    """
    made: list[list[str]] = []
    start = 1
    while start < len(rows[0]):
        end = len(rows[0])
        while True:
            lines = aligned([(row[0], *row[start:end]) for row in rows])
            if end == start + 1 or max(map(width, lines)) <= room:
                break
            end -= 1
        made.append(lines)
        start = end
    return made
