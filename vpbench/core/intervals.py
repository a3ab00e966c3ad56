"""What the statistics share: the interval as a type, checks of their input, exact sums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

MIN_CLUSTERS = 8
"""Independent clips or groups of clips under which no interval is given: with 5 of them one of 95 %
covers 92 % of means where clips are normal and 82 % where they are lognormal."""

MIN_FITS = 3
"""Training runs from which the variance between them is estimated, and methods are ranked."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its uncertainty.

    Attributes:
        mean: the estimate; None without data.
        se: standard error; None where there are too few data.
        low, high: ends of the confidence interval; None where `se` is None.
        n: values that the estimate stands on.
    """

    mean: float | None
    se: float | None
    low: float | None
    high: float | None
    n: int

    def excludes(self, value: float = 0.0) -> bool:
        """Whether the interval is known and does not contain `value`."""
        if self.low is None or self.high is None:
            return False
        return not self.low <= value <= self.high


def finite(values: Iterable[Any], what: str) -> list[float]:
    """Python floats.

    Raises:
        ValueError: one is None, NaN or infinite.
    """
    data: list[float] = []
    for value in values:
        if value is None or not math.isfinite(value):
            raise ValueError(f"{what} hold {value}; they must be finite.")
        data.append(float(value))
    return data


def check_level(level: float) -> None:
    """Refuse a coverage that is none.

    Raises:
        ValueError: it is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1.")


def mean(data: Sequence[float]) -> float:
    """Mean from an exact sum; equal values give exactly that value."""
    return min(max(math.fsum(data) / len(data), min(data)), max(data))
