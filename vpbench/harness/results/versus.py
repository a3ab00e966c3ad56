"""All rows of a table against one of them: paired differences, and what n clips could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from vpbench.core import schema
from vpbench.core.estimators import has_bias
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
    base: int,
    rows: Sequence[Row],
    shown: Sequence[schema.RowJson],
    frames: int,
    columns: Mapping[str, Column],
) -> schema.VersusJson:
    """Every row less the chosen one, in every metric; one family of comparisons.

    A set metric whose bias falls with the number of clips has no test against a row that sees the
    true future. Such a row has little or none of that bias; the part that the jackknife does not
    find in the others does not cancel, and would be called a difference.

    Args:
        base: place of the chosen row.
    """
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
    metrics = list(columns)
    sees_future = shown[base]["kind"] in _NOT_COMPARED
    untested = {
        m
        for m in range(len(metrics))
        if sees_future and _is_biased(columns[metrics[m]], metrics[m], shown)
    }
    tests = judge_pairs({key: d for key, d in apart.items() if key[1] not in untested}, sides)
    reason = (
        f"not tested, since {rows[base].label} has little or none of the bias of few clips and "
        "other rows keep part of it"
    )
    return {
        "method": rows[base].name,
        "row": rows[base].label,
        "comparisons": sum(test.p is not None for test in tests.values()),
        "level": LEVEL,
        "pairs": [
            _pair_json(shown[k], metrics[m], tests.get((k, m)) or _untested(of, reason))
            for (k, m), of in apart.items()
        ],
    }


def _is_biased(column: Column, name: str, shown: Sequence[schema.RowJson]) -> bool:
    """Whether a metric of sets depends on the number of clips, and rows show how much."""
    biased = column.kind == "set" and has_bias(column.fingerprint)
    return biased and any(row["scores"][name]["bias"] for row in shown)


def _untested(of: Difference, reason: str) -> PairTest:
    return PairTest(of if of.reason else replace(of, reason=reason), 0, None)


def detectable(of: Difference, power: float = POWER, level: float = 0.05) -> float | None:
    """The smallest true difference that a two-sided test at `level` finds with some power.

    (t(1 - level/2) + t(power)) standard errors of the paired difference: the usual approximation of
    the noncentral t (Cohen, Statistical Power Analysis, 1988, chapter 2).
    """
    if of.se is None or of.df is None:
        return None
    return of.se * (student_quantile(of.df, 1 - level / 2) + student_quantile(of.df, power))


def _pair_json(row: schema.RowJson, metric: str, test: PairTest) -> schema.DifferenceJson:
    ends = None if test.p is None else test.difference.interval()
    return {
        "metric": metric,
        "method": row["method"],
        "row": row["row"],
        "kind": row["kind"],
        "difference": test.difference.estimate,
        "se": test.difference.se,
        "ci95": None if ends is None else list(ends),
        "p": test.p,
        "claim": None if test.p is None else _CLAIMS[test.better],
        "detectable": None if test.p is None else detectable(test.difference),
        "reason": test.difference.reason or None,
    }
