"""Intervals, tests and ranks behind the tables.

Every function refuses NaN and infinity with ValueError, and gives the same bits for any order of
its input. Where the data are too few for an answer, the answer is None.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vpbench.core.intervals import Interval, check_level, finite
from vpbench.core.intervals import mean as average
from vpbench.core.signs import sign_tail
from vpbench.core.student import student_quantile

_Floats = npt.NDArray[np.float64]

_BLOCK = 1_000_000
"""Weights drawn at once: 8 MB of float64."""


def bootstrap_mean(
    values: Sequence[float] | npt.NDArray[np.floating[Any]],
    clusters: Sequence[str] | None = None,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Mean of `values` with a cluster bootstrap interval.

    Whole clusters are drawn with replacement; a resample is a row of multinomial counts, so all
    resamples are one product. Few clusters make the plain percentile interval too narrow; it is
    widened to the expanded percentile interval, and the standard error by sqrt(G / (G - 1))
    (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69(4),
    2015, section 4). With five clusters or fewer it still covers too little.

    Args:
        values: [n], finite.
        clusters: the cluster of each value; "" is a cluster of its own, None is "" for all.
        n_resamples: number of resamples.
        seed: of the PCG64 stream.
        level: coverage, in (0, 1).

    Returns:
        The interval; `se` and the ends are None with fewer than two clusters.

    Raises:
        ValueError: a value is NaN or infinite, or the lengths differ.
    """
    data = finite(values, "values")
    names = [""] * len(data) if clusters is None else list(clusters)
    if len(names) != len(data):
        raise ValueError(f"{len(data)} values have {len(names)} clusters.")
    if n_resamples < 2:
        raise ValueError(f"n_resamples={n_resamples} must be at least 2.")
    check_level(level)
    if not data:
        return Interval(None, None, None, None, 0)
    mean = average(data)
    # Deviations from the mean keep equal values at exactly 0 in every resample.
    sums, counts = _by_cluster([v - mean for v in data], names)
    if len(sums) < 2:
        return Interval(mean, None, None, None, len(data))
    means = np.sort(_resample(sums, counts, n_resamples, seed))
    se = float(means.std(ddof=1)) * math.sqrt(len(sums) / (len(sums) - 1))
    tail = _expanded_tail(len(sums), level)
    low, high = (float(np.quantile(means, q)) for q in (tail, 1 - tail))
    return Interval(mean, se, mean + low, mean + high, len(data))


def t_interval(values: Iterable[float], level: float = 0.95) -> Interval:
    """Student's interval of the mean over independent fits, one value a fit seed.

    Returns:
        mean -+ t * sd / sqrt(n); with fewer than three values only the mean, because an interval
        from two fits is too wide to say anything.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    data = finite(values, "values")
    check_level(level)
    if not data:
        return Interval(None, None, None, None, 0)
    mean, count = average(data), len(data)
    if count < 3:
        return Interval(mean, None, None, None, count)
    se = math.sqrt(math.fsum((v - mean) ** 2 for v in data) / (count - 1) / count)
    half = student_quantile(count - 1, (1 + level) / 2) * se
    return Interval(mean, se, mean - half, mean + half, count)


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson, JASA 22, 1927).

    Args:
        k: successes.
        n: trials.
        level: coverage, in (0, 1).

    Returns:
        (low, high) in [0, 1]; (0, 1) without trials.

    Raises:
        ValueError: not 0 <= k <= n.
    """
    check_level(level)
    if not 0 <= k <= n:
        raise ValueError(f"k={k} of n={n}: k must lie in 0..n.")
    if n == 0:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    # At the edges the ends are exact; rounding would leave 1e-17.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact McNemar test: p of a split b : c of discordant pairs at 1 : 1.

    Args:
        b: clips that only the first method has right.
        c: clips that only the second method has right.

    Returns:
        min(1, 2 * P(X <= min(b, c))), X ~ Binomial(b + c, 1/2), in whole numbers until the last
        division; 1 without discordant pairs.

    Raises:
        ValueError: a count is negative.
    """
    if b < 0 or c < 0:
        raise ValueError(f"b={b}, c={c}: counts must not be negative.")
    return min(1.0, 2 * sign_tail(max(b, c), min(b, c)))


def holm(pvalues: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm, Scandinavian Journal of Statistics 6, 1979).

    Args:
        pvalues: in [0, 1].

    Returns:
        Adjusted p-values in the order given, never above 1.

    Raises:
        ValueError: a p-value is NaN or outside [0, 1].
    """
    raw = [float(p) for p in pvalues]
    for p in raw:
        if not 0 <= p <= 1:
            raise ValueError(f"p-value {p} is not in [0, 1].")
    adjusted = [0.0] * len(raw)
    largest = 0.0
    for position, i in enumerate(sorted(range(len(raw)), key=raw.__getitem__)):
        largest = max(largest, min(1.0, (len(raw) - position) * raw[i]))
        adjusted[i] = largest
    return adjusted


def ranks_of(count: int, better: Callable[[int, int], int]) -> list[str]:
    """Ranks with ties, from who is clearly better than whom.

    A row's best rank is 1 + the number of rows that are clearly better, its worst is the number of
    rows less those that are clearly worse (Goldstein & Spiegelhalter, JRSS A 159, 1996); where all
    comparisons hold together, so do all ranks (Mogstad et al., Review of Economic Studies 91,
    2024). Not being told apart is not transitive, so ranges may overlap.

    Args:
        count: rows.
        better: 1, -1 or 0 for rows i < j: i is better, j is better, a tie.
    """
    ahead, behind = [0] * count, [0] * count
    for i in range(count):
        for j in range(i + 1, count):
            verdict = better(i, j)
            if verdict:
                winner, loser = (i, j) if verdict > 0 else (j, i)
                ahead[loser] += 1
                behind[winner] += 1
    ends = [(1 + ahead[i], count - behind[i]) for i in range(count)]
    return [str(first) if first == last else f"{first}–{last}" for first, last in ends]


def tie_groups(
    values: Sequence[float | None],
    direction: Literal["up", "down"],
    distinguishable: Callable[[int, int], bool],
) -> list[str | None]:
    """Ranks with ties: "1" is clearly the best, "2–3" may be second or third.

    `ranks_of` says what the ranges mean.

    Args:
        values: one a row; None is not ranked.
        direction: "up" when more is better.
        distinguishable: whether rows i and j differ; called once per pair, with i < j.

    Returns:
        A rank a row, None where the value is None.

    Raises:
        ValueError: a value is NaN or infinite, or the direction is unknown.
    """
    if direction not in ("up", "down"):
        raise ValueError(f"direction={direction!r} must be 'up' or 'down'.")
    ranked = [(i, v) for i, v in enumerate(values) if v is not None]
    finite((v for _, v in ranked), "values")

    def better(k: int, m: int) -> int:
        (i, left), (j, right) = ranked[k], ranked[m]
        if left == right or not distinguishable(i, j):
            return 0
        return 1 if (left > right) == (direction == "up") else -1

    ranks: list[str | None] = [None] * len(values)
    for (i, _), rank in zip(ranked, ranks_of(len(ranked), better), strict=True):
        ranks[i] = rank
    return ranks


def _by_cluster(values: Sequence[float], names: Sequence[str]) -> tuple[_Floats, _Floats]:
    """Sum and size of each cluster: the named ones by name, then the lone values by size."""
    named: defaultdict[str, list[float]] = defaultdict(list)
    lone: list[float] = []
    for value, name in zip(values, names, strict=True):
        (named[name] if name else lone).append(value)
    lone.sort()
    members = [named[name] for name in sorted(named)]
    sums = [math.fsum(m) for m in members] + lone
    counts = [len(m) for m in members] + [1] * len(lone)
    return np.array(sums, dtype=np.float64), np.array(counts, dtype=np.float64)


def _resample(sums: _Floats, counts: _Floats, n_resamples: int, seed: int) -> _Floats:
    """Means of `n_resamples` bootstrap samples of the clusters."""
    rows = min(n_resamples, max(1, _BLOCK // len(sums)))
    parts: list[_Floats] = []
    for number, start in enumerate(range(0, n_resamples, rows)):
        weights = _weights(len(sums), min(rows, n_resamples - start), seed, number)
        # einsum has its own loops: unlike BLAS, the same bits for any number of threads.
        total: _Floats = np.einsum("rg,g->r", weights, sums)
        size: _Floats = np.einsum("rg,g->r", weights, counts)
        parts.append(total / size)
    return np.concatenate(parts)


@lru_cache(maxsize=16)
def _weights(groups: int, rows: int, seed: int, block: int) -> _Floats:
    """Multinomial counts [rows, groups]; a table asks for the same ones for each pair of rows."""
    rng = np.random.Generator(np.random.PCG64([seed, block]))
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=rows).astype(np.float64)
    weights.flags.writeable = False
    return weights


def _expanded_tail(groups: int, level: float) -> float:
    """Tail of the bootstrap distribution that stands for (1 - level) / 2 with few clusters."""
    t = student_quantile(groups - 1, (1 + level) / 2)
    return NormalDist().cdf(-math.sqrt(groups / (groups - 1)) * t)
