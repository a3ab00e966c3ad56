"""How often two methods that are equally good over training runs are called different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tests.pairs import paired_difference
from tests.simulations.equal_tables import named
from tests.simulations.measured import Measured, rate
from vpbench.core.samples import clip_sample, difference

CLIP_SD, METHOD_CLIP_SD, FIT_CLIP_SD = 1.71, 0.70, 0.40
"""In dB of PSNR: between clips; of a method on a clip; of a training run on a clip.

The first as measured over `ours`, `villegas`, `wichers` and `li` on the 90 test clips of puppets;
so is the sum of squares of the other two, 0.81 squared, of which one training run a method does not
say how much is the run's.
"""


def false_differences(
    fit_sds: Sequence[float],
    draws: int,
    fits: int = 3,
    n: int = 90,
    most: float = 0.07,
    seed: int = 0,
) -> list[Measured]:
    """Part of pairs that are told apart, for each standard deviation between training runs.

    Before: the paired interval over clips of each clip's mean over training runs.

    Args:
        fit_sds: in dB.
        draws: pairs of methods for each.
        fits: training runs of each method.
        n: clips.
        most: upper end of the band.
    """
    lines: list[Measured] = []
    for fit_sd in fit_sds:
        rng = np.random.default_rng([seed, fits, n, round(1000 * fit_sd)])
        before: list[bool] = []
        after: list[bool] = []
        for _ in range(draws):
            one, two = _methods(rng, fits, n, fit_sd)
            before.append(paired_difference(_mean(one), _mean(two), n_resamples=1000).excludes())
            after.append(_apart(one, two))
        share, error = rate(after)
        what = f"false difference over {fits} training runs, SD between them {fit_sd:g} dB"
        lines.append(Measured(what, draws, rate(before)[0], share, error, high=most))
    return lines


def _methods(
    rng: np.random.Generator, fits: int, n: int, fit_sd: float
) -> list[list[Mapping[str, float]]]:
    """Two methods of the same mean over clips and training runs: clip -> dB of each run."""
    clips = CLIP_SD * rng.normal(size=n)
    methods: list[list[Mapping[str, float]]] = []
    for _ in range(2):
        own = clips + METHOD_CLIP_SD * rng.normal(size=n)
        values = (
            own + fit_sd * rng.normal(size=(fits, 1)) + FIT_CLIP_SD * rng.normal(size=(fits, n))
        )
        methods.append([named(row) for row in values])
    return methods


def _mean(fits: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    return {name: sum(fit[name] for fit in fits) / len(fits) for name in fits[0]}


def _apart(one: Sequence[Mapping[str, float]], two: Sequence[Mapping[str, float]]) -> bool:
    first, second = clip_sample(one), clip_sample(two)
    assert first is not None and second is not None
    ends = difference(first, second).interval()
    assert ends is not None
    return not ends[0] <= 0 <= ends[1]
