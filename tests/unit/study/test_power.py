"""Advice on the number of raters against the analysis itself."""

import numpy as np
import pytest

from tests.unit.study.test_statistics import votes_from
from vpbench.study.power import advise, simulate, simulated_ranks, told_apart
from vpbench.study.statistics.summary import summarise


def test_power_is_that_of_the_analysis():
    """The fast simulation finds a difference where `summarise` does."""
    rng = np.random.default_rng(42)
    studies = [simulated_ranks(rng, np.array([0.9, 0, 0]), 10, 12) for _ in range(14)]
    fast = [told_apart(ranks) for ranks in studies]
    slow = [summarise(votes_from(r), n_resamples=500)["pairs"][0] for r in studies]
    differ = [f != s["different"] for f, s in zip(fast, slow, strict=True)]
    assert sum(differ) <= 1 and 1 < sum(fast) < 14
    gap, (power,) = simulate(3, 12, [10], 0.9, 300)
    assert power == pytest.approx(np.mean(fast), abs=0.3)
    gaps = [(r[..., 1] - r[..., 0]).mean() for r in studies]
    assert gap == pytest.approx(np.mean(gaps), abs=0.12)


def test_more_raters_find_smaller_differences():
    rows = {a.raters: a.detectable for a in advise(3, 30, 12, studies=60)}
    assert 12 in rows
    known = [rows[n] for n in sorted(rows) if rows[n] is not None]
    assert len(known) >= 3 and known[-1] < known[0]


def test_the_advice_holds():
    """A study with the advised difference finds it about four times in five."""
    (row,) = [a for a in advise(2, 30, 15, studies=150) if a.raters == 15]
    shifts = np.linspace(0.2, 1.6, 15)
    gaps = [simulate(2, 30, [15], s, 60, seed=5) for s in shifts]
    at = np.interp(row.detectable, [g for g, _ in gaps], shifts)
    _, (power,) = simulate(2, 30, [15], float(at), 400, seed=9)
    assert 0.68 <= power <= 0.92
