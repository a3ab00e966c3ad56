"""Plots of an analysis as SVG, drawn with the page's own colours so that they suit dark pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

_ROW = 34
_LEFT = 130
_WIDTH = 520
_RIGHT = 18
_TOP = 12
_AXIS = 40


def intervals(
    rows: Sequence[Mapping[str, Any]],
    value: str,
    interval: str,
    bounds: tuple[float, float],
    label: str,
    digits: int = 2,
) -> str:
    """A dot with its 95 % interval for each method.

    Args:
        rows: methods of a summary.
        value, interval: names of the fields.
        bounds: ends of the axis.
        label: of the axis.
    """
    low, high = bounds
    place = _scale(low, high)
    parts = [_grid(low, high, len(rows), place)]
    for k, row in enumerate(rows):
        y = _TOP + _ROW * k + _ROW / 2
        parts.append(_name(row["method"], y))
        if row[value] is None:
            continue
        ends = row[interval]
        if ends:
            a, b = (place(min(max(end, low), high)) for end in ends)
            parts.append(f'<line class="bar" x1="{a:.1f}" x2="{b:.1f}" y1="{y}" y2="{y}"/>')
        x = place(min(max(row[value], low), high))
        text = f"{row[value]:.{digits}f}"
        title = f"{row['method']}: {text}" + (
            f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""
        )
        dot = f'<circle class="dot" cx="{x:.1f}" cy="{y}" r="5">'
        parts.append(f"{dot}<title>{escape(title)}</title></circle>")
        parts.append(f'<text class="value" x="{x:.1f}" y="{y - 9}">{text}</text>')
    return _svg(len(rows), [*parts, _label(label, len(rows))], label)


def rank_bars(rows: Sequence[Mapping[str, Any]], label: str) -> str:
    """How often each method got each rank, as bars that add up to all votes."""
    parts: list[str] = []
    width = _WIDTH - _LEFT - _RIGHT
    for k, row in enumerate(rows):
        y = _TOP + _ROW * k
        parts.append(_name(row["method"], y + _ROW / 2))
        total, x = sum(row["counts"]), float(_LEFT)
        for rank, count in enumerate(row["counts"], start=1):
            wide = width * count / total
            title = f"{row['method']}: rank {rank} in {count / total:.0%}"
            parts.append(
                f'<rect class="r{rank} of{len(row["counts"])}" x="{x:.1f}" y="{y + 5}" '
                f'width="{wide:.1f}" height="{_ROW - 10}"><title>{escape(title)}</title></rect>'
            )
            if wide > 30:
                parts.append(
                    f'<text class="inside i{rank}" x="{x + wide / 2:.1f}" y="{y + _ROW / 2 + 4}">'
                    f"{count / total:.0%}</text>"
                )
            x += wide
    return _svg(len(rows), [*parts, _label(label, len(rows))], label)


def critical_difference(test: Mapping[str, Any], methods: Sequence[str], label: str) -> str:
    """Nemenyi's diagram: mean ranks, and bars over methods that are not told apart."""
    means: Sequence[float] = test["mean_ranks"]
    gap: float = test["critical_difference"]
    k = len(means)
    place = _scale(1.0, float(k))
    order = sorted(range(k), key=lambda i: means[i])
    parts = [_grid(1.0, float(k), k, place)]
    for row, i in enumerate(order):
        y = _TOP + _ROW * row + _ROW / 2
        x = place(means[i])
        parts.append(_name(methods[i], y))
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y}" r="5"/>')
        reach = [j for j in order[row:] if means[j] - means[i] <= gap]
        if len(reach) > 1:
            a, b = place(means[i]), place(means[reach[-1]])
            low = _TOP + _ROW * (row + len(reach)) - _ROW / 2
            parts.append(
                f'<path class="tie" d="M{a:.1f} {y:.1f} V{low:.1f} H{b:.1f}" '
                f"><title>not told apart</title></path>"
            )
    return _svg(k, [*parts, _label(label, k)], label)


def _scale(low: float, high: float) -> Callable[[float], float]:
    width = _WIDTH - _LEFT - _RIGHT
    return lambda value: _LEFT + width * (value - low) / (high - low)


def _grid(low: float, high: float, rows: int, place: Callable[[float], float]) -> str:
    step = next(s for s in (0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 50) if (high - low) / s <= 10)
    first = int(low / step) + (low > 0 and low % step > 1e-9)
    bottom = _TOP + _ROW * rows
    parts: list[str] = []
    tick = first * step
    while tick <= high + 1e-9:
        if tick >= low - 1e-9:
            x = place(tick)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>'
                f'<text class="tick" x="{x:.1f}" y="{bottom + 15}">{tick:g}</text>'
            )
        tick = round(tick + step, 10)
    return "".join(parts)


def _name(name: str, y: float) -> str:
    short = name if len(name) <= 17 else f"{name[:16]}…"
    return (
        f'<text class="name" x="{_LEFT - 12}" y="{y + 4}">{escape(short)}'
        f"<title>{escape(name)}</title></text>"
    )


def _label(text: str, rows: int) -> str:
    x = (_LEFT + _WIDTH - _RIGHT) / 2
    return f'<text class="tick" x="{x}" y="{_TOP + _ROW * rows + 33}">{escape(text)}</text>'


def _svg(rows: int, parts: Sequence[str], label: str) -> str:
    height = _TOP + _ROW * rows + _AXIS
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )
