"""The kernel distance as it was: a clip's own prediction in the cross mean, labels set free."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.simulations.population import Floats


def kernel(x: Floats, y: Floats) -> Floats:
    """(x.y / d + 1)^3, [n,m]."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kvd_with_pairs(fake: Floats, real: Floats) -> tuple[float, Mapping[str, float]]:
    """Gretton et al. 2012, equation 3, of sets [n,d]; and without each row of both."""
    n = len(fake)
    ff, rr, fr = kernel(fake, fake), kernel(real, real), kernel(fake, real)
    np.fill_diagonal(ff, 0)
    np.fill_diagonal(rr, 0)
    inner = ff.sum() + rr.sum() - 2 * (ff + rr).sum(axis=1)
    cross = fr.sum() - fr.sum(axis=0) - fr.sum(axis=1) + np.diag(fr)
    value = (ff.sum() + rr.sum()) / n / (n - 1) - 2 * fr.mean()
    left = inner / (n - 1) / (n - 2) - 2 * cross / (n - 1) ** 2
    return float(value), {f"{k:05d}": float(v) for k, v in enumerate(left)}


def free_permutation_p(fake: Floats, real: Floats, permutations: int, seed: int) -> float:
    """p of `kvd_with_pairs` where labels are permuted over all rows, pairs or not."""
    rows = np.concatenate([fake, real])
    n = len(fake)
    values = kernel(rows, rows)
    np.fill_diagonal(values, 0)
    rng = np.random.default_rng(seed)
    signs = np.repeat([1.0, -1.0], n)
    labels = np.stack([signs, *(rng.permutation(signs) for _ in range(permutations))])
    ones = (labels > 0).astype(np.float64)
    twos = 1 - ones
    to_ones, to_twos = ones @ values, twos @ values
    same = (to_ones * ones).sum(axis=1) + (to_twos * twos).sum(axis=1)
    across = (to_ones * twos).sum(axis=1)
    statistic = same / n / (n - 1) - 2 * across / n**2
    return float((1 + np.sum(statistic[1:] >= statistic[0])) / (1 + permutations))
