"""Plots of dots: where values lie, what is cut off, and that all formats show the same."""

import random

import numpy as np
import pytest

from vpbench.api.errors import UsageError
from vpbench.render.dots import (
    DotGroup,
    DotPlot,
    DotRow,
    dashes,
    figure_text,
    lay_out_dots,
    paint_dots,
)
from vpbench.render.grid import Line
from vpbench.render.lettering import THEMES
from vpbench.render.vector import vector_bytes

GREEN, BLUE = (0, 158, 115), (0, 114, 178)


def plot(*rows, lines=(), **more):
    return DotPlot("Title", [DotGroup("a", rows)], lines, "axis", ("v", "d"), [], **more)


@pytest.mark.parametrize("seed", range(3))
def test_values_lie_on_one_scale(seed):
    draw = random.Random(seed)
    values = [draw.uniform(-50 if seed else 0, 2000) for _ in range(7)]
    rows = [DotRow(str(k), "oracle", v, (v - 3, v + 3)) for k, v in enumerate(values)]
    plan = lay_out_dots(plot(*rows, lines=[("line", 1000.0)]))
    places = np.array([dot.x for dot in plan.dots])
    slope, offset = np.polyfit(values, places, 1)
    assert slope > 0 and places == pytest.approx(slope * np.array(values) + offset)
    dashed = [line for line in plan.lines if line.dashed]
    assert [line.x0 for line in dashed] == pytest.approx([slope * 1000 + offset])
    # each tick stands where its number says
    bottom = max(line.y0 for line in plan.lines if line.x0 == line.x1 and not line.dashed)
    ticks = {
        t.text: t.x
        for t in plan.texts
        if t.anchor == "mm" and t.y > bottom and t.text[-1].isdigit()
    }
    assert len(ticks) >= 3
    for text, x in ticks.items():
        assert x == pytest.approx(slope * float(text) + offset, abs=0.6)


def test_intervals_reach_from_end_to_end_and_rows_without_value_say_why():
    rows = [
        DotRow("one", "method", 10.0, (5.0, 20.0), text="-1 [-2, 0]"),
        DotRow("two", "variant", None, note="not run"),
        DotRow("three", "reference", 20.0),
    ]
    plan = lay_out_dots(plot(*rows))
    first, third = plan.dots
    bars = [line for line in plan.lines if line.width == 2 and line.y0 == line.y1]
    assert len(bars) == 1 and bars[0].y0 == first.y
    step = (third.x - first.x) / 10
    assert (bars[0].x0, bars[0].x1) == pytest.approx((first.x - 5 * step, third.x))
    texts = {t.text for t in plan.texts}
    assert {"one", "two", "three", "not run", "-1 [-2, 0]", "10.0", "20.0", "-"} <= texts


def test_names_of_near_lines_do_not_overlap():
    lines = [("copy-last", 1790.0), ("linear", 1800.0), ("other real clips", 90.0)]
    plan = lay_out_dots(plot(DotRow("a", "method", 500.0), lines=lines))
    at = {t.text: t.y for t in plan.texts}
    assert at["copy-last"] != at["linear"] and at["other real clips"] == at["copy-last"]


def test_no_value_at_all_is_refused():
    with pytest.raises(UsageError, match="at least one value"):
        lay_out_dots(plot(DotRow("a", "method", None, note="not run")))


@pytest.mark.parametrize("background", ["light", "dark"])
def test_painted_twice_the_same_with_each_mark_in_its_colour(background):
    rows = [DotRow("a", "oracle", 3.0), DotRow("b", "reference", 1.0), DotRow("c", "variant", 2.0)]
    drawn = plot(*rows, background=background)
    pixels = paint_dots(drawn)
    assert np.array_equal(pixels, paint_dots(drawn))
    plan = lay_out_dots(drawn)
    assert pixels.shape == (2 * plan.height, 2 * plan.width, 3)
    middles = [tuple(pixels[round(2 * d.y), round(2 * d.x)].tolist()) for d in plan.dots]
    assert middles == [GREEN, BLUE, THEMES[background].ground]  # a ring is open


def test_vector_formats():
    pytest.importorskip("matplotlib")
    drawn = plot(DotRow("row", "variant", 3.0, (1.0, 4.0)), lines=[("nullrow", 2.0)])
    svg = vector_bytes(drawn, "svg")
    assert svg == vector_bytes(drawn, "svg") and b"nullrow" in svg and b"row" in svg
    assert vector_bytes(drawn, "pdf").startswith(b"%PDF")


def test_dashes_cover_four_sevenths():
    pieces = dashes(Line(0, 0, 30, 40, (0, 0, 0), 1, dashed=True))
    lengths = [np.hypot(x1 - x0, y1 - y0) for x0, y0, x1, y1 in pieces]
    assert lengths == pytest.approx([4] * 7 + [1])
    assert all(y0 == pytest.approx(x0 * 4 / 3) for x0, y0, *_ in pieces)
    assert dashes(Line(1, 2, 3, 4, (0, 0, 0), 1)) == [(1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.7134, "0.713"),
        (20.21, "20.2"),
        (491.4, "491"),
        (1481.2, "1481"),
        (-0.0001, "0"),
        (-3.456, "-3.46"),
    ],
)
def test_figures_have_three_digits(value, text):
    assert figure_text(value) == text
