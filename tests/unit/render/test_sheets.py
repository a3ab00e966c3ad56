"""Contact sheets: every pixel of a frame arrives where it should."""

import itertools

import numpy as np
import pytest

from vpbench.api.errors import UsageError
from vpbench.render.sheets import contact_sheet, frame_times


def clip(length, height=16, width=24, level=0):
    """Frame t has grey level `level` + t."""
    levels = np.arange(level, level + length, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (length, height, width, 3)).copy()


def cells(sheet, level, shape):
    """Where a patch of exactly this grey level and shape lies, as (y, x)."""
    same = (sheet == level).all(axis=-1)
    ys, xs = np.nonzero(same)
    assert same[ys.min() : ys.min() + shape[0], xs.min() : xs.min() + shape[1]].all()
    return int(ys.min()), int(xs.min())


@pytest.mark.parametrize(
    ("length", "columns", "wanted"),
    [
        (16, 8, [0, 2, 4, 6, 9, 11, 13, 15]),
        (32, 4, [0, 10, 21, 31]),
        (3, 8, [0, 1, 2]),
        (1, 8, [0]),
        (16, 1, [0]),
        (2, 2, [0, 1]),
    ],
)
def test_times_are_even_and_hold_both_ends(length, columns, wanted):
    assert frame_times(length, columns) == wanted


def test_frames_are_enlarged_unchanged_and_in_order():
    sheet = contact_sheet([("real", clip(8, level=40)), ("ours", clip(8, level=60))], 4, scale=2)
    assert sheet.dtype == np.uint8
    places = [[cells(sheet, level + t, (32, 48)) for t in (0, 2, 5, 7)] for level in (40, 60)]
    for row in places:
        assert len({y for y, _ in row}) == 1
        assert {b - a for (_, a), (_, b) in itertools.pairwise(row)} == {48 + 3}
    assert places[1][0][0] - places[0][0][0] == 32 + 3
    assert places[1][0][1] == places[0][0][1]


def test_a_short_row_is_left_empty():
    sheet = contact_sheet([("long", clip(4, level=40)), ("short", clip(2, level=60))], 4, scale=1)
    y, x = cells(sheet, 61, (16, 24))
    assert (sheet[y : y + 16, x + 27 : x + 51] == sheet[y, x + 27]).all()


@pytest.mark.parametrize("background", ["light", "dark"])
def test_backgrounds_are_readable(background):
    sheet = contact_sheet([("label", clip(2))], background=background).astype(int)
    left = sheet[:, :40].mean(axis=-1)
    assert left.max() - left.min() > 150


def test_header_can_be_left_out_and_numbered():
    rows = [("a", clip(3))]
    tall, low = contact_sheet(rows), contact_sheet(rows, header=False)
    assert tall.shape[0] > low.shape[0]
    assert not np.array_equal(tall, contact_sheet(rows, first=-2))


def test_odd_sizes_and_labels():
    long = "method[" + ",".join(f"parameter{k}=value{k}" for k in range(9)) + "]"
    for label in ("", "z" * 300, long, "two\nlines", "naïve 方法"):
        assert contact_sheet([(label, clip(5, 7, 9))], scale=3).shape[1] < 600
    assert contact_sheet([("tiny", clip(30, 4, 4))], columns=30, scale=1).shape[0] < 60


def test_the_same_picture_each_time():
    rows = [("a", clip(9)), ("b", clip(9, level=9))]
    assert np.array_equal(contact_sheet(rows), contact_sheet(rows))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([], {}, "at least one row"),
        ([("a", clip(2).astype(float))], {}, "row 'a' is float64"),
        ([("a", clip(2)[0])], {}, "must be uint8 .T,H,W,3."),
        ([("a", clip(2)[:0])], {}, "must be uint8"),
        ([("a", clip(2)), ("b", clip(2, 8))], {}, "row 'b' has frames of 24 x 8 px"),
        ([("a", clip(2))], {"columns": 0}, "columns=0"),
        ([("a", clip(2))], {"scale": 0}, "scale=0"),
        ([("a", clip(2))], {"background": "red"}, "background='red'"),
    ],
)
def test_refusals(rows, options, words):
    with pytest.raises(UsageError, match=words):
        contact_sheet(rows, **options)


@pytest.mark.parametrize("given", [1, 3])
def test_a_rule_sets_given_frames_apart(given):
    rows = [("real", clip(8, level=40)), ("ours", clip(8, level=60))]
    plain, ruled = (contact_sheet(rows, 8, scale=2, given=n) for n in (0, given))
    assert ruled.shape[1] - plain.shape[1] == 6 and ruled.shape[0] == plain.shape[0]
    xs = [cells(ruled, 40 + t, (32, 48))[1] for t in range(8)]
    gaps = [b - a - 48 for a, b in itertools.pairwise(xs)]
    assert gaps == [9 if t + 1 == given else 3 for t in range(7)]
    between = ruled[:, xs[given] - 9 : xs[given]].astype(int)
    dark = (between < 120).all(-1).sum(0)
    assert sorted(dark)[-2:] == [0, 2 * 32 + 3]
    assert np.array_equal(contact_sheet(rows, 8, given=8), contact_sheet(rows, 8))
