"""The squared MMD over all pairs of rows, each with itself among them: the V-statistic.

Biased upwards by what the diagonal has above the other pairs; for comparison with published figures
alone. `vpbench.metrics.kernel` has the unbiased one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpbench.metrics.frechet import Floats, Rows, check_pair, ordered
from vpbench.metrics.kernel import Polynomial

_BLOCK = 4_000_000
"""Kernel values held at once: 32 MB of float64."""


def mmd_with_diagonal(
    x: Rows,
    y: Rows,
    clusters_x: Sequence[str],
    clusters_y: Sequence[str],
    kernel: Polynomial,
) -> tuple[float, dict[str, float | None]]:
    """Mean k(x,x') + mean k(y,y') - 2 mean k(x,y), each over all pairs (Gretton et al. 2012, 5).

    Args:
        x, y: [n,d] and [m,d], at least two rows each.
        clusters_x, clusters_y: the cluster of each row.

    Returns:
        The value, never below 0 but for rounding, and cluster -> the value without it, None where
        fewer than two rows of a set are left. The same bits for any order of the rows.

    Raises:
        UsageError, BadData: as `kvd`.
    """
    one, two = ordered(x, "first", clusters_x), ordered(y, "second", clusters_y)
    check_pair(one, two)
    own_x, own_y = one.members(), two.members()
    rows = np.concatenate([one.rows, two.rows])
    n, dim = len(one.rows), one.rows.shape[1]
    to_x, to_y = np.empty(len(rows)), np.empty(len(rows))
    step = max(1, _BLOCK // len(rows))
    for start in range(0, len(rows), step):
        values = kernel.of(rows[start : start + step] @ rows.T / dim)
        to_x[start : start + step] = values[:, :n].sum(axis=1)
        to_y[start : start + step] = values[:, n:].sum(axis=1)
    sums = (float(to_x[:n].sum()), float(to_y[n:].sum()), float(to_y[:n].sum()))

    def without(name: str) -> float | None:
        i, j = (own.get(name, np.zeros(0, dtype=np.intp)) for own in (own_x, own_y))
        kept = n - len(i), len(two.rows) - len(j)
        if min(kept) < 2:
            return None
        a, b = one.rows[i], two.rows[j]

        def inside(first: Floats, second: Floats) -> float:
            return float(kernel.of(first @ second.T / dim).sum())

        xx = sums[0] - 2 * to_x[i].sum() + inside(a, a)
        yy = sums[1] - 2 * to_y[n + j].sum() + inside(b, b)
        xy = sums[2] - to_y[i].sum() - to_x[n + j].sum() + inside(a, b)
        return _value((xx, yy, xy), *kept)

    names = sorted(own_x.keys() | own_y.keys())
    return _value(sums, n, len(two.rows)), {name: without(name) for name in names}


def _value(sums: tuple[float, float, float], n: int, m: int) -> float:
    return float(sums[0] / n**2 + sums[1] / m**2 - 2 * sums[2] / (n * m))
