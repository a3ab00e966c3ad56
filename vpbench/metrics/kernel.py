"""Kernel distance of two sets of features: the unbiased squared MMD with a polynomial kernel.

k(x, y) = (x.y / d + 1)^3 unless another is given, averaged over pairs of rows of one set and over
pairs across the sets. Only pairs of different clusters count: never a row with itself, nor a
predicted clip with the real one that it was made for, nor two clips of one person. Such pairs
resemble each other whatever the sets are; with them in the mean across the sets, the truth itself
would come out below 0. For sets without clusters in common this is the usual full U-statistic, for
paired sets equation 4 of Gretton et al. Its mean is 0 for two samples of one distribution at any
number of clips, so half of such values are negative, and they stay so.

Sources: Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012, equations 3 and 4; Binkowski et
al., "Demystifying MMD GANs", ICLR 2018, section 4 (the kernel); Unterthiner et al., "Towards
Accurate Generative Models of Video", arXiv:1812.01717, 2018, section 3 (on features of videos).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vpbench.metrics.frechet import Floats, Rows, RowSet, check_pair, ordered
from vpbench.metrics.relabelling import Block, Swaps, permuted_p

_BLOCK = 4_000_000
"""Kernel values held at once: 32 MB of float64."""

_TIE = 1e-12
"""Relative to the mean kernel value, a difference between relabellings that is rounding."""


def kvd(
    x: Rows,
    y: Rows,
    clusters_x: Sequence[str] | None = None,
    clusters_y: Sequence[str] | None = None,
) -> float | None:
    """Unbiased squared MMD of two sets; may be negative.

    Args:
        x, y: [n,d] and [m,d], at least two rows each; n and m may differ.
        clusters_x, clusters_y: the cluster of each row; a clip and its prediction share one. None =
            each row is a cluster of its own, in that set alone.

    Returns:
        mean k(x,x') + mean k(y,y') - 2 mean k(x,y), each over all pairs of different clusters; None
        where a set has a single cluster. The same bits for any order of the rows.

    Raises:
        UsageError: fewer than two rows, different d, or a wrong number of names.
        BadData: a row with NaN or infinity.
    """
    return KernelSums.of(x, y, clusters_x, clusters_y).value()


def kvd_leave_one_out(
    x: Rows, y: Rows, clusters_x: Sequence[str], clusters_y: Sequence[str] | None = None
) -> dict[str, float | None]:
    """`kvd` with each cluster left out of both sets, in closed form from the sums of rows.

    Args:
        x, y: as in `kvd`.
        clusters_x: the cluster of each row of x.
        clusters_y: that of each row of y; None = the same as `clusters_x`.

    Returns:
        Cluster -> value, by name; None where a set has a single cluster left. The same bits for any
        order of the rows.

    Raises:
        UsageError, BadData: as `kvd`.
    """
    other = clusters_x if clusters_y is None else clusters_y
    return KernelSums.of(x, y, clusters_x, other).leave_one_out()


def permutation_p(
    x: Rows,
    y: Rows,
    clusters_x: Sequence[str] | None = None,
    clusters_y: Sequence[str] | None = None,
    permutations: int | None = None,
) -> float | None:
    """p-value of `kvd` against "both sets come from one distribution", one-sided.

    Paired sets: a clip and its prediction swap their labels, first or second set; the rows of one
    cluster swap together, so that clips of one person count once. That is exact where the two of a
    pair are exchangeable, however much they resemble each other (`relabelling.Swaps`). Sets without
    clusters in common: labels are permuted among clusters. Sets of which some clusters are in both
    and some are not: both at once. Seeds are fixed; the sets as they are count as one relabelling,
    so p is never 0.

    Args:
        x, y, clusters_x, clusters_y: as in `kvd`.
        permutations: how many, where labels are permuted; None = `relabelling.permutations_for`.

    Returns:
        The part of the relabellings with at least the observed value; None where a set has a single
        cluster. The same bits for any order of the rows.

    Raises:
        UsageError, BadData: as `kvd`.
    """
    return KernelSums.of(x, y, clusters_x, clusters_y, test=True).p(permutations)


@dataclass(frozen=True)
class Polynomial:
    """The kernel (x.y / d + offset)^degree of rows of d numbers."""

    degree: int = 3
    offset: float = 1.0

    def of(self, products: Floats) -> Floats:
        """Kernel values of products x.y / d, which are overwritten."""
        products += self.offset
        values = products * products
        for _ in range(self.degree - 2):
            values *= products
        return values


CUBIC = Polynomial()
"""The kernel of KID and KVD."""


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Sums of kernel values over pairs of different clusters: all that the distance needs.

    Attributes:
        n, m: rows of x and of y.
        rows: [n+m,d], x and then y.
        codes: [n+m], number of each row's cluster; a cluster in both sets has one number.
        names: cluster of each number.
        to_x: [n+m], sum of each row's kernel values with rows of x of other clusters.
        to_y: [n+m], the same with rows of y.
        size: mean absolute kernel value.
        swapped: numerator of the distance for each swap of pairs, where there are only pairs.
        kernel: the kernel.
    """

    n: int
    m: int
    rows: Floats
    codes: npt.NDArray[np.intp]
    names: tuple[str, ...]
    to_x: Floats
    to_y: Floats
    size: float
    swapped: Floats | None
    kernel: Polynomial = CUBIC

    @classmethod
    def of(
        cls,
        x: Rows,
        y: Rows,
        clusters_x: Sequence[str] | None = None,
        clusters_y: Sequence[str] | None = None,
        *,
        test: bool = False,
        kernel: Polynomial = CUBIC,
    ) -> KernelSums:
        """Sum in one pass over the kernel matrix; with `test`, what the p-value needs as well."""
        first, second = ordered(x, "first", clusters_x), ordered(y, "second", clusters_y)
        check_pair(first, second)
        n, m = len(first.rows), len(second.rows)
        if clusters_x is None or clusters_y is None:
            first, second = _apart(first, "x", clusters_x), _apart(second, "y", clusters_y)
        names, codes = _codes(first, second)
        rows = np.concatenate([first.rows, second.rows])
        del first, second  # with many clips, memory that is wanted for what follows
        swaps = Swaps.of(codes[:n], codes[n:], len(names)) if test else None
        side = np.zeros((len(rows), 2))
        side[:n, 0] = side[n:, 1] = 1.0
        sums, total = np.zeros((len(rows), 2)), 0.0
        for start, values in _kernel_blocks(rows, codes, kernel):
            own, beyond = slice(start, start + len(values)), slice(start + len(values), None)
            below = values[:, len(values) :]
            sums[own] += values @ side[start:]
            sums[beyond] += below.T @ side[own]
            total += float(np.abs(values).sum() + np.abs(below).sum())
            if swaps is not None:
                swaps.add(start, values)
        to_x, to_y = np.ascontiguousarray(sums.T)
        swapped = None if swaps is None else swaps.values()
        size = total / len(rows) ** 2
        return cls(n, m, rows, codes, names, to_x, to_y, size, swapped, kernel)

    def value(self) -> float | None:
        """The distance of all rows; None without pairs of different clusters."""
        n = self.n
        sums = self.to_x[:n].sum(), self.to_y[n:].sum(), self.to_y[:n].sum()
        return _statistic(sums, self._pairs())

    def leave_one_out(self) -> dict[str, float | None]:
        """Cluster -> the distance without it; None without pairs of different clusters."""
        n, m, (a, b) = self.n, self.m, self._sizes()
        own_x, own_y, count = self.codes[:n], self.codes[n:], len(self.names)
        # No pair within a cluster was counted, so its rows' sums are all that goes with it.
        xx = self.to_x[:n].sum() - 2 * np.bincount(own_x, self.to_x[:n], count)
        yy = self.to_y[n:].sum() - 2 * np.bincount(own_y, self.to_y[n:], count)
        xy = self.to_y[:n].sum() - np.bincount(own_x, self.to_y[:n], count)
        xy -= np.bincount(own_y, self.to_x[n:], count)
        pairs = (
            (n - a) ** 2 - (a @ a - a * a),
            (m - b) ** 2 - (b @ b - b * b),
            (n - a) * (m - b) - (a @ b - a * b),
        )
        return {
            name: _statistic((xx[k], yy[k], xy[k]), (pairs[0][k], pairs[1][k], pairs[2][k]))
            for k, name in enumerate(self.names)
        }

    def p(self, permutations: int | None = None) -> float | None:
        """The p-value, of sums that were made with `test`; None without a value."""
        if min(self._pairs()) <= 0:
            return None
        if self.swapped is not None:
            # Swaps keep the numbers of pairs, so numerators say enough; the first swaps nothing.
            tie = _TIE * self.size * len(self.rows) ** 2
            return float(np.mean(self.swapped >= self.swapped[0] - tie))
        kernel = _kernel_blocks(self.rows, self.codes, self.kernel)
        own_x, own_y = self.codes[: self.n], self.codes[self.n :]
        return permuted_p(kernel, own_x, own_y, _TIE * self.size, permutations)

    def _sizes(self) -> tuple[Floats, Floats]:
        """Rows of each cluster in x and in y."""
        own = self.codes[: self.n], self.codes[self.n :]
        one, two = (np.bincount(c, minlength=len(self.names)).astype(np.float64) for c in own)
        return one, two

    def _pairs(self) -> tuple[float, float, float]:
        """Pairs of different clusters within x, within y and across."""
        n, m, (a, b) = self.n, self.m, self._sizes()
        return float(n * n - a @ a), float(m * m - b @ b), float(n * m - a @ b)


def _statistic(sums: tuple[float, float, float], pairs: tuple[float, float, float]) -> float | None:
    if min(pairs) <= 0:
        return None
    return float(sums[0] / pairs[0] + sums[1] / pairs[1] - 2 * sums[2] / pairs[2])


def _apart(rows: RowSet, side: str, clusters: Sequence[str] | None) -> RowSet:
    """The rows with clusters of this set alone, numbered in the order of the rows if unnamed."""
    own = [f"{k:09d}" for k in range(len(rows.rows))] if clusters is None else rows.clusters
    return RowSet(rows.rows, tuple(f"{side} {name}" for name in own))


def _codes(first: RowSet, second: RowSet) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """Names of the clusters, and the number of each row's, of both sets."""
    own = [*first.clusters, *second.clusters]
    order = {name: k for k, name in enumerate(sorted(set(own)))}
    return tuple(order), np.array([order[name] for name in own], dtype=np.intp)


def _kernel_blocks(
    rows: Floats, codes: npt.NDArray[np.intp], kernel: Polynomial
) -> Iterator[Block]:
    """The kernel matrix of all rows, 0 within a cluster, some rows at a time; see `Block`."""
    step = max(1, _BLOCK // len(rows))
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        values = rows[some] @ rows[start:].T
        values /= rows.shape[1]
        values = kernel.of(values)
        values[codes[some, None] == codes[start:]] = 0
        yield start, values
