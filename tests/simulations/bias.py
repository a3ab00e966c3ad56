"""How much of the bias of an FVD the jackknife finds, and what it does to differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.pairs import jackknife_difference
from tests.simulations.measured import Measured, adjusted_mean_and_error, mean_and_error, rate
from tests.simulations.population import Floats, Population
from vpbench.core.jackknife import corrected
from vpbench.core.samples import Sample, difference, set_sample
from vpbench.metrics.frechet import frechet
from vpbench.metrics.kernel import kvd, kvd_leave_one_out
from vpbench.metrics.leave_out import leave_one_out


@dataclass(frozen=True)
class Plan:
    """Draws of `recovery` at one number of clips.

    Attributes:
        n: clips.
        values: draws of the plain value.
        jackknives: draws of a whole jackknife.
        low, high: band of the share of the bias that is found.
    """

    n: int
    values: int
    jackknives: int
    low: float
    high: float


@dataclass(frozen=True)
class Jackknifed:
    """A distance of two drawn sets, and that without each clip."""

    value: float
    left: Mapping[str, float]

    @classmethod
    def frechet(cls, fake: Floats, real: Floats) -> Jackknifed:
        """The Frechet distance of sets [n,d], paired row by row."""
        left = leave_one_out(fake, real, names(len(real)))
        return cls(frechet(fake, real), {k: v for k, v in left.items() if v is not None})

    @classmethod
    def kernel(cls, fake: Floats, real: Floats) -> Jackknifed:
        """The kernel distance of such sets."""
        clips = names(len(real))
        left = kvd_leave_one_out(fake, real, clips, clips)
        value = kvd(fake, real, clips, clips)
        assert value is not None
        return cls(value, {k: v for k, v in left.items() if v is not None})

    def sample(self) -> Sample:
        """As tables compare it."""
        found = set_sample([self.value], [self.left])
        assert found is not None
        return found


def names(n: int) -> list[str]:
    """Names of clips that sort like their numbers."""
    return [f"{k:05d}" for k in range(n)]


def recovery(
    populations: Mapping[str, Population], plans: Sequence[Plan], seed: int = 0
) -> list[Measured]:
    """Part of FVD_n - FVD without end that the jackknife finds; "before", no part is found.

    "real" is against real clips that have nothing to do with the targets but their class; the other
    methods predict from their targets.
    """
    lines: list[Measured] = []
    for plan in plans:
        for kind, population in populations.items():
            rng = np.random.default_rng([seed, plan.n, len(lines)])
            shared = (0.0 if kind == "real" else 1.0,)
            plain, plain_error = _plain_mean(population, rng, plan, shared)
            found: list[float] = []
            for _ in range(plan.jackknives):
                x, (y,) = population.draw(rng, plan.n, shared)
                pair = Jackknifed.frechet(y, x)
                got = corrected(pair.left.values(), pair.value)
                assert got is not None
                found.append(got.bias)
            bias = plain - population.distance()
            mean, mean_error = mean_and_error(found)
            share = mean / bias
            error = abs(share) * np.hypot(plain_error / bias, mean_error / mean)
            lines.append(
                Measured(
                    f"part of the bias found, {kind}, n = {plan.n} (bias {bias:.0f} "
                    f"of {plain:.0f})",
                    plan.jackknives,
                    0.0,
                    share,
                    float(error),
                    plan.low,
                    plan.high,
                )
            )
    return lines


def _plain_mean(
    population: Population, rng: np.random.Generator, plan: Plan, shared: tuple[float]
) -> tuple[float, float]:
    """Mean of the plain value at n clips, and its error."""
    values: list[float] = []
    known: list[Floats] = []
    for _ in range(plan.values):
        x, (y,) = population.draw(rng, plan.n, shared)
        values.append(frechet(y, x))
        known.append(population.known(x, y, *shared))
    return adjusted_mean_and_error(np.array(values), np.stack(known))


def differences(
    population: Population,
    n: int,
    draws: int,
    shared: tuple[float, float],
    band: tuple[float, float] = (-np.inf, np.inf),
    kind: str = "",
    seed: int = 0,
) -> Measured:
    """How often the 95 % interval of a difference of two equal methods has 0, which is the truth.

    Args:
        population: of targets and predictions.
        n: clips.
        draws: pairs of methods.
        shared: of each of the two, as in `Population.draw`: (1, 0) is one whose predictions follow
            their targets and one that gives the same predictions to other targets.
        band: of the coverage.
        kind: what the predictions are, for the text.
    """
    rng = np.random.default_rng([seed, n, int(100 * shared[0]), int(100 * shared[1])])
    before: list[bool] = []
    after: list[bool] = []
    for _ in range(draws):
        x, (first, second) = population.draw(rng, n, shared)
        one, two = Jackknifed.frechet(first, x), Jackknifed.frechet(second, x)
        plain = jackknife_difference(one.left, two.left, one.value, two.value)
        before.append(not plain.excludes(0.0))
        ends = difference(one.sample(), two.sample()).interval()
        assert ends is not None
        after.append(ends[0] <= 0 <= ends[1])
    share, error = rate(after)
    return Measured(
        f"coverage of a difference of equal FVDs, {kind}, n = {n}, paired {shared[0]:g} and "
        f"{shared[1]:g}",
        draws,
        rate(before)[0],
        share,
        error,
        *band,
    )
