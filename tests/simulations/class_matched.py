"""The kernel distance of real clips to other real clips of the same classes, whose truth is 0."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import kstest

from tests.simulations.bias import names
from tests.simulations.measured import Measured, mean_and_error, rate
from tests.simulations.plain import free_permutation_p, kvd_with_pairs
from tests.simulations.population import Population
from vpbench.metrics.kernel import kvd, permutation_p

_PERMUTATIONS = 200
"""Of the test that stands for comparison only."""


def without_difference(
    population: Population, n: int, draws: int, far: float = 0.3, seed: int = 0
) -> list[Measured]:
    """Mean of the distance in standard deviations, and the distribution of its p-values.

    Before: with a clip's own pair in the cross mean, and labels permuted over all rows.

    Args:
        population: of real clips only.
        n: clips of each set, balanced over the classes alike.
        draws: pairs of sets.
        far: the mean may lie this many standard deviations from 0.
    """
    rng = np.random.default_rng([seed, n])
    clips = names(n)
    plain, values, plain_p, p = ([] for _ in range(4))
    for k in range(draws):
        real, (other,) = population.draw(rng, n, (0.0,))
        plain.append(kvd_with_pairs(other, real)[0])
        values.append(kvd(other, real, clips, clips))
        plain_p.append(free_permutation_p(other, real, _PERMUTATIONS, seed=k))
        p.append(permutation_p(other, real, clips, clips))
    sd, plain_sd = np.std(values, ddof=1), np.std(plain, ddof=1)
    mean, error = mean_and_error(values)
    share, share_error = rate([v < 0.05 for v in p])
    centre, centre_error = mean_and_error(p)
    return [
        Measured(
            f"KVD of class-matched real clips in SD ({sd:.2g}), n = {n}",
            draws,
            float(np.mean(plain) / plain_sd),
            mean / float(sd),
            error / float(sd),
            -far,
            far,
            percent=False,
        ),
        Measured(
            f"its p-values uniform: p of Kolmogorov-Smirnov, n = {n}",
            draws,
            float(kstest(plain_p, "uniform").pvalue),
            float(kstest(p, "uniform").pvalue),
            0.0,
            low=0.01,
            percent=False,
        ),
        Measured(
            f"part of its p-values below .05, n = {n}",
            draws,
            rate([v < 0.05 for v in plain_p])[0],
            share,
            share_error,
        ),
        Measured(
            f"mean of its p-values, n = {n}",
            draws,
            float(np.mean(plain_p)),
            centre,
            centre_error,
            percent=False,
        ),
    ]


def power(population: Population, n: int, draws: int, seed: int = 0) -> Measured:
    """How often predictions that differ from their targets have p < .05."""
    rng = np.random.default_rng([seed, n, draws])
    clips = names(n)
    before: list[bool] = []
    after: list[bool] = []
    for k in range(draws):
        real, (fake,) = population.draw(rng, n)
        before.append(free_permutation_p(fake, real, _PERMUTATIONS, seed=k) < 0.05)
        found = permutation_p(fake, real, clips, clips)
        after.append((math.nan if found is None else found) < 0.05)
    share, error = rate(after)
    what = f"power of KVD's p < .05 on blurred truth, n = {n}"
    return Measured(what, draws, rate(before)[0], share, error)
