"""How far raters agree: within clips, by Krippendorff's alpha, and each with the rest."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from vpbench.study.statistics.significance import kendall_w
from vpbench.study.statistics.votes import Floats, Votes


def w_within_clips(votes: Votes) -> float | None:
    """Mean over clips of Kendall's W among the raters of a clip; None without a clip of two."""
    values: list[float] = []
    for clip in np.unique(votes.clip):
        ranks = votes.ranks[votes.clip == clip]
        w = kendall_w(ranks) if len(ranks) > 1 else None
        if w is not None:
            values.append(w)
    return float(np.mean(values)) if values else None


def krippendorff_ordinal(votes: Votes) -> float | None:
    """Krippendorff's alpha for ordinal values; units are clip x method, coders are raters.

    Ranks within a vote depend on each other: two reversed raters of four methods have -0.75, not
    -1. Source: Krippendorff, Content Analysis, 3rd ed., 11.3; missing values are allowed.

    Returns:
        None where no unit has two values, or all values are the same.
    """
    k = len(votes.methods)
    levels, place = np.unique(votes.ranks, return_inverse=True)
    counts = np.zeros((len(votes.clips) * k, len(levels)))
    unit = votes.clip[:, None] * k + np.arange(k)[None, :]
    np.add.at(counts, (unit.ravel(), place.ravel()), 1)
    return alpha_ordinal(counts)


def alpha_ordinal(counts: Floats) -> float | None:
    """Alpha from how often each unit was given each level, counts [units, levels in order]."""
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return None
    size = counts.sum(axis=1)
    weighted = counts / (size - 1)[:, None]
    observed = counts.T @ weighted - np.diag(weighted.sum(axis=0))
    margin = observed.sum(axis=0)
    total = margin.sum()
    delta = _ordinal_distance(margin)
    expected = np.outer(margin, margin) - np.diag(margin)
    disagreement = float((expected * delta).sum()) / (total - 1)
    if disagreement <= 0:
        return None
    return 1 - float((observed * delta).sum()) / disagreement


def _ordinal_distance(margin: Floats) -> Floats:
    """Squared number of values between two levels, half of both ends counted."""
    cumulated = np.cumsum(margin)
    middle = cumulated - margin / 2
    return (middle[:, None] - middle[None, :]) ** 2


def agreement_with_rest(votes: Votes) -> dict[str, float | None]:
    """Spearman's correlation of each rater's ranks with the mean ranks of all others.

    Over all (clip, method) that the rater ranked and somebody else did, too; ranks of ranks, so
    that ties count right. None where there is nothing to compare or no variation.
    """
    sums = np.zeros((len(votes.clips), len(votes.methods)))
    seen = np.zeros(len(votes.clips))
    np.add.at(sums, votes.clip, votes.ranks)
    np.add.at(seen, votes.clip, 1)
    by_rater: dict[str, float | None] = {}
    for rater in np.unique(votes.rater):
        own = votes.rater == rater
        clips, ranks = votes.clip[own], votes.ranks[own]
        others = seen[clips] - 1
        shared = others > 0
        mean = (sums[clips] - ranks)[shared] / others[shared, None]
        by_rater[votes.raters[rater]] = _spearman(ranks[shared].ravel(), mean.ravel())
    return by_rater


def _spearman(a: Floats, b: Floats) -> float | None:
    if len(a) < 2:
        return None
    left, right = (rankdata(np.round(x, 9)) for x in (a, b))
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return None if scale == 0 else float((left * right).sum()) / scale


def kendall_tau(a: Floats, b: Floats) -> float:
    """Share of pairs in the same order less the share in opposite order, two rankings of K >= 2."""
    i, j = np.triu_indices(len(a), 1)
    return float(np.mean(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j])))
