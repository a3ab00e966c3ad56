"""Nuclear norms of one matrix after many low-rank downdates, from one decomposition.

For M = U diag(s) V^T and M' = L M R with L^2 = I - P T1 P^T, R^2 = I - Q T2 Q^T (P, Q orthonormal
columns, T1, T2 diagonal in [0, 1]), the sums of the singular values differ by

    |M'|_* - |M|_* = 1/pi * integral over tau > 0 of log F(tau),

    F(tau) = det [[ I - T1 + T1 t^2 A,   T1 t C          ],     A = P^T (MM^T + t^2)^-1 P
                  [ -T2 t C^T,           I - T2 + T2 t^2 B ]]   B = Q^T (M^TM + t^2)^-1 Q
                                                                C = P^T M (M^TM + t^2)^-1 Q
    with t = tau,

because F is det(M'^T M' + t^2) / det(M^T M + t^2) by the matrix determinant lemma, and the integral
of log((t^2 + a^2) / (t^2 + b^2)) over t > 0 is pi (a - b). In u = log(t) the integrand is analytic
for |Im u| < pi/2, all zeros of both determinants lying at imaginary t, so the trapezoidal rule errs
by exp(-pi^2 / step) (Trefethen & Weideman, SIAM Review 56, 2014): every digit from some 130 nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEP = 0.3
_LOWEST, _HIGHEST = 1e-14, 1e4
"""Range of tau in units of the largest singular value; both tails are geometric series."""

CHUNK = 2_000
"""Downdates at once."""


@dataclass(frozen=True, eq=False)
class Downdate:
    """One side of one downdate.

    Attributes:
        basis: [r,k], orthonormal columns.
        loss: [k], what the squared factor loses along each, in [0, 1].
    """

    basis: Floats
    loss: Floats


@dataclass(frozen=True, eq=False)
class Decomposed:
    """A matrix [r,c], ready for downdates.

    Attributes:
        left: [r,r], singular vectors, those of the singular value 0 included.
        values: [k], k = min(r,c).
        right: [c,c].
    """

    left: Floats
    values: Floats
    right: Floats

    @classmethod
    def of(cls, matrix: Floats) -> Decomposed:
        """Decompose it."""
        left, values, right = np.linalg.svd(matrix, full_matrices=True)
        return cls(left, values, right.T)

    @property
    def norm(self) -> float:
        """Sum of the singular values."""
        return float(self.values.sum())

    def after_each(
        self, left: Floats, left_loss: Floats, right: Floats, right_loss: Floats
    ) -> Floats:
        """Nuclear norm after each of many downdates of rank one a side.

        Args:
            left, right: [N,r] and [N,c], unit vectors, one a downdate.
            left_loss, right_loss: [N], what the squared factors lose along them, in [0, 1].

        Returns:
            float64 [N], exact to rounding.
        """
        nodes = self._nodes()
        changes = np.zeros(len(left))
        for start in range(0, len(left) if len(nodes) else 0, CHUNK):
            part = slice(start, start + CHUNK)
            p, q = left[part] @ self.left, right[part] @ self.right
            logs = self._log_ratios(p, left_loss[part], q, right_loss[part], nodes)
            changes[part] = _integral(logs, nodes)
        return np.maximum(self.norm + changes, 0.0)

    def after(self, left: Downdate | None, right: Downdate | None) -> float:
        """Nuclear norm after one downdate of any rank."""
        nodes = self._nodes()
        if not len(nodes):
            return 0.0
        near, far = np.split(nodes, [int(np.searchsorted(nodes, 3 * self.values[0]))])
        sides = [
            (np.zeros((len(vectors), 0)), np.zeros(0))
            if side is None
            else (vectors.T @ side.basis, side.loss)
            for side, vectors in ((left, self.left), (right, self.right))
        ]
        (p, t1), (q, t2) = sides
        logs = np.concatenate(
            [self._log_near(p, t1, q, t2, near), self._log_far(p, t1, q, t2, far)]
        )
        return max(self.norm + float(_integral(logs[None], nodes)[0]), 0.0)

    def _nodes(self) -> Floats:
        """tau of the trapezoidal rule; empty for a matrix of zeros."""
        scale = float(self.values[0]) if self.values.size else 0.0
        if scale == 0.0:
            return np.zeros(0)
        return scale * np.exp(np.arange(np.log(_LOWEST), np.log(_HIGHEST), _STEP))

    def _log_near(self, p: Floats, t1: Floats, q: Floats, t2: Floats, nodes: Floats) -> Floats:
        """log F [nodes], by the determinant as it stands."""
        k, size, s = p.shape[1], p.shape[1] + q.shape[1], self.values
        square, kernel = nodes[:, None, None] ** 2, 1 / (nodes[:, None] ** 2 + s**2)
        matrix = np.empty((len(nodes), size, size))
        for block, v, t in ((slice(0, k), p, t1), (slice(k, size), q, t2)):
            stays = square * _grams(v, kernel, v) + v[len(s) :].T @ v[len(s) :]
            matrix[:, block, block] = np.diag(1 - t) + t[:, None] * stays
        across = nodes[:, None, None] * _grams(p, kernel * s, q)
        matrix[:, :k, k:] = t1[:, None] * across
        matrix[:, k:, :k] = -t2[:, None] * across.transpose(0, 2, 1)
        return np.linalg.slogdet(matrix)[1]

    def _log_far(self, p: Floats, t1: Floats, q: Floats, t2: Floats, nodes: Floats) -> Floats:
        """log F [nodes] where it is near 0: by what the matrix lacks to the identity."""
        s, kernel = self.values, 1 / (nodes[:, None] ** 2 + self.values**2)
        p, q = p * np.sqrt(t1), q * np.sqrt(t2)
        one, two = _grams(p, kernel * s**2, p), _grams(q, kernel * s**2, q)
        across = nodes[:, None, None] * _grams(p, kernel * s, q)
        inner = np.linalg.solve(np.eye(p.shape[1]) - one, across)
        two = two - across.transpose(0, 2, 1) @ inner
        logs = (np.log1p(-np.linalg.eigvalsh(part)).sum(axis=1) for part in (one, two))
        return next(logs) + next(logs)

    def _log_ratios(self, p: Floats, t1: Floats, q: Floats, t2: Floats, nodes: Floats) -> Floats:
        """log F [N, nodes] for ranks of one; p and q in the basis of the singular vectors."""
        s, k = self.values, len(self.values)
        kernel = 1 / (nodes**2 + (s**2)[:, None])
        one, two = (_factor(v * v, t, s, kernel, nodes) for v, t in ((p, t1), (q, t2)))
        across = nodes * ((p[:, :k] * q[:, :k] * s) @ kernel)
        mixed = (t1 * t2)[:, None] * across**2
        return one[1] + two[1] + np.log1p(mixed / (one[0] * two[0]))


def _grams(p: Floats, weights: Floats, q: Floats) -> Floats:
    """p^T diag(weights) q for each row of weights [nodes, k]; rows of p beyond k do not count."""
    k = weights.shape[1]
    products = (p[:k, :, None] * q[:k, None, :]).reshape(k, -1)
    return (weights @ products).reshape(len(weights), p.shape[1], q.shape[1])


def _factor(
    squares: Floats, loss: Floats, s: Floats, kernel: Floats, nodes: Floats
) -> tuple[Floats, Floats]:
    """1 - loss + loss t^2 A and its logarithm, without cancellation where it is near 0 or 1."""
    k, t = len(s), loss[:, None]
    falls = t * ((squares[:, :k] * s**2) @ kernel)  # 1 - t^2 A, times the loss
    stays = (1 - t) + t * (nodes**2 * (squares[:, :k] @ kernel) + squares[:, k:].sum(1)[:, None])
    near_one = falls < 0.5
    value = np.where(near_one, 1 - falls, stays)
    logs = np.where(near_one, np.log1p(-np.where(near_one, falls, 0.0)), np.log(value))
    return value, logs


def _integral(logs: Floats, nodes: Floats) -> Floats:
    """1/pi times the integral of logs [N, nodes], which fall as 1/tau^2 at the upper end."""
    ratio = np.exp(-_STEP)
    beyond = ratio / (1 - ratio)
    inside: Floats = logs @ nodes
    ends = (logs[:, 0] * nodes[0] + logs[:, -1] * nodes[-1]) * beyond
    return (inside + ends) * (_STEP / np.pi)


def orthonormal(rows: Floats) -> Downdate:
    """The downdate that takes rows [k,r] out of a factor: loss and directions of rows^T rows."""
    u, s, _ = np.linalg.svd(rows.T, full_matrices=False)
    return Downdate(u, np.clip(s * s, 0.0, 1.0))
