"""What metrics on two sets of clips share: checks, features, sample sets, leaving clusters out.

A metric keeps one feature a clip, not its frames. Every figure depends on the features alone, and
is the same bits for any order of the clips and any division among merged instances.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import ClipInfo, Floor, Frames, Score, TaskInfo
from vpbench.metrics.feature_queue import open_queue
from vpbench.metrics.features import Feature, FeatureExtractor, Shipped, real_floor
from vpbench.metrics.frame_arrays import check_frames
from vpbench.metrics.frechet import Rows
from vpbench.metrics.relabelling import distance_p
from vpbench.metrics.sample_sets import mean, mean_over_sets, p_of, stratified_se

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import MetricSpec, Value

FEW = 60
"""Clips under which a set metric carries a warning."""


@dataclass(frozen=True)
class Figures:
    """What a distance says about one sample set.

    Attributes:
        value: None where it is not defined.
        left: cluster -> the value without it.
        p: p-value, where the distance has a test.
    """

    value: float | None
    left: Mapping[str, float | None]
    p: float | None = None


class SetMetric(ABC):
    """A distance between the features of predicted clips and those of real ones.

    Attributes:
        biased: whether the expected value depends on the number of clips. One where it does not
            says so in its fingerprint as well (`vpbench.core.estimators`).
    """

    spec: MetricSpec
    biased: bool

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
        self._recipe = str(settings.get("recipe", ""))
        if self._recipe not in (self.spec.recipes or ("",)):
            raise UsageError(f"{self.spec.name} has no recipe {self._recipe!r}.")
        extractor = self._open(settings, ctx)
        self._extractor = extractor
        self._features = dict(extractor.fingerprint())
        self._queue = open_queue(extractor, self._shipped, ctx, self._part())
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
        size; otherwise it follows from `per_clip` alone. Without a value, `reason` says why.
        """
        fakes, reals = sorted(self._fake), sorted(self._real)
        for side, clips in (("predicted", fakes), ("real", reals)):
            if len(clips) < 2:
                few = f"{len(clips)} {side} clip{'s' * (len(clips) != 1)}, at least 2 are needed"
                return Score(None, n=len(fakes), reason=few)
        sets, real, (in_fake, in_real) = self._rows()
        figures = [self._figures(fake, real, in_fake, in_real) for fake in sets]
        values = [one.value for one in figures if one.value is not None]
        if len(values) < len(figures):
            return Score(None, n=len(fakes), reason="the clips of one set are all of one group")
        per_clip = mean_over_sets([one.left for one in figures])
        fake_sizes, real_sizes = Counter(in_fake), Counter(in_real)
        clusters = sorted({*in_fake, *in_real})
        return Score(
            value=mean(values),
            n=len(fakes),
            per_clip=per_clip or {},
            sizes={c: (fake_sizes[c], real_sizes[c]) for c in clusters},
            se=stratified_se(per_clip, fake_sizes.keys(), real_sizes.keys()) if per_clip else None,
            p=p_of([one.p for one in figures]),
            reason=self._reason(len(fakes), len(reals), per_clip is not None),
        )

    def permutation_p(self, permutations: int, /) -> float | None:
        """p-value against "both sets are of one distribution", by relabelling clips.

        A clip and its prediction swap labels, the clips of a group together; clips of one set only
        are permuted. Exact where such relabellings change nothing under that hypothesis.

        Args:
            permutations: how many relabellings are drawn; the distance is computed for each.

        Returns:
            Of several sample sets, twice the mean, at most 1 (Vovk & Wang, Biometrika 107, 2020);
            None with fewer than two clips or groups of a set.
        """
        if min(len(self._fake), len(self._real)) < 2:
            return None
        sets, real, clusters = self._rows()
        return p_of([distance_p(self._distance, f, real, clusters, permutations) for f in sets])

    def _rows(self) -> tuple[list[Feature], Feature, tuple[list[str], list[str]]]:
        """Features of each sample set and of the real clips, and the clusters of both's rows."""
        features = self._queue.finish()
        fakes, reals = sorted(self._fake), sorted(self._real)
        sets = [
            np.stack([features[self._fake[c][s]] for c in fakes]) for s in range(self._samples or 0)
        ]
        real = np.stack([features[self._real[c]] for c in reals])
        clusters = [self._clusters[c] for c in fakes], [self._clusters[c] for c in reals]
        return sets, real, clusters

    def real_floor(self) -> Floor | None:
        """Distance between two halves of the real clips seen; None with fewer than 4 clips.

        Where the bias depends on the number of clips, also what as few predicted clips give.
        """
        cached = self._queue.finish()
        real = {clip: cached[key] for clip, key in self._real.items()}
        fake = {clip: cached[keys[0]] for clip, keys in self._fake.items()}
        return real_floor(real, self._clusters, self._distance, fake if self.biased else {})

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
    def _open(self, settings: Mapping[str, Value], ctx: MetricContext) -> FeatureExtractor:
        """The extractor of these parameters; builds no network."""

    def _shipped(self) -> Sequence[Shipped]:
        """Features that come with the metric."""
        return ()

    def _part(self) -> Callable[[Feature], Feature] | None:
        """What makes of a feature all that the distance needs of it; None where it needs it all."""
        return None

    def _caveats(self) -> list[str]:
        """What a reader must know of every value."""
        return []

    @abstractmethod
    def _statistic(self) -> dict[str, Value | None]:
        """Definition of the distance."""

    @abstractmethod
    def _distance(
        self, fake: Rows, real: Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> float | None:
        """Distance of two arrays [n,d], whose rows have clusters."""

    @abstractmethod
    def _figures(
        self, fake: Rows, real: Rows, in_fake: Sequence[str], in_real: Sequence[str]
    ) -> Figures:
        """All figures of one sample set."""

    @abstractmethod
    def _few(self, n: int) -> str:
        """A caveat for a value from n < `FEW` clips."""

    def _check(self, array: Any, side: str, axes: str, clip: str) -> None:
        check_frames(self.name, array, side, axes, clip)
        shape = array.shape
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

    def _reason(self, n: int, m: int, complete: bool) -> str | None:
        few = min(n, m)
        notes = [f"n = {few} < {FEW}: {self._few(few)}"] if few < FEW else []
        notes += self._caveats()
        if n != m:
            notes.append(f"{n} predicted and {m} real clips")
        if not complete:
            notes.append("no interval: leaving one group out leaves fewer than 2 clips")
        return "; ".join(notes) or None
