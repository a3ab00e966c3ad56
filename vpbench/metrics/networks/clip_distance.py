"""Distances of sets of clips on other features than I3D's: JEDi, and the content-debiased FVD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vpbench.core.estimators import UNBIASED_U
from vpbench.metrics import frechet as fr
from vpbench.metrics.features import FeatureExtractor
from vpbench.metrics.kernel import CUBIC, KernelSums, Polynomial
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.networks import specs
from vpbench.metrics.relabelling import PERMUTATIONS, SWAP_BITS
from vpbench.metrics.set_metric import Figures, SetMetric
from vpbench.metrics.whole_kernel import mmd_with_diagonal

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value

QUADRATIC = Polynomial(degree=2, offset=0.0)
"""JEDi's kernel, (x.y / d)^2."""

JEDI_SCALE = 100
"""What JEDi's publishers multiply the distance with."""

_UNVERIFIED = "by recipe, unverified"


class _KernelDistance(SetMetric):
    """Unbiased squared MMD between clips of different clusters, with its p-value."""

    kernel: Polynomial
    scale: int = 1
    biased = False

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": "mmd2",
            "estimator": UNBIASED_U,
            "kernel": f"(x.y/d+{self.kernel.offset:g})^{self.kernel.degree}",
            "scale": self.scale,
            "test": f"swaps-of-pairs-2^{SWAP_BITS}, permutations-{PERMUTATIONS}",
        }

    def _distance(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        sums = KernelSums.of(fake, real, in_fake, in_real, kernel=self.kernel)
        return _scaled(sums.value(), self.scale)

    def _figures(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        sums = KernelSums.of(fake, real, in_fake, in_real, test=True, kernel=self.kernel)
        left = {name: _scaled(v, self.scale) for name, v in sums.leave_one_out().items()}
        return Figures(_scaled(sums.value(), self.scale), left, sums.p())

    def _few(self, n: int) -> str:
        return "coarse; read it together with its p-value"

    def _caveats(self) -> list[str]:
        return [_UNVERIFIED]


class Jedi(_KernelDistance):
    """JEPA embedding distance (Luo et al., ICLR 2025): 100 x polynomial MMD of V-JEPA features.

    The default is unbiased. Recipe `published` is the authors' own sum over all pairs, those of a
    clip with itself among them, which is above 0 by a bias that falls as 1/n.
    """

    spec = specs.JEDI
    kernel = QUADRATIC
    scale = JEDI_SCALE

    @property
    def biased(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the expected value depends on the number of clips."""
        return self._published

    @property
    def _published(self) -> bool:
        return self._recipe == "published"

    def _open(self, settings: Mapping[str, Value], ctx: MetricContext) -> FeatureExtractor:
        from vpbench.metrics.networks.clip_features import open_vjepa

        encoder, probe = (ctx.weights(weights.name) for weights in self.spec.weights)
        return open_vjepa(encoder, probe, ctx.device)

    def _statistic(self) -> dict[str, Value | None]:
        own = super()._statistic()
        return {**own, "estimator": "v-with-diagonal", "test": None} if self._published else own

    def _distance(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        if self._published:
            value, _ = mmd_with_diagonal(fake, real, in_fake, in_real, self.kernel)
            return _scaled(value, self.scale)
        return super()._distance(fake, real, in_fake, in_real)

    def _figures(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        if not self._published:
            return super()._figures(fake, real, in_fake, in_real)
        value, left = mmd_with_diagonal(fake, real, in_fake, in_real, self.kernel)
        return Figures(
            _scaled(value, self.scale), {k: _scaled(v, self.scale) for k, v in left.items()}
        )


class _VideoMaeMetric(SetMetric):
    """A distance on features of VideoMAE v2."""

    def _open(self, settings: Mapping[str, Value], ctx: MetricContext) -> FeatureExtractor:
        from vpbench.metrics.networks.clip_features import open_videomae

        (weights,) = self.spec.weights
        return open_videomae(ctx.weights(weights.name), ctx.device)


class FvdVideoMae(_VideoMaeMetric):
    """Content-debiased FVD (Ge et al., CVPR 2024): Frechet distance of VideoMAE v2 features.

    With ddof 0, as the authors' program. Its 1408 dimensions need some 3000 clips; with fewer,
    `kvd-videomae` says more.
    """

    spec = specs.FVD_VIDEOMAE
    biased = True

    def _statistic(self) -> dict[str, Value | None]:
        return {"statistic": "frechet", "estimator": "factor-svd", "ddof": 0}

    def _distance(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        return fr.frechet(fake, real, 0)

    def _figures(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        left = leave_one_out(fake, real, in_fake, in_real, 0)
        return Figures(fr.frechet(fake, real, 0), left)

    def _few(self, n: int) -> str:
        return "unreliable: the bias estimate finds a part of it"

    def _caveats(self) -> list[str]:
        return [_UNVERIFIED]


class KvdVideoMae(_VideoMaeMetric, _KernelDistance):
    """Unbiased kernel distance of VideoMAE v2 features, cubic kernel, as `kvd`."""

    spec = specs.KVD_VIDEOMAE
    kernel = CUBIC


def _scaled(value: float | None, scale: int) -> float | None:
    return None if value is None else float(np.float64(value) * scale)
