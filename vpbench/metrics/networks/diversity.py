"""Diversity of samples by a learned distance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vpbench.api.types import Frames, Score
from vpbench.metrics.diversity import one_sample
from vpbench.metrics.frames import Record
from vpbench.metrics.networks.perceptual import Lpips, distances
from vpbench.metrics.specs import DIVERSITY_LPIPS

if TYPE_CHECKING:
    from vpbench.api.specs import Value


class LpipsDiversity(Lpips):
    """Mean LPIPS between two samples of a clip, over all pairs of its samples and all frames.

    As in the literature on stochastic prediction and image translation (Zhu et al., "Toward
    Multimodal Image-to-Image Translation", NeurIPS 2017); the mean over clips. The real clip is not
    looked at; without two samples a clip has no value.
    """

    spec = DIVERSITY_LPIPS

    def fingerprint(self) -> Mapping[str, Value | None]:
        """As of LPIPS, of pairs of samples."""
        return {**super().fingerprint(), "pairs": "all-of-a-clip", "samples": "at-least-2"}

    def result(self) -> Score:
        """As of all metrics of frames, without a value a sample: pairs have one."""
        return replace(super().result(), samples={})

    def _measure(self, fake: Frames, real: Frames, clip_id: str) -> Record:
        if len(fake) < 2:
            return one_sample(len(real))
        few = self.too_small(real)
        if few:
            return Record.undefined(1, len(real), few)
        net = self.network()
        pairs = [distances(net, a, b, self._device) for a, b in itertools.combinations(fake, 2)]
        curve = [float(value) for value in np.mean(pairs, axis=0)]
        return Record.of([math.fsum(curve) / len(curve)], [curve])
