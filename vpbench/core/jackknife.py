"""The delete-one jackknife: standard error, bias and paired differences of set metrics.

A set metric such as the Frechet distance has no value a clip; what stands for its clips are the
leave-one-out values, the metric with one clip (or one group of clips) left out. They give a
standard error and, for a statistic whose bias falls as 1/n, most of that bias (Quenouille,
Biometrika 43, 1956; Miller, Biometrika 61, 1974). That the bias of a Frechet distance differs
between models and can turn a ranking is Chong & Forsyth (CVPR 2020), whose extrapolation needs
thousands of samples; this one needs none beyond those at hand.

Every function refuses NaN and infinity with ValueError, and gives the same bits for any order of
its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vpbench.core.intervals import (
    MIN_CLUSTERS,
    Interval,
    check_level,
    finite,
    mean,
)
from vpbench.core.student import student_quantile

_ROUNDING = 1e-12
"""Relative to the values, a bias that is none: what rounding leaves of an unbiased statistic."""


@dataclass(frozen=True)
class Corrected:
    """A statistic with its jackknife bias taken off.

    Attributes:
        value: the statistic as it is.
        bias: what it lies too high, as leaving out says.
        corrected: value - bias; may be negative where the statistic itself may not.
        se: standard error of `corrected`; None with fewer than `MIN_CLUSTERS` groups.
        low, high: ends of the confidence interval of `corrected`; None where `se` is None.
        n: groups that were left out one at a time.
    """

    value: float
    bias: float
    corrected: float
    se: float | None
    low: float | None
    high: float | None
    n: int


def corrected(
    leave_one_out: Iterable[float],
    value: float,
    level: float = 0.95,
    *,
    shares: Sequence[float] | None = None,
    strata: Sequence[str] | None = None,
) -> Corrected | None:
    """Take the bias off a statistic of n groups, with the error of what is left.

    With v the value and v_i that without group i, groups of equal size give

        bias = (n - 1) (mean v_i - v)        corrected = n v - (n - 1) mean v_i

    For groups of unequal size that is only approximate; where `shares` says what part of the clips
    each group is, the bias is that of the delete-m_j jackknife (Busing, Meijer & Van der Leeden,
    Statistics and Computing 9, 1999, equation 8), which for equal shares is the same: with w_i the
    share, bias = sum (1 - w_i) (v_i - v). The pseudo-values v + (1/w_i - 1) (v - v_i) have the
    weighted mean `corrected`, and its variance is g/(g - 1) sum (w_i deviation_i)^2. (Theirs,
    equation 9, takes clips within a group for independent and is too small where they are not.)
    Where the groups are those of independent sets (`strata`), as predicted and real clips that
    have nothing to do with each other, biases and variances of the strata add up (Shao & Tu, "The
    Jackknife and Bootstrap", 1995, section 6.2).

    Args:
        leave_one_out: the statistic with each group left out.
        value: the statistic of everything.
        level: coverage, in (0, 1).
        shares: part of the clips of its set that each group is, in (0, 1); None = equal.
        strata: the set that each group is of; None = one set, or pairs that leave together.

    Returns:
        Bias and corrected value, with an interval by Student's t of (groups - strata) degrees of
        freedom where there are at least `MIN_CLUSTERS` groups; None where a stratum has fewer than
        two groups.

    Raises:
        ValueError: a value is NaN or infinite, lengths differ, or a share is not in (0, 1).
    """
    (centre,) = finite([value], "value")
    check_level(level)
    parts = _strata(finite(leave_one_out, "leave-one-out values"), shares, strata)
    if not parts or any(len(part) < 2 for part in parts):
        return None
    biases, variances = zip(*(_of_stratum(part, centre) for part in parts), strict=True)
    bias = math.fsum(biases)
    largest = max(abs(left) for part in parts for left, _ in part)
    if abs(bias) <= _ROUNDING * max(largest, abs(centre)):
        bias = 0.0
    count = sum(len(part) for part in parts)
    rest = centre - bias
    if count < MIN_CLUSTERS:
        return Corrected(centre, bias, rest, None, None, None, count)
    se = math.sqrt(math.fsum(variances))
    half = student_quantile(count - len(parts), (1 + level) / 2) * se
    return Corrected(centre, bias, rest, se, rest - half, rest + half, count)


def corrected_difference(
    a: Mapping[str, float],
    b: Mapping[str, float],
    a_value: float,
    b_value: float,
    level: float = 0.95,
    *,
    shares: Mapping[str, float] | None = None,
) -> Interval | None:
    """Difference a - b of two bias-corrected statistics over the same groups.

    The jackknife of the difference: what both have in common, clips that are hard for each, goes
    out of its error; a bias that differs between the two goes out of its centre.

    Args:
        a, b: group -> the statistic with that group left out; the same groups.
        a_value, b_value: the statistic of everything.
        level: coverage, in (0, 1).
        shares: group -> the part of the clips that it is; None = equal.

    Returns:
        The interval, whose `n` counts the groups and whose `se` and ends are None with fewer than
        `MIN_CLUSTERS` of them; None with fewer than two.

    Raises:
        ValueError: a value is NaN or infinite, or the groups of the two differ.
    """
    _check_same(a, b)
    keys = sorted(a)
    got = corrected(
        [x - y for x, y in zip(_values(a, keys), _values(b, keys), strict=True)],
        a_value - b_value,
        level,
        shares=None if shares is None else [shares[key] for key in keys],
    )
    if got is None:
        return None
    return Interval(got.corrected, got.se, got.low, got.high, got.n)


def jackknife(
    leave_one_out: Iterable[float], value: float, level: float = 0.95
) -> tuple[float | None, float | None, float | None]:
    """Delete-one jackknife of a statistic (Efron & Tibshirani 1993, equation 11.5).

    Args:
        leave_one_out: the statistic with each clip or cluster left out.
        value: the statistic of everything.
        level: coverage, in (0, 1).

    Returns:
        (se, low, high): the ends are value -+ t * se with G - 1 degrees of freedom; all None with
        fewer than two leave-one-out values.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    (centre,) = finite([value], "value")
    parts = finite(leave_one_out, "leave-one-out values")
    check_level(level)
    count = len(parts)
    if count < 2:
        return None, None, None
    middle = mean(parts)
    se = math.sqrt((count - 1) / count * math.fsum((p - middle) ** 2 for p in parts))
    half = student_quantile(count - 1, (1 + level) / 2) * se
    return se, centre - half, centre + half


def jackknife_difference(
    a: Mapping[str, float],
    b: Mapping[str, float],
    a_value: float,
    b_value: float,
    level: float = 0.95,
) -> Interval:
    """Difference a - b of a set metric, by a jackknife that leaves one cluster out of both.

    Args:
        a, b: cluster -> the metric with that cluster left out.
        a_value, b_value: the metric of everything.
        level: coverage, in (0, 1).

    Returns:
        The interval; `n` counts the clusters.

    Raises:
        ValueError: a value is NaN or infinite, or the clusters of the two differ.
    """
    _check_same(a, b)
    difference = a_value - b_value
    se, low, high = jackknife([a[key] - b[key] for key in sorted(a)], difference, level)
    return Interval(difference, se, low, high, len(a))


def _strata(
    values: Sequence[float], shares: Sequence[float] | None, strata: Sequence[str] | None
) -> list[list[tuple[float, float]]]:
    """(value without a group, share of the group), stratum by stratum."""
    names = [""] * len(values) if strata is None else list(strata)
    if len(names) != len(values) or (shares is not None and len(shares) != len(values)):
        raise ValueError(f"{len(values)} leave-one-out values need as many shares and strata.")
    if shares is not None and not all(0 < s < 1 for s in shares):
        raise ValueError("shares of groups must lie between 0 and 1.")
    parts: list[list[tuple[float, float]]] = []
    for name in sorted(set(names)):
        rows = [k for k, other in enumerate(names) if other == name]
        own = [1 / len(rows) if shares is None else shares[k] for k in rows]
        parts.append(sorted(zip((values[k] for k in rows), own, strict=True)))
    return parts


def _of_stratum(part: Sequence[tuple[float, float]], value: float) -> tuple[float, float]:
    """Bias and variance that the groups of one stratum bring."""
    bias = math.fsum((1 - share) * (left - value) for left, share in part)
    # A pseudo-value less the corrected one, times its share; what all have in common is bias.
    common = bias / math.fsum(share for _, share in part)
    moves = [(1 - share) * (value - left) + share * common for left, share in part]
    return bias, len(part) / (len(part) - 1) * math.fsum(m * m for m in moves)


def _check_same(a: Mapping[str, float], b: Mapping[str, float]) -> None:
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise ValueError(f"the two sides differ in {len(odd)} clusters, such as {odd[0]!r}.")


def _values(values: Mapping[str, float], keys: Sequence[str]) -> list[float]:
    return finite((values[key] for key in keys), "leave-one-out values")
