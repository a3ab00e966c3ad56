"""The Frechet distance of two sets of features, in float64 and without a matrix square root.

With C the centred rows divided by sqrt(n - ddof), the covariance is S = C^T C, and

    tr((S1 S2)^1/2) = || C1 C2^T ||_*        tr(S) = || C ||_F^2

because the eigenvalues of S1 S2 are the squared singular values of C1 C2^T. A nuclear norm is
never complex and needs no regularisation, also where there are fewer rows than dimensions. Where
there are more, C is replaced by a triangular factor R with R^T R = S: of its QR decomposition, or
where rows are many that of the Cholesky decomposition of S, quicker and as exact where S is far
from singular. A bound of the error decides.

Sources: Dowson & Landau, "The Frechet distance between multivariate normal distributions", Journal
of Multivariate Analysis 12, 1982, equation 4; Unterthiner et al., "Towards Accurate Generative
Models of Video", arXiv:1812.01717, 2018, equation 2; the low-rank form as in Mathiasen &
Hvilshoj, "Fast Frechet Inception Distance", arXiv:2009.14075, 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UsageError

Floats = npt.NDArray[np.float64]
"""float64, any shape."""

Rows = npt.NDArray[np.floating[Any]]
"""Features of one set, [n,d]."""


@dataclass(frozen=True)
class RowSet:
    """Checked rows in an order that depends on their contents only.

    Attributes:
        rows: float64 [n,d].
        clusters: the cluster of each row; rows of one cluster are left out together.
    """

    rows: Floats
    clusters: tuple[str, ...]

    def members(self) -> dict[str, npt.NDArray[np.intp]]:
        """Cluster -> its row numbers."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(self.clusters):
            rows.setdefault(name, []).append(row)
        return {name: np.array(rows[name], dtype=np.intp) for name in sorted(rows)}


def ordered(values: Rows, what: str, clusters: Sequence[str] | None = None) -> RowSet:
    """Check rows and sort them by their bytes, so that results are the same bits for any order.

    Args:
        values: [n,d], n at least 2.
        what: the set's name in messages.
        clusters: one name a row; None = each row is a cluster, named by its number.

    Raises:
        UsageError: not two-dimensional, fewer than two rows, or another number of names.
        BadData: NaN or infinity, with the first such row.
    """
    rows = np.array(values, dtype=np.float64, order="C")
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise UsageError(f"{what} features have shape {rows.shape}, they must be [n,d].")
    if len(rows) < 2:
        raise UsageError(
            f"a distance of sets needs at least 2 {what} rows, but there are {len(rows)}."
        )
    names = [str(i) for i in range(len(rows))] if clusters is None else list(clusters)
    if len(names) != len(rows):
        raise UsageError(f"{len(rows)} {what} rows have {len(names)} clusters.")
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise BadData(f"row {row} ({names[row]}) of the {what} features holds NaN or infinity.")
    rows += 0.0  # -0 and 0 are the same number with different bytes
    # Almost always the first eight bytes decide, read as a number with the first one in front.
    first = np.ascontiguousarray(rows[:, 0]).view(">u8")
    if len(np.unique(first)) == len(rows):
        order = [int(i) for i in np.argsort(first)]
    else:
        order = sorted(range(len(rows)), key=lambda i: (rows[i].tobytes(), names[i]))
    return RowSet(rows[order], tuple(names[i] for i in order))


def check_pair(first: RowSet, second: RowSet) -> None:
    """UsageError unless both sets have the same number of dimensions."""
    if first.rows.shape[1] != second.rows.shape[1]:
        raise UsageError(
            f"features of {first.rows.shape[1]} and {second.rows.shape[1]} dimensions "
            "have no distance."
        )


def frechet(x: Rows, y: Rows, ddof: int = 1) -> float:
    """Squared Frechet distance of the Gaussians that fit two sets of features.

    Args:
        x, y: [n,d] and [m,d], any float type, at least two rows each; n and m may differ.
        ddof: the covariance is divided by n - ddof; 1 as in the original FVD, or 0.

    Returns:
        |mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^1/2), at least 0; exact to rounding. The
        same bits for any order of the rows and of the two sets.

    Raises:
        UsageError: fewer than two rows, different d, or another `ddof`.
        BadData: a row with NaN or infinity.
    """
    check_ddof(ddof)
    first, second = ordered(x, "first"), ordered(y, "second")
    check_pair(first, second)
    one, two = first.rows, second.rows
    if (len(one), one[0].tobytes()) == (len(two), two[0].tobytes()):
        one, two = sorted((one, two), key=lambda rows: rows.tobytes())
    elif (len(one), one[0].tobytes()) > (len(two), two[0].tobytes()):
        one, two = two, one
    mean_1, c1 = centre(one, out=one)
    mean_2, c2 = centre(two, out=two)
    c1 /= np.sqrt(len(one) - ddof)
    c2 /= np.sqrt(len(two) - ddof)
    return distance(mean_1 - mean_2, _squares(c1) + _squares(c2), _cross(c1, c2))


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and scatter of rows, for streams too long to keep.

    Attributes:
        n: rows seen.
        mean: float64 [d].
        m2: float64 [d,d], sum of (x - mean)(x - mean)^T.
    """

    n: int
    mean: Floats
    m2: Floats

    @classmethod
    def of(cls, rows: Rows) -> Moments:
        """The moments of rows [n,d], n at least 1.

        Raises:
            UsageError: not two-dimensional, or no rows.
            BadData: NaN or infinity.
        """
        values = np.asarray(rows, dtype=np.float64)
        if values.ndim != 2 or 0 in values.shape:
            raise UsageError(f"features have shape {values.shape}, they must be [n,d].")
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise BadData(f"row {int(np.argmax(bad))} of the features holds NaN or infinity.")
        mean, centred = centre(values)
        return cls(len(values), mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of rows (Chan, Golub & LeVeque 1983, equation 2.1).

        Raises:
            UsageError: different d.
        """
        if self.mean.shape != other.mean.shape:
            raise UsageError(
                f"moments of {len(self.mean)} and {len(other.mean)} dimensions have no sum."
            )
        n = self.n + other.n
        step = other.mean - self.mean
        m2 = self.m2 + other.m2 + np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), m2)

    def covariance(self, ddof: int = 1) -> Floats:
        """float64 [d,d].

        Raises:
            UsageError: fewer than two rows, or another `ddof` than 0 and 1.
        """
        check_ddof(ddof)
        if self.n < 2:
            raise UsageError(f"a covariance needs at least 2 rows, but there are {self.n}.")
        return self.m2 / (self.n - ddof)


def frechet_moments(a: Moments, b: Moments, ddof: int = 1) -> float:
    """`frechet` from moments alone; use it only where the features cannot be kept.

    Each covariance is factored by its eigenvectors, eigenvalues below rounding are taken as 0, and
    the nuclear norm follows as in `frechet`. About 1e-7 relative on ill-conditioned covariances.

    Raises:
        UsageError: fewer than two rows, different d, or another `ddof`.
    """
    if a.mean.shape != b.mean.shape:
        raise UsageError(
            f"features of {len(a.mean)} and {len(b.mean)} dimensions have no distance."
        )
    s1, s2 = a.covariance(ddof), b.covariance(ddof)
    cross = nuclear(_root(s1).T @ _root(s2))
    return distance(a.mean - b.mean, float(np.trace(s1) + np.trace(s2)), cross)


def check_ddof(ddof: int) -> None:
    """UsageError unless it is 0 or 1."""
    if ddof not in (0, 1):
        raise UsageError(f"ddof={ddof} must be 0 or 1.")


def centre(rows: Floats, out: Floats | None = None) -> tuple[Floats, Floats]:
    """Mean [d] and rows less the mean; twice, so that a large mean costs no digits.

    Args:
        rows: [n,d].
        out: takes the result, such as the rows themselves.
    """
    mean = rows.mean(axis=0)
    centred = np.subtract(rows, mean, out=out)
    rest = centred.mean(axis=0)
    centred -= rest
    return mean + rest, centred


_MANY = 2
"""Rows to a dimension from which on normal equations are tried: products are all that they cost."""

_CONDITION = 1e-4
"""Smallest diagonal entry of a Cholesky factor, to the largest, with which it is taken."""

_ROUNDING = 1e-11
"""Error, to the nuclear norm, up to which it is taken from squared singular values."""


def _cross(one: Floats, two: Floats) -> float:
    """Nuclear norm of one two^T, for rows or triangular factors of them."""
    if min(len(one), len(two)) < _MANY * one.shape[1]:
        return nuclear(_factor(one) @ _factor(two).T)
    first, second = _by_cholesky(one), _by_cholesky(two)
    if first is None or second is None:
        return nuclear(_factor(one) @ _factor(two).T)
    product = first @ second.T
    squares = np.linalg.eigvalsh(product @ product.T)
    values = np.sqrt(np.maximum(squares, 0.0))
    # Each square is off by up to 1e-16 of the largest, its root by that over twice the root.
    least = np.finfo(np.float64).tiny
    error = np.finfo(np.float64).eps * values[-1] ** 2 * (1 / np.maximum(values, least)).sum()
    total = float(values.sum())
    return total if error <= _ROUNDING * total else nuclear(product)


def _by_cholesky(centred: Floats) -> Floats | None:
    """R with R^T R = C^T C; None where that is too near to singular.

    Its error of 1e-16 C^T C is one of 1e-16 / 1e-4 of the root in the direction of smallest
    variance; the distance agrees with that by QR to 1e-11 of the traces.
    """
    try:
        factor = np.asarray(np.linalg.cholesky(centred.T @ centred).T, dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    diagonal = np.diag(factor)
    return factor if diagonal.min() > _CONDITION * diagonal.max() else None


def _factor(centred: Floats) -> Floats:
    """The rows, or where they are more than the dimensions, their triangular factor."""
    n, d = centred.shape
    return np.asarray(np.linalg.qr(centred, mode="r")) if n > d else centred


def _root(covariance: Floats) -> Floats:
    """[d,r] with covariance = root root^T."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > len(values) * np.finfo(np.float64).eps * values[-1]
    return vectors[:, keep] * np.sqrt(values[keep])


def _squares(values: Floats) -> float:
    return float((values * values).sum())


def nuclear(matrix: Floats) -> float:
    """Sum of the singular values."""
    return float(np.linalg.svd(matrix, compute_uv=False).sum()) if matrix.size else 0.0


def distance(shift: Floats, traces: float, cross: float) -> float:
    """The distance of a shift of means, the sum of both traces and the nuclear norm.

    Rounding below 0 is 0.
    """
    return max(_squares(shift) + traces - 2 * cross, 0.0)
