"""How many raters a study needs: simulated studies, judged by the rule of the analysis.

A simulated rater scores a method with its log-worth plus what this rater, this clip and this vote
add at random, and ranks by score (with Gumbel noise a vote follows Plackett-Luce). Two methods are
found different as in `analyse`: signed-rank tests over raters and over clips both pass, after Holm.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special
from scipy.stats import rankdata

from vpbench.core.seeding import seed_of
from vpbench.study.statistics.votes import Floats

RATER_SD = 0.5
"""SD over raters of a method's log-worth: assumed, raters differ a little in taste."""
CLIP_SD = 0.7
"""SD over clips: assumed, a method does better on some clips than on others."""

_LADDER = (8, 10, 15, 20, 30)
_SHIFTS = (0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4)
"""Log-worths by which one method is ahead of all others, which are alike."""
_EXACT = 50
"""Differences up to which the signed-rank test is exact, as in scipy."""


@dataclass(frozen=True)
class Advice:
    """What a number of raters can find.

    Attributes:
        detectable: difference of two mean ranks found with the wanted power; None where even the
            largest that was simulated is not.
    """

    raters: int
    detectable: float | None


def advise(
    methods: int, clips: int, raters: int, *, power: float = 0.8, studies: int = 100, seed: int = 0
) -> list[Advice]:
    """The smallest difference of mean ranks that is found, for several numbers of raters.

    Args:
        raters: the planned number, which is among those advised on.
        studies: simulated for each difference.
    """
    ladder = sorted({*_LADDER, raters})
    found = {count: [(0.0, 0.05)] for count in ladder}  # no difference: found by chance at most
    for shift in _SHIFTS:
        gap, powers = simulate(methods, clips, ladder, shift, studies, seed)
        for count, share in zip(ladder, powers, strict=True):
            found[count].append((gap, share))
    return [Advice(count, _crossing(found[count], power)) for count in ladder]


def simulate(
    methods: int, clips: int, raters: Sequence[int], shift: float, studies: int, seed: int = 0
) -> tuple[float, list[float]]:
    """Mean gap in rank between the best method and another, and how often each study size finds it.

    Args:
        raters: sizes; a smaller study is the first raters of the largest.
    """
    rng = np.random.Generator(np.random.PCG64([seed_of("power", seed), round(shift * 1000)]))
    worth = np.zeros(methods)
    worth[0] = shift
    gaps: list[float] = []
    hits = np.zeros(len(raters))
    for _ in range(studies):
        ranks = simulated_ranks(rng, worth, max(raters), clips)
        gaps.append(float((ranks[..., 1] - ranks[..., 0]).mean()))
        for at, count in enumerate(raters):
            part = ranks[:count]
            hits[at] += _found(part.mean(axis=0)) and _found(part.mean(axis=1))
    return float(np.mean(gaps)), [float(h) / studies for h in hits]


def simulated_ranks(
    rng: np.random.Generator,
    worth: Floats,
    raters: int,
    clips: int,
    rater_sd: float = RATER_SD,
    clip_sd: float = CLIP_SD,
) -> Floats:
    """Ranks [raters,clips,K] of a simulated study."""
    k = len(worth)
    score = worth + rng.normal(0, rater_sd, (raters, 1, k)) + rng.normal(0, clip_sd, (1, clips, k))
    score = score + rng.gumbel(size=(raters, clips, k))
    return (np.argsort(np.argsort(-score, axis=2), axis=2) + 1).astype(np.float64)


def _found(blocks: Floats) -> bool:
    """Whether the first two methods differ by the signed-rank test with Holm, blocks [N,K]."""
    pairs = np.array(list(itertools.combinations(range(blocks.shape[1]), 2)))
    p = signed_rank(blocks[:, pairs[:, 0]] - blocks[:, pairs[:, 1]])
    order = np.argsort(p, kind="stable")
    passed = p[order] * np.arange(len(p), 0, -1) < 0.05
    rejected = len(p) if passed.all() else int(np.argmin(passed))
    return 0 in order[:rejected]  # pair 0 is that of methods 0 and 1


def signed_rank(differences: Floats) -> Floats:
    """Two-sided p of Wilcoxon's signed-rank test for each column of [N,P].

    Exact up to 50 differences other than 0; ties are taken for differences that happen to be
    close. Many times faster than calling scipy for each pair.
    """
    size = np.round(np.abs(differences), 9)
    zeros = (size == 0).sum(axis=0)
    ranks = rankdata(size, axis=0) - zeros  # zeros come first and are not counted
    plus = np.where(differences > 0, ranks, 0) * (size > 0)
    n = len(differences) - zeros
    total = n * (n + 1) / 2
    low = np.minimum(plus.sum(axis=0), total - plus.sum(axis=0))
    return np.array([_two_sided(int(m), float(w)) for m, w in zip(n, low, strict=True)])


def _two_sided(n: int, low: float) -> float:
    if n == 0:
        return 1.0
    if n <= _EXACT:
        return min(1.0, 2 * float(_null(n)[int(low)]))
    mean, sd = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return min(1.0, float(2 * special.ndtr((low - mean) / sd)))


@lru_cache(maxsize=64)
def _null(n: int) -> Floats:
    """P(W <= w) for w = 0..n(n+1)/2: sums of subsets of 1..n, all equally likely."""
    count = np.zeros(n * (n + 1) // 2 + 1)
    count[0] = 1
    for value in range(1, n + 1):
        count[value:] = count[value:] + count[:-value]
    return np.cumsum(count) / 2.0**n


def _crossing(points: Sequence[tuple[float, float]], power: float) -> float | None:
    """The gap at which a curve of (gap, power) first reaches `power`, by straight lines."""
    for (gap, share), (next_gap, next_share) in itertools.pairwise(points):
        if next_share >= power:
            return gap + (next_gap - gap) * max(0.0, power - share) / max(1e-9, next_share - share)
    return None
