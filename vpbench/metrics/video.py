"""FVD and KVD: distances between a set of predicted clips and a set of real ones, by I3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpbench.core.estimators import UNBIASED_U
from vpbench.metrics import frechet as fr
from vpbench.metrics.features import FeatureExtractor, Shipped
from vpbench.metrics.i3d.recipes import find_recipe
from vpbench.metrics.kernel import KernelSums, kvd
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.relabelling import PERMUTATIONS, SWAP_BITS
from vpbench.metrics.set_metric import Figures, SetMetric
from vpbench.metrics.video_specs import FVD, KVD

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of features that come with vpbench, one .npz a group of rows; it may be absent."""
PINS = {"puppets.npz": "4a2b396da3585ce065cca5da572188d63e80826fbe92237de1ac3bb0b09f2c0f"}
"""sha256 of each of its files."""


class _I3DMetric(SetMetric):
    """A distance on features of I3D; needs its weights."""

    def _open(self, settings: Mapping[str, Value], ctx: MetricContext) -> FeatureExtractor:
        return open_extractor(self._recipe, settings["dtype"], ctx)

    def _shipped(self) -> Sequence[Shipped]:
        return shipped_features()

    def _caveats(self) -> list[str]:
        found = find_recipe(self._recipe)
        return [] if found.verified else [f"{found.name}: by recipe, unverified"]


class Fvd(_I3DMetric):
    """Frechet video distance (Unterthiner et al. 2018, equation 2) of I3D features.

    Computed exactly also for fewer clips than dimensions. Its bias falls as 1/n and differs between
    methods; score files hold it beside the value, from the values without each clip. Recipes other
    than `tf2018` are those of `vpbench.metrics.i3d.recipes`.
    """

    spec = FVD
    biased = True

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": "frechet",
            "estimator": "factor-svd",
            "ddof": find_recipe(self._recipe).ddof,
        }

    def _distance(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        return fr.frechet(fake, real, self._ddof())

    def _figures(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        ddof = self._ddof()
        left = leave_one_out(fake, real, in_fake, in_real, ddof)
        return Figures(fr.frechet(fake, real, ddof), left)

    def _ddof(self) -> int:
        return find_recipe(self._recipe).ddof

    def _few(self, n: int) -> str:
        return "unreliable: the bias estimate finds half of it"


class Kvd(_I3DMetric):
    """Kernel video distance: unbiased squared MMD of I3D features, cubic kernel.

    Pairs of one clip, or of one group, do not count: a predicted clip resembles the clip that it
    was made for. May be negative. Its p-value tests against "predicted and real clips have one
    distribution"; of several sample sets it is twice the mean, at most 1, which is a p-value
    whatever their dependence (Vovk & Wang, "Combining p-values via averaging", Biometrika 107,
    2020).
    """

    spec = KVD
    biased = False

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": "mmd2",
            "estimator": UNBIASED_U,
            "kernel": "(x.y/d+1)^3",
            "test": f"swaps-of-pairs-2^{SWAP_BITS}, permutations-{PERMUTATIONS}",
        }

    def _distance(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        return kvd(fake, real, in_fake, in_real)

    def _figures(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        sums = KernelSums.of(fake, real, in_fake, in_real, test=True)
        return Figures(sums.value(), sums.leave_one_out(), sums.p())

    def _few(self, n: int) -> str:
        return "coarse; read it together with its p-value"


def open_extractor(recipe: str, dtype: Any, ctx: MetricContext) -> FeatureExtractor:
    """The I3D extractor; the network itself is built at its first forward pass.

    Raises:
        MissingWeights: the weights are not here.
        UnknownName: no such dtype.
    """
    return _i3d(ctx.weights("i3d"), recipe, dtype, ctx.device)


@lru_cache(maxsize=2)
def _i3d(path: Path, recipe: str, dtype: Any, device: str) -> FeatureExtractor:
    """One network for all metrics of a process."""
    from vpbench.metrics.i3d.extract import I3DFeatures

    return I3DFeatures(path, recipe, dtype, device=device)


def shipped_features() -> list[Shipped]:
    """The features that come with vpbench.

    Raises:
        HashMismatch: a file is not the one that was shipped.
    """
    return [Shipped.read(path, PINS.get(path.name, "")) for path in sorted(SHIPPED.glob("*.npz"))]
