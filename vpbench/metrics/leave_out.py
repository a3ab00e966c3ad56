"""The Frechet distance with each cluster of clips left out: what its jackknife needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vpbench.metrics.frechet import (
    Floats,
    Rows,
    RowSet,
    centre,
    check_ddof,
    check_pair,
    distance,
    nuclear,
    ordered,
)
from vpbench.metrics.nuclear import CHUNK, Decomposed, Downdate, orthonormal

FEW = 128
"""Clusters up to which each has an SVD of its own, of a matrix of up to `SMALL` rows or columns."""

SMALL = 512

LARGE = 48
"""Rows of a cluster, of both sets together, above which an SVD of its own is quicker; of a matrix
above `SMALL`, a twelfth of its rows or columns."""


def leave_one_out(
    x: Rows,
    y: Rows,
    clusters_x: Sequence[str],
    clusters_y: Sequence[str] | None = None,
    ddof: int = 1,
) -> dict[str, float | None]:
    """`frechet` with each cluster left out of both sets, from one common factorisation.

    Exact, not an approximation: with fewer rows than dimensions a cluster is taken out of the
    n x m matrix of inner products, which is centred again; with more, the triangular factor gets a
    downdate of low rank. What remains for each cluster is the nuclear norm of a min(n,d) x min(m,d)
    matrix: by its SVD for up to `FEW` clusters, and for more, where that would take minutes, from
    the SVD of everything (`vpbench.metrics.nuclear`). The two agree to 1e-10 of the traces.

    Args:
        x, y: [n,d] and [m,d], as in `frechet`.
        clusters_x: the cluster of each row of x; a clip and its prediction share a cluster.
        clusters_y: that of each row of y; None = the same as `clusters_x`.
        ddof: as in `frechet`.

    Returns:
        Cluster -> value, by name; None where fewer than two rows of a set are left. The same bits
        for any order of the rows.

    Raises:
        UsageError: fewer than two rows, different d, or a wrong number of names.
        BadData: a row with NaN or infinity.
    """
    check_ddof(ddof)
    first = ordered(x, "first", clusters_x)
    second = ordered(y, "second", clusters_x if clusters_y is None else clusters_y)
    check_pair(first, second)
    # One after the other and in place: with many clips, each copy of the rows is a lot of memory.
    one, two = _Side.of(first), _Side.of(second)
    names = sorted(one.members.keys() | two.members.keys())
    known = [n for n in names if one.kept(n) >= 2 and two.kept(n) >= 2]
    product = one.factor @ two.factor.T
    by = _by_svd if len(known) <= FEW and min(product.shape) <= SMALL else _by_downdates
    norms = by(one, two, product, known)
    values = {
        name: _without(one, two, norm, name, ddof) for name, norm in zip(known, norms, strict=True)
    }
    return {name: values.get(name) for name in names}


@dataclass(frozen=True, eq=False)
class _Side:
    """One set, ready to have clusters taken out.

    Attributes:
        mean: [d] of all rows.
        rows: [n,d], centred.
        squares: [n], squared norm of each centred row.
        factor: [r,d], the rows themselves or, for n > d, their triangular factor.
        basis: [n,r] with rows = basis @ factor, or None where the factor is the rows.
        members: cluster -> row numbers.
    """

    mean: Floats
    rows: Floats
    squares: Floats
    factor: Floats
    basis: Floats | None
    members: dict[str, npt.NDArray[np.intp]]

    @classmethod
    def of(cls, rows: RowSet) -> _Side:
        """Of rows that are needed nowhere else: they are centred in place."""
        mean, centred = centre(rows.rows, out=rows.rows)
        squares = (centred * centred).sum(axis=1)
        basis, factor = None, centred
        if len(centred) > centred.shape[1]:
            basis, factor = np.linalg.qr(centred)
        return cls(mean, centred, squares, factor, basis, rows.members())

    def out(self, name: str) -> npt.NDArray[np.intp]:
        """Row numbers of a cluster; none where it is only in the other set."""
        return self.members.get(name, np.zeros(0, dtype=np.intp))

    def kept(self, name: str) -> int:
        """Number of rows without a cluster."""
        return len(self.rows) - len(self.out(name))

    def moments(self, out: npt.NDArray[np.intp]) -> tuple[int, Floats, float]:
        """Number, mean [d] and trace of the scatter of the rows that stay."""
        kept = len(self.rows) - len(out)
        shift = -self.rows[out].sum(axis=0) / kept  # the centred rows add up to 0
        total = float(np.delete(self.squares, out).sum()) - kept * float(shift @ shift)
        return kept, self.mean + shift, max(total, 0.0)

    def apply(self, product: Floats, out: npt.NDArray[np.intp]) -> Floats:
        """Multiply `product` [r,c] from the left so that it stands for the rows that stay."""
        if self.basis is None:
            kept = np.delete(product, out, axis=0)
            return kept - kept.mean(axis=0)
        step = orthonormal(self.directions(out))
        loss = 1 - np.sqrt(1 - step.loss)
        return product - (step.basis * loss) @ (step.basis.T @ product)

    def directions(self, out: npt.NDArray[np.intp]) -> Floats:
        """B [k,r]: the scatter of the rows that stay is factor^T (I - B^T B) factor."""
        basis = self.basis
        if basis is None:  # the rows themselves are the factor, of which the mean direction is 0
            gone = np.zeros((len(out), len(self.rows)))
            gone[np.arange(len(out)), out] = 1.0
            gone -= 1 / len(self.rows)
            total: Floats = np.zeros(len(self.rows))
        else:
            gone = basis[out]
            total = basis.sum(axis=0)
        kept = len(self.rows) - len(out)
        rest = (total - gone.sum(axis=0)) / np.sqrt(kept)
        return np.vstack([gone, rest])

    def downdate(self, name: str) -> Downdate | None:
        """The downdate that leaves a cluster out; None where it is not in this set."""
        out = self.out(name)
        if not len(out):
            return None
        step = orthonormal(self.directions(out))
        if self.basis is not None:
            return step
        # Rows that are the factor themselves go as a whole, which rounding must not hide.
        return Downdate(step.basis[:, : len(out)], np.ones(len(out)))

    def downdates_of_one(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """Unit vectors [N,r] and losses [N] for clusters of at most one row in this set."""
        outs = [self.out(name) for name in names]
        there = np.array([len(out) == 1 for out in outs])
        size = len(self.rows) if self.basis is None else self.basis.shape[1]
        vectors, loss = np.zeros((len(names), size)), np.zeros(len(names))
        if there.any():
            rows = np.concatenate(outs)
            if self.basis is None:
                gone = np.full((len(rows), size), -1 / size)
                gone[np.arange(len(rows)), rows] += 1.0
            else:
                # The columns add up to 0 but for those that the factor has no use for.
                gone = self.basis[rows] - self.basis.mean(axis=0)
            # Leaving a row out also moves the mean along it, hence n / (n - 1).
            squares = (gone * gone).sum(axis=1)
            vectors[there] = gone / np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
            n = len(self.rows)
            loss[there] = 1.0 if self.basis is None else np.minimum(squares * n / (n - 1), 1.0)
        return vectors, loss


def _by_svd(one: _Side, two: _Side, product: Floats, names: Sequence[str]) -> list[float]:
    """Nuclear norm of the product without each cluster, each by its own SVD."""
    return [nuclear(two.apply(one.apply(product, one.out(n)).T, two.out(n))) for n in names]


def _by_downdates(one: _Side, two: _Side, product: Floats, names: Sequence[str]) -> list[float]:
    """The same from a single SVD."""
    whole = Decomposed.of(product)
    least = min(product.shape)
    large = LARGE if least <= SMALL else max(LARGE, least // 12)
    single = [n for n in names if max(len(one.out(n)), len(two.out(n))) <= 1]
    norms: dict[str, float] = {}
    for start in range(0, len(single), CHUNK):
        some = single[start : start + CHUNK]
        values = whole.after_each(*one.downdates_of_one(some), *two.downdates_of_one(some))
        norms |= dict(zip(some, values.tolist(), strict=True))
    for name in names:
        if name in norms:
            continue
        if len(one.out(name)) + len(two.out(name)) <= large:
            norms[name] = whole.after(one.downdate(name), two.downdate(name))
        else:
            (norms[name],) = _by_svd(one, two, product, [name])
    return [norms[name] for name in names]


def _without(one: _Side, two: _Side, norm: float, name: str, ddof: int) -> float:
    """The distance without one cluster, whose nuclear norm is known."""
    n, mean_1, trace_1 = one.moments(one.out(name))
    m, mean_2, trace_2 = two.moments(two.out(name))
    cross = norm / np.sqrt((n - ddof) * (m - ddof))
    return distance(mean_1 - mean_2, trace_1 / (n - ddof) + trace_2 / (m - ddof), float(cross))
