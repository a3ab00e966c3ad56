"""All rows of a table against one of them: paired differences, and what n clips could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from vpbench.core import schema
from vpbench.core.samples import Difference, Direction, difference
from vpbench.core.simultaneous import LEVEL, PairTest, judge_pairs
from vpbench.core.student import student_quantile
from vpbench.harness.results.ranking import Column, Row, samples_of

POWER = 0.8
"""Of comparisons with a true difference of `detectable`, the part that finds it."""

_CLAIMS: Mapping[int, Literal["better", "not told apart", "worse"]] = {
    1: "better",
    0: "not told apart",
    -1: "worse",
}

_NOT_COMPARED = ("ceiling", "oracle")
"""Kinds of rows that see the true future."""


def versus(
    chosen: str,
    rows: Sequence[Row],
    shown: Sequence[schema.RowJson],
    frames: int,
    columns: Mapping[str, Column],
) -> schema.VersusJson:
    """Every row less the chosen one, in every metric; one family of comparisons.

    Args:
        chosen: name of one of the rows.
    """
    base = [row.name for row in rows].index(chosen)
    samples = samples_of(rows, shown, frames, columns)
    directions: list[Direction] = [column.direction for column in columns.values()]
    apart = {
        (k, m): difference(samples[k, m], samples[base, m])
        for k, row in enumerate(shown)
        for m in range(len(columns))
        if k != base
        and row["kind"] not in _NOT_COMPARED
        and (k, m) in samples
        and (base, m) in samples
    }
    sides: dict[tuple[int, int], Direction] = {key: directions[key[1]] for key in apart}
    tests = judge_pairs(apart, sides)
    metrics = list(columns)
    return {
        "method": chosen,
        "comparisons": sum(test.p is not None for test in tests.values()),
        "level": LEVEL,
        "pairs": [_pair_json(shown[k], metrics[m], test) for (k, m), test in tests.items()],
    }


def detectable(of: Difference, power: float = POWER, level: float = 0.05) -> float | None:
    """The smallest true difference that a two-sided test at `level` finds with some power.

    (t(1 - level/2) + t(power)) standard errors of the paired difference: the usual approximation of
    the noncentral t (Cohen, Statistical Power Analysis, 1988, chapter 2).
    """
    if of.se is None or of.df is None:
        return None
    return of.se * (student_quantile(of.df, 1 - level / 2) + student_quantile(of.df, power))


def _pair_json(row: schema.RowJson, metric: str, test: PairTest) -> schema.DifferenceJson:
    ends = test.difference.interval()
    return {
        "metric": metric,
        "method": row["method"],
        "kind": row["kind"],
        "difference": test.difference.estimate,
        "se": test.difference.se,
        "ci95": None if ends is None else list(ends),
        "p": test.p,
        "claim": None if test.p is None else _CLAIMS[test.better],
        "detectable": detectable(test.difference),
        "reason": test.difference.reason or None,
    }
