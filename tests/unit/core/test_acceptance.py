"""Acceptance checks and notes: what passes, how it reads, what a table prints."""

import json
import math

import pytest

from vpbench.api import UsageError
from vpbench.core.acceptance import Check, StageNotes


@pytest.mark.parametrize(
    ("value", "bounds", "passed"),
    [
        (3.0, {"at_least": 3.0}, True),
        (2.999, {"at_least": 3.0}, False),
        (0.7, {"at_most": 0.7}, True),
        (0.71, {"at_most": 0.7}, False),
        (0.5, {"at_least": 0.2, "at_most": 0.7}, True),
        (0.1, {"at_least": 0.2, "at_most": 0.7}, False),
        (math.nan, {"at_least": 0.0}, False),
        (math.inf, {"at_least": 0.0}, False),
        (-math.inf, {"at_most": 0.0}, False),
    ],
)
def test_a_check_keeps_to_its_bounds(value, bounds, passed):
    assert Check("g", value, **bounds).passed is passed


def test_a_check_without_a_bound_is_refused():
    with pytest.raises(UsageError, match="no bound"):
        Check("g", 1.0)


def test_records_are_json_without_nan_and_read_back():
    notes = StageNotes()
    assert notes.add_check(Check("gain", 3.5, at_least=3.0, unit="dB"))
    assert not notes.add_check(Check("ratio", math.nan, at_most=0.7))
    notes.add_note("adapted  n=1")
    notes.add_note("adapted n=1")
    notes.add_not_comparable("preset smoke")
    stored = json.loads(json.dumps(notes.json(), allow_nan=False))
    assert stored["notes"] == ["adapted n=1"] and stored["not_comparable"] == ["preset smoke"]
    assert [c["passed"] for c in stored["checks"]] == [True, False]
    assert stored["checks"][1]["value"] is None
    again = StageNotes.of(stored)
    assert again.json() == notes.json()
    assert again.table_notes("m:one") == [
        "adapted n=1",
        "not comparable: preset smoke",
        "acceptance check missed by m:one: ratio nan, at most 0.7",
    ]


def test_a_check_that_is_measured_again_replaces_the_first():
    notes = StageNotes()
    notes.add_check(Check("gain", 1.0, at_least=3.0))
    notes.add_check(Check("gain", 4.0, at_least=3.0))
    assert notes.table_notes("m:one") == []


def test_records_of_the_first_build_are_read():
    gate = {
        "name": "gain",
        "value": 2.0,
        "at_least": 3.0,
        "at_most": None,
        "unit": "dB",
        "passed": False,
    }
    old = {"gates": [gate], "marks": ["re, tier: cpu", "not comparable: preset smoke"]}
    notes = StageNotes.of(old)
    assert notes.checks == {"gain": Check("gain", 2.0, at_least=3.0, unit="dB")}
    assert notes.notes == ["re, preset cpu"] and notes.not_comparable == ["preset smoke"]
    assert StageNotes.of({"files": {}}) == StageNotes()


def test_a_note_that_begins_like_a_reason_is_a_note():
    """Only `not_comparable` excludes a row from rankings."""
    assert StageNotes.of({"notes": ["not comparable: with Penn"]}).not_comparable == []
