"""Trials with a known answer: versions of a real clip that anybody can tell apart."""

from __future__ import annotations

import itertools

import numpy as np

from vpbench.api.types import Frames

BEST, WORST = 0, -1
"""Versions whose ranks are checked: the real clip must come first, pure noise last."""


def gold_versions(real: Frames, count: int, seed: int) -> list[Frames]:
    """`count` versions of a real clip, uint8 [T,H,W,3], from the real clip to pure noise.

    Between them, as many as are wanted: the clip standing still, its frames in random order, and
    two with strong noise. Only the first and the last have a place that is beyond doubt.

    Raises:
        ValueError: `count` is not 2..6.
    """
    if not 2 <= count <= 6:
        raise ValueError(f"a gold trial has 2 to 6 versions, not {count}.")
    rng = np.random.Generator(np.random.PCG64(seed))
    still = np.repeat(real[:1], len(real), axis=0)
    between = [still, real[_shuffled(rng, len(real))], _noisy(rng, real, 40), _noisy(rng, real, 80)]
    return [real, *between[: count - 2], _noise(rng, real)]


def _shuffled(rng: np.random.Generator, count: int) -> list[int]:
    """An order in which no frame follows its predecessor, where there is one."""
    for _ in range(200):
        order = [int(k) for k in rng.permutation(count)]
        if all(b - a != 1 for a, b in itertools.pairwise(order)):
            return order
    return list(range(count))[::-1]


def _noisy(rng: np.random.Generator, real: Frames, sigma: float) -> Frames:
    noisy = real + rng.normal(0, sigma, real.shape)
    return np.clip(noisy, 0, 255).round().astype(np.uint8)


def _noise(rng: np.random.Generator, real: Frames) -> Frames:
    """Blocks of random grey: noise of single pixels would be many times larger as a file."""
    t, height, width, _ = real.shape
    block = max(1, min(height, width) // 16)
    small = rng.integers(0, 256, (t, -(-height // block), -(-width // block), 1), np.uint8)
    large = small.repeat(block, axis=1).repeat(block, axis=2)[:, :height, :width]
    return np.repeat(large, 3, axis=3)
