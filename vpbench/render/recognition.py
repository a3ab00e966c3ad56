"""Recognised actions in full: text tables and pictures of confusion. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from vpbench.api.types import Frames
from vpbench.core.schema import McNemarJson, RecognisedJson, RecognitionJson, ShareJson
from vpbench.render.lettering import THEMES, Colour, cut
from vpbench.render.text import DASH, blocks, clean, format_p

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_CELL, _GAP, _MARGIN, _LEFT, _TOP = 34, 28, 16, 130, 150
_TITLE, _BODY, _SMALL = 15, 12, 12
_FULL: Colour = (30, 92, 168)
"""Colour of a cell that holds all clips of its row."""


def recognition_lines(name: str, found: RecognitionJson, room: int = 200) -> list[str]:
    """Shares per class and stream, controls in their rows, and McNemar tests of all pairs.

    Args:
        name: of the column, such as "action".
        found: the column.
        room: characters in a line; classes that do not fit go below.
    """
    streams = sorted({s for row in found["rows"] for s in row["streams"]})
    head = ["method", "all", "95 %", *streams, *(clean(c) for c in found["classes"])]
    grid = [head, *(_line(row, streams) for row in found["rows"])]
    grid.append(["chance", f"{100 * found['chance']:.1f}", *[""] * (len(head) - 2)])
    lines = [f"{name}: % of clips recognised as the class that was asked for"]
    for part in blocks(grid, room):
        lines += [*part, ""]
    if found["pairs"]:
        lines.append(f"{_tests(found['pairs'])}, Holm over these pairs:")
        lines += [f"  {_pair(pair)}" for pair in found["pairs"]]
    return lines


def _line(row: RecognisedJson, streams: Sequence[str]) -> list[str]:
    ends = row["overall"]["ci95"]
    interval = f"{100 * ends[0]:.1f}-{100 * ends[1]:.1f}" if ends else DASH
    shares = [row["streams"].get(s) for s in streams]
    return [
        clean(row["row"]),
        _percent(row["overall"]),
        interval,
        *(_percent(share) for share in shares),
        *(_percent(share) for share in row["classes"]),
    ]


def _percent(share: ShareJson | None) -> str:
    return DASH if share is None or share["share"] is None else f"{100 * share['share']:.1f}"


def _tests(pairs: Sequence[McNemarJson]) -> str:
    if any(pair["test"] == "groups" for pair in pairs):
        return "Tests on common clips (exact McNemar, or t over groups of clips)"
    return "Exact McNemar tests on common clips"


def _pair(pair: McNemarJson) -> str:
    names = f"{clean(pair['a'])} - {clean(pair['b'])}"
    if pair["p"] is None or pair["p_holm"] is None:
        return f"{names}: {DASH} ({clean(pair['reason'] or 'no clips in common')})"
    split = f"only the first {pair['only_a']}, only the second {pair['only_b']} of {pair['n']}"
    by = "t over groups, " if pair["test"] == "groups" else ""
    return f"{names}: {split}; {by}{format_p(pair['p'])}, adjusted {format_p(pair['p_holm'])}"


def paint_confusion(
    found: RecognitionJson,
    title: str,
    background: Literal["light", "dark"] = "light",
    per_line: int = 3,
) -> Frames:
    """One matrix a row of the table, uint8 [height,width,3]; the same pixels each time.

    A line of a matrix is the class that was asked for, a column the class that was recognised; the
    number is a count, the colour its part of the line.

    Args:
        found: the column.
        title: over all of them.
        per_line: matrices side by side.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows, theme = found["rows"], THEMES[background]
    side = _CELL * len(found["classes"])
    wide, high = _LEFT + side + _GAP, _TOP + side + _GAP
    columns = min(per_line, len(rows))
    lines = -(-len(rows) // columns)
    size = (2 * _MARGIN + columns * wide, 2 * _MARGIN + 24 + lines * high)
    image = Image.new("RGB", size, theme.ground)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(_TITLE + 2)
    pen.text((_MARGIN, _MARGIN + 10), title, font=font, fill=theme.text, anchor="lm")
    for k, row in enumerate(rows):
        x = _MARGIN + (k % columns) * wide
        y = _MARGIN + 24 + (k // columns) * high
        _panel(image, pen, row, found["classes"], (x, y), background)
    return np.array(image)


def _panel(
    image: object,
    pen: ImageDraw,
    row: RecognisedJson,
    classes: Sequence[str],
    at: tuple[int, int],
    background: Literal["light", "dark"],
) -> None:
    """One matrix with its title, names of lines and, upright, of columns."""
    from PIL import Image, ImageDraw, ImageFont

    theme, (x, y) = THEMES[background], at
    heading, body = ImageFont.load_default(_TITLE), ImageFont.load_default(_BODY)
    text = f"{clean(row['row'])}  {_percent(row['overall'])} %"
    text = cut(pen, heading, text, _LEFT + _CELL * len(classes))
    pen.text((x, y + 14), text, font=heading, fill=theme.text, anchor="lm")
    left, top = x + _LEFT, y + _TOP
    for c, name in enumerate(classes):
        label = cut(pen, body, clean(name), _LEFT - 10)
        middle = (c + 0.5) * _CELL
        pen.text((left - 6, top + middle), label, font=body, fill=theme.faint, anchor="rm")
        upright = Image.new("RGB", (_TOP - 36, _CELL), theme.ground)
        own = ImageDraw.Draw(upright)
        short = cut(own, body, clean(name), _TOP - 42)
        own.text((0, _CELL / 2), short, font=body, fill=theme.faint, anchor="lm")
        place = (left + c * _CELL, y + 30)
        assert isinstance(image, Image.Image)  # what `paint_confusion` has made
        image.paste(upright.rotate(90, expand=True), place)
    for r, counts in enumerate(row["confusion"]):
        total = sum(counts)
        for c, count in enumerate(counts):
            part = count / total if total else 0.0
            box = (left + c * _CELL, top + r * _CELL)
            end = (box[0] + _CELL - 2, box[1] + _CELL - 2)
            pen.rectangle((*box, *end), fill=_mixed(theme.empty, part))
            if count:
                dark = part > 0.5 or background == "dark"
                ink = (255, 255, 255) if dark else theme.text
                middle = (box[0] + _CELL / 2 - 1, box[1] + _CELL / 2 - 1)
                pen.text(middle, str(count), font=body, fill=ink, anchor="mm")


def _mixed(empty: Colour, part: float) -> Colour:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(empty, _FULL, strict=True))
    return red, green, blue
