"""Test clips that look like training clips: the same scene, the same clip, or its mirror image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Frames, Problem
from vpbench.media.resize import resize

GRID = 16
LEAST = 0.99
"""Correlation from which two frames count as the same picture; see docs/datasets.md."""
MOMENTS = 16
LEAST_MOVED = 0.998
"""Correlation from which two movements count as the same; different people who do jumping jacks
reach 0.995."""

Views = npt.NDArray[np.float32]
"""float32 [V,GRID,GRID,3]: some frames of a clip, small, with zero mean and unit length."""


class Alike(NamedTuple):
    """A test clip, the training clip that it resembles most, and how much (at most 1)."""

    test: str
    train: str
    similarity: float


def views(frames: Frames) -> Views:
    """Describe some frames uint8 [V,H,W,3] of a clip; a frame of one colour becomes zero."""
    small = resize(frames, GRID, GRID).astype(np.float32)
    small -= small.mean((1, 2, 3), keepdims=True)
    length = np.sqrt((small**2).sum((1, 2, 3), keepdims=True))
    return small / np.maximum(length, 1e-6)


def chosen(frames: int) -> list[int]:
    """The frames of a clip that are looked at: first, middle and last."""
    return sorted({0, frames // 2, frames - 1})


def near_duplicates(
    train: Mapping[str, npt.NDArray[np.float32]],
    test: Mapping[str, npt.NDArray[np.float32]],
    least: float = LEAST,
) -> list[Alike]:
    """For each test clip the most similar training clip, if it is as similar as `least`.

    Clips are described by unit vectors [V,...] (`views`, `movement`). Two clips are as similar as
    their most similar vectors; mirror images (along the axis before the last) count too.
    """
    if not train or not test:
        return []
    names = [name for name, own in train.items() for _ in own]
    flat = np.concatenate([own.reshape(len(own), -1) for own in train.values()])
    pairs: list[Alike] = []
    for name, own in sorted(test.items()):
        both = np.concatenate([own, np.flip(own, -2)]).reshape(2 * len(own), -1)
        best = (both @ flat.T).max(0)
        k = int(best.argmax())
        if best[k] >= least:
            pairs.append(Alike(name, names[k], min(float(best[k]), 1.0)))
    return pairs


def movement(joints: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Describe positions [L,J,2] at 16 times spread over a clip, wherever and however large.

    Returns:
        float32 [1,16 J,1,2]: one unit vector; its axis before the last is not a mirror axis.
    """
    times = np.round(np.linspace(0, len(joints) - 1, MOMENTS)).astype(int)
    centred = joints[times] - joints[times].mean((0, 1))
    length = np.sqrt((centred**2).sum())
    return (centred / max(float(length), 1e-9)).astype(np.float32).reshape(1, -1, 1, 2)


def problems(pairs: list[Alike], what: str = "has a frame like one of") -> list[Problem]:
    """One warning for each."""
    return [
        Problem(
            "warning",
            alike.test,
            f"test clip {alike.test} {what} training clip {alike.train} "
            f"(correlation {alike.similarity:.4f}).",
            "Look at both: clips that are in train and in test favour methods that memorise.",
        )
        for alike in pairs
    ]
