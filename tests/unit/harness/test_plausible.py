"""Rows that are too good to be predictions."""

from types import SimpleNamespace

import pytest

from vpbench.harness.results.plausible import mark_implausible
from vpbench.harness.results.ranking import Column, Row

PSNR = Column("psnr", "aa", {}, "up", "dB", "clip")


def row(name, values, kind="method"):
    record = {"fp8": "aa", "per_clip": {str(k): v for k, v in enumerate(values)}}
    inputs = {"kind": kind, "fit_seed": None}
    return Row(name, [SimpleNamespace(scores={("psnr", 16): record}, inputs=inputs)])


MOVES = [20.0] * 10
STILL = [*[20.0] * 5, *[60.0] * 5]


@pytest.mark.parametrize(
    ("values", "null", "kind", "marked"),
    [
        ([73.0] * 10, MOVES, "method", True),
        ([48.2] * 10, MOVES, "method", True),
        ([48.0] * 10, MOVES, "method", False),
        ([*[20.0] * 9, 73.0], MOVES, "method", False),
        ([*[20.0] * 8, 73.0, 73.0], MOVES, "method", True),
        (STILL, STILL, "method", False),  # still clips are easy
        ([*[20.0] * 4, 73.0, *[60.0] * 5], STILL, "method", True),
        ([73.0] * 10, MOVES, "oracle", False),  # it may look
        ([None] * 10, MOVES, "method", False),
        ([None, 73.0], MOVES, "method", True),
    ],
)
def test_rows(values, null, kind, marked):
    rows = [row("mine", values, kind), row("copy-last", null)]
    mark_implausible(rows, 16, {"psnr": PSNR})
    assert [r.implausible for r in rows] == [marked, False]


def test_without_psnr_or_copy_last_nothing_breaks():
    rows = [row("mine", [73.0]), Row("none", [])]
    mark_implausible(rows, 16, {})
    assert not any(r.implausible for r in rows)
    mark_implausible(rows, 16, {"psnr": PSNR})
    assert [r.implausible for r in rows] == [True, False]
