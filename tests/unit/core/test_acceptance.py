"""Gates and marks: what passes, how it reads, what a table prints."""

import json
import math

import pytest

from vpbench.api import UsageError
from vpbench.core.acceptance import Check, StageNotes, notes_of_stage, table_notes


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
def test_a_gate_keeps_to_its_bounds(value, bounds, passed):
    assert Check("g", value, **bounds).passed is passed


def test_a_gate_without_a_bound_is_refused():
    with pytest.raises(UsageError, match="no bound"):
        Check("g", 1.0)


def test_records_are_json_without_nan_and_read_back():
    remarks = StageNotes()
    assert remarks.add_check(Check("gain", 3.5, at_least=3.0, unit="dB"))
    assert not remarks.add_check(Check("ratio", math.nan, at_most=0.7))
    remarks.add_note("adapted  n=1")
    remarks.add_note("adapted n=1")
    stored = json.loads(json.dumps(remarks.json(), allow_nan=False))
    assert stored["marks"] == ["adapted n=1"]
    assert [g["passed"] for g in stored["gates"]] == [True, False]
    assert stored["gates"][1]["value"] is None
    shown = table_notes([{"stage": "m:one", **notes_of_stage(stored)}])
    assert shown == ["adapted n=1", "gate missed by m:one: ratio nan, at most 0.7"]


def test_a_gate_that_is_measured_again_replaces_the_first():
    remarks = StageNotes()
    remarks.add_check(Check("gain", 1.0, at_least=3.0))
    remarks.add_check(Check("gain", 4.0, at_least=3.0))
    assert table_notes([{"stage": "m:one", **remarks.json()}]) == []


def test_equal_marks_of_two_stages_are_printed_once_and_old_records_have_none():
    marked = {"stage": "m:one", "gates": [], "marks": ["reduced"]}
    assert table_notes([marked, {**marked, "stage": "m:two"}]) == ["reduced"]
    assert notes_of_stage({"files": {}}) == {"gates": [], "marks": []}
