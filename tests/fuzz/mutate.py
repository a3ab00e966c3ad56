"""Changes to valid files that tend to reach deep into a parser."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_LARGEST = 1 << 18
"""Bytes that a mutated input has at most."""


def mutated(seeds: Sequence[bytes], rng: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """A few random changes to one of the seeds.

    Args:
        words: byte strings that mean something in the format.
    """
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _change(data, seeds, rng, words)
    return bytes(data[:_LARGEST])


def _change(
    data: bytearray, seeds: Sequence[bytes], rng: random.Random, words: Sequence[bytes]
) -> None:
    if not data:
        data += rng.choice(seeds)
    # Heads and tails hold what decides; half of all changes go there.
    span = len(data) if rng.random() < 0.5 else min(len(data), 256)
    place = rng.randrange(span)
    if rng.random() < 0.1:
        place = len(data) - 1 - place
    match rng.randrange(9):
        case 0:
            data[place] ^= 1 << rng.randrange(8)
        case 1:
            data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
        case 2:
            width, order = rng.choice((1, 2, 4, 8)), rng.choice("<>")
            value = rng.choice(_EXTREMES) & ((1 << 8 * width) - 1)
            form = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
            data[place : place + width] = struct.pack(f"{order}{form}", value)
        case 3:
            del data[place : place + 1 + rng.randrange(64)]
        case 4:
            data[place:place] = rng.randbytes(1 + rng.randrange(16))
        case 5:
            piece = data[place : place + 1 + rng.randrange(256)]
            data[place:place] = piece * (1 + rng.randrange(4))
        case 6:
            del data[place:]
        case 7:
            other = rng.choice(seeds)
            start = rng.randrange(len(other)) if other else 0
            data[place:] = other[start:]
        case _:
            data[place:place] = rng.choice(words) if words else bytes(rng.randrange(9))
