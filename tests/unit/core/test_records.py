"""Score files of earlier versions, and what follows from what they hold."""

import math

import numpy as np
import pytest

from vpbench.core.records import completed, correction


def old(kind="set", **fields):
    """The figures of a score file that was written before the correction was there."""
    return {
        "kind": kind,
        "fingerprint": {"metric": "fvd"},
        "value": 5.0,
        "se": 0.5,
        "ci95": [4.0, 6.0],
        "n": 10,
        "floor": None,
        "per_clip": {f"c{k}": 5.0 + k / 10 for k in range(10)},
        **fields,
    }


def test_the_correction_follows_from_leave_one_out_values():
    record = completed(old())
    left = np.array(list(record["per_clip"].values()))
    assert record["bias"] == pytest.approx(9 * (left.mean() - 5))
    assert record["corrected"] == pytest.approx(10 * 5 - 9 * left.mean())
    assert record["corrected_se"] == pytest.approx(
        math.sqrt(0.9 * ((left - left.mean()) ** 2).sum())
    )
    low, high = record["corrected_ci95"]
    assert (low + high) / 2 == pytest.approx(record["corrected"])
    assert (record["value"], record["se"], record["floor_n"]) == (5.0, 0.5, None)


def test_what_is_there_is_not_computed_again():
    own = {"bias": 1.0, "corrected": 4.0, "corrected_se": None, "corrected_ci95": None}
    assert completed(old(**own)) == old(**own)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "clip"},
        {"value": None},
        {"per_clip": {}},
        {"per_clip": {"a": 1.0}},
        {"per_clip": {"a": 1.0, "b": None, "c": 2.0}},
    ],
)
def test_where_nothing_follows_the_fields_are_none(fields):
    record = completed(old(**fields))
    names = ("bias", "corrected", "corrected_se", "corrected_ci95")
    assert [record[name] for name in names] == [None] * 4


def test_few_clusters_have_a_bias_but_no_interval():
    found = correction(5.0, {f"c{k}": 5.0 + k for k in range(7)})
    assert found["corrected"] == pytest.approx(5 - 6 * 3)
    assert found["corrected_se"] is None and found["corrected_ci95"] is None


def test_shares_and_sets_go_with_their_clusters():
    per_clip = {f"c{k}": 7 + 11 / (45 - k) for k in range(1, 10)}
    shares = {f"c{k}": k / 45 for k in range(1, 10)}
    assert correction(7 + 11 / 45, per_clip, shares)["corrected"] == pytest.approx(7)
    sides = {"x": 4, "y": 30}
    apart = {
        f"{s}{k}": 3 + sum(1 / (n - (s == t)) for t, n in sides.items())
        for s, m in sides.items()
        for k in range(m)
    }
    found = correction(
        3 + 1 / 4 + 1 / 30, apart, {k: 1 / sides[k[0]] for k in apart}, {k: k[0] for k in apart}
    )
    assert found["corrected"] == pytest.approx(3)
