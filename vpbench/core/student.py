"""Student's t distribution.

scipy has it; but `scipy.special` takes a third of a second to load, longer than everything else
that a comparison of finished runs does.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_STEPS = 10_000
"""Steps of the continued fraction; it takes about sqrt(df) of them."""

_TINY = 1e-300
_CLOSE = 1e-16


def student_tail(df: float, t: float) -> float:
    """P(T > t) for Student's T with `df` degrees of freedom, which may be fractional.

    Accurate to about 1e-12 relative, far out in the tail too (Abramowitz & Stegun 26.7.1).

    Raises:
        ValueError: df is not positive and finite, or t is NaN.
    """
    if not (0 < df < math.inf) or math.isnan(t):
        raise ValueError(f"df={df}, t={t}: df must be positive and finite, t a number.")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    # Both as quotients: 1 - x would lose the digits of a small t.
    whole = df + t * t
    half = 0.5 * _beta_ratio(df / 2, 0.5, df / whole, t * t / whole)
    return half if t >= 0 else 1.0 - half


@lru_cache(maxsize=256)
def student_quantile(df: float, probability: float) -> float:
    """The t with P(T <= t) = `probability`.

    Raises:
        ValueError: df is not positive and finite, or the probability not in (0, 1).
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability={probability} must lie between 0 and 1.")
    if probability == 0.5:
        return 0.0
    tail = min(probability, 1 - probability)
    low, high = 0.0, max(1.0, -NormalDist().inv_cdf(tail))
    while student_tail(df, high) > tail:
        low, high = high, 2 * high
    # Bisection on a tail that falls from both ends: 200 halvings end at neighbouring floats.
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if student_tail(df, middle) > tail:
            low = middle
        else:
            high = middle
    return high if probability > 0.5 else -high


def _beta_ratio(a: float, b: float, x: float, rest: float) -> float:
    """The regularised incomplete beta function I_x(a, b); `rest` is 1 - x."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log(rest))
    # The fraction converges fast below the mean of the distribution, its mirror image above.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b) (Abramowitz & Stegun 26.5.8) by Lentz's method."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d or _TINY)
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or _TINY)
            c = (1 + term / c) or _TINY
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            return value
    return value
