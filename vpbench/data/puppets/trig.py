"""Sine and cosine from a table that is built with integers.

The platform's `sin` may differ by one unit in the last place between C libraries, and one such
unit can flip a rounding tie. The table is made from integer Taylor sums; what follows uses only
IEEE 754 sums, products, quotients and square roots, which are correctly rounded everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 4096
"""Entries of a full turn."""

ONE = 1 << 15
"""Scale of the integer table."""

_BITS = 62
_PI = 14488038916154245684  # floor(pi * 2**62)


def _quarter() -> list[int]:
    """round(sin * ONE) for the first quarter turn, both ends included."""
    out = []
    for i in range(STEPS // 4 + 1):
        x = _PI * 2 * i // STEPS
        square, term, total, k = x * x >> _BITS, x, 0, 1
        while term:
            total += term
            term = -(term * square >> _BITS) // ((k + 1) * (k + 2))
            k += 2
            if -2 < term < 2:
                break
        out.append((total * ONE + (1 << (_BITS - 1))) >> _BITS)
    return out


def _table() -> NDArray[np.int64]:
    first = _quarter()
    half = first + first[-2:0:-1]
    return np.array(half + [-v for v in half], dtype=np.int64)


SINE: NDArray[np.int64] = _table()
"""int64 [STEPS]: round(sin(2 pi i / STEPS) * ONE)."""

_SINE_REAL = np.append(SINE, SINE[0]) / ONE


def sin_deg(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine of angles in degrees: the table with linear interpolation (error below 1e-4)."""
    place = angle * (STEPS / 360)
    whole = np.floor(place)
    index = whole.astype(np.int64) % STEPS
    low = _SINE_REAL[index]
    return low + (_SINE_REAL[index + 1] - low) * (place - whole)


def cos_deg(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of angles in degrees, from the same table."""
    return sin_deg(angle + 90.0)
