"""The Frechet distance of infinitely many clips, by a line through its values at fewer.

Chong & Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", CVPR 2020:
the bias of the distance falls as 1/n once there are clearly more clips than dimensions. Below that
it does not, and the line points to a number far from the truth: with 90 clips of 400 features,
634 of nothing becomes 471 of nothing. So there is a limit, and below it no number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpbench.metrics.frechet import Rows, check_pair, frechet, ordered

PER_DIMENSION = 2
"""Clusters a dimension from which on the distance is taken to be linear in 1/n."""

POINTS = 15
"""Values that the line is put through, from half of the clusters to all."""

_SEED = 20_200_616


def least_clusters(dim: int) -> int:
    """Clusters that each set needs at least, for features of `dim` numbers."""
    return PER_DIMENSION * dim


def frechet_infinity(
    x: Rows, y: Rows, clusters_x: Sequence[str], clusters_y: Sequence[str], ddof: int = 1
) -> float | None:
    """Intercept of the least-squares line through the distance against 1/n.

    The same part of the clusters of both sets is drawn, without repetition, so that the bias of
    either falls along the line. Clusters count, not rows: frames of one clip are not independent.

    Args:
        x, y: [n,d] and [m,d].
        clusters_x, clusters_y: the cluster of each row.
        ddof: as in `frechet`.

    Returns:
        The intercept, which may be below 0; None with fewer than `least_clusters` in a set. The
        same bits for any order of the rows.

    Raises:
        UsageError, BadData: as `frechet`.
    """
    one, two = ordered(x, "first", clusters_x), ordered(y, "second", clusters_y)
    check_pair(one, two)
    sides = [(one.rows, one.members()), (two.rows, two.members())]
    if min(len(members) for _, members in sides) < least_clusters(one.rows.shape[1]):
        return None
    rng = np.random.default_rng(_SEED)
    values: list[float] = []
    shares = np.linspace(0.5, 1.0, POINTS)
    for share in shares:
        parts: list[Rows] = []
        for rows, members in sides:
            names = list(members)
            drawn = rng.permutation(len(names))[: round(share * len(names))]
            parts.append(rows[np.concatenate([members[names[k]] for k in sorted(drawn)])])
        values.append(frechet(parts[0], parts[1], ddof))
    _, intercept = np.polyfit(1 / shares, values, 1)
    return float(intercept)
