"""How many tables of rows that are all equal make a false claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.pairs import jackknife_difference, paired_difference
from tests.simulations.bias import Jackknifed, names
from tests.simulations.measured import Measured, rate
from tests.simulations.plain import kvd_with_pairs
from tests.simulations.population import Floats, Population
from vpbench.core.samples import Direction, Sample, clip_sample
from vpbench.core.simultaneous import judge_table

METHODS, NULLS = 4, 3
DIRECTIONS: tuple[Direction, ...] = ("down", "down", "up", "up")
"""Of FVD, KVD, PSNR and SSIM."""

CLIP_METRICS = ((1.71, 0.81), (0.039, 0.044))
"""Of PSNR in dB and of SSIM: standard deviation between clips, and of a method on a clip, over
`ours`, `villegas`, `wichers` and `li` on the 90 test clips of puppets."""


@dataclass(frozen=True, eq=False)
class Table:
    """Seven rows that differ by chance alone.

    Attributes:
        fvd, kvd, plain_kvd: of each row; the last with a clip's own pair in the cross mean.
        clips: of PSNR and of SSIM, clip -> value of each row.
    """

    fvd: Sequence[Jackknifed]
    kvd: Sequence[Jackknifed]
    plain_kvd: Sequence[Jackknifed]
    clips: Sequence[Sequence[Mapping[str, float]]]

    def samples(self) -> dict[tuple[int, int], Sample]:
        """What tables are judged by."""
        found: dict[tuple[int, int], Sample] = {}
        for row in range(METHODS + NULLS):
            for metric, sets in enumerate((self.fvd, self.kvd)):
                found[row, metric] = sets[row].sample()
            for metric, rows in enumerate(self.clips, start=2):
                sample = clip_sample([rows[row]])
                assert sample is not None
                found[row, metric] = sample
        return found

    def plain_apart(self, i: int, j: int) -> bool:
        """Whether any plain paired interval of two rows excludes 0."""
        for sets in (self.fvd, self.plain_kvd):
            a, b = sets[i], sets[j]
            if jackknife_difference(a.left, b.left, a.value, b.value).excludes(0.0):
                return True
        return any(
            paired_difference(rows[i], rows[j], n_resamples=1000).excludes() for rows in self.clips
        )


def false_claims(
    population: Population,
    n: int,
    draws: int,
    shared: Sequence[float],
    most: float = 0.06,
    seed: int = 0,
) -> list[Measured]:
    """Part of tables with a false rank, and with a false mark against a null.

    Before: plain values, each interval by itself.

    Args:
        population: of targets and the predictions of every row.
        n: clips.
        draws: tables.
        shared: of each of the seven rows, as in `Population.draw`.
        most: upper end of the bands.
    """
    rng = np.random.default_rng([seed, n, draws])
    methods = list(range(METHODS))
    nulls = list(range(METHODS, METHODS + NULLS))
    ranks: list[bool] = []
    marks: list[bool] = []
    plain_ranks: list[bool] = []
    plain_marks: list[bool] = []
    for _ in range(draws):
        table = draw_table(rng, population, n, shared)
        tests = judge_table(table.samples(), DIRECTIONS, methods, nulls, [methods])
        ranks.append(any(rank != f"1–{METHODS}" for rank in tests.ranks.values()))
        marks.append(any(test.claim != "not better" for test in tests.nulls.values()))
        assert len(tests.ranks) == METHODS * len(DIRECTIONS)
        assert len(tests.nulls) == METHODS * NULLS * len(DIRECTIONS)
        plain_ranks.append(_any(table, ((i, j) for i in methods for j in methods if i < j)))
        plain_marks.append(_any(table, ((i, j) for i in methods for j in nulls)))
    what = "equally paired" if len(set(shared)) == 1 else "paired to different degrees"
    lines: list[Measured] = []
    for claim, after, before in (("rank", ranks, plain_ranks), ("mark", marks, plain_marks)):
        share, error = rate(after)
        name = f"tables of equal rows, {what}, with a false {claim}"
        lines.append(Measured(name, draws, rate(before)[0], share, error, high=most))
    return lines


def draw_table(
    rng: np.random.Generator, population: Population, n: int, shared: Sequence[float]
) -> Table:
    """A table of equal rows; SSIM's are as skewed as an exponential distribution."""
    real, fakes = population.draw(rng, n, tuple(shared))
    clips: list[list[dict[str, float]]] = []
    for skewed, (between, own) in enumerate(CLIP_METRICS):
        base = between * rng.normal(size=n)
        size = (len(shared), n)
        noise = rng.exponential(size=size) - 1 if skewed else rng.normal(size=size)
        clips.append([named(base + own * row) for row in noise])
    return Table(
        [Jackknifed.frechet(fake, real) for fake in fakes],
        [Jackknifed.kernel(fake, real) for fake in fakes],
        [Jackknifed(*kvd_with_pairs(fake, real)) for fake in fakes],
        clips,
    )


def named(values: Floats) -> dict[str, float]:
    """Clip -> value."""
    return dict(zip(names(len(values)), values.tolist(), strict=True))


def _any(table: Table, pairs: Iterator[tuple[int, int]]) -> bool:
    return any(table.plain_apart(i, j) for i, j in pairs)
