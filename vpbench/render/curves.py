"""Metrics over time as lines with bands: content and layout; and as rows of text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vpbench.api.errors import UsageError
from vpbench.core.schema import CurveJson
from vpbench.render.dots import figure_text, round_step
from vpbench.render.grid import Dot, Drawing, Line, Ruler, Shape, Text
from vpbench.render.lettering import THEMES, Colour, Theme
from vpbench.render.text import clean, rounded

_COLOURS: tuple[Colour, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)
"""Okabe and Ito's, which readers with any colour vision tell apart."""
_SHAPES: tuple[Shape, ...] = ("circle", "square", "diamond", "ring")

_MARGIN, _WIDE, _HIGH, _LEFT, _NAMES = 16, 520, 300, 56, 220
_TITLE, _BODY, _SMALL = 18, 13, 12
_GAP = 18
"""Between two names at the ends of the lines, pixels."""

_MOST = 8
"""Frames that a table of text shows."""


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes:
        values: one a frame, from frame 1 on.
        errors: standard errors, None where there is none.
    """

    name: str
    values: Sequence[float]
    errors: Sequence[float | None]


@dataclass(frozen=True)
class CurvePlot:
    """A figure of lines over the predicted frames.

    Attributes:
        axis: what the vertical axis shows.
    """

    title: str
    curves: Sequence[Curve]
    axis: str
    note: str = ""
    background: Literal["light", "dark"] = "light"


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    frames: int
    top: int

    def x(self, frame: int) -> float:
        """Of frame 1, 2, ..."""
        part = (frame - 1) / (self.frames - 1) if self.frames > 1 else 0.5
        return _MARGIN + _LEFT + part * _WIDE

    def y(self, value: float) -> float:
        """The larger, the higher."""
        return self.top + _HIGH * (self.high - value) / (self.high - self.low)


def lay_out_curves(plot: CurvePlot) -> Drawing:
    """The layout of a plot of lines; names stand at their right ends.

    Raises:
        UsageError: no curves.
    """
    if not plot.curves:
        raise UsageError("there is no curve to draw.")
    theme, ruler = THEMES[plot.background], Ruler()
    width = _MARGIN + _LEFT + _WIDE + _NAMES + _MARGIN
    out = Drawing(width, 0, 1, (0, 0), theme.ground, theme.empty, theme.edge, theme.faint)
    y = _MARGIN
    for text, size, colour in ((plot.title, _TITLE, theme.text), (plot.note, _SMALL, theme.faint)):
        for line in ruler.wrap(text, size, 4, width - 2 * _MARGIN):
            out.texts.append(Text(_MARGIN, y + ruler.line(size) / 2, line, size, colour, "lm"))
            y += ruler.line(size) + 2
    y += 6
    out.texts.append(
        Text(_MARGIN, y + ruler.line(_SMALL) / 2, plot.axis, _SMALL, theme.faint, "lm")
    )
    scale = _scale(plot.curves, y + ruler.line(_SMALL) + 10)
    _axes(out, ruler, scale, theme)
    for k, curve in enumerate(plot.curves):
        _curve(out, curve, scale, _colour(k), _SHAPES[k // len(_COLOURS) % len(_SHAPES)])
    _names(out, ruler, plot.curves, scale)
    bottom = scale.top + _HIGH + 12 + 2 * ruler.line(_SMALL) + _MARGIN
    lowest = max((t.y + _GAP for t in out.texts), default=0)
    out.height = int(max(bottom, lowest + _MARGIN / 2))
    return out


def _colour(k: int) -> Colour:
    return _COLOURS[k % len(_COLOURS)]


def _scale(curves: Sequence[Curve], top: int) -> _Scale:
    """All values with their errors, and a little more; one value alone lies in the middle."""
    ends = [
        value + sign * (error or 0.0)
        for curve in curves
        for value, error in zip(curve.values, curve.errors, strict=True)
        for sign in (-1, 1)
    ]
    low, high = min(ends), max(ends)
    room = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    return _Scale(low - room, high + room, max(len(c.values) for c in curves), top)


def _axes(out: Drawing, ruler: Ruler, scale: _Scale, theme: Theme) -> None:
    left, right, bottom = scale.x(1) - 8, scale.x(scale.frames) + 8, scale.top + _HIGH
    step = round_step((scale.high - scale.low) / 6)
    for k in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1):
        y = scale.y(k * step)
        out.lines.append(Line(left, y, right, y, theme.empty, 1))
        text = figure_text(k * step)
        wide = ruler.width(text, _SMALL)
        out.texts.append(Text(left - 8 - wide, y, text, _SMALL, theme.faint, "lm"))
    out.lines.append(Line(left, bottom, right, bottom, theme.faint, 1))
    line = ruler.line(_SMALL)
    for frame in shown_frames(scale.frames):
        x = scale.x(frame)
        out.lines.append(Line(x, bottom, x, bottom + 5, theme.faint, 1))
        out.texts.append(Text(x, bottom + 7 + line / 2, str(frame), _SMALL, theme.faint, "mm"))
    middle = (left + right) / 2
    label = Text(middle, bottom + 9 + 1.5 * line, "predicted frame", _SMALL, theme.faint, "mm")
    out.texts.append(label)


def _curve(out: Drawing, curve: Curve, scale: _Scale, colour: Colour, shape: Shape) -> None:
    points = [(scale.x(t), scale.y(v)) for t, v in enumerate(curve.values, 1)]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        out.lines.append(Line(x0, y0, x1, y1, colour, 2))
    for t, (value, error) in enumerate(zip(curve.values, curve.errors, strict=True), 1):
        if error:
            x = scale.x(t)
            ends = scale.y(value - error), scale.y(value + error)
            out.lines.append(Line(x, ends[0], x, ends[1], colour, 1))
    out.dots += [Dot(x, y, 3, colour, shape) for x, y in points]


def _names(out: Drawing, ruler: Ruler, curves: Sequence[Curve], scale: _Scale) -> None:
    """At the height of each line's end, moved down where another name stands there."""
    ends = sorted((scale.y(c.values[-1]), k) for k, c in enumerate(curves))
    free = -math.inf
    x = scale.x(scale.frames) + 18
    for y, k in ends:
        place = max(y, free)
        free = place + _GAP
        name = ruler.wrap(curves[k].name, _BODY, 1, _NAMES - 20)[0]
        out.texts.append(Text(x, place, name, _BODY, _colour(k), "lm"))


def shown_frames(frames: int) -> list[int]:
    """Some of the frames 1 to T: the first, the last, and doubled steps between."""
    if frames <= _MOST:
        return list(range(1, frames + 1))
    some = [2**k for k in range(frames.bit_length()) if 2**k <= frames]
    return sorted({*some, frames})


def curve_rows(curves: Sequence[CurveJson], metric: str) -> list[list[str]]:
    """Cells of a table: a row a method, a column for some of the frames."""
    frames = shown_frames(max(len(curve["values"]) for curve in curves))
    rows = [["frame", *map(str, frames)]]
    for curve in curves:
        cells = [rounded(curve["values"][t - 1], curve["se"][t - 1], metric) for t in frames]
        rows.append([clean(curve["row"]), *cells])
    return rows
