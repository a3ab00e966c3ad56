"""How many raters a study needs: simulated studies, judged by the rule of the analysis.

A simulated rater scores a method with its log-worth plus what this rater, this clip and this vote
add at random, and ranks by score (with Gumbel noise a vote follows Plackett-Luce). Two methods are
told apart as in `analyse`: by the two-way test after Holm, whose variances have a closed form for a
full table of votes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpbench.core.seeding import seed_of
from vpbench.core.stats import holm
from vpbench.study.statistics.resample import two_sided_p, two_way
from vpbench.study.statistics.votes import Floats

RATER_SD = 0.5
"""SD over raters of a method's log-worth: assumed, raters differ a little in taste."""
CLIP_SD = 0.7
"""SD over clips: assumed, a method does better on some clips than on others."""

_LADDER = (5, 8, 10, 15, 20, 30)
_SHIFTS = (0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4)
"""Log-worths by which one method is ahead of all others, which are alike."""


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
    curves = {count: [(0.0, 0.05)] for count in ladder}  # no difference: found by chance at most
    for shift in _SHIFTS:
        gap, powers = simulate(methods, clips, ladder, shift, studies, seed)
        for count, share in zip(ladder, powers, strict=True):
            curves[count].append((gap, share))
    return [Advice(count, _crossing(curves[count], power)) for count in ladder]


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
            hits[at] += told_apart(ranks[:count])
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


def told_apart(ranks: Floats) -> bool:
    """Whether the first two methods are told apart, from ranks [raters,clips,K] without gaps."""
    raters, clips, k = ranks.shape
    pairs = np.array(list(itertools.combinations(range(k), 2)))
    gaps = ranks[..., pairs[:, 0]] - ranks[..., pairs[:, 1]]
    mean = gaps.mean(axis=(0, 1))
    by_rater = gaps.mean(axis=1).var(axis=0, ddof=1) / raters
    by_clip = gaps.mean(axis=0).var(axis=0, ddof=1) / clips
    each = gaps.var(axis=(0, 1)) / (raters * clips)
    variance, freedom = two_way(by_rater, by_clip, each, raters, clips)
    p = np.nan_to_num(two_sided_p(mean, np.sqrt(variance), freedom), nan=1.0)
    return holm(list(p))[0] < 0.05


def _crossing(points: Sequence[tuple[float, float]], power: float) -> float | None:
    """The gap at which a curve of (gap, power) first reaches `power`, by straight lines."""
    for (gap, share), (next_gap, next_share) in itertools.pairwise(points):
        if next_share >= power:
            return gap + (next_gap - gap) * max(0.0, power - share) / max(1e-9, next_share - share)
    return None
