"""Diversity: how far the samples that are drawn for one clip lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vpbench.api.types import Frames, Score
from vpbench.metrics.frames import FrameMetric, Record
from vpbench.metrics.specs import DIVERSITY

if TYPE_CHECKING:
    from vpbench.api.specs import Value


class Diversity(FrameMetric):
    """Mean absolute difference of pixels between two samples of a clip, in % of the grey levels.

    A clip's value is the mean over all pairs of its samples, over frames, pixels and channels; its
    curve is that of each frame. 0 for a method that draws the same sample twice; two samples of
    uniform noise are 33.5 apart. It knows nothing of quality: noise is diverse. The real clip is
    not looked at. Without two samples a clip has no value.
    """

    spec = DIVERSITY

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Definition of the figure; the version stands for the code."""
        return {
            "metric": self.spec.name,
            "version": self.spec.version,
            "distance": "mean-absolute-difference",
            "range": "percent-of-255",
            "pairs": "all-of-a-clip",
            "samples": "at-least-2",
        }

    def result(self) -> Score:
        """As of all metrics of frames, without a value a sample: pairs have one."""
        return replace(super().result(), samples={})

    def _measure(self, fake: Frames, real: Frames, clip_id: str) -> Record:
        count, frames = fake.shape[:2]
        if count < 2:
            return one_sample(frames)
        pairs = count * (count - 1) // 2
        scale = 100 / 255 / (pairs * real[0].size)
        curve = [scale * total_difference(fake[:, t]) for t in range(frames)]
        return Record.of([sum(curve) / frames], [curve])


def one_sample(frames: int) -> Record:
    """What a clip without two samples has: no value, and the way to one."""
    few = "1 sample a clip, diversity needs 2 or more: run with --samples 2"
    return Record.undefined(1, frames, few)


def total_difference(values: Frames) -> int:
    """Sum of |a - b| over all pairs of samples and all pixels of uint8 [S,...]; exact.

    In ascending order, value k of S is the larger one in k pairs and the smaller one in S - 1 - k.
    """
    weights = 2 * np.arange(len(values), dtype=np.int64) - (len(values) - 1)
    ascending = np.sort(values.reshape(len(values), -1), axis=0)
    return int(ascending.sum(axis=1, dtype=np.int64) @ weights)
