"""Metrics of motion: what FVD hardly sees, how fast things move and how they go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vpbench.core.estimators import UNBIASED_U
from vpbench.metrics.features import Feature, FeatureExtractor
from vpbench.metrics.frechet import Floats, Rows
from vpbench.metrics.kernel import KernelSums, kvd
from vpbench.metrics.motion import extract
from vpbench.metrics.motion.specs import MOTION, MOTION_MMD
from vpbench.metrics.relabelling import PERMUTATIONS, SWAP_BITS
from vpbench.metrics.set_metric import Figures, SetMetric

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value

STILL = 2.0**-11
"""Mean speed of a clip that stands still, in parts of the short side a frame: 0.03 px at 64 px."""


class _MotionMetric(SetMetric):
    """A distance on statistics of optical flow."""

    def _open(self, settings: Mapping[str, Value], ctx: MetricContext) -> FeatureExtractor:
        return extract.MotionFeatures()


class Motion(_MotionMetric):
    """Difference between the motion of predicted and of real clips; 0 is best.

    `speed` (the default): Wasserstein-1 distance of the distributions of the speed of pixels, all
    pixels of all clips alike, in percent of the short side a frame. Neither more nor less motion is
    better. `static`: difference of the shares of clips that stand still, in points. `warp`:
    difference of the mean errors of warping, in percent of the grey levels.
    """

    spec = MOTION
    biased = True

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": self._recipe,
            "still": STILL if self._recipe == "static" else None,
        }

    def _part(self) -> Callable[[Feature], Feature]:
        return self._kept

    def _kept(self, feature: Feature) -> Feature:
        one = feature[None]
        if self._recipe == "static":
            return extract.mean_speed(one).astype(np.float32)
        if self._recipe == "warp":
            return extract.warping(one).astype(np.float32)
        return extract.speeds(one)[0].astype(np.float32)

    def _distance(
        self, fake: Rows, real: Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        return self._between(self._of(fake).mean(axis=0), self._of(real).mean(axis=0))

    def _figures(
        self, fake: Rows, real: Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        predicted, true = _Means.of(self._of(fake), in_fake), _Means.of(self._of(real), in_real)
        left = {
            name: _maybe(self._between, predicted.without(name), true.without(name))
            for name in sorted({*in_fake, *in_real})
        }
        return Figures(self._between(predicted.mean, true.mean), left)

    def _of(self, rows: Rows) -> Floats:
        """What is averaged over clips, [n,k], of what `_kept` keeps."""
        kept = np.asarray(rows, dtype=np.float64)
        if self._recipe == "static":
            return (kept < STILL).astype(np.float64)
        return kept if self._recipe == "warp" else np.cumsum(kept, axis=1)

    def _between(self, fake: Floats, real: Floats) -> float:
        if self._recipe == "static":
            return 100 * abs(float(fake[0] - real[0]))
        if self._recipe == "warp":
            return 100 / 255 * abs(float(fake[0] - real[0]))
        # The area between two distribution functions.
        return 100 * extract.STEP * float(np.abs(fake - real).sum())

    def _few(self, n: int) -> str:
        return "coarse"


class MotionMmd(_MotionMetric):
    """Kernel distance of how points move and change their movement; needs no network.

    Features are histograms of velocity and acceleration of points that go along with the flow; the
    kernel is (s + 1)^3 with s = sum sqrt(p q) / 2, the overlap of two clips' histograms, of moving
    points only. Unbiased, with its p-value, as `kvd`.
    """

    spec = MOTION_MMD
    biased = False

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": "mmd2",
            "estimator": UNBIASED_U,
            "kernel": "(sum-sqrt-pq/2+1)^3",
            "test": f"swaps-of-pairs-2^{SWAP_BITS}, permutations-{PERMUTATIONS}",
        }

    def _part(self) -> Callable[[Feature], Feature]:
        return self._kept

    def _kept(self, feature: Feature) -> Feature:
        return extract.tracked(feature[None])[0].astype(np.float32)

    def _distance(
        self, fake: Rows, real: Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        return kvd(_roots(fake), _roots(real), in_fake, in_real)

    def _figures(
        self, fake: Rows, real: Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        sums = KernelSums.of(_roots(fake), _roots(real), in_fake, in_real, test=True)
        return Figures(sums.value(), sums.leave_one_out(), sums.p())

    def _few(self, n: int) -> str:
        return "coarse; read it together with its p-value"


class _Means:
    """Mean of rows, and of those that stay without a cluster."""

    def __init__(self, rows: Floats, members: Mapping[str, npt.NDArray[np.intp]]) -> None:
        self._rows, self._members = rows, members
        self._total = rows.sum(axis=0)
        self.mean = self._total / len(rows)

    @classmethod
    def of(cls, rows: Floats, clusters: Sequence[str]) -> _Means:
        """Rows [n,k] and the cluster of each."""
        places: dict[str, list[int]] = {}
        for k, name in enumerate(clusters):
            places.setdefault(name, []).append(k)
        return cls(rows, {name: np.array(own) for name, own in places.items()})

    def without(self, name: str) -> Floats | None:
        """Mean of the rows of other clusters; None where fewer than two are left."""
        out = self._members.get(name, np.zeros(0, dtype=np.intp))
        kept = len(self._rows) - len(out)
        return None if kept < 2 else (self._total - self._rows[out].sum(axis=0)) / kept


def _maybe(
    between: Callable[[Floats, Floats], float], fake: Floats | None, real: Floats | None
) -> float | None:
    return None if fake is None or real is None else between(fake, real)


def _roots(rows: Rows) -> Floats:
    """Roots of the histograms, so scaled that x.y / d is their overlap."""
    shares = np.asarray(rows, dtype=np.float64)
    return np.sqrt(shares * shares.shape[1] / 2)
