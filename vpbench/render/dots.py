"""Figures with their intervals as dots on lines, in groups: content and layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames
from vpbench.render.grid import Dot, Drawing, Line, Ruler, Shape, Text
from vpbench.render.lettering import THEMES, Colour, Theme

Mark = Literal["method", "oracle", "reference", "variant"]
"""What a dot stands for; each has a shape and a colour of its own (Okabe and Ito's, which readers
with any colour vision tell apart)."""

_SHAPES: dict[Mark, Shape] = {
    "method": "circle",
    "oracle": "diamond",
    "reference": "square",
    "variant": "ring",
}
_COLOURS: dict[Mark, Colour] = {
    "oracle": (0, 158, 115),
    "reference": (0, 114, 178),
    "variant": (213, 94, 0),
}

_MARGIN, _PLOT, _LABEL, _VALUE = 16, 470, 240, 56
_ROW, _GROUP, _PAD = 25, 14, 10
_TITLE, _HEAD, _BODY, _SMALL = 18, 14, 13, 12
_DIFFERENCE = 170
"""Width of the last column, and of the other parts, in pixels."""
_ZOOM, _FINER = 2, 2
"""Pixels of a painted plot for one of the layout, so that text is sharp on dense screens; it is
drawn finer still and averaged, which smooths the edges of dots."""


@dataclass(frozen=True)
class DotRow:
    """One figure.

    Attributes:
        value: None where there is none; `note` says why.
        ends: its interval, or None.
        text: what stands in the last column.
    """

    label: str
    mark: Mark
    value: float | None
    ends: tuple[float, float] | None = None
    text: str = ""
    note: str = ""


@dataclass(frozen=True)
class DotGroup:
    """Rows under a heading."""

    title: str
    rows: Sequence[DotRow]


@dataclass(frozen=True)
class DotPlot:
    """A figure of figures.

    Attributes:
        lines: values that stand as vertical lines over all rows, each with its name.
        axis: what the horizontal axis shows.
        columns: headers of the two columns right of the plot.
        marks: the marks in the legend, each with its meaning.
    """

    title: str
    groups: Sequence[DotGroup]
    lines: Sequence[tuple[str, float]]
    axis: str
    columns: tuple[str, str]
    marks: Sequence[tuple[Mark, str]]
    note: str = ""
    background: Literal["light", "dark"] = "light"


@dataclass(frozen=True)
class _Scale:
    """The horizontal axis: values in [low, high] on pixels from `left` on."""

    low: float
    high: float
    left: int

    def at(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.left + min(1.0, max(0.0, part)) * _PLOT

    def ticks(self) -> list[float]:
        step = round_step((self.high - self.low) / 6)
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]


def lay_out_dots(plot: DotPlot) -> Drawing:
    """The layout of a plot of dots.

    Raises:
        UsageError: no row has a value.
    """
    theme, ruler = THEMES[plot.background], Ruler()
    scale = _scale(plot, _MARGIN + _LABEL)
    width = scale.left + _PLOT + _PAD + _VALUE + _PAD + _DIFFERENCE + _MARGIN
    colours = theme.ground, theme.empty, theme.edge, theme.faint
    out = Drawing(width, 0, 1, (0, 0), *colours)
    y = _heading(out, ruler, plot, theme)
    y = _legend(out, ruler, plot, y, theme)
    y = _line_names(out, ruler, plot, scale, y, theme)
    top = y
    for number, group in enumerate(plot.groups):
        y += _GROUP if number else 4
        for line in ruler.wrap(group.title, _HEAD, 2, width - 2 * _MARGIN):
            middle = y + ruler.line(_HEAD) / 2
            out.texts.append(Text(_MARGIN, middle, line, _HEAD, theme.text, "lm"))
            y += ruler.line(_HEAD) + 3
        for row in group.rows:
            _row(out, ruler, row, scale, y, theme)
            y += _ROW
    y += 6
    # drawn first, so that they lie below the dots
    out.lines[:0] = [
        Line(scale.at(value), top, scale.at(value), y, theme.faint, 1, dashed=True)
        for _, value in plot.lines
    ]
    out.height = _axis(out, ruler, plot, scale, y, theme) + _MARGIN
    return out


def _scale(plot: DotPlot, left: int) -> _Scale:
    rows = [row for group in plot.groups for row in group.rows if row.value is not None]
    if not rows:
        raise UsageError("a figure needs at least one value.")
    values = [value for _, value in plot.lines]
    for row in rows:
        values += [row.value or 0.0, *(row.ends or ())]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    return _Scale(low - (0.02 * span if low < 0 else 0.0), high + 0.03 * span, left)


def round_step(least: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))


def _heading(out: Drawing, ruler: Ruler, plot: DotPlot, theme: Theme) -> int:
    y = _MARGIN
    for text, size, colour in (
        (plot.title, _TITLE, theme.text),
        (plot.note, _SMALL, theme.faint),
    ):
        for line in ruler.wrap(text, size, 4, out.width - 2 * _MARGIN):
            out.texts.append(Text(_MARGIN, y + ruler.line(size) / 2, line, size, colour, "lm"))
            y += ruler.line(size) + 2
    return y + _PAD


def _legend(out: Drawing, ruler: Ruler, plot: DotPlot, y: int, theme: Theme) -> int:
    """The marks with their meanings, in one line or more; where the legend ends."""
    line, x = ruler.line(_SMALL) + 4, float(_MARGIN)
    for mark, text in plot.marks:
        wide = 16 + ruler.width(text, _SMALL)
        if x > _MARGIN and x + wide > out.width - _MARGIN:
            x, y = float(_MARGIN), y + line
        out.dots.append(_dot(mark, x + 5, y + line / 2, theme))
        out.texts.append(Text(x + 16, y + line / 2, text, _SMALL, theme.faint, "lm"))
        x += wide + 18
    return y + line + _PAD


def _line_names(
    out: Drawing, ruler: Ruler, plot: DotPlot, scale: _Scale, y: int, theme: Theme
) -> int:
    """Names of the vertical lines above the plot, each on the first level where it fits, and
    headers of the columns; where the rows begin.
    """
    line = ruler.line(_SMALL)
    ends: list[float] = []
    placed: list[tuple[float, int, str]] = []
    for name, value in sorted(plot.lines, key=lambda named: named[1]):
        half = ruler.width(name, _SMALL) / 2
        middle = min(max(scale.at(value), scale.left + half), scale.left + _PLOT - half)
        level = next((k for k, end in enumerate(ends) if end + 8 <= middle - half), len(ends))
        ends[level : level + 1] = [middle + half]
        placed.append((middle, level, name))
    levels = max(len(ends), 1)
    for middle, level, name in placed:
        height = y + (levels - level - 0.5) * line
        out.texts.append(Text(middle, height, name, _SMALL, theme.faint, "mm"))
    x = scale.left + _PLOT + _PAD
    for at, text in ((x, plot.columns[0]), (x + _VALUE + _PAD, plot.columns[1])):
        height = y + (levels - 0.5) * line
        out.texts.append(Text(at, height, text, _SMALL, theme.faint, "lm"))
    return y + levels * line + 2


def _row(out: Drawing, ruler: Ruler, row: DotRow, scale: _Scale, y: int, theme: Theme) -> None:
    middle = y + _ROW / 2
    label = ruler.wrap(row.label, _BODY, 1, _LABEL - 2 * _PAD)[0]
    out.texts.append(Text(_MARGIN + _PAD, middle, label, _BODY, theme.text, "lm"))
    x = scale.left + _PLOT + _PAD
    if row.value is None:
        note = ruler.wrap(row.note, _SMALL, 1, _PLOT - 2 * _PAD)[0]
        out.texts.append(Text(scale.left + _PAD, middle, note, _SMALL, theme.faint, "lm"))
        out.texts.append(Text(x, middle, "-", _BODY, theme.faint, "lm"))
        return
    out.lines.append(Line(scale.left, middle, scale.left + _PLOT, middle, theme.empty, 1))
    colour = _COLOURS.get(row.mark, theme.text)
    if row.ends is not None:
        low, high = (scale.at(end) for end in row.ends)
        out.lines.append(Line(low, middle, high, middle, colour, 2))
        out.lines += [Line(e, middle - 4, e, middle + 4, colour, 2) for e in (low, high)]
    out.dots.append(_dot(row.mark, scale.at(row.value), middle, theme))
    out.texts.append(Text(x, middle, figure_text(row.value), _BODY, theme.text, "lm"))
    x += _VALUE + _PAD
    out.texts.append(Text(x, middle, row.text, _SMALL, theme.faint, "lm"))


def _dot(mark: Mark, x: float, y: float, theme: Theme) -> Dot:
    return Dot(x, y, 5, _COLOURS.get(mark, theme.text), _SHAPES[mark])


def _axis(out: Drawing, ruler: Ruler, plot: DotPlot, scale: _Scale, y: int, theme: Theme) -> int:
    right = scale.left + _PLOT
    out.lines.append(Line(scale.left, y, right, y, theme.faint, 1))
    line = ruler.line(_SMALL)
    for value in scale.ticks():
        x = scale.at(value)
        out.lines.append(Line(x, y, x, y + 5, theme.faint, 1))
        out.texts.append(Text(x, y + 7 + line / 2, figure_text(value), _SMALL, theme.faint, "mm"))
    y += 9 + line
    middle = y + line / 2
    out.texts.append(Text((scale.left + right) / 2, middle, plot.axis, _SMALL, theme.faint, "mm"))
    return y + line


def paint_dots(plot: DotPlot) -> Frames:
    """Draw a plot at twice its layout's size, uint8 [height,width,3]; the same pixels each time.

    Raises:
        UsageError: as `lay_out_dots`.
    """
    return paint_drawing(lay_out_dots(plot))


def paint_drawing(plan: Drawing) -> Frames:
    """Draw texts, lines and dots of a layout at twice its size, uint8 [height,width,3]."""
    from PIL import Image, ImageDraw, ImageFont

    zoom = _ZOOM * _FINER
    image = Image.new("RGB", (plan.width * zoom, plan.height * zoom), plan.ground)
    pen = ImageDraw.Draw(image)
    for line in plan.lines:
        for x0, y0, x1, y1 in dashes(line):
            ends = (x0 * zoom, y0 * zoom, x1 * zoom, y1 * zoom)
            pen.line(ends, fill=line.colour, width=line.width * zoom)
    for dot in plan.dots:
        points = [(x * zoom, y * zoom) for x, y in outline(dot)]
        if dot.shape in ("circle", "ring"):
            fill = plan.ground if dot.shape == "ring" else dot.colour
            pen.ellipse(points, fill=fill, outline=dot.colour, width=2 * zoom)
        else:
            pen.polygon(points, fill=dot.colour)
    for text in plan.texts:
        font = ImageFont.load_default(text.size * zoom)
        at = (text.x * zoom, text.y * zoom)
        pen.text(at, text.text, font=font, fill=text.colour, anchor=text.anchor)
    small = image.resize((plan.width * _ZOOM, plan.height * _ZOOM), Image.Resampling.BOX)
    return np.array(small)


def dashes(line: Line) -> list[tuple[float, float, float, float]]:
    """The pieces of a line, (x0, y0, x1, y1): one, or 4 px with gaps of 3."""
    if not line.dashed:
        return [(line.x0, line.y0, line.x1, line.y1)]
    length = math.hypot(line.x1 - line.x0, line.y1 - line.y0)
    dx, dy = (line.x1 - line.x0) / length, (line.y1 - line.y0) / length
    pieces: list[tuple[float, float, float, float]] = []
    for k in range(math.ceil(length / 7)):
        begin, end = 7.0 * k, min(7.0 * k + 4.0, length)
        x, y = line.x0, line.y0
        pieces.append((x + begin * dx, y + begin * dy, x + end * dx, y + end * dy))
    return pieces


def outline(dot: Dot) -> list[tuple[float, float]]:
    """Corners of a square or diamond; two corners of the box around a circle."""
    x, y, r = dot.x, dot.y, dot.radius
    if dot.shape == "diamond":
        return [(x, y - 1.3 * r), (x + 1.3 * r, y), (x, y + 1.3 * r), (x - 1.3 * r, y)]
    if dot.shape == "square":
        r *= 0.9
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    return [(x - r, y - r), (x + r, y + r)]


def figure_text(value: float) -> str:
    """A figure with three digits: 0.713, 20.2, 491; from 1000 on all before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}"
    return "0" if float(text) == 0 else text
