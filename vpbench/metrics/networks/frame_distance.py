"""Frechet distances of single frames: FID, and the same on EfficientNet-Lite0.

Frames of one clip resemble each other, so the number of independent observations is that of clips:
errors, bias and the limit of the extrapolation go by clips, however many frames they have.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vpbench.api.types import Score
from vpbench.metrics import frechet as fr
from vpbench.metrics.extrapolation import POINTS, frechet_infinity, least_clusters
from vpbench.metrics.features import FeatureExtractor
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.networks import specs
from vpbench.metrics.set_metric import Figures, SetMetric

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value
    from vpbench.metrics.networks.frame_features import FrameFeatures


class _FrameDistance(SetMetric):
    """Frechet distance of the features of all frames, clips as clusters.

    Recipe `infinity`: extrapolated to infinitely many clips, without an interval; only where both
    sets have two clips a dimension of the features, below which the extrapolation is wrong.
    """

    biased = True

    def result(self) -> Score:
        """As `SetMetric.result`; the extrapolated distance has no value with too few clips."""
        if self._infinity:
            least = least_clusters(self._extractor.dim)
            few = min(len({self._clusters[c] for c in own}) for own in (self._fake, self._real))
            if few < least:
                why = f"not defined below {least} independent clips a set, but there are {few}"
                return Score(None, n=len(self._fake), reason=why)
        return super().result()

    @property
    def _infinity(self) -> bool:
        return self._recipe == "infinity"

    def _open(self, settings: Mapping[str, Value], ctx: MetricContext) -> FeatureExtractor:
        from vpbench.metrics.networks.frame_features import shared

        (weights,) = self.spec.weights
        return shared(self._kind(), ctx.weights(weights.name), ctx.device)

    @abstractmethod
    def _kind(self) -> Callable[[Path, str], FrameFeatures]:
        """The extractor's class."""

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": "frechet",
            "estimator": f"line-of-{POINTS}-from-half" if self._infinity else "factor-svd",
            "ddof": 1,
            "rows": "all-frames",
        }

    def _distance(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        x, y = _frames(fake), _frames(real)
        if self._infinity:
            return frechet_infinity(x, y, _each(fake, in_fake), _each(real, in_real))
        return fr.frechet(x, y)

    def _figures(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        value = self._distance(fake, real, in_fake, in_real)
        if self._infinity:
            return Figures(value, {})
        clusters = _each(fake, in_fake), _each(real, in_real)
        return Figures(value, leave_one_out(_frames(fake), _frames(real), *clusters))

    def _few(self, n: int) -> str:
        return "unreliable: the bias estimate finds a part of it"

    def _reason(self, n: int, m: int, complete: bool) -> str | None:
        dim, frames = self._extractor.dim, min(n, m) * (self._frames or 0)
        reason = super()._reason(n, m, complete)
        if frames > dim:
            return reason
        deficient = f"{frames} frames span fewer than {dim} dimensions: mostly bias"
        return f"{reason}; {deficient}" if reason else deficient


class Fid(_FrameDistance):
    """Frechet inception distance of frames (Heusel et al. 2017), with pytorch-fid's network.

    The distance itself is that of `vpbench.metrics.frechet`, exact with fewer frames than
    dimensions, where pytorch-fid's matrix square root is not.
    """

    spec = specs.FID

    def _kind(self) -> Callable[[Path, str], FrameFeatures]:
        from vpbench.metrics.networks.frame_features import InceptionFeatures

        return InceptionFeatures


class FdEfficientNet(_FrameDistance):
    """Frechet distance of frames on pooled features of EfficientNet-Lite0: offline, and not FID."""

    spec = specs.FD_EFFICIENTNET

    def _kind(self) -> Callable[[Path, str], FrameFeatures]:
        from vpbench.metrics.networks.frame_features import EfficientNetFeatures

        return EfficientNetFeatures


def _frames(rows: fr.Rows) -> fr.Rows:
    """[n*T,d] of the features [n,T,d] of all clips."""
    return rows.reshape(-1, rows.shape[-1])


def _each(rows: fr.Rows, clusters: Sequence[str]) -> list[str]:
    """The cluster of each frame."""
    return [str(name) for name in np.repeat(np.array(clusters), rows.shape[1])]
