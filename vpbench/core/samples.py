"""What a metric says about one row of a table, clip by clip and fit by fit, and paired differences.

A figure is a mean over clips, or a set metric with its leave-one-out values. Both come down to
contributions of independent groups of clips whose weighted mean is the figure: means of groups
for the one, pseudo-values of the jackknife for the other (Tukey, Annals of Mathematical Statistics
29, 1958). The mean of pseudo-values is the figure without its bias of order 1/n. So one function
compares any two rows.

Pure functions of arrays: no run folder is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from vpbench.core.intervals import MIN_CLUSTERS, MIN_FITS
from vpbench.core.signs import sign_tail
from vpbench.core.student import student_quantile, student_tail

Floats = npt.NDArray[np.float64]

Direction = Literal["up", "down"]
"""Where better lies."""

_ROUNDING = 1e-12
"""Relative to the figures, a difference under which two rows are the same to the last digit."""


@dataclass(frozen=True)
class Difference:
    """A figure, or the difference of two over the same clips, with its error.

    Attributes:
        estimate: the difference a - b; None where the two have nothing in common.
        se: standard error; None where there is none, for the `reason`.
        df: degrees of freedom of `se` for Student's t; may be fractional.
        n: independent groups of clips that it stands on.
        reason: why there is no error or no estimate; "" where there is.
        split: of two rows whose clips are each right or wrong, the clips that only a and only b has
            right: p-values are exact then.
    """

    estimate: float | None
    se: float | None = None
    df: float | None = None
    n: int = 0
    reason: str = ""
    split: tuple[int, int] | None = None

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Ends of the two-sided interval; None without an error."""
        if self.estimate is None or self.se is None or self.df is None:
            return None
        half = student_quantile(self.df, (1 + level) / 2) * self.se
        return self.estimate - half, self.estimate + half

    def p_above(self) -> float | None:
        """One-sided p against "at most 0"; None without an error."""
        return self._p(1.0)

    def p_below(self) -> float | None:
        """One-sided p against "at least 0"; None without an error."""
        return self._p(-1.0)

    def p_apart(self) -> float | None:
        """Two-sided p against "0"; None without an error."""
        above, below = self.p_above(), self.p_below()
        return None if above is None or below is None else min(1.0, 2 * min(above, below))

    def _p(self, sign: float) -> float | None:
        if self.estimate is None or self.se is None or self.df is None:
            return None
        if self.split is not None:
            return sign_tail(*(self.split if sign > 0 else self.split[::-1]))
        if self.estimate == 0.0:
            return 0.5 if self.se else 1.0  # identical rows are evidence of nothing
        if self.se == 0.0:  # the same difference on every clip
            return 0.0 if sign * self.estimate > 0 else 1.0
        return student_tail(self.df, sign * self.estimate / self.se)


@dataclass(frozen=True)
class Sample:
    """One metric of one row.

    Attributes:
        names: clips, or groups of clips that a jackknife left out; sorted, each once.
        values: [fits, names]. Of clips: their values. Of groups: contributions to the figure.
        clusters: of clips: the group of each, "" for a clip that stands alone. Of groups: ().
        shares: of groups: the part of all clips that each is, summing to 1. Of clips: ().
    """

    names: tuple[str, ...]
    values: Floats
    clusters: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def fits(self) -> int:
        """Training runs; 1 for a method that is not trained."""
        return len(self.values)


def clip_sample(
    fits: Sequence[Mapping[str, float | None]], clusters: Mapping[str, str] | None = None
) -> Sample | None:
    """A mean over clips.

    Args:
        fits: clip -> value, one mapping a training run; clips without a value in one are left out.
        clusters: clip -> group; clips without one, or with "", stand alone.

    Returns:
        None where no clip has a value in every fit.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    common = set[str].intersection(*(set(f) for f in fits)) if fits else set[str]()
    names = tuple(sorted(n for n in common if all(f[n] is not None for f in fits)))
    if not names:
        return None
    values = _finite([[f[n] for n in names] for f in fits])
    groups = clusters or {}
    return Sample(names, values, clusters=tuple(groups.get(n, "") for n in names))


def set_sample(
    values: Sequence[float],
    leave_one_out: Sequence[Mapping[str, float | None]],
    shares: Mapping[str, float] | None = None,
    *,
    biased: bool = True,
) -> Sample | None:
    """A set metric, as pseudo-values: their mean is the metric without its jackknife bias.

    Args:
        values: the metric of everything, one a training run.
        leave_one_out: group -> the metric without that group, one mapping a training run.
        shares: group -> the part of all clips that it is; None = equal.
        biased: whether few clips shift the metric; False leaves the mean of the pseudo-values at
            the metric itself, as a bias found there is noise.

    Returns:
        None where the fits have different groups, a value is missing, or there are fewer than two.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    if not values or len(values) != len(leave_one_out):
        return None
    names = tuple(sorted(leave_one_out[0]))
    if len(names) < 2 or any(f.keys() != leave_one_out[0].keys() for f in leave_one_out):
        return None
    if any(v is None for f in leave_one_out for v in f.values()):
        return None
    left = _finite([[f[n] for n in names] for f in leave_one_out])
    whole = _finite([list(values)]).T
    part = [1 / len(names)] * len(names) if shares is None else [shares[n] for n in names]
    inverse = 1 / np.array(part)
    # Deviations first: n v - (n - 1) v_i would lose the digits in which the v_i differ.
    moves = (inverse - 1) * (whole - left)
    if not biased:
        moves -= (moves @ np.array(part) / math.fsum(part))[:, None]
    return Sample(names, whole + moves, shares=tuple(part))


def figure(sample: Sample) -> Difference:
    """The figure itself: mean over fits, error from clips and, with `MIN_FITS` fits, from fits."""
    values, shares = _grouped(sample, sample.names)
    return _estimate([values], shares, [1.0])


def difference(a: Sample, b: Sample) -> Difference:
    """The figure of `a` less that of `b` over the clips of both, whole groups together.

    With one fit a side and clips that stand alone this is the paired t-test, or where every clip is
    right or wrong, such as a recognised action, McNemar's exact test. With `MIN_FITS` fits
    or more a side, its variance between fits is added, for a fresh training run would differ: the
    two-way variance of Cameron, Gelbach & Miller (Journal of Business & Economic Statistics 29,
    2011), clips + fits - both, in which what all fits share of a clip cancels; its degrees of
    freedom are Satterthwaite's (Biometrics Bulletin 2, 1946). One or two fits say nothing about
    others: then the difference is one between these predictions.
    """
    if bool(a.shares) != bool(b.shares):
        return Difference(None, reason="two kinds of metric")
    if a.shares and (a.names != b.names or a.shares != b.shares):
        return Difference(None, reason="scored over different clips")
    common = a.names if a.names == b.names else tuple(sorted(set(a.names) & set(b.names)))
    if not common:
        return Difference(None, reason="no clips in common")
    left, shares = _grouped(a, common)
    right, _ = _grouped(b, common)
    found = _estimate([left, right], shares, [1.0, -1.0])
    return found if a.shares else replace(found, split=_split(left, right, len(common)))


def _split(left: Floats, right: Floats, clips: int) -> tuple[int, int] | None:
    """Clips that only one of two rows has right; None unless all are right or wrong, and alone."""
    both = np.concatenate([left, right])
    if len(left) > 1 or len(right) > 1 or left.shape[1] < clips or not np.isin(both, (0, 1)).all():
        return None
    return int((left > right).sum()), int((left < right).sum())


def _grouped(sample: Sample, names: Sequence[str]) -> tuple[Floats, Floats]:
    """Contributions [fits, groups] and shares [groups] over some of a sample's names."""
    if sample.shares:
        return sample.values, np.array(sample.shares)
    place = {name: k for k, name in enumerate(sample.names)}
    columns = [place[name] for name in names]
    # A clip that stands alone is a group of its own name; the prefix keeps it apart from others.
    keys = [f"group {sample.clusters[k]}" if sample.clusters[k] else f"clip {k}" for k in columns]
    values = sample.values[:, columns]
    if len(set(keys)) == len(keys):
        return values, np.full(len(keys), 1 / len(keys))
    order = {key: g for g, key in enumerate(dict.fromkeys(keys))}
    group = np.array([order[key] for key in keys])
    sizes = np.bincount(group).astype(np.float64)
    sums = np.stack([np.bincount(group, weights=row) for row in values])
    return sums / sizes, sizes / len(keys)


def _estimate(sides: Sequence[Floats], shares: Floats, signs: Sequence[float]) -> Difference:
    """Sum of signed means, each over fits and groups, with its two-way error."""
    groups = len(shares)
    largest = max(float(np.abs(values).max()) for values in sides)
    # A power of two changes no digit, and keeps squares of any values within range.
    unit = 2.0 ** (math.frexp(largest)[1] - 1) if largest else 1.0
    sides = [values / unit for values in sides]
    total = np.sum([s * v.mean(axis=0) for s, v in zip(signs, sides, strict=True)], axis=0)
    if len(sides) > 1 and float(np.abs(total).max()) <= _ROUNDING:
        total = np.zeros(groups)
    # Equal values give exactly that value, which rounded shares would miss by a digit.
    estimate = math.fsum(shares * total) / math.fsum(shares)
    estimate = min(max(estimate, float(total.min())), float(total.max()))
    if groups < MIN_CLUSTERS:
        plural = "" if groups == 1 else "s"
        few = f"{groups} independent group{plural} of clips, {MIN_CLUSTERS} are needed"
        return Difference(estimate * unit, n=groups, reason=few)
    variance, df = _two_way(sides, _spread(total - estimate, shares), shares)
    return Difference(estimate * unit, math.sqrt(variance) * unit, df, groups)


def _two_way(sides: Sequence[Floats], clips: float, shares: Floats) -> tuple[float, float]:
    """Variance and degrees of freedom, from that of clips and from what the fits of a side say."""
    between: list[tuple[float, float]] = []
    shared = 0.0
    for values in sides:
        fits = len(values)
        if fits < MIN_FITS:
            continue
        means = (values * shares).sum(axis=1)
        between.append((float(means.var(ddof=1)) / fits, fits - 1.0))
        rest = values - means[:, None] - values.mean(axis=0) + means.mean()
        shared += sum(_spread(row, shares) for row in rest) / fits / (fits - 1)
    fit_part = math.fsum(v for v, _ in between)
    # Both parts hold what is peculiar to one fit on one clip; it counts once.
    variance = max(clips + fit_part - shared, clips, fit_part)
    parts = [(clips, len(shares) - 1.0), *between]
    denominator = math.fsum(v * v / df for v, df in parts)
    return variance, variance * variance / denominator if denominator else len(shares) - 1.0


def _spread(deviations: Floats, shares: Floats) -> float:
    """Variance of a weighted mean of independent groups, from their deviations from it."""
    count = len(shares)
    return float(np.sum((shares * deviations) ** 2)) * count / (count - 1)


def _finite(rows: Sequence[Sequence[float | None]]) -> Floats:
    values = np.array(rows, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("values hold NaN or infinity; they must be finite.")
    return values
