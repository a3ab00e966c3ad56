"""Plackett-Luce worths: how often a method would be chosen as the best of those still in the race.

P(ranking) = prod_s exp(theta_s) / sum_{r >= s} exp(theta_r), over the stages of the ranking from
best to worst (Plackett, Applied Statistics 24, 1975; Luce 1959). The log-likelihood is concave;
Newton steps with halving find its maximum for many weightings at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpbench.study.statistics.resample import Statistic
from vpbench.study.statistics.votes import Floats, Ints, Mask, Votes

PRIOR_SD = 3.0
"""SD of the normal prior on log-worths that holds a method which always wins or always loses."""

_STEPS = 200
_HALVINGS = 30
_PRECISION = 1e-9
_BLOCK = 4_000_000
"""Values of the largest temporary array: 32 MB."""


@dataclass(frozen=True)
class Patterns:
    """The distinct strict rankings of some votes.

    Attributes:
        orders: int64 [M,K], methods from best to worst.
        votes: int64 [V], the pattern of each vote; -1 where it has a tie.
    """

    orders: Ints
    votes: Ints


def patterns(votes: Votes) -> Patterns:
    """The distinct rankings; votes with ties belong to none."""
    if not len(votes):
        return Patterns(np.empty((0, len(votes.methods)), np.int64), np.empty(0, np.int64))
    strict = (np.sort(votes.ranks, axis=1) == np.arange(1, len(votes.methods) + 1)).all(axis=1)
    orders = np.argsort(votes.ranks, axis=1, kind="stable")
    distinct, place = np.unique(orders[strict], axis=0, return_inverse=True)
    of_vote = np.full(len(votes), -1, np.int64)
    of_vote[strict] = place.ravel()
    return Patterns(distinct.astype(np.int64), of_vote)


def fit(orders: Ints, weights: Floats) -> Floats:
    """Log-worths [B,K], centred to 0, of B weightings [B,M] of the rankings `orders` [M,K].

    Where no maximum exists because some methods always beat the others, a normal prior with
    `PRIOR_SD` holds the worths; elsewhere it is the plain maximum. A row without any weight is NaN.
    """
    k = orders.shape[1]
    theta = np.full((len(weights), k), np.nan)
    rows = max(1, _BLOCK // max(1, orders.shape[0] * k * k))
    for start in range(0, len(weights), rows):
        block = weights[start : start + rows]
        alive = block.sum(axis=1) > 0
        if alive.any():
            theta[start : start + rows][alive] = _newton(orders, block[alive])
    return theta


def log_worths(votes: Votes) -> Statistic:
    """The statistic "log-worths" of some votes; those with ties are left out."""
    known = patterns(votes)
    strict = known.votes >= 0
    member = np.zeros((len(votes), len(known.orders)))
    member[np.flatnonzero(strict), known.votes[strict]] = 1

    def statistic(weights: Floats) -> Floats:
        return fit(known.orders, weights @ member)

    return statistic


def separated(orders: Ints, weights: Floats) -> Mask:
    """Whether a finite maximum is missing, bool [B]: the methods fall into winners and losers.

    It exists when every method is reached from every other by "was ranked above" (Hunter, Annals
    of Statistics 32, 2004, assumption 1).
    """
    k = orders.shape[1]
    place = np.argsort(orders, axis=1)
    above = (place[:, :, None] < place[:, None, :]).astype(np.float64)
    reach = np.einsum("bm,mij->bij", weights, above) > 0
    for via in range(k):
        reach |= reach[:, :, via, None] & reach[:, None, via, :]
    off_diagonal = ~np.eye(k, dtype=bool)
    return ~reach[:, off_diagonal].all(axis=1)


def _newton(orders: Ints, weights: Floats) -> Floats:
    k = orders.shape[1]
    votes = weights.sum(axis=1)
    # The likelihood is that of one vote, so the prior is shared out among the votes, too.
    prior = np.where(separated(orders, weights), 1 / (PRIOR_SD**2 * votes), 0.0)
    return _climb(orders, weights / votes[:, None], prior, np.zeros((len(weights), k)))


def _climb(orders: Ints, weights: Floats, prior: Floats, theta: Floats) -> Floats:
    value, gradient, curvature = _likelihood(orders, weights, prior, theta)
    for _ in range(_STEPS):
        # The likelihood is flat along (1,...,1); the added constant keeps the worths centred.
        step = np.linalg.solve(curvature + 1 / theta.shape[1], gradient[:, :, None])[:, :, 0]
        if np.abs(step).max() < _PRECISION:
            break
        theta, value = _improve(orders, weights, prior, theta, value, step)
        value, gradient, curvature = _likelihood(orders, weights, prior, theta)
    return theta - theta.mean(axis=1, keepdims=True)


def _improve(
    orders: Ints, weights: Floats, prior: Floats, theta: Floats, value: Floats, step: Floats
) -> tuple[Floats, Floats]:
    """Go along `step`, half as far where the likelihood would fall."""
    length = np.ones(len(theta))
    for _ in range(_HALVINGS):
        trial = theta + length[:, None] * step
        reached = _likelihood(orders, weights, prior, trial)[0]
        worse = reached < value - 1e-13
        if not worse.any():
            break
        length[worse] /= 2
    return trial, reached


def _likelihood(
    orders: Ints, weights: Floats, prior: Floats, theta: Floats
) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood [B], its gradient [B,K] and negative Hessian [B,K,K]."""
    batch, k = theta.shape
    value = -0.5 * prior * (theta**2).sum(axis=1)
    gradient = -prior[:, None] * theta
    curvature = prior[:, None, None] * np.eye(k)
    remaining = np.ones((len(orders), k), dtype=bool)
    rows = np.arange(len(orders))
    for stage in range(k - 1):
        chosen = orders[:, stage]
        score = np.where(remaining, theta[:, None, :], -np.inf)
        top = score.max(axis=2, keepdims=True)
        raised = np.exp(score - top)
        total = raised.sum(axis=2, keepdims=True)
        share = raised / total
        log_total = np.log(total[:, :, 0]) + top[:, :, 0]
        value += np.einsum("bm,bm->b", weights, theta[:, chosen] - log_total)
        pulled = np.zeros((batch, k))
        np.add.at(pulled.T, chosen, weights.T)
        mean = np.einsum("bm,bmk->bk", weights, share)
        gradient += pulled - mean
        curvature -= np.einsum("bm,bmk,bml->bkl", weights, share, share, optimize=True)
        curvature[:, np.arange(k), np.arange(k)] += mean
        remaining[rows, chosen] = False
    return value, gradient, curvature
