"""Tests of rankings: Friedman, Wilcoxon with Holm, Nemenyi."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from vpbench.core.stats import holm
from vpbench.study.statistics.votes import Floats, Ints, mid_ranks

_DIGITS = 9
"""Decimals of a difference of mean ranks: what differs less is equal but for rounding."""


_EXACT = 50
"""Differences up to which the signed-rank test is exact; above, normal with a tie correction."""


@dataclass(frozen=True)
class Friedman:
    """Friedman's test that all methods are ranked alike.

    Attributes:
        chi2, p: None where every block ties all methods, or there are fewer than two blocks.
        df: K - 1.
        n: blocks.
        w: Kendall's W of the blocks' rankings, chi2 / (n (K - 1)).
    """

    chi2: float | None
    df: int
    n: int
    p: float | None
    w: float | None


def friedman(blocks: Floats) -> Friedman:
    """Friedman's chi-squared with the correction for ties, blocks [N,K] of any values.

    Source: Conover, Practical Nonparametric Statistics, 3rd ed., 5.8; equals scipy's
    `friedmanchisquare` where that is defined.
    """
    n, k = blocks.shape
    w = kendall_w(blocks)
    if n < 2 or k < 2 or w is None:
        return Friedman(None, max(k - 1, 0), n, None, w)
    chi2 = n * (k - 1) * w
    return Friedman(chi2, k - 1, n, float(scipy_stats.chi2.sf(chi2, k - 1)), w)


def kendall_w(blocks: Floats) -> float | None:
    """Kendall's W of N rankings [N,K]: 1 is full agreement, 0 none; corrected for ties.

    Returns:
        None where every row ties all methods, or there is no row.
    """
    n, k = blocks.shape
    if n == 0 or k < 2:
        return None
    ranks = mid_ranks(np.round(blocks, _DIGITS))
    sums = ranks.sum(axis=0)
    spread = float(((sums - sums.mean()) ** 2).sum())
    equal = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    ties = float((equal.astype(np.float64) ** 2 - 1).sum())  # sum of t^3 - t, t values each
    most = n * n * (k**3 - k) - n * ties
    return None if most <= 0 else min(1.0, 12 * spread / most)


def wilcoxon_pairs(blocks: Floats) -> dict[tuple[int, int], float]:
    """Two-sided signed-rank p of every pair of columns of [N,K], adjusted by Holm.

    Zero differences are dropped (Wilcoxon); a pair without any difference has p = 1.
    """
    pairs = list(itertools.combinations(range(blocks.shape[1]), 2))
    raw = [_wilcoxon(blocks[:, i] - blocks[:, j]) for i, j in pairs]
    return dict(zip(pairs, holm(raw), strict=True))


def _wilcoxon(differences: Floats) -> float:
    moved = np.round(differences, _DIGITS)
    moved = moved[moved != 0]
    if not len(moved):
        return 1.0
    if len(moved) > _EXACT:
        test: Any = scipy_stats.wilcoxon(moved, method="approx")
        return min(1.0, float(test.pvalue))
    # Ranks of ties are halves: doubled, all are whole.
    ranks = np.round(2 * scipy_stats.rankdata(np.abs(moved))).astype(np.int64)
    low = min(ranks[moved > 0].sum(), ranks[moved < 0].sum())
    return min(1.0, 2 * float(_share_up_to(ranks, int(low))))


def _share_up_to(ranks: Ints, most: int) -> float:
    """Share of the 2^n choices of signs whose positive ranks sum to at most `most`.

    All signs are equally likely under the hypothesis, with ties too (Hollander, Wolfe and Chicken,
    Nonparametric Statistical Methods, 3rd ed., 3.1, comment 11).
    """
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[:-rank]
    return float(ways[: most + 1].sum() / 2.0 ** len(ranks))


@dataclass(frozen=True)
class Nemenyi:
    """Nemenyi's comparison of all pairs.

    Attributes:
        mean_ranks: [K], of the blocks' rankings.
        critical_difference: of two mean ranks at 5 %.
        p: (i, j) -> p, i < j.
    """

    mean_ranks: Floats
    critical_difference: float
    p: dict[tuple[int, int], float]


def nemenyi(blocks: Floats, level: float = 0.95) -> Nemenyi:
    """Nemenyi's test after Friedman, blocks [N,K] (Demsar, JMLR 7, 2006, 3.2.2).

    What two methods get depends on which others stand beside them (Benavoli et al., JMLR 17,
    2016); the signed-rank tests do not.
    """
    n, k = blocks.shape
    means = mid_ranks(np.round(blocks, _DIGITS)).mean(axis=0)
    unit = float(np.sqrt(k * (k + 1) / (6 * n)))
    spread = scipy_stats.studentized_range
    critical = float(spread.ppf(level, k, np.inf)) / np.sqrt(2) * unit
    p = {
        (i, j): float(spread.sf(abs(means[i] - means[j]) / unit * np.sqrt(2), k, np.inf))
        for i, j in itertools.combinations(range(k), 2)
    }
    return Nemenyi(means, float(critical), p)
