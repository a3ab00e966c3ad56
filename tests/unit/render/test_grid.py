"""Figures as grids: every pixel, point and word arrives where it should, in every format."""

import itertools
import re
import sys
import zlib

import numpy as np
import pytest

from vpbench.api.errors import MissingDependency, UsageError
from vpbench.render.grid import Block, Cell, Row, Sheet, lay_out, paint
from vpbench.render.keypoints import dimmed, draw_keypoints, enlarged, places, point_colour
from vpbench.render.vector import check_vector, vector_bytes


def frame(level, height=16, width=16):
    return np.full((height, width, 3), level, np.uint8)


def where(pixels, colour):
    """First row and column, and size, of the box around all pixels of a colour."""
    ys, xs = np.nonzero((pixels == np.array(colour, np.uint8)).all(-1))
    return ys.min(), xs.min(), ys.max() - ys.min() + 1, xs.max() - xs.min() + 1


def sheet(**more):
    rows = [
        Row("real", [Cell(frame(20 + k)) for k in range(3)]),
        Row("predicted", [Cell(frame(40 + k)) for k in range(2)] + [Cell(None)], "psnr 12 dB"),
    ]
    headers = [("given", 1), ("later", 2)]
    return Sheet("Title", [Block("one", rows, headers), Block("two", rows[:1])], "note", **more)


def test_cells_are_enlarged_by_a_whole_number_and_stand_in_a_grid():
    pixels = paint(Sheet("", [Block("", sheet().blocks[0].rows)]))
    spots = [[where(pixels, (v,) * 3) for v in row] for row in ((20, 21, 22), (40, 41))]
    for row in spots:
        assert {spot[2:] for spot in row} == {(128, 128)}
        assert len({spot[0] for spot in row}) == 1
        assert {b[1] - a[1] for a, b in itertools.pairwise(row)} == {131}
    assert spots[1][0][0] - spots[0][0][0] == 131
    y, x = spots[1][1][0], spots[1][1][1] + 131
    assert (pixels[y : y + 128, x : x + 128] == 238).any(-1).all()  # the empty place


@pytest.mark.parametrize(
    ("size", "zoom"), [((16, 16), 8), ((64, 64), 2), ((128, 128), 1), ((300, 200), 1), ((7, 33), 4)]
)
def test_zoom(size, zoom):
    plan = lay_out(Sheet("", [Block("", [Row("a", [Cell(frame(9, *size))])])]))
    assert plan.zoom == zoom and plan.cell == (size[0] * zoom, size[1] * zoom)


def test_breaks_are_wider_and_everything_lies_inside():
    plan = lay_out(sheet(breaks=(1,), points=12))
    xs = [p.x for p in plan.pictures[:3]]
    assert xs[1] - xs[0] > xs[2] - xs[1] == 131
    for text in plan.texts:
        assert 0 < text.x < plan.width and 0 < text.y < plan.height
    assert len(plan.dots) == 12
    assert [d.colour for d in plan.dots] == [point_colour(k) for k in range(12)]
    assert all(p.y + 128 < min(d.y for d in plan.dots) for p in plan.pictures)
    words = [t.text for t in plan.texts]
    for word in ("Title", "note", "one", "two", "given", "later", "real", "psnr 12 dB", "11"):
        assert word in words
    spanned = next(t for t in plan.texts if t.text == "later")
    assert spanned.x == (plan.pictures[1].x + plan.pictures[2].x + 128) / 2


def test_points_are_drawn_on_the_enlarged_frame_in_their_colours():
    points = np.array([[-1, -1, 1], [1, 1, 1], [0, 0, 1], [0.5, 0, 0], [np.nan, 0, 1]])
    plain = paint(Sheet("", [Block("", [Row("", [Cell(frame(60))])])]))
    drawn = paint(Sheet("", [Block("", [Row("", [Cell(frame(60), points)])])]))
    y, x, _, _ = where(plain, (60, 60, 60))
    for k, at in ((0, 4), (1, 123), (2, 64)):  # centres of pixels 0 and 15, and between 7 and 8
        assert tuple(drawn[y + at, x + at]) == point_colour(k)
    changed = (plain != drawn).any(-1)
    assert not changed[y + 20 : y + 55].any() and not changed[:y].any()
    small = frame(60, 33, 41)
    assert np.array_equal(
        draw_keypoints(small, points, radius=2, zoom=1), draw_keypoints(small, points, radius=2)
    )


def test_places_are_exact():
    rng = np.random.default_rng(0)
    for height, width, zoom in ((16, 16, 1), (17, 9, 3), (64, 128, 2)):
        pose = np.concatenate([rng.uniform(-1, 1, (20, 2)), np.ones((20, 1))], 1)
        for k, x, y in places(pose, height, width, zoom):
            # the centre of source pixel j is the centre of its block of `zoom` pixels
            j = (pose[k, 0] + 1) / 2 * (width - 1)
            assert x == pytest.approx(j * zoom + (zoom - 1) / 2)
            assert y == pytest.approx((pose[k, 1] + 1) / 2 * (height - 1) * zoom + (zoom - 1) / 2)
    assert places(np.array([[9.0, 0, 1], [0, 0, 0], [0, np.nan, 1]]), 8, 8) == []


def test_enlarged_and_dimmed():
    rng = np.random.default_rng(1)
    some = rng.integers(0, 256, (2, 3, 4, 3), np.uint8)
    large = enlarged(some, 3)
    assert large.shape == (2, 9, 12, 3)
    assert np.array_equal(large[:, 1::3, 2::3], some)
    dark = dimmed(some)
    assert dark.min() >= 30 and dark.max() <= 115
    assert np.array_equal(dimmed(frame(201)), frame(30 + 67))
    pale = dimmed(np.array([[[240, 0, 0]]], np.uint8)).astype(int)[0, 0]
    assert pale.tolist() == [30 + 53, 30 + 13, 30 + 13]


def test_dark_and_same_pixels_each_time():
    light, dark = paint(sheet()), paint(sheet(background="dark"))
    assert light[0, 0, 0] > 200 > 60 > dark[0, 0, 0] and light.shape == dark.shape
    assert np.array_equal(paint(sheet(points=4)), paint(sheet(points=4)))


def test_long_words_are_wrapped_and_cut():
    name = "method[" + ",".join(f"key{k}=value{k}" for k in range(20)) + "]"
    rows = [Row(name, [Cell(frame(3))], name)]
    plan = lay_out(Sheet(name * 3, [Block("b", rows, [(name + "\nsecond", 1)])]))
    assert plan.width < 700 and any(t.text.endswith("...") for t in plan.texts)
    assert "second" in [t.text for t in plan.texts]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "at least one frame"),
        ([Row("a", [Cell(None)])], "at least one frame"),
        ([Row("a", [Cell(frame(1)), Cell(frame(1, 8))])], r"uint8 \[8, 16, 3\]"),
        ([Row("a", [Cell(frame(1).astype(float))])], "float64"),
    ],
)
def test_refusals(rows, words):
    with pytest.raises(UsageError, match=words):
        lay_out(Sheet("", [Block("", rows)]))
    with pytest.raises(UsageError, match="zoom=0"):
        draw_keypoints(frame(1), np.zeros((2, 3)), zoom=0)


def test_svg_and_pdf_hold_every_word_frame_and_point():
    pytest.importorskip("matplotlib")
    points = np.array([[-1, -1, 1], [1, 1, 1], [0, 0, 0]])
    rows = [Row("m$a$", [Cell(frame(9)), Cell(frame(8), points, dim=True), Cell(None)])]
    drawn = Sheet("Title", [Block("block", rows, [("head", 1)])], points=3)
    svg = vector_bytes(drawn, "svg")
    assert svg == vector_bytes(drawn, "svg")
    text = svg.decode()
    for word in ("Title", "block", "head", "m$a$", "keypoints"):
        assert f">{word}<" in text
    assert text.count("<image ") == 2
    colours = re.findall(r"fill: (#[0-9a-f]{6})", text)
    for k, times in ((0, 2), (1, 2), (2, 1)):  # a point and its place in the legend
        assert colours.count("#{:02x}{:02x}{:02x}".format(*point_colour(k))) == times
    pdf = vector_bytes(drawn, "pdf")
    assert pdf.startswith(b"%PDF") and pdf == vector_bytes(drawn, "pdf")
    assert pdf.count(b"/Subtype /Image") == 2
    streams = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    assert any(b"BT" in zlib.decompressobj().decompress(part) for part in streams)


def test_without_matplotlib_a_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'vpbench\[figures\]'"):
        check_vector()
    with pytest.raises(MissingDependency):
        vector_bytes(sheet(), "svg")
    assert "matplotlib" not in {name for name in sys.modules if name == "vpbench.render.grid"}


def test_a_legend_of_many_keypoints_is_left_out():
    few, many, none = (lay_out(sheet(points=n)) for n in (12, 13, 0))
    assert many.dots == [] == none.dots and many.height == none.height < few.height


@pytest.mark.parametrize("background", ["light", "dark"])
def test_a_rule_stands_between_given_and_predicted_frames(background):
    made = sheet(rules=(1,), background=background)
    plan, pixels = lay_out(made), paint(made).astype(int)
    assert len(plan.rules) == 2  # one a block
    for rule, pictures in zip(plan.rules, (plan.pictures[:6], plan.pictures[6:]), strict=True):
        left, right = pictures[0], pictures[1]
        assert left.x + 128 < rule.x - 1 and rule.x + 1 < right.x - 1
        assert rule.top == pictures[0].y and rule.bottom == pictures[-1].y + 128
        line = pixels[rule.top : rule.bottom, rule.x]
        assert (line == plan.rule).all()
        assert (pixels[rule.top : rule.bottom, [rule.x - 1, rule.x + 1]] == plan.ground).all()
    plain = lay_out(sheet())
    assert not plain.rules and plan.width - plain.width == 6
    assert vector_bytes(made, "svg") != vector_bytes(sheet(background=background), "svg")


def test_groups_of_columns_stand_above_their_headers():
    block = sheet().blocks[0]
    plain = lay_out(Sheet("", [block]))
    plan = lay_out(Sheet("", [Block(block.title, block.rows, block.headers, [("both", 3)])]))
    at = {text.text: text for text in plan.texts}
    assert at["one"].y < at["both"].y < at["given"].y == at["later"].y
    assert plan.height - plain.height == plan.pictures[0].y - plain.pictures[0].y > 0


def test_more_dots_an_inch_make_a_smaller_page_with_smaller_letters():
    def page(dpi):
        text = vector_bytes(sheet(points=3, rules=(1,)), "svg", dpi).decode()
        size = [re.search(f'{side}="([0-9.]+)pt"', text)[1] for side in ("width", "height")]
        return [float(x) for x in (*size, re.search(r"([0-9.]+)px", text)[1])]

    one, two = page(100), page(200)
    assert [a / b for a, b in zip(one, two, strict=True)] == pytest.approx([2, 2, 2], rel=1e-3)
    assert vector_bytes(sheet(), "pdf", 100) == vector_bytes(sheet(), "pdf")
