"""Relabellings behind the p-value of a kernel distance: swaps within pairs, or permutations.

A relabelling says which rows count as the first and which as the second set. Under the null
hypothesis all relabellings of a group that leaves the distribution unchanged are equally likely, so
the rank of the observed value among them is an exact p-value (Lehmann & Romano, "Testing
Statistical Hypotheses", 2005, section 15.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

Block = tuple[int, Floats]
"""Some rows of a symmetric matrix, from their own diagonal on: the first row's number, and
[rows, all rows from there on], of which the first `rows` columns are the block on the diagonal."""

SWAP_BITS = 14
"""Base 2 logarithm of the largest number of swaps behind a p-value."""

PERMUTATIONS = 10_000
"""Permutations behind a p-value of up to `MANY` rows."""

MANY = 2_000
"""Rows above which a tenth of the permutations is made: all of them would take minutes."""

_SEED = 20_180_703
_TIE = 1e-9
"""Relative to the largest distance, a difference between relabellings that is rounding."""
_BLOCK = 4_000_000
"""Labels held at once: 32 MB of float64."""


def permutations_for(rows: int) -> int:
    """How many permutations are made for so many rows of both sets together."""
    return PERMUTATIONS if rows <= MANY else PERMUTATIONS // 10


@dataclass(eq=False)
class Swaps:
    """All relabellings of a group of swaps, at little more than the cost of one.

    Cluster c has the binary number u_c, and swap j exchanges the two sides of every cluster for
    which j and u_c have an odd number of ones in common. These swaps are a subgroup of all swaps,
    which is all that exactness needs (Koning & Hemerik, Biometrika 111, 2024). With a sign for each
    set and a sign for each cluster, swapped or not, the numerator of the distance is a quadratic
    form; summed by the exclusive or of the numbers of the two clusters, its values for all j are
    one Walsh-Hadamard transform.

    Up to `SWAP_BITS` + 1 clusters the group holds all swaps; to exchange everything changes
    nothing, so the first cluster stays as it is. With more, numbers are drawn without repetition,
    by a fixed seed, in the order of the clusters; beyond 2^`SWAP_BITS` clusters some share one and
    swap together.
    """

    number: npt.NDArray[np.intp]
    sign: npt.NDArray[np.int8]
    sums: Floats

    @classmethod
    def of(cls, codes_x: Codes, codes_y: Codes, clusters: int) -> Swaps | None:
        """None unless each cluster has equally many rows in both sets.

        Args:
            codes_x, codes_y: number of each row's cluster.
            clusters: how many there are.
        """
        in_x, in_y = (np.bincount(c, minlength=clusters) for c in (codes_x, codes_y))
        if not np.array_equal(in_x, in_y):
            return None
        bits = min(SWAP_BITS, clusters - 1)
        own = np.concatenate([[0], 2 ** np.arange(bits)])
        if clusters - 1 > SWAP_BITS:
            random = np.random.Generator(np.random.PCG64(_SEED))
            rounds = -(-clusters // 2**bits)
            own = np.concatenate([random.permutation(2**bits) for _ in range(rounds)])
        codes = np.concatenate([codes_x, codes_y])
        sign = np.ones(len(codes), dtype=np.int8)
        sign[len(codes_x) :] = -1
        return cls(own.astype(np.intp)[codes], sign, np.zeros(2**bits))

    def add(self, start: int, values: Floats) -> None:
        """Add a `Block` of the kernel matrix of both sets, 0 within a cluster."""
        some = slice(start, start + len(values))
        signed = values * self.sign[some, None] * self.sign[start:]
        signed[:, len(values) :] *= 2  # the same pairs once more below the diagonal
        between = self.number[some, None] ^ self.number[start:]
        self.sums += np.bincount(between.ravel(), signed.ravel(), len(self.sums))

    def values(self) -> Floats:
        """The numerator for each swap; the first is that of the sets as they are."""
        return walsh_hadamard(self.sums)


def walsh_hadamard(values: Floats) -> Floats:
    """Sum over k of (-1)^(ones that j and k have in common) values[k], for each j; 2^b values."""
    out, half = values, 1
    while half < len(values):
        pairs = out.reshape(-1, 2, half)
        both = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
        out = np.stack(both, axis=1).reshape(-1)
        half *= 2
    return out


def permuted_p(
    kernel: Iterable[Block],
    codes_x: Codes,
    codes_y: Codes,
    tie: float,
    permutations: int | None = None,
) -> float | None:
    """p-value where clusters differ in size or are in one set only.

    Labels of clusters that are in one set only are permuted among them; clusters in both swap.

    Args:
        kernel: the kernel matrix of both sets, 0 within a cluster.
        codes_x, codes_y: number of each row's cluster.
        tie: difference of two values that counts as none.
        permutations: None = `permutations_for` the rows.

    Returns:
        (1 + relabellings that reach the observed value) / (1 + relabellings), where relabellings
        without a value, with a set of one cluster, do not count. None where fewer than two clusters
        of a set could change sides.
    """
    rows = len(codes_x) + len(codes_y)
    wanted = permutations_for(rows) if permutations is None else permutations
    block, labels = _labels(codes_x, codes_y, wanted)
    if min(labels[0].sum(), (1 - labels[0]).sum()) < 2:
        return None
    sizes = np.bincount(block).astype(np.float64)
    in_first = labels.astype(np.float64)
    n = in_first @ sizes
    m = rows - n
    shared = np.bincount(codes_x, minlength=rows) @ np.bincount(codes_y, minlength=rows)
    squares = in_first @ sizes**2
    pairs = n * n - squares, m * m - (float(sizes @ sizes) - squares), n * m - float(shared)
    inner, linear, total = _sums(kernel, labels, block)
    numerators = inner, total - 2 * linear + inner, linear - inner
    valid = np.min(pairs, axis=0) > 0
    xx, yy, xy = (s[valid] / p[valid] for s, p in zip(numerators, pairs, strict=True))
    values = xx + yy - 2 * xy
    # The first is that of the sets as they are, which the caller knows to be valid.
    return float(np.count_nonzero(values >= values[0] - tie) / len(values))


def distance_p(
    distance: Callable[[Any, Any, Sequence[str], Sequence[str]], float | None],
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    clusters: tuple[Sequence[str], Sequence[str]],
    permutations: int,
) -> float | None:
    """p-value of any distance of two sets, by computing it for each relabelling.

    Labels change as in `permuted_p`: a cluster that is in both sets swaps its sides, those in one
    set only are permuted among them.

    Args:
        distance: of two arrays [n,d] and [m,d] and the clusters of their rows; larger is further.
        x, y: features, one row a clip; the order of rows decides which relabellings are drawn.
        clusters: of the rows of x and of y.
        permutations: how many relabellings are drawn, by a fixed seed; where all clusters swap in
            no more ways than that, all are made instead.

    Returns:
        (1 + relabellings that reach the observed distance) / (1 + relabellings), where those
        without a distance do not count; None where the sets as they are have none, or fewer than
        two clusters of a set could change sides.

    Raises:
        ValueError: fewer than one permutation.
    """
    if permutations < 1:
        raise ValueError(f"{permutations} permutations are too few for a test.")
    names = [*clusters[0], *clusters[1]]
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    codes = np.array([number[name] for name in names], dtype=np.intp)
    block, labels = _labels(codes[: len(x)], codes[len(x) :], permutations, every=True)
    if min(labels[0].sum(), (1 - labels[0]).sum()) < 2:
        return None
    rows, named = np.concatenate([x, y]), np.array(names, dtype=object)
    values: list[float] = []
    for label in labels:
        first = label[block] == 1
        value = distance(rows[first], rows[~first], [*named[first]], [*named[~first]])
        if value is None and not values:
            return None
        if value is not None:
            values.append(value)
    tie = _TIE * max(abs(value) for value in values)
    return sum(value >= values[0] - tie for value in values) / len(values)


def _labels(
    codes_x: Codes, codes_y: Codes, permutations: int, every: bool = False
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int8]]:
    """Block of each row, and relabellings [at most 1 + permutations, blocks]: 1 = the first set.

    A block is the rows of one cluster in one set. The first relabelling is that of the data. With
    `every`, where all clusters swap in no more ways than `permutations` + 1, each is there once.
    """
    one, to_one = np.unique(codes_x, return_inverse=True)
    two, to_two = np.unique(codes_y, return_inverse=True)
    labels = np.zeros((permutations + 1, len(one) + len(two)), dtype=np.int8)
    labels[:, : len(one)] = 1
    random = np.random.Generator(np.random.PCG64(_SEED))
    alone = np.concatenate([~np.isin(one, two), ~np.isin(two, one)])
    labels[1:, alone] = random.permuted(labels[1:, alone], axis=1)
    both, in_one, in_two = np.intersect1d(one, two, return_indices=True)
    free = len(both) - 1  # to exchange everything changes nothing, so one cluster may stay
    if every and not alone.any() and 2**free <= permutations + 1:
        swapped = np.zeros((2**free, len(both)), dtype=np.int8)
        swapped[:, 1:] = np.arange(2**free)[:, None] >> np.arange(free) & 1
        labels = labels[: len(swapped)]
        labels[:, in_one], labels[:, len(one) + in_two] = 1 - swapped, swapped
    elif len(both):
        stay = random.integers(0, 2, size=(permutations, len(both)), dtype=np.int8)
        labels[1:, in_one], labels[1:, len(one) + in_two] = stay, 1 - stay
    return np.concatenate([to_one, to_two + len(one)]), labels


def _sums(
    kernel: Iterable[Block], labels: npt.NDArray[np.int8], block: npt.NDArray[np.intp]
) -> tuple[Floats, Floats, float]:
    """a.Ka and a.K1 for the 0-1 vector a of each relabelling, and 1.K1."""
    inner, linear, total = np.zeros(len(labels)), np.zeros(len(labels)), 0.0
    step = max(1, _BLOCK // len(block))
    for first, values in kernel:
        count = len(values)
        twice = values.copy()
        twice[:, count:] *= 2  # the same pairs once more below the diagonal
        to_all, to_own = values.sum(axis=1), values[:, count:].sum(axis=0)
        total += float(to_all.sum() + to_own.sum())
        for start in range(0, len(labels), step):
            some = slice(start, start + step)
            chosen = labels[some][:, block[first:]].astype(np.float64)
            mine = np.ascontiguousarray(chosen[:, :count])
            inner[some] += np.einsum("pi,pi->p", mine @ twice, chosen)
            linear[some] += mine @ to_all + chosen[:, count:] @ to_own
    return inner, linear, total
