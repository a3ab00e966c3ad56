"""One figure of a set metric from those of several sample sets, and its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set


def mean(values: Sequence[float]) -> float:
    """Mean of an exact sum."""
    return math.fsum(values) / len(values)


def mean_over_sets(left: Sequence[Mapping[str, float | None]]) -> dict[str, float | None] | None:
    """Cluster -> mean over the sample sets; None where a cluster has no value."""
    means: dict[str, float | None] = {}
    for cluster in left[0]:
        values = [v for part in left if (v := part[cluster]) is not None]
        if len(values) < len(left):
            return None
        means[cluster] = mean(values)
    return means


def stratified_se(
    per_cluster: Mapping[str, float | None], fake: Set[str], real: Set[str]
) -> float | None:
    """Jackknife error of a statistic of independent sets (Shao & Tu 1995, section 6.2).

    Args:
        per_cluster: the statistic without each cluster.
        fake, real: clusters that each set has; those of both go together.

    Returns:
        None where all clusters are of one kind: the plain jackknife is the same then.
    """
    filled = [s for s in (fake & real, fake - real, real - fake) if s]
    if len(filled) < 2 or any(len(s) < 2 for s in filled):
        return None
    total = 0.0
    for stratum in filled:
        values = [v for c in sorted(stratum) if (v := per_cluster[c]) is not None]
        middle, count = mean(values), len(values)
        total += (count - 1) / count * math.fsum((v - middle) ** 2 for v in values)
    return math.sqrt(total)


def p_of(tests: Sequence[float | None]) -> float | None:
    """One p-value for all sample sets."""
    known = [p for p in tests if p is not None]
    if not known or len(known) < len(tests):
        return None
    return known[0] if len(known) == 1 else min(1.0, 2 * mean(known))
