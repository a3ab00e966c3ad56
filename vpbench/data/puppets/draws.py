"""Random integers from sha256: the same on every machine, interpreter and library release.

A stream is named by text; the n-th draw of a stream is a function of that name and n alone. No
generator of numpy or of the standard library is involved, so no release can change a clip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A named stream of integers; every draw uses eight fresh bytes of sha256."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._block = 0
        self._bytes = b""

    def child(self, name: str) -> Draws:
        """An independent stream below this one."""
        return Draws(f"{self._name}/{name}")

    def raw(self, n: int) -> bytes:
        """The next `n` bytes."""
        while len(self._bytes) < n:
            self._bytes += hashlib.sha256(f"{self._name}#{self._block}".encode()).digest()
            self._block += 1
        out, self._bytes = self._bytes[:n], self._bytes[n:]
        return out

    def below(self, n: int) -> int:
        """An integer in [0, n); the bias of the modulus is below n / 2**64."""
        return int.from_bytes(self.raw(8), "little") % n

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""
        return low + self.below(high - low + 1)

    def real(self, low: float, high: float) -> float:
        """A number in [low, high) on a grid of 4096 steps: one product and one sum, so exact."""
        return low + (high - low) * (self.below(4096) / 4096)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 draws."""
        return self.below(100) < percent

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[self.below(len(options))]
