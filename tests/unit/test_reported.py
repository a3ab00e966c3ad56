"""The papers' figures: complete, and consistent with each other."""

import math
import tomllib
from collections import Counter
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "leaderboards" / "reported.toml"


@pytest.fixture(scope="module")
def reported():
    return tomllib.loads(PATH.read_text())


def test_every_row_says_what_it_is_and_names_a_paper_with_caveats(reported):
    for row in reported["reported"]:
        assert {"paper", "table", "metric", "dataset", "method", "value"} <= row.keys(), row
        assert reported["papers"][row["paper"]]["caveats"]
        assert set(row.get("inferred", ())) <= row.keys()
        assert math.isfinite(row["value"])


def test_no_figure_stands_twice_and_each_table_is_whole(reported):
    rows = reported["reported"]
    keys = [
        tuple(r.get(k) for k in ("paper", "table", "dataset", "method", "variant")) for r in rows
    ]
    assert len(set(keys)) == len(keys)
    assert Counter(r["table"] for r in rows) == {1: 10, 2: 5, 3: 4}


def test_accuracies_are_their_fractions_to_two_digits(reported):
    for row in reported["reported"]:
        if row["table"] == 2:
            # 15.55 of 14/90 is cut, 68.89 of 62/90 rounded
            assert abs(row["value"] - 100 * row["hits"] / row["n"]) < 0.01, row


def test_ranks_are_those_of_strict_orders_with_deviations_of_single_votes(reported):
    """Ranks 1 to 4 have the mean 2.5 and the mean square about it of 1.25, four times."""
    rows = [r for r in reported["reported"] if r["table"] == 3]
    assert math.isclose(sum(r["value"] for r in rows), 10.0, abs_tol=1e-9)
    second = sum(r["sd"] ** 2 + (r["value"] - 2.5) ** 2 for r in rows)
    assert math.isclose(second, 5.0, abs_tol=0.03)
