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
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vpbench.core.intervals import (
    MIN_CLUSTERS,
    check_level,
    finite,
    mean,
)
from vpbench.core.student import student_quantile

_ROUNDING = 1e-10
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

    A stratum of a single group has no variance of its own: it counts as one of the stratum with the
    most groups, as sampling theory collapses such strata (Wolter, "Introduction to Variance
    Estimation", 2nd edition 2007, section 2.5; where the two differ, the error is too large rather
    than too small). With shares this leaves the bias as it is, which is a sum over all groups. It
    is what a clip without a prediction is among clips with one.

    Args:
        leave_one_out: the statistic with each group left out.
        value: the statistic of everything.
        level: coverage, in (0, 1).
        shares: part of the clips of its set that each group is, in (0, 1); None = equal.
        strata: the set that each group is of; None = one set, or pairs that leave together.

    Returns:
        Bias and corrected value, with an interval by Student's t of (groups - strata) degrees of
        freedom where there are at least `MIN_CLUSTERS` groups; None with fewer than two groups.

    Raises:
        ValueError: a value is NaN or infinite, lengths differ, or a share is not in (0, 1).
    """
    (centre,) = finite([value], "value")
    check_level(level)
    left = finite(leave_one_out, "leave-one-out values")
    parts = _strata(left, shares, strata)
    if len(left) < 2:
        return None
    biases, variances = zip(*(_of_stratum(part, centre) for part in parts), strict=True)
    bias = math.fsum(biases)
    largest = max(map(abs, left))
    if abs(bias) <= _ROUNDING * max(largest, abs(centre)):
        bias = 0.0
    count = sum(len(part) for part in parts)
    rest = centre - bias
    if count < MIN_CLUSTERS:
        return Corrected(centre, bias, rest, None, None, None, count)
    se = math.sqrt(math.fsum(variances))
    half = student_quantile(count - len(parts), (1 + level) / 2) * se
    return Corrected(centre, bias, rest, se, rest - half, rest + half, count)


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


def _strata(
    values: Sequence[float], shares: Sequence[float] | None, strata: Sequence[str] | None
) -> list[list[tuple[float, float]]]:
    """(value without a group, share of the group), stratum by stratum."""
    names = [""] * len(values) if strata is None else _collapsed(strata)
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


def _collapsed(strata: Sequence[str]) -> list[str]:
    """Strata of one group under the name of the largest, the first of those that are as large."""
    sizes = Counter(strata)
    largest = min(sizes, key=lambda name: (-sizes[name], name), default="")
    return [largest if sizes[name] == 1 else name for name in strata]


def _of_stratum(part: Sequence[tuple[float, float]], value: float) -> tuple[float, float]:
    """Bias and variance that the groups of one stratum bring."""
    bias = math.fsum((1 - share) * (left - value) for left, share in part)
    # A pseudo-value less the corrected one, times its share; what all have in common is bias.
    common = bias / math.fsum(share for _, share in part)
    moves = [(1 - share) * (value - left) + share * common for left, share in part]
    return bias, len(part) / (len(part) - 1) * math.fsum(m * m for m in moves)
