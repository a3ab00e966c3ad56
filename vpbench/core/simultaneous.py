"""What a whole table may claim: which rows beat a null, and which cannot be told apart.

A table of four methods, four metrics and three nulls makes 48 comparisons; taken one by one at 5 %
each, three in four tables of equal methods hold a false claim. So every table is one family: Holm's
procedure over all its comparisons keeps the part of tables with any false claim below `LEVEL`.

Pure functions of arrays: no run folder is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from vpbench.core.samples import Difference, Direction, Sample, difference
from vpbench.core.stats import holm, ranks_of

LEVEL = 0.05
"""The part of tables that may hold a false claim."""

Claim = Literal["better", "not better", "worse"]
"""Of a row against a null: shown to be better, neither, or shown to be worse."""

Cell = tuple[int, int]
"""(row, metric)."""

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class NullTest:
    """A row against a null in one metric.

    Attributes:
        difference: the row less the null.
        claim: None where there is no error of the difference to judge by.
        p: Holm-adjusted one-sided p of the side on which the row lies; None with the claim.
    """

    difference: Difference
    claim: Claim | None
    p: float | None


@dataclass(frozen=True)
class PairTest:
    """Two rows in one metric.

    Attributes:
        difference: the first less the second.
        better: 1 or -1 where the first or the second is better, 0 where they are tied.
        p: Holm-adjusted two-sided p; None where there is no error of the difference.
    """

    difference: Difference
    better: int
    p: float | None


@dataclass(frozen=True)
class TableTests:
    """All claims of one table.

    Attributes:
        nulls: (row, null, metric) -> the row against the null.
        pairs: (row, other row, metric) -> the two, the lower number first.
        ranks: (row, metric) -> "1", or "2–3" for a tie.
    """

    nulls: Mapping[tuple[int, int, int], NullTest]
    pairs: Mapping[tuple[int, int, int], PairTest]
    ranks: Mapping[Cell, str]

    @property
    def n_nulls(self) -> int:
        """Comparisons with nulls in the family."""
        return sum(t.p is not None for t in self.nulls.values())

    @property
    def n_pairs(self) -> int:
        """Comparisons of pairs in the family."""
        return sum(t.p is not None for t in self.pairs.values())


def judge_table(
    samples: Mapping[Cell, Sample],
    directions: Sequence[Direction],
    methods: Sequence[int],
    nulls: Sequence[int],
    pools: Sequence[Sequence[int]] = (),
    level: float = LEVEL,
) -> TableTests:
    """Compare every method with every null, and the methods of every pool with each other.

    Args:
        samples: (row, metric) -> its values; cells without any are in no comparison.
        directions: of each metric.
        methods: rows that are compared with nulls.
        nulls: rows of the nulls.
        pools: rows that may be ranked with each other; every row is in one at most.
        level: the part of tables that may hold a false claim, of nulls and of pairs each.
    """
    against: dict[tuple[int, int, int], Difference] = {}
    between: dict[tuple[int, int, int], Difference] = {}
    for metric in range(len(directions)):
        for row in methods:
            for null in nulls:
                _compare(samples, row, null, metric, against)
        for pool in pools:
            for k, row in enumerate(sorted(pool)):
                for other in sorted(pool)[k + 1 :]:
                    _compare(samples, row, other, metric, between)
    sides: dict[tuple[int, int, int], Direction] = {
        key: directions[key[2]] for key in (*against, *between)
    }
    pairs = judge_pairs(between, sides, level)
    return TableTests(
        judge_nulls(against, sides, level),
        pairs,
        _table_ranks(samples, len(directions), pools, pairs),
    )


def judge_nulls(
    differences: Mapping[_Key, Difference],
    directions: Mapping[_Key, Direction],
    level: float = LEVEL,
) -> dict[_Key, NullTest]:
    """One-sided claims, simultaneously: "better" and "worse" are two tests of one family.

    With m comparisons the family has 2 m one-sided tests; so the part of tables in which any row is
    called better than a null that it does not beat, or worse than one that it is not behind, is at
    most `level`.
    """
    known = {key: d for key, d in differences.items() if d.se is not None}
    above = {key: _p(d.p_above()) for key, d in known.items()}
    below = {key: _p(d.p_below()) for key, d in known.items()}
    adjusted = holm([*above.values(), *below.values()])
    high = dict(zip(above, adjusted[: len(above)], strict=True))
    low = dict(zip(below, adjusted[len(above) :], strict=True))
    tests: dict[_Key, NullTest] = {}
    for key, d in differences.items():
        if key not in known:
            tests[key] = NullTest(d, None, None)
            continue
        better, worse = high[key], low[key]
        if directions[key] == "down":
            better, worse = worse, better
        claim = "better" if better <= level else "worse" if worse <= level else "not better"
        tests[key] = NullTest(d, claim, min(better, worse))
    return tests


def judge_pairs(
    differences: Mapping[_Key, Difference],
    directions: Mapping[_Key, Direction],
    level: float = LEVEL,
) -> dict[_Key, PairTest]:
    """Two-sided claims, simultaneously: who is better, or that no one can tell."""
    known = {key: _p(d.p_apart()) for key, d in differences.items() if d.se is not None}
    adjusted = dict(zip(known, holm([*known.values()]), strict=True))
    tests: dict[_Key, PairTest] = {}
    for key, d in differences.items():
        p = adjusted.get(key)
        better = 0
        if p is not None and p <= level and d.estimate:
            better = 1 if (d.estimate > 0) == (directions[key] == "up") else -1
        tests[key] = PairTest(d, better, p)
    return tests


def _compare(
    samples: Mapping[Cell, Sample],
    row: int,
    other: int,
    metric: int,
    into: dict[tuple[int, int, int], Difference],
) -> None:
    a, b = samples.get((row, metric)), samples.get((other, metric))
    if a is not None and b is not None and row != other:
        into[row, other, metric] = difference(a, b)


def _table_ranks(
    samples: Mapping[Cell, Sample],
    metrics: int,
    pools: Sequence[Sequence[int]],
    pairs: Mapping[tuple[int, int, int], PairTest],
) -> dict[Cell, str]:
    """Ranks of each pool in each metric; none where a comparison in it has no error."""
    ranks: dict[Cell, str] = {}
    for metric in range(metrics):
        for pool in pools:
            rows = [row for row in sorted(pool) if (row, metric) in samples]
            tests = {
                (i, j): pairs[rows[i], rows[j], metric]
                for i in range(len(rows))
                for j in range(i + 1, len(rows))
            }
            if len(rows) < 2 or any(test.p is None for test in tests.values()):
                continue

            def better(i: int, j: int, tests: dict[Cell, PairTest] = tests) -> int:
                return tests[i, j].better

            for row, rank in zip(rows, ranks_of(len(rows), better), strict=True):
                ranks[row, metric] = rank
    return ranks


def _p(value: float | None) -> float:
    """A p-value that is there: the caller has checked that the difference has an error."""
    assert value is not None
    return value
