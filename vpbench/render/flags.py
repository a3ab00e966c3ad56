"""What stands behind a row's name: references in plain words, and one letter for each kind of note.

A letter is drawn raised; what it stands for is in a line below the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from vpbench.core.schema import RowJson
from vpbench.render.text import clean

TITLES = {
    "real": "same clips",
    "real-other": "other real clips",
    "real-shuffled": "shuffled real clips",
    "nearest-train": "nearest train clip",
    "class-random": "random class clip",
    "copy-last": "copy last frame",
    "linear": "linear trend",
    "blur-copy": "copy blurred frame",
    "noise": "noise",
}
"""Names of references that say what they are, as readers of a table see them."""

RARELY_SHOWN = ("real", "real-shuffled", "blur-copy", "noise")
"""References that tables show only when asked: what they say is known before."""

RAISED = {"r": "ʳ", "c": "ᶜ", "a": "ᵃ", "t": "ᵗ", "x": "ˣ", "o": "ᵒ", "?": "?"}
"""Letter -> how a terminal draws it."""

_STARTS = (
    ("r", "reimplementation"),
    ("c", "chained"),
    ("a", "adapted n=1"),
    ("t", "trained on"),
    ("x", "not comparable: "),
    ("o", "oracle"),
)
"""Letter -> how the notes begin that it stands for."""

_MEANING = {
    "r": "reimplementation",
    "c": "chained: predicted in pieces, each from the end of the one before",
    "a": "adapted n=1: a method for several given frames, retrained with one",
    "t": "trained on more than the training split",
    "x": "not ranked",
    "o": "oracle: sees the true future",
    "?": "code or data changed since: vpbench run checks it",
}


def row_title(row: RowJson) -> str:
    """The name of a row for readers; the typed name for methods.

    Where a method has several rows, what tells them apart stands behind it.
    """
    name, full = clean(row["method"]), clean(row["row"])
    if row["kind"] in ("method", "oracle") or name not in TITLES:
        return full
    return f"{TITLES[name]}{full.removeprefix(name)}"


def row_flags(row: RowJson) -> tuple[str, ...]:
    """The letters behind a row's name."""
    flags = [
        flag
        for flag, start in _STARTS
        if any(note.startswith(start) for note in row["notes"])
        or (flag == "o" and row["kind"] == "oracle")
    ]
    return (*flags, *(["?"] if row["doubts"] else []))


def flag_lines(rows: Sequence[RowJson]) -> list[tuple[str, str]]:
    """(letter, meaning) of every letter that some of the rows have, in the order of the letters."""
    used = {flag for row in rows for flag in row_flags(row)}
    return [(flag, _meaning(flag, rows)) for flag in RAISED if flag in used]


def _meaning(flag: str, rows: Sequence[RowJson]) -> str:
    """What a letter stands for; in the notes' own words where they all say the same."""
    if flag == "?":
        return _MEANING[flag]
    start = dict(_STARTS)[flag]
    texts = {clean(n) for row in rows for n in row["notes"] if n.startswith(start)}
    if flag == "x":
        texts = {f"not ranked: {text.removeprefix(start)}" for text in texts}
    if flag == "r":
        texts = {text.replace(" (rewritten for vpbench)", "") for text in texts}
    return texts.pop() if len(texts) == 1 and flag in "rtx" else _MEANING[flag]
