"""Drawings of a page as SVG text, in the page's own colours: whiskers, curves over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from vpbench.board.shown_rows import Spread
from vpbench.render.dots import figure_text

_WHISKER = (96, 14)
_CHART, _SMALL = (640, 300), (340, 190)
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 16, 40
_TICKS = 5


@dataclass(frozen=True)
class Scale:
    """Values in [low, high] on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value, within the scale."""
        part = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + min(1.0, max(0.0, part)) * (self.end - self.start)

    @staticmethod
    def over(values: Sequence[float], start: float, end: float, margin: float = 0.04) -> Scale:
        """A scale that holds all values, with a margin."""
        low, high = min(values), max(values)
        more = (high - low) * margin or abs(high) * margin or margin
        return Scale(low - more, high + more, start, end)

    def ticks(self) -> list[float]:
        """About five round values within the scale."""
        least = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(least))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]


def whisker_scale(ends: Sequence[float]) -> Scale:
    """The scale that the whiskers of one column share."""
    return Scale.over(ends, 5, _WHISKER[0] - 5)


def whisker(
    value: float, ends: tuple[float, float] | None, scale: Scale, line: float | None = None
) -> str:
    """A figure as a dot with its interval.

    Args:
        line: a value that stands as a vertical line: that of a trivial baseline.
    """
    width, height = _WHISKER
    middle = height / 2
    parts: list[str] = []
    if line is not None:
        x = scale.at(line)
        parts.append(f'<path class="null" d="M{x:.1f} 0V{height}"/>')
    if ends is not None and ends[1] >= scale.low and ends[0] <= scale.high:
        a, b = scale.at(ends[0]), scale.at(ends[1])
        parts.append(
            f'<path class="bar" d="M{a:.1f} {middle:g}H{b:.1f}M{a:.1f} {middle - 3:g}v6'
            f'M{b:.1f} {middle - 3:g}v6"/>'
        )
    parts.append(_dot(value, scale, middle))
    return (
        f'<svg class="whisker" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )


def _dot(value: float, scale: Scale, y: float) -> str:
    """A dot; an arrow at the edge for a figure that lies outside."""
    if scale.low <= value <= scale.high:
        return f'<circle class="dot" cx="{scale.at(value):.1f}" cy="{y:g}" r="3.2"/>'
    out = -4 if value < scale.low else 4
    return f'<path class="dot" d="M{scale.at(value) + out:.1f} {y:g}l{-out} -4v8Z"/>'


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        points: (x, value with its interval).
        dimmed: a reference: grey and dashed.
    """

    title: str
    points: Sequence[tuple[float, Spread]]
    dimmed: bool = False


def chart(
    curves: Sequence[Curve], x_title: str, y_title: str, *, log: bool = False, small: bool = False
) -> str:
    """Lines with their intervals as bands; "" where there is nothing to draw.

    Each line has a class `c1`, `c2`, ... for its colour; a page lists them beside the chart.

    Args:
        log: the vertical axis is logarithmic where all values are positive.
    """
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return ""
    means = [s.mean for curve in drawn for _, s in curve.points]
    log = log and min(means) > 0 and max(means) > 20 * min(means)
    least = min(means) / 2

    def f(value: float) -> float:
        return math.log10(max(value, least)) if log else value

    values = [f(v) for c in drawn for _, s in c.points for v in (s.mean, *(s.ends or ()))]
    xs = [x for curve in drawn for x, _ in curve.points]
    width, height = _SMALL if small else _CHART
    across = Scale(min(xs), max(*xs, min(xs) + 1), _LEFT, width - _RIGHT)
    up = Scale.over(values, height - _BOTTOM, _TOP)
    axis = _axes(across, up, x_title, y_title, log)
    places = curve_classes(curves)
    lines = "".join(
        _line(curve, places[k], across, up, f) for k, curve in enumerate(curves) if curve.points
    )
    label = escape(f"{y_title} against {x_title}: {', '.join(curve.title for curve in drawn)}")
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f"{axis}{lines}</svg>"
    )


def curve_classes(curves: Sequence[Curve]) -> list[str]:
    """The class of each line: `c1` to `c8` in turn, after that dashed; `r1` ... for references."""
    names: list[str] = []
    count = {False: 0, True: 0}
    for curve in curves:
        place = count[curve.dimmed]
        count[curve.dimmed] += 1
        if curve.dimmed:
            names.append(f"ref r{place % 5 + 1}")
        else:
            names.append(f"c{place % 8 + 1}" + (" again" if place >= 8 else ""))
    return names


def _line(curve: Curve, name: str, across: Scale, up: Scale, f: Callable[[float], float]) -> str:
    places = [(across.at(x), s) for x, s in curve.points]
    path = "L".join(f"{x:.1f} {up.at(f(s.mean)):.1f}" for x, s in places)
    band = ""
    if not curve.dimmed and all(s.ends is not None for _, s in places):
        upper = [f"{x:.1f} {up.at(f(s.ends[1])):.1f}" for x, s in places if s.ends]
        lower = [f"{x:.1f} {up.at(f(s.ends[0])):.1f}" for x, s in places if s.ends]
        band = f'<path class="band" d="M{"L".join([*upper, *lower[::-1]])}Z"/>'
    return (
        f'<g class="curve {name}"><title>{escape(curve.title)}</title>{band}<path d="M{path}"/></g>'
    )


def _log_ticks(up: Scale) -> list[float]:
    """Logarithms of 1, 2, 5, 10, ... within a scale; powers of ten alone where these are many."""
    powers = range(math.floor(up.low), math.ceil(up.high) + 1)
    steps = (1, 2, 5) if up.high - up.low < 2 else (1,)
    ticks = [p + math.log10(k) for p in powers for k in steps]
    return [tick for tick in ticks if up.low <= tick <= up.high]


def _axes(across: Scale, up: Scale, x_title: str, y_title: str, log: bool) -> str:
    parts: list[str] = []
    for tick in _log_ticks(up) if log else up.ticks():
        y = up.at(tick)
        text = f"{10**tick:.3g}" if log else figure_text(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{across.end:g}"/>')
        parts.append(f'<text class="left" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(text)}</text>')
    for tick in across.ticks():
        text = f"{tick:,.0f}".replace(",", "\u2009") if tick == int(tick) else f"{tick:g}"
        x, y = across.at(tick), up.start + 16
        parts.append(f'<text class="below" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')
    middle = (across.start + across.end) / 2
    parts.append(
        f'<text class="below" x="{middle:.1f}" y="{up.start + 34:.1f}">{escape(x_title)}</text>'
    )
    parts.append(f'<text class="axis" x="{_LEFT}" y="9">{escape(y_title)}</text>')
    return "".join(parts)
