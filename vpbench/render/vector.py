"""Figures as PDF or SVG through matplotlib: text and keypoints as vectors, frames as pixels."""

from __future__ import annotations

import io
from typing import Any, Literal

from vpbench.api.errors import MissingDependency
from vpbench.api.types import Frames
from vpbench.render.curves import CurvePlot, lay_out_curves
from vpbench.render.dots import DotPlot, dashes, lay_out_dots, outline
from vpbench.render.grid import Dot, Drawing, Sheet, cell_pixels, lay_out
from vpbench.render.keypoints import places, point_colour, point_radius

_DPI = 100
"""Screen pixels for an inch, unless asked otherwise."""
_NARROWER = 0.63
"""Points of matplotlib's font for a pixel of Pillow's: the same widths, a little less."""


def check_vector() -> None:
    """Fail early where matplotlib is missing.

    Raises:
        MissingDependency: with the command that installs it.
    """
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise MissingDependency(
            "PDF and SVG figures need matplotlib.", fix="pip install 'vpbench[figures]'"
        )


def vector_bytes(
    sheet: Sheet | DotPlot | CurvePlot, kind: Literal["pdf", "svg"], dpi: int | None = None
) -> bytes:
    """A sheet or plot as a PDF or SVG file; the same bytes each time.

    Args:
        dpi: pixels of the sheet for an inch of the page.

    Raises:
        MissingDependency: matplotlib is not installed.
        UsageError: as `lay_out`, `lay_out_dots`.
    """
    check_vector()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    plan = _laid_out(sheet)
    inches = 1 / (dpi or _DPI)
    smaller = _DPI * inches  # letters shrink with all the rest
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "vpbench",
        "pdf.fonttype": 42,
        "image.composite_image": False,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(plan.width * inches, plan.height * inches), dpi=_DPI)
        figure.set_facecolor(_rgb(plan.ground))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, plan.width)
        axes.set_ylim(plan.height, 0)
        axes.set_axis_off()
        _draw(axes, plan, smaller)
        buffer = io.BytesIO()
        nothing = {"CreationDate": None} if kind == "pdf" else {"Date": None}
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=nothing)
    return buffer.getvalue()


def _laid_out(sheet: Sheet | DotPlot | CurvePlot) -> Drawing:
    if isinstance(sheet, Sheet):
        return lay_out(sheet)
    return lay_out_dots(sheet) if isinstance(sheet, DotPlot) else lay_out_curves(sheet)


def _draw(axes: Any, plan: Drawing, smaller: float) -> None:
    from matplotlib.patches import Circle, Rectangle

    height, width = plan.cell
    for picture in plan.pictures:
        x, y, cell = picture.x, picture.y, picture.cell
        pixels = cell_pixels(cell, 1)
        if pixels is None or cell.frame is None:
            empty = Rectangle((x, y), width, height, color=_rgb(plan.empty), linewidth=0)
            axes.add_patch(empty)
            continue
        _image(axes, pixels, (x, x + width, y + height, y))
        axes.add_patch(
            Rectangle(
                (x - 0.5, y - 0.5),
                width + 1,
                height + 1,
                fill=False,
                edgecolor=_rgb(plan.edge),
                linewidth=0.7 * smaller,
            )
        )
        if cell.points is None:
            continue
        frame = axes.add_patch(Rectangle((x, y), width, height, fill=False, linewidth=0))
        for k, px, py in places(cell.points, cell.frame.shape[0], cell.frame.shape[1], plan.zoom):
            dot = Circle(
                (x + px + 0.5, y + py + 0.5),
                point_radius(height) + 0.5,
                facecolor=_rgb(point_colour(k)),
                edgecolor="black",
                linewidth=0.5 * smaller,
            )
            axes.add_patch(dot)
            dot.set_clip_path(frame)
    for rule in plan.rules:
        bar = Rectangle((rule.x, rule.top), 1, rule.bottom - rule.top, linewidth=0)
        bar.set_facecolor(_rgb(plan.rule))
        axes.add_patch(bar)
    for line in plan.lines:
        for x0, y0, x1, y1 in dashes(line):
            axes.plot(
                (x0, x1),
                (y0, y1),
                color=_rgb(line.colour),
                linewidth=line.width * 72 / _DPI * smaller,
                solid_capstyle="butt",
                zorder=0.8,
            )
    for dot in plan.dots:
        axes.add_patch(_mark(dot, plan, smaller))
    for text in plan.texts:
        axes.text(
            text.x,
            text.y,
            text.text,
            color=_rgb(text.colour),
            parse_math=False,
            fontsize=text.size * _NARROWER * smaller,
            va="center_baseline",
            ha="left" if text.anchor == "lm" else "center",
        )


def _mark(dot: Dot, plan: Drawing, smaller: float) -> Any:
    from matplotlib.patches import Circle, Polygon

    if dot.shape in ("square", "diamond"):
        return Polygon(outline(dot), facecolor=_rgb(dot.colour), linewidth=0, zorder=2)
    ring = dot.shape == "ring"
    return Circle(
        (dot.x, dot.y),
        dot.radius - (1 if ring else 0),
        facecolor=_rgb(plan.ground if ring else dot.colour),
        edgecolor=_rgb(dot.colour) if ring else "black",
        linewidth=(2 * 72 / _DPI if ring else 0.5) * smaller,
        zorder=2,
    )


def _image(axes: Any, pixels: Frames, extent: tuple[int, int, int, int]) -> None:
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(pixels, extent=extent, interpolation="nearest", aspect="auto", zorder=0.5)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def _rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    return colour[0] / 255, colour[1] / 255, colour[2] / 255
