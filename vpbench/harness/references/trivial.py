"""Nulls: methods that know nothing of motion. Integer arithmetic only, so bytes never change."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Conditioning, Frames, Seeds, TaskInfo

_ONE = 1 << 16


class CopyLast:
    """Repeats the last given frame."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task = task

    def frame(self, given: Conditioning) -> Frames:
        """The frame that is repeated, uint8 [B,H,W,3]."""
        return given.frames[:, -1]

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        frame = self.frame(given)
        shape = (len(frame), seeds.shape[1], horizon, *frame.shape[1:])
        return np.ascontiguousarray(np.broadcast_to(frame[:, None, None], shape))


class Linear(CopyLast):
    """Carries on the trend of each pixel: the last given frame, and the slope of all of them.

    The slope is that of the straight line through a pixel's given values with the least squared
    error; sums of it are rounded half up and clipped to 0..255.
    """

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        frames = given.frames.astype(np.int64)
        n = frames.shape[1]
        twice = range(1 - n, n, 2)  # the distances from the middle, doubled to be whole
        places = np.array(twice, np.int64)
        rise = 2 * np.einsum("n,bn...->b...", places, frames)  # of a frame, times `scale`
        scale = sum(place * place for place in twice)
        ahead = np.arange(1, horizon + 1)[:, None, None, None]
        total = 2 * (scale * frames[:, -1, None] + ahead * rise[:, None]) + scale
        future = np.clip(total // (2 * scale), 0, 255).astype(np.uint8)
        shape = (len(future), seeds.shape[1], *future.shape[1:])
        return np.ascontiguousarray(np.broadcast_to(future[:, None], shape))


def gaussian(sigma: decimal.Decimal) -> npt.NDArray[np.int64]:
    """Weights of a Gaussian out to 4 sigma, in 1/65536, summing to 65536.

    `decimal` rounds its exponential correctly, so the integers are the same on every machine.
    """
    with decimal.localcontext(prec=30):
        radius = int((4 * sigma).to_integral_value(decimal.ROUND_CEILING))
        raw = [
            (-(decimal.Decimal(x) ** 2) / (2 * sigma**2)).exp() for x in range(-radius, radius + 1)
        ]
        total = sum(raw)
        weights = np.array([int((w / total * _ONE).to_integral_value()) for w in raw], np.int64)
    weights[radius] += _ONE - weights.sum()  # rounding errors go to the centre
    return weights


def blur(frames: Frames, sigma: decimal.Decimal) -> Frames:
    """Blur uint8 [...,H,W,3] with border pixels repeated; rounds half up."""
    weights = gaussian(sigma)
    radius = len(weights) // 2
    out = frames.astype(np.int64)
    for axis in (-3, -2):
        widths = [(0, 0)] * out.ndim
        widths[axis] = (radius, radius)
        padded = np.pad(out, widths, mode="edge")
        size = out.shape[axis]
        out = np.zeros_like(out)
        for k, weight in enumerate(weights):
            out += weight * padded.take(range(k, k + size), axis=axis)
    return ((out + (1 << 31)) >> 32).astype(np.uint8)


class BlurCopy(CopyLast):
    """Repeats the last given frame, blurred by a Gaussian of sigma = size/64 px."""

    def frame(self, given: Conditioning) -> Frames:
        """The frame that is repeated, uint8 [B,H,W,3]."""
        return blur(given.frames[:, -1], decimal.Decimal(self.task.size) / 64)


class Noise:
    """Independent uniform bytes, from the raw bits of a generator seeded by the clip's seed."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], slots: Mapping[str, Any]) -> None:
        self.task = task

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """uint8 [B,S,T,H,W,3]."""
        shape = (horizon, *given.frames.shape[2:])
        count = int(np.prod(shape))
        clips = [[_bytes(int(seed), count).reshape(shape) for seed in row] for row in seeds]
        return np.array(clips, np.uint8)


def _bytes(seed: int, count: int) -> npt.NDArray[np.uint8]:
    words = np.random.PCG64(seed).random_raw(-(-count // 8)).astype("<u8")
    return words.view(np.uint8)[:count]
