"""Kernel distance of two sets of features: the unbiased squared MMD with a cubic kernel.

k(x, y) = (x.y / d + 1)^3, averaged over all pairs of different rows of one set, and over all pairs
across the sets (the full U-statistic). Unlike the Frechet distance its mean is 0 for two samples of
one distribution at any number of clips; so half of such values are negative, and they stay so.

Sources: Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012, equation 3; Binkowski et al.,
"Demystifying MMD GANs", ICLR 2018, section 4 (the kernel); Unterthiner et al., "Towards Accurate
Generative Models of Video", arXiv:1812.01717, 2018, section 3 (on features of videos).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vpbench.metrics.frechet import Floats, Rows, RowSet, check_pair, ordered

PERMUTATIONS = 10_000
"""Permutations behind a p-value."""

_SEED = 20_180_703
_BLOCK = 4_000_000
"""Kernel values held at once: 32 MB of float64."""


def kvd(x: Rows, y: Rows) -> float:
    """Unbiased squared MMD of two sets; may be negative.

    Args:
        x, y: [n,d] and [m,d], at least two rows each; n and m may differ.

    Returns:
        mean k(x,x') + mean k(y,y') - 2 mean k(x,y), x and x' different rows. The same bits for any
        order of the rows.

    Raises:
        UsageError: fewer than two rows, or different d.
        BadData: a row with NaN or infinity.
    """
    return _Sums.of(ordered(x, "first"), ordered(y, "second")).value()


def kvd_leave_one_out(
    x: Rows, y: Rows, clusters_x: Sequence[str], clusters_y: Sequence[str] | None = None
) -> dict[str, float | None]:
    """`kvd` with each cluster left out of both sets, in closed form from the sums of rows.

    Args:
        x, y: as in `kvd`.
        clusters_x, clusters_y: as in `vpbench.metrics.frechet.leave_one_out`.

    Returns:
        Cluster -> value, by name; None where fewer than two rows of a set are left. The same bits
        for any order of the rows.

    Raises:
        UsageError, BadData: as `kvd`, or a wrong number of names.
    """
    first = ordered(x, "first", clusters_x)
    second = ordered(y, "second", clusters_x if clusters_y is None else clusters_y)
    sums = _Sums.of(first, second)
    in_x, in_y = first.members(), second.members()
    nothing = np.zeros(0, dtype=np.intp)
    return {
        name: sums.without(in_x.get(name, nothing), in_y.get(name, nothing))
        for name in sorted(in_x.keys() | in_y.keys())
    }


def permutation_p(
    x: Rows,
    y: Rows,
    clusters_x: Sequence[str] | None = None,
    clusters_y: Sequence[str] | None = None,
    permutations: int = PERMUTATIONS,
) -> float | None:
    """p-value of `kvd` against "both sets come from one distribution", one-sided.

    All rows are pooled and their labels, first or second set, are permuted. The rows of one
    cluster in one set stay together as one block, so that clips of one person count once. A clip
    and its prediction are not held together: where they resemble each other this makes the test
    cautious. The seed is fixed; the set itself is one of the permutations, so p is never 0.

    Args:
        x, y: as in `kvd`.
        clusters_x, clusters_y: the cluster of each row; None = each row stands alone.
        permutations: how many.

    Returns:
        (1 + number of permutations with at least the observed value) / (1 + permutations), or None
        where a set has fewer than two blocks. The same bits for any order of the rows.

    Raises:
        UsageError, BadData: as `kvd`, or a wrong number of names.
    """
    first, second = ordered(x, "first", clusters_x), ordered(y, "second", clusters_y)
    check_pair(first, second)
    one, count_1 = _blocks_of(first, clusters_x is None)
    two, count_2 = _blocks_of(second, clusters_y is None)
    if min(count_1, count_2) < 2:
        return None
    block = np.concatenate([one, two + count_1])
    labels = np.zeros((permutations + 1, count_1 + count_2), dtype=np.int8)
    labels[:, :count_1] = 1
    random = np.random.Generator(np.random.PCG64(_SEED))
    random.permuted(labels[1:], axis=1, out=labels[1:])
    values, scale = _relabelled(np.concatenate([first.rows, second.rows]), labels, block)
    reached = values[1:] >= values[0] - 1e-12 * scale
    return float((1 + np.count_nonzero(reached)) / (1 + permutations))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of kernel values, n + m of each kind.

    Attributes:
        x, y: rows.
        to_x: [n+m], sum of each pooled row's kernel values with the other rows of x.
        to_y: [n+m], the same with the other rows of y.
    """

    x: Floats
    y: Floats
    to_x: Floats
    to_y: Floats

    @classmethod
    def of(cls, first: RowSet, second: RowSet) -> _Sums:
        check_pair(first, second)
        n = len(first.rows)
        pooled = np.concatenate([first.rows, second.rows])
        to_x, to_y = np.empty(len(pooled)), np.empty(len(pooled))
        for part, values in _kernel_blocks(pooled):
            to_x[part] = values[:, :n].sum(axis=1)
            to_y[part] = values[:, n:].sum(axis=1)
        return cls(first.rows, second.rows, to_x, to_y)

    def value(self) -> float:
        """The statistic of all rows."""
        n, m = len(self.x), len(self.y)
        return _statistic(
            float(self.to_x[:n].sum()), float(self.to_y[n:].sum()), float(self.to_y[:n].sum()), n, m
        )

    def without(self, x: npt.NDArray[np.intp], y: npt.NDArray[np.intp]) -> float | None:
        """The statistic without some rows of x and y; None where fewer than two are left."""
        n, m = len(self.x), len(self.y)
        if n - len(x) < 2 or m - len(y) < 2:
            return None
        gone_x, gone_y = self.x[x], self.y[y]
        xx = self.to_x[:n].sum() - 2 * self.to_x[x].sum() + _others(gone_x)
        yy = self.to_y[n:].sum() - 2 * self.to_y[n + y].sum() + _others(gone_y)
        both = _kernel(gone_x, gone_y).sum()
        xy = self.to_y[:n].sum() - self.to_y[x].sum() - self.to_x[n + y].sum() + both
        return _statistic(float(xx), float(yy), float(xy), n - len(x), m - len(y))


def _statistic(xx: float, yy: float, xy: float, n: int, m: int) -> float:
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _kernel(x: Floats, y: Floats) -> Floats:
    """(x.y / d + 1)^3, [n,m]."""
    base = x @ y.T / x.shape[1] + 1
    return base * base * base


def _others(rows: Floats) -> float:
    """Sum of the kernel over all pairs of different rows."""
    values = _kernel(rows, rows)
    np.fill_diagonal(values, 0)
    return float(values.sum())


def _kernel_blocks(rows: Floats) -> Iterator[tuple[slice, Floats]]:
    """The kernel matrix of all rows with a diagonal of 0, some rows at a time."""
    step = max(1, _BLOCK // len(rows))
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        values = _kernel(rows[part], rows)
        np.fill_diagonal(values[:, part], 0)
        yield part, values


def _blocks_of(rows: RowSet, alone: bool) -> tuple[npt.NDArray[np.intp], int]:
    """The block of each row, and how many blocks there are."""
    if alone:
        return np.arange(len(rows.rows)), len(rows.rows)
    block = np.empty(len(rows.rows), dtype=np.intp)
    members = rows.members()
    for number, name in enumerate(members):
        block[members[name]] = number
    return block, len(members)


def _relabelled(
    rows: Floats, labels: npt.NDArray[np.int8], block: npt.NDArray[np.intp]
) -> tuple[Floats, float]:
    """The statistic for each row of labels [P, blocks], and the size of its terms.

    With a the 0-1 vector of the first set and K without its diagonal, the three sums are a.Ka,
    a.K1 - a.Ka and 1.K1 - 2 a.K1 + a.Ka: one matrix product for many permutations.
    """
    inner, linear, total = np.zeros(len(labels)), np.zeros(len(labels)), 0.0
    step = max(1, _BLOCK // len(rows))
    for part, values in _kernel_blocks(rows):
        to_all = values.sum(axis=1)
        total += float(to_all.sum())
        for start in range(0, len(labels), step):
            some = slice(start, start + step)
            chosen = labels[some][:, block].astype(np.float64)
            mine = np.ascontiguousarray(chosen[:, part])
            inner[some] += np.einsum("pi,pi->p", mine @ values, chosen)
            linear[some] += mine @ to_all
    n = labels[:, block].sum(axis=1, dtype=np.int64).astype(np.float64)
    m = len(rows) - n
    xx, yy, xy = inner, total - 2 * linear + inner, linear - inner
    values = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    return values, abs(total) / len(rows) ** 2
