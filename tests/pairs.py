"""Differences of two rows by functions that are not those of tables.

Tests compare the differences of tables with them; simulations show what going by them would do.
"""

from collections.abc import Mapping, Sequence

from vpbench.core.intervals import Interval, finite
from vpbench.core.jackknife import corrected, jackknife
from vpbench.core.stats import bootstrap_mean


def paired_difference(
    a: Mapping[str, float | None],
    b: Mapping[str, float | None],
    clusters: Mapping[str, str] | None = None,
    *,
    n_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Mean of a - b over the clips where both have a value, with its bootstrap interval.

    Args:
        a, b: clip id -> value, None where undefined.
        clusters: clip id -> cluster; clips without one, or with "", stand alone.
        n_resamples, seed, level: as in `bootstrap_mean`.

    Returns:
        The interval; `n` counts the common clips, `mean` is None without any.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    groups = clusters or {}
    differences: list[float] = []
    names: list[str] = []
    for key in sorted(a.keys() & b.keys()):
        left, right = a[key], b[key]
        if left is not None and right is not None:
            differences.append(left - right)
            names.append(groups.get(key, ""))
    return bootstrap_mean(differences, names, n_resamples=n_resamples, seed=seed, level=level)


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


def _check_same(a: Mapping[str, float], b: Mapping[str, float]) -> None:
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise ValueError(f"the two sides differ in {len(odd)} clusters, such as {odd[0]!r}.")


def _values(values: Mapping[str, float], keys: Sequence[str]) -> list[float]:
    return finite((values[key] for key in keys), "leave-one-out values")
