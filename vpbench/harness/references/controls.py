"""Real clips with one thing wrong: what a metric can tell from real ones, and what it cannot."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vpbench.api.types import Frames
from vpbench.harness.references.retrieval import permutation
from vpbench.harness.references.trivial import blur
from vpbench.media.roundtrip import h264

NOISE = 10.0
"""Standard deviation of the noise, grey levels."""

Change = Callable[[Frames, int], Frames]
"""(uint8 [T,H,W,3], seed of the clip) -> uint8 [T,H,W,3]."""


@dataclass(frozen=True)
class Control:
    """One way to spoil a clip.

    Attributes:
        name: in tables.
        summary: what is wrong with such a clip.
        change: spoils a clip.
    """

    name: str
    summary: str
    change: Change


def _frozen(frames: Frames, seed: int) -> Frames:
    return np.repeat(frames[:1], len(frames), axis=0)


def _shuffled(frames: Frames, seed: int) -> Frames:
    return frames[permutation(seed, len(frames))]


def _reversed(frames: Frames, seed: int) -> Frames:
    return np.ascontiguousarray(frames[::-1])


def _doubled(frames: Frames, seed: int) -> Frames:
    return frames[np.arange(len(frames)) // 2]


def _half_speed(frames: Frames, seed: int) -> Frames:
    """Times 0, 1/2, 1, ...: between two frames, their mean, rounded half up."""
    times = np.arange(len(frames))
    before, after = frames[times // 2], frames[(times + 1) // 2]
    return ((before.astype(np.uint16) + after + 1) // 2).astype(np.uint8)


def _noise(frames: Frames, seed: int) -> Frames:
    error = NOISE * np.random.Generator(np.random.PCG64(seed)).standard_normal(frames.shape)
    return np.clip(np.rint(frames + error), 0, 255).astype(np.uint8)


def _blurred(frames: Frames, seed: int) -> Frames:
    side = min(frames.shape[1:3])
    return np.stack([blur(frame, decimal.Decimal(side) / 64) for frame in frames])


def _codec(frames: Frames, seed: int) -> Frames:
    return h264(frames)


CONTROLS = {
    control.name: control
    for control in (
        Control("frozen", "the first frame, all the time", _frozen),
        Control("shuffled", "all frames, in a random order", _shuffled),
        Control("reversed", "played backwards", _reversed),
        Control("doubled frames", "half speed: each frame of the first half twice", _doubled),
        Control("half speed", "half speed: means of two frames between them", _half_speed),
        Control("noise", f"Gaussian noise of {NOISE:g} grey levels", _noise),
        Control("blurred", "a Gaussian of 1/64 of the short side, each frame", _blurred),
        Control("codec", "through H.264, at ffmpeg's default quality", _codec),
    )
}
"""By name, in the order of tables."""
