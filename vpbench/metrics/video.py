"""FVD and KVD: distances between a set of predicted clips and a set of real ones.

A metric keeps one feature a clip, not its frames. Every figure depends on the features alone, and
is the same bits for any order of the clips and any division among merged instances.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vpbench.api.errors import BadData, UsageError
from vpbench.api.types import ClipInfo, Floor, Frames, Score, TaskInfo
from vpbench.core.hashing import digest
from vpbench.metrics import frechet as fr
from vpbench.metrics import kernel as ke
from vpbench.metrics.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureQueue,
    Shipped,
    real_floor,
)
from vpbench.metrics.video_specs import FVD, KVD

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import MetricSpec, Value

FEW = 256
"""Clips under which a set metric carries a warning."""

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of features that come with vpbench, one .npz a group of rows; it may be absent."""
PINS = {"puppets.npz": "22b9ab9454a597f696b30fa0580273f4454b15e55badb230957b92693ac9d63c"}
"""sha256 of each of its files."""


class _SetMetric(ABC):
    """What FVD and KVD share: checks, features, sample sets, leaving clusters out."""

    spec: MetricSpec

    def __init__(self, task: TaskInfo, params: Mapping[str, Value], ctx: MetricContext) -> None:
        """
        Raises:
            UsageError: an unknown parameter or recipe.
            MissingWeights: the network's weights are not here.
        """
        settings = {**self.spec.params, **params}
        unknown = sorted(settings.keys() - self.spec.params.keys())
        if unknown:
            raise UsageError(f"{self.spec.name} has no parameter {unknown[0]!r}.")
        if settings["recipe"] not in self.spec.recipes:
            raise UsageError(f"{self.spec.name} has no recipe {settings['recipe']!r}.")
        self._recipe = str(settings["recipe"])
        extractor = open_extractor(self._recipe, settings["dtype"], ctx)
        self._extractor = extractor
        self._features = dict(extractor.fingerprint())
        folder = ctx.cache("features", digest(self._features)[:16])
        # A context may ask for features to be recomputed, including those that ship with vpbench.
        shipped = () if ctx.recompute else shipped_features()
        cache = FeatureCache(self._features, folder, shipped)
        self._queue = FeatureQueue(lambda: extractor, cache)
        self._real: dict[str, str] = {}
        self._fake: dict[str, tuple[str, ...]] = {}
        self._clusters: dict[str, str] = {}
        self._frames: int | None = None
        self._samples: int | None = None

    @property
    def name(self) -> str:
        """Name of the metric."""
        return self.spec.name

    def update(self, fake: Frames | None, real: Frames | None, clip: ClipInfo) -> None:
        """Add a clip to one set or to both.

        Args:
            fake: uint8 [S,T,H,W,3], S samples of the prediction; the same S for all clips.
            real: uint8 [T,H,W,3]; the same T for all clips of both sets.
            clip: which clip it is; each may come once a set.

        Raises:
            UsageError: both sides are missing, the clip came before, fewer than 9 frames, or
                another T or S than that of the other clips.
            BadData: a wrong dtype or shape, or no finite feature.
        """
        if fake is None and real is None:
            raise UsageError(f"{self.name} was given no frames of the clip {clip.id!r}.")
        if (fake is not None and clip.id in self._fake) or (
            real is not None and clip.id in self._real
        ):
            raise UsageError(f"{self.name} was given the clip {clip.id!r} twice.")
        cluster = clip.group or clip.id
        if self._clusters.get(clip.id, cluster) != cluster:
            raise UsageError(
                f"the clip {clip.id!r} is in group {cluster!r} and in {self._clusters[clip.id]!r}."
            )
        for side, array, axes in (("predicted", fake, "STHWC"), ("real", real, "THWC")):
            if array is not None:
                self._check(array, side, axes, clip.id)
        if fake is not None:
            self._fake[clip.id] = tuple(self._queue.add(clip.id, sample) for sample in fake)
        if real is not None:
            self._real[clip.id] = self._queue.add(clip.id, real)
        self._clusters[clip.id] = cluster

    def merge(self, other: Self) -> None:
        """Add the clips that another instance has seen.

        Raises:
            UsageError: other settings, another T or S, or a clip that both have seen.
        """
        if type(other) is not type(self) or other.fingerprint() != self.fingerprint():
            raise UsageError(f"{self.name} can be merged only with {self.name} of equal settings.")
        twice = sorted((self._fake.keys() & other._fake) | (self._real.keys() & other._real))
        if twice:
            raise UsageError(f"{self.name} was given the clip {twice[0]!r} twice.")
        for word, mine, theirs in (
            ("frames", self._frames, other._frames),
            ("samples", self._samples, other._samples),
        ):
            if mine is not None and theirs is not None and mine != theirs:
                raise UsageError(f"{self.name} needs equal {word}, got {mine} and {theirs}.")
        self._queue.take(other._queue.finish())
        self._fake |= other._fake
        self._real |= other._real
        self._clusters |= other._clusters
        self._frames = self._frames or other._frames
        self._samples = self._samples or other._samples

    def flush(self) -> None:
        """Compute the features of all clips seen so far, so that the cache holds them."""
        self._queue.finish()

    def result(self) -> Score:
        """The distance, averaged over the sample sets; the same bits for any order of clips.

        `per_clip` maps each cluster (a group, or a clip without one) to the value without its real
        and predicted clips; it is empty where one cannot be left out. Where some clusters are in
        one set only, `se` is the stratified jackknife error, which is right for sets of unequal
        size; otherwise it follows from `per_clip` alone.

        Raises:
            UsageError: fewer than two clips in a set.
        """
        features = self._queue.finish()
        fakes, reals = sorted(self._fake), sorted(self._real)
        for side, clips in (("predicted", fakes), ("real", reals)):
            if len(clips) < 2:
                raise UsageError(
                    f"{self.name} needs at least 2 {side} clips, there are {len(clips)}."
                )
        real = np.stack([features[self._real[c]] for c in reals])
        in_fake, in_real = ([self._clusters[c] for c in clips] for clips in (fakes, reals))
        values: list[float] = []
        left: list[dict[str, float | None]] = []
        tests: list[float | None] = []
        for s in range(self._samples or 0):
            fake = np.stack([features[self._fake[c][s]] for c in fakes])
            values.append(self._distance(fake, real))
            left.append(self._leave_one_out(fake, real, in_fake, in_real))
            tests.append(self._test(fake, real, in_fake, in_real))
        per_clip = _mean_over_sets(left)
        strata = [
            set(in_fake) & set(in_real),
            set(in_fake) - set(in_real),
            set(in_real) - set(in_fake),
        ]
        return Score(
            value=_mean(values),
            n=len(fakes),
            per_clip=per_clip or {},
            se=_stratified_se(per_clip, strata) if per_clip else None,
            p=_p_of(tests),
            reason=self._reason(len(fakes), len(reals), real.shape[1], per_clip is not None),
        )

    def real_floor(self) -> Floor | None:
        """Distance between two halves of the real clips seen; None with fewer than 4 clips."""
        cached = self._queue.finish()
        features = {clip: cached[key] for clip, key in self._real.items()}
        return real_floor(features, self._clusters, self._distance)

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Settings of the features and of the statistic; builds no network."""
        return {
            **{f"features_{key}": value for key, value in self._features.items()},
            "metric": self.spec.name,
            "version": self.spec.version,
            "recipe": self._recipe,
            "features": self._extractor.name,
            "features_dim": self._extractor.dim,
            "samples": "mean-over-sample-sets",
            "statistics": "float64",
            **self._statistic(),
        }

    @abstractmethod
    def _statistic(self) -> dict[str, Value | None]:
        """Definition of the distance."""

    @abstractmethod
    def _distance(self, fake: fr.Rows, real: fr.Rows) -> float:
        """Distance of two arrays [n,d]."""

    @abstractmethod
    def _leave_one_out(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> dict[str, float | None]:
        """Cluster -> the distance without it."""

    def _test(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        """p-value, where the metric has a test."""
        return None

    @abstractmethod
    def _few(self, n: int, dim: int) -> str | None:
        """A caveat for a value from n clips."""

    def _check(self, array: Any, side: str, axes: str, clip: str) -> None:
        shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
        if shape is None or dtype != np.uint8:
            raise BadData(f"{self.name}: the {side} clip {clip!r} is {dtype}, it must be uint8.")
        if len(shape) != len(axes) or shape[-1] != 3 or 0 in shape:
            raise BadData(
                f"{self.name}: the {side} clip {clip!r} has shape {tuple(shape)}, "
                f"it must be [{','.join(axes[:-1])},3]."
            )
        frames, least = shape[-4], max(self.spec.min_frames, self._extractor.min_frames)
        if frames < least:
            raise UsageError(
                f"{self.name} needs at least {least} frames, the {side} clip {clip!r} has {frames}."
            )
        if self._frames not in (None, frames):
            raise UsageError(
                f"{self.name}: the {side} clip {clip!r} has {frames} frames, the others have "
                f"{self._frames}.",
                fix="Bring all clips of both sets to one number of frames.",
            )
        if side == "predicted" and self._samples not in (None, shape[0]):
            raise UsageError(
                f"{self.name}: the clip {clip!r} has {shape[0]} samples, the others have "
                f"{self._samples}."
            )
        self._frames = frames
        if side == "predicted":
            self._samples = shape[0]

    def _reason(self, n: int, m: int, dim: int, complete: bool) -> str | None:
        notes = [self._few(min(n, m), dim)]
        if n != m:
            notes.append(f"{n} predicted and {m} real clips")
        if not complete:
            notes.append("no interval: leaving one group out leaves fewer than 2 clips")
        return "; ".join(filter(None, notes)) or None


class Fvd(_SetMetric):
    """Frechet video distance (Unterthiner et al. 2018, equation 2) of I3D features.

    Computed exactly also for fewer clips than dimensions, where its bias dominates; compare it
    only at equal numbers of clips, and with the floor.
    """

    spec = FVD

    def _statistic(self) -> dict[str, Value | None]:
        return {"statistic": "frechet", "estimator": "factor-svd", "ddof": 1}

    def _distance(self, fake: fr.Rows, real: fr.Rows) -> float:
        return fr.frechet(fake, real)

    def _leave_one_out(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> dict[str, float | None]:
        return fr.leave_one_out(fake, real, in_fake, in_real)

    def _few(self, n: int, dim: int) -> str | None:
        if n < FEW:
            return f"n = {n} < {FEW}: mostly bias, compare with the floor"
        if n <= dim:
            return f"n = {n} <= {dim} dimensions: bias dominates, compare with the floor"
        return None


class Kvd(_SetMetric):
    """Kernel video distance: unbiased squared MMD of I3D features, cubic kernel.

    May be negative. Its p-value tests against "predicted and real clips have one distribution";
    of several sample sets it is twice the mean, at most 1, which is a p-value whatever their
    dependence (Vovk & Wang, "Combining p-values via averaging", Biometrika 107, 2020).
    """

    spec = KVD

    def _statistic(self) -> dict[str, Value | None]:
        return {
            "statistic": "mmd2",
            "estimator": "unbiased-u",
            "kernel": "(x.y/d+1)^3",
            "permutations": ke.PERMUTATIONS,
        }

    def _distance(self, fake: fr.Rows, real: fr.Rows) -> float:
        return ke.kvd(fake, real)

    def _leave_one_out(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> dict[str, float | None]:
        return ke.kvd_leave_one_out(fake, real, in_fake, in_real)

    def _test(
        self, fake: fr.Rows, real: fr.Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        return ke.permutation_p(fake, real, in_fake, in_real)

    def _few(self, n: int, dim: int) -> str | None:
        if n < FEW:
            return f"n = {n} < {FEW}: unbiased but coarse, read it with its interval"
        return None


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


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_over_sets(left: Sequence[Mapping[str, float | None]]) -> dict[str, float | None] | None:
    """Cluster -> mean over the sample sets; None where a cluster has no value."""
    means: dict[str, float | None] = {}
    for cluster in left[0]:
        values = [v for part in left if (v := part[cluster]) is not None]
        if len(values) < len(left):
            return None
        means[cluster] = _mean(values)
    return means


def _stratified_se(
    per_cluster: Mapping[str, float | None], strata: Sequence[set[str]]
) -> float | None:
    """Jackknife error of a statistic of independent sets (Shao & Tu 1995, section 6.2).

    None where all clusters are in one stratum: the plain jackknife is the same then.
    """
    filled = [s for s in strata if s]
    if len(filled) < 2 or any(len(s) < 2 for s in filled):
        return None
    total = 0.0
    for stratum in filled:
        values = [v for c in sorted(stratum) if (v := per_cluster[c]) is not None]
        mean, count = _mean(values), len(values)
        total += (count - 1) / count * math.fsum((v - mean) ** 2 for v in values)
    return math.sqrt(total)


def _p_of(tests: Sequence[float | None]) -> float | None:
    """One p-value for all sample sets."""
    known = [p for p in tests if p is not None]
    if not known or len(known) < len(tests):
        return None
    return known[0] if len(known) == 1 else min(1.0, 2 * _mean(known))
