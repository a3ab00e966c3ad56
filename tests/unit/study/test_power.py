"""Advice on the number of raters against the analysis itself."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.study.power import advise, signed_rank, simulate, simulated_ranks
from vpbench.study.statistics.significance import wilcoxon_pairs


@pytest.mark.parametrize("n", [5, 12, 40, 60])
def test_signed_rank_is_scipys(n):
    rng = np.random.default_rng(n)
    differences = rng.normal(0.3, 1, (n, 4))
    ours = signed_rank(differences)
    theirs = [scipy_stats.wilcoxon(d, correction=False).pvalue for d in differences.T]
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_zeros_are_dropped():
    differences = np.array([[0.0, 0.0], [1, 0], [2, 0], [-3, 0], [4, 0]])
    theirs = scipy_stats.wilcoxon(differences[1:, 0]).pvalue
    assert signed_rank(differences) == pytest.approx([theirs, 1.0])


def test_power_is_that_of_the_analysis():
    """The fast simulation finds a difference as often as the tests of `analyse` do."""
    gap, (fast,) = simulate(3, 20, [10], 1.1, 200)
    rng = np.random.default_rng(42)
    found, gaps = 0, []
    for _ in range(100):
        ranks = simulated_ranks(rng, np.array([1.1, 0, 0]), 10, 20)
        gaps.append((ranks[..., 1] - ranks[..., 0]).mean())
        found += all(wilcoxon_pairs(ranks.mean(axis=axis))[0, 1] < 0.05 for axis in (0, 1))
    assert gap == pytest.approx(np.mean(gaps), abs=0.06)
    assert 0.1 < fast < 0.95
    assert fast == pytest.approx(found / 100, abs=0.14)


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


def test_too_few_raters_find_nothing():
    """Five raters who all agree have p = 1/16."""
    assert simulate(2, 30, [5], 3.0, 20)[1] == [0.0]
