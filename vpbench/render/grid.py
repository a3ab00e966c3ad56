"""Figures as grids of frames: their content and their layout.

A `Sheet` holds what is shown; `lay_out` computes where, once for every format; `paint` draws
pixels, `vpbench.render.vector` draws PDF and SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames, Pose
from vpbench.render.keypoints import dimmed, draw_keypoints, enlarged, point_colour
from vpbench.render.lettering import THEMES, Colour, line_height, wrap

CELL = 128
"""Side of a cell on the screen, in pixels; small frames are enlarged by a whole number."""

_MARGIN, _GAP, _BREAK, _BLOCK, _PAD = 14, 3, 9, 18, 10
_LABEL, _TITLES = 170, 560
_TITLE, _HEAD, _BODY, _SMALL = 18, 15, 14, 12
_MOST_IN_LEGEND = 12
"""With more keypoints no one finds a colour in the legend, so there is none."""


@dataclass(frozen=True)
class Cell:
    """One picture.

    Attributes:
        frame: uint8 [H,W,3], or None for an empty cell.
        points: keypoints [K,3] in [-1,1] to draw on it.
        dim: darken the frame, so that points stand out.
    """

    frame: Frames | None
    points: Pose | None = None
    dim: bool = False


@dataclass(frozen=True)
class Row:
    """A labelled row of cells; `note` stands below the label in faint letters."""

    label: str
    cells: Sequence[Cell]
    note: str = ""


@dataclass(frozen=True)
class Block:
    """Rows under one title; `headers` are (text, columns that it spans), text of several lines.

    Attributes:
        groups: as `headers`, above them.
    """

    title: str
    rows: Sequence[Row]
    headers: Sequence[tuple[str, int]] = ()
    groups: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Sheet:
    """A figure.

    Attributes:
        breaks: columns before which there is a wider gap.
        points: number of keypoints in the legend; 0 for no legend.
        rules: columns before which a rule stands in a wider gap: it sets given frames apart.
    """

    title: str
    blocks: Sequence[Block]
    note: str = ""
    breaks: Sequence[int] = ()
    points: int = 0
    background: Literal["light", "dark"] = "light"
    rules: Sequence[int] = ()


@dataclass(frozen=True)
class Text:
    """A line of text; (x, y) is its left or centre, at half its height."""

    x: float
    y: float
    text: str
    size: int
    colour: Colour
    anchor: Literal["lm", "mm"]


@dataclass(frozen=True)
class Picture:
    """A placed cell; (x, y) is its upper left corner."""

    x: int
    y: int
    cell: Cell


Shape = Literal["circle", "ring", "square", "diamond"]


@dataclass(frozen=True)
class Dot:
    """A point; (x, y) is its middle. A ring is a circle with the ground's colour inside."""

    x: float
    y: float
    radius: float
    colour: Colour
    shape: Shape = "circle"


@dataclass(frozen=True)
class Line:
    """A straight line."""

    x0: float
    y0: float
    x1: float
    y1: float
    colour: Colour
    width: int
    dashed: bool = False


@dataclass(frozen=True)
class Rule:
    """A vertical line, one pixel wide."""

    x: int
    top: int
    bottom: int


@dataclass
class Drawing:
    """The layout, in screen pixels."""

    width: int
    height: int
    zoom: int
    cell: tuple[int, int]
    ground: Colour
    empty: Colour
    edge: Colour
    rule: Colour
    texts: list[Text] = field(default_factory=list[Text])
    pictures: list[Picture] = field(default_factory=list[Picture])
    dots: list[Dot] = field(default_factory=list[Dot])
    rules: list[Rule] = field(default_factory=list[Rule])
    lines: list[Line] = field(default_factory=list[Line])


class Ruler:
    """Measures text in the default font."""

    def __init__(self) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self._pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
        self._load = ImageFont.load_default

    def width(self, text: str, size: int) -> float:
        """Of one line, in pixels."""
        return float(self._pen.textlength(text, font=self._load(size)))

    def line(self, size: int) -> int:
        """Height of a line, in pixels."""
        return line_height(self._pen, self._load(size))

    def wrap(self, text: str, size: int, most: int, widest: float) -> list[str]:
        """The text in at most `most` lines of at most `widest` pixels; [] without text."""
        return wrap(self._pen, self._load(size), text, most, widest) if text else []


def lay_out(sheet: Sheet) -> Drawing:
    """The layout of a sheet.

    Raises:
        UsageError: nothing to show, or frames that are not uint8 [H,W,3] of one size.
    """
    high, wide, columns = _measure(sheet)
    zoom = max(1, round(CELL / max(high, wide)))
    theme, ruler = THEMES[sheet.background], Ruler()
    cell_h, cell_w = high * zoom, wide * zoom
    labels = [
        (ruler.wrap(r.label, _BODY, 3, _LABEL), ruler.wrap(r.note, _SMALL, 2, _LABEL))
        for b in sheet.blocks
        for r in b.rows
    ]
    widths = [ruler.width(t, _BODY) for main, _ in labels for t in main]
    widths += [ruler.width(t, _SMALL) for _, note in labels for t in note]
    left = _MARGIN + int(max(widths, default=0)) + _PAD
    at: list[int] = []
    for k in range(columns):
        apart = k in sheet.breaks or k in sheet.rules
        at.append(at[-1] + cell_w + (_BREAK if apart else _GAP) if at else left)
    width = at[-1] + cell_w + _MARGIN
    words = [(sheet.title, _TITLE), *((b.title, _HEAD) for b in sheet.blocks)]
    longest = max(int(ruler.width(text, size)) for text, size in words)
    width = max(width, min(longest, _TITLES) + 2 * _MARGIN)
    colours = theme.ground, theme.empty, theme.edge, theme.faint
    out = Drawing(width, 0, zoom, (cell_h, cell_w), *colours)
    y = _MARGIN
    for text, size, colour in (
        (sheet.title, _TITLE, theme.text),
        (sheet.note, _SMALL, theme.faint),
    ):
        for line in ruler.wrap(text, size, 3, width - 2 * _MARGIN):
            out.texts.append(Text(_MARGIN, y + ruler.line(size) / 2, line, size, colour, "lm"))
            y += ruler.line(size) + 2
    y += _PAD
    index = 0
    for number, block in enumerate(sheet.blocks):
        y += _BLOCK if number else 0
        top = y = _head(out, ruler, block, at, y, theme)
        for row in block.rows:
            _row(out, ruler, row, labels[index], at, y, theme)
            index += 1
            y += cell_h + _GAP
        middles = (at[k] - _BREAK // 2 - 1 for k in sheet.rules if k < columns)
        out.rules += [Rule(x, top, y - _GAP) for x in middles]
    out.height = _legend(out, ruler, sheet.points, y, theme) + _MARGIN
    return out


def _measure(sheet: Sheet) -> tuple[int, int, int]:
    """Height and width of the frames, number of columns."""
    rows = [row for block in sheet.blocks for row in block.rows]
    cells = [cell for row in rows for cell in row.cells]
    frames = [cell.frame for cell in cells if cell.frame is not None]
    if not frames:
        raise UsageError("a figure needs at least one frame.")
    for frame in frames:
        if frame.dtype != np.uint8 or frame.shape != frames[0].shape or frame.ndim != 3:
            raise UsageError(
                f"a cell is {frame.dtype} {list(frame.shape)}, not uint8 {list(frames[0].shape)}."
            )
    return frames[0].shape[0], frames[0].shape[1], max(len(row.cells) for row in rows)


def _head(out: Drawing, ruler: Ruler, block: Block, at: Sequence[int], y: int, theme: Any) -> int:
    """Title and column headers of a block; where its rows begin."""
    if block.title:
        line = ruler.line(_HEAD)
        for text in ruler.wrap(block.title, _HEAD, 2, out.width - 2 * _MARGIN):
            out.texts.append(Text(_MARGIN, y + line / 2, text, _HEAD, theme.text, "lm"))
            y += line + _GAP
    for headers in (block.groups, block.headers):
        y = _headers(out, ruler, headers, at, y, theme)
    return y


def _headers(
    out: Drawing,
    ruler: Ruler,
    headers: Sequence[tuple[str, int]],
    at: Sequence[int],
    y: int,
    theme: Any,
) -> int:
    """One line of column headers; where it ends."""
    wrapped: list[tuple[float, list[str]]] = []
    first = 0
    for text, span in headers:
        last = min(first + span, len(at)) - 1
        begin, end = at[first], at[last] + out.cell[1]
        parts = text.split("\n")
        lines = [line for part in parts for line in ruler.wrap(part, _SMALL, 4, end - begin)]
        wrapped.append(((begin + end) / 2, lines))
        first += span
    line = ruler.line(_SMALL)
    tallest = max((len(lines) for _, lines in wrapped), default=0)
    for x, lines in wrapped:
        for k, text in enumerate(lines):
            height = y + (tallest - len(lines) + k + 0.5) * line
            out.texts.append(Text(x, height, text, _SMALL, theme.faint, "mm"))
    return y + tallest * line + (_GAP if tallest else 0)


def _row(
    out: Drawing,
    ruler: Ruler,
    row: Row,
    label: tuple[list[str], list[str]],
    at: Sequence[int],
    y: int,
    theme: Any,
) -> None:
    main, note = label
    body, small = ruler.line(_BODY), ruler.line(_SMALL)
    top = y + out.cell[0] / 2 - (len(main) * body + len(note) * small) / 2
    for k, text in enumerate(main):
        out.texts.append(Text(_MARGIN, top + (k + 0.5) * body, text, _BODY, theme.text, "lm"))
    top += len(main) * body
    for k, text in enumerate(note):
        out.texts.append(Text(_MARGIN, top + (k + 0.5) * small, text, _SMALL, theme.faint, "lm"))
    out.pictures += [Picture(at[k], y, cell) for k, cell in enumerate(row.cells)]


def _legend(out: Drawing, ruler: Ruler, points: int, y: int, theme: Any) -> int:
    """Dots with their numbers, in as many lines as they need; where it ends."""
    if not 0 < points <= _MOST_IN_LEGEND:
        return y - _GAP
    line, x, middle = ruler.line(_SMALL) + 2, float(_MARGIN), 0.0
    y += _PAD
    for k, text in [(-1, "keypoints"), *((k, str(k)) for k in range(points))]:
        wide = ruler.width(text, _SMALL)
        if x + wide + 24 > out.width - _MARGIN:
            x, y = float(_MARGIN), y + line
        middle = y + line / 2
        if k >= 0:
            out.dots.append(Dot(x + 5, middle, 5, point_colour(k)))
            x += 13
        out.texts.append(Text(x, middle, text, _SMALL, theme.faint, "lm"))
        x += wide + 11
    return int(y + line)


def cell_pixels(cell: Cell, zoom: int) -> Frames | None:
    """The enlarged picture of a cell without its points, uint8 [H*zoom,W*zoom,3]."""
    if cell.frame is None:
        return None
    return enlarged(dimmed(cell.frame) if cell.dim else cell.frame, zoom)


def paint(sheet: Sheet) -> Frames:
    """Draw a sheet, uint8 [height,width,3]; the same pixels each time.

    Frame pixels are repeated, not smoothed, so that what is seen is what was predicted.

    Raises:
        UsageError: as `lay_out`.
    """
    from PIL import Image, ImageDraw, ImageFont

    plan = lay_out(sheet)
    image = Image.new("RGB", (plan.width, plan.height), plan.ground)
    pen = ImageDraw.Draw(image)
    for text in plan.texts:
        font = ImageFont.load_default(text.size)
        pen.text((text.x, text.y), text.text, font=font, fill=text.colour, anchor=text.anchor)
    for dot in plan.dots:
        x, y, r = dot.x, dot.y, dot.radius
        pen.ellipse((x - r, y - r, x + r, y + r), fill=dot.colour, outline=(0, 0, 0))
    for rule in plan.rules:
        pen.line((rule.x, rule.top, rule.x, rule.bottom - 1), fill=plan.rule)
    height, width = plan.cell
    for picture in plan.pictures:  # a hair line, or white on white would have no edge
        box = (picture.x - 1, picture.y - 1, picture.x + width, picture.y + height)
        pen.rectangle(box, outline=plan.edge)
    sheet_pixels = np.array(image)
    for picture in plan.pictures:
        cell, x, y = picture.cell, picture.x, picture.y
        place = sheet_pixels[y : y + height, x : x + width]
        if cell.frame is None:
            place[:] = plan.empty
        elif cell.points is None:
            place[:] = cell_pixels(cell, plan.zoom)
        else:
            base = dimmed(cell.frame) if cell.dim else cell.frame
            place[:] = draw_keypoints(base, cell.points, zoom=plan.zoom)
    return sheet_pixels
