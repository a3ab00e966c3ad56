"""Intervals for votes that share raters and clips: a bootstrap of both at once.

Votes of one rater are alike, and so are votes about one clip; taking them as independent makes
intervals several times too narrow. Raters and clips are therefore drawn with replacement, and a
vote weighs the product of both counts (the pigeonhole bootstrap: Owen, Annals of Applied Statistics
1, 2007). Its variance counts what is neither the rater's nor the clip's three times over, so the
deviations are scaled to the two-way cluster variance V_raters + V_clips - V_votes (Cameron, Gelbach
and Miller, JBES 29, 2011), each from a one-way bootstrap with the correction G / (G - 1) for few
clusters; Student's t with Satterthwaite degrees of freedom widens them where clusters are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from vpbench.study.statistics.votes import Floats, Ints, Votes

Statistic = Callable[[Floats], Floats]
"""Weights of the votes [B,V] -> statistics [B,P]; NaN where the weights leave no answer."""

Kind = Literal["both", "raters", "clips", "votes"]

_BLOCK = 2_000_000
"""Weights that are held at a time: 16 MB."""
_NOTHING = 1e-12
"""A standard error below this is rounding: the statistic is the same in every resample."""


@dataclass(frozen=True)
class Estimate:
    """Statistics with their two-way intervals.

    Attributes:
        value: [P].
        se, low, high: [P]; NaN with fewer than two raters or two clips.
        freedom: [P], degrees of freedom of `se`.
        draws: [B,P], the statistics of the resamples that drew raters and clips.
    """

    value: Floats
    se: Floats
    low: Floats
    high: Floats
    freedom: Floats
    draws: Floats

    def part(self, columns: slice) -> Estimate:
        """Some of the statistics."""
        return Estimate(
            self.value[columns],
            self.se[columns],
            self.low[columns],
            self.high[columns],
            self.freedom[columns],
            self.draws[:, columns],
        )


def estimate(
    votes: Votes,
    statistic: Statistic,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Statistics of the votes, with intervals for new raters and new clips.

    Args:
        statistic: of the votes' weights.
        n_resamples: of each of the four bootstraps.
        seed: of the PCG64 streams.
        level: coverage, in (0, 1).
    """
    value = statistic(np.ones((1, len(votes))))[0]
    if votes.n_raters < 2 or votes.n_clips < 2:
        unknown = np.full_like(value, np.nan)
        return Estimate(value, unknown, unknown, unknown, unknown, np.empty((0, len(value))))
    draws = {kind: _replicate(votes, statistic, kind, n_resamples, seed) for kind in _KINDS}
    by = {kind: np.nanvar(rows, axis=0, ddof=1) for kind, rows in draws.items()}
    raters = by["raters"] * votes.n_raters / (votes.n_raters - 1)
    clips = by["clips"] * votes.n_clips / (votes.n_clips - 1)
    variance, freedom = two_way(raters, clips, by["votes"], votes.n_raters, votes.n_clips)
    se = np.sqrt(variance)
    constant = se < _NOTHING
    widen = special.stdtrit(freedom, (1 + level) / 2) / special.ndtri((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(constant, 0.0, widen * se / np.sqrt(by["both"]))
    # The median keeps the bootstrap's own bias out of the ends: only its shape is used.
    centred = draws["both"] - np.nanmedian(draws["both"], axis=0)
    tail = (1 - level) / 2
    low, high = (value + scale * np.nanquantile(centred, q, axis=0) for q in (tail, 1 - tail))
    return Estimate(value, np.where(constant, 0.0, se), low, high, freedom, draws["both"])


def two_way(
    raters: Floats, clips: Floats, each: Floats, n_raters: int, n_clips: int
) -> tuple[Floats, Floats]:
    """Variance for new raters and new clips, and its Satterthwaite degrees of freedom.

    Args:
        raters, clips: variances when only raters, only clips are drawn again.
        each: when votes are drawn one by one.
    """
    variance = np.maximum(raters + clips - each, np.maximum(raters, clips))
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (raters**2 / (n_raters - 1) + clips**2 / (n_clips - 1))
    return variance, np.where(np.isfinite(freedom), freedom, 1.0)


def two_sided_p(difference: Floats, se: Floats, freedom: Floats) -> Floats:
    """p of Student's t for differences of 0; NaN where `se` is unknown or 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(se > 0, 2 * special.stdtr(freedom, -np.abs(difference) / se), np.nan)


_KINDS: tuple[Kind, ...] = ("both", "raters", "clips", "votes")


def _replicate(votes: Votes, statistic: Statistic, kind: Kind, count: int, seed: int) -> Floats:
    blocks = [statistic(weights) for weights in _weights(votes, kind, count, seed)]
    return np.concatenate(blocks)


def _weights(votes: Votes, kind: Kind, count: int, seed: int) -> Iterator[Floats]:
    """Weights [b,V] of the resamples, in blocks."""
    rng = np.random.Generator(np.random.PCG64([seed, _KINDS.index(kind)]))
    rows = max(1, _BLOCK // max(1, len(votes)))
    for start in range(0, count, rows):
        size = min(rows, count - start)
        weights = np.ones((size, len(votes)))
        if kind in ("both", "raters"):
            weights *= _counts(rng, votes.rater, size)
        if kind in ("both", "clips"):
            weights *= _counts(rng, votes.clip, size)
        if kind == "votes":
            weights *= _counts(rng, np.arange(len(votes)), size)
        yield weights


def _counts(rng: np.random.Generator, unit: Ints, size: int) -> Floats:
    """How often each vote's unit was drawn, [size,V]."""
    names, place = np.unique(unit, return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
    return drawn[:, place].astype(np.float64)


def weighted_mean(values: Floats) -> Statistic:
    """The statistic "weighted mean of each column" of values [V,P]."""

    def statistic(weights: Floats) -> Floats:
        total = weights.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.where(total > 0, weights @ values / total, np.nan)

    return statistic
