"""Every simulation at full size; five minutes on one core in all, once the features are there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tests.simulations import bias, class_matched, equal_tables, fits
from tests.simulations.measured import Measured
from tests.simulations.population import Population

Populations = Mapping[str, Population]

EQUALLY = (0.5,) * 7
DIFFERENTLY = (1.0, 0.7, 0.3, 0.0, 0.9, 0.5, 0.1)
"""How far the predictions of the seven rows of a table follow from their targets."""


def bias_found(populations: Populations) -> list[Measured]:
    """Five sixths of the bias at 90 clips, a little over half at 30, all at 300."""
    plans = [
        bias.Plan(30, 400, 100, 0.45, 0.65),
        bias.Plan(90, 400, 80, 0.80, 0.88),
        bias.Plan(300, 100, 8, 0.90, 1.10),
    ]
    return bias.recovery(populations, plans)


def differences(populations: Populations) -> list[Measured]:
    """Coverage within 92 to 98 %: 500 draws tell 95 % from either end by three errors."""
    band = (0.92, 0.98)
    return [
        bias.differences(populations[kind], n, draws, shared, held, kind)
        for kind, n, draws, shared, held in (
            ("blurred", 90, 500, (1.0, 0.0), band),
            ("blurred", 90, 500, (0.5, 0.5), band),
            ("copy-last", 90, 500, (1.0, 0.0), band),
            ("blurred", 30, 200, (1.0, 0.0), (-math.inf, math.inf)),
        )
    ]


def tables(populations: Populations) -> list[Measured]:
    """False claims in at most 6 % of tables."""
    return [
        *equal_tables.false_claims(populations["blurred"], 90, 300, EQUALLY),
        *equal_tables.false_claims(populations["blurred"], 90, 300, DIFFERENTLY, seed=1),
    ]


def kernel(populations: Populations) -> list[Measured]:
    """KVD 0 where there is no difference, and p uniform."""
    return [
        *class_matched.without_difference(populations["real"], 90, 1000),
        *class_matched.without_difference(populations["real"], 30, 1000),
        class_matched.power(populations["blurred"], 90, 100),
    ]


def training_runs(populations: Populations) -> list[Measured]:
    """False differences over three training runs in at most 7 %: 1000 draws, error 0.7 %."""
    del populations  # made of decibels
    return fits.false_differences((0.0, 0.1, 0.2, 0.5), 1000)


SIMULATIONS: dict[str, Callable[[Populations], list[Measured]]] = {
    "bias": bias_found,
    "differences": differences,
    "tables": tables,
    "kernel": kernel,
    "fits": training_runs,
}
