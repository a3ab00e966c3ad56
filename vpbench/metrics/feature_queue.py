"""A queue before the cache of features: clips wait for a full batch, and are computed once.

Metrics of one process that use the same features keep them once, where their context lets them
(`SharesQueues`): FVD and KVD of ten thousand clips have the same 30 MB.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vpbench.api.errors import BadData, UsageError, VpbenchError
from vpbench.api.types import Frames
from vpbench.core.hashing import digest
from vpbench.metrics.features import (
    Feature,
    FeatureCache,
    FeatureExtractor,
    Shipped,
    clip_hash,
)

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext


def _whole(feature: Feature) -> Feature:
    return feature


@dataclass(eq=False)
class FeatureQueue:
    """Turns clips into features, a full batch at a time.

    Holds the frames of fewer clips than a batch for each shape of clips, and the features of all
    of them. The extractor is made when a clip is in no cache.

    Attributes:
        make: makes the extractor; called at most once.
        cache: where features are looked for and stored.
        keep: what of a feature is kept in memory and returned; the cache has all of it.
    """

    make: Callable[[], FeatureExtractor]
    cache: FeatureCache
    keep: Callable[[Feature], Feature] = _whole
    _extractor: FeatureExtractor | None = None
    _features: dict[str, Feature] = field(default_factory=dict[str, Feature])
    _waiting: dict[tuple[int, ...], dict[str, tuple[str, Frames]]] = field(
        default_factory=dict[tuple[int, ...], dict[str, tuple[str, Frames]]]
    )

    def add(self, name: str, frames: Frames) -> str:
        """Take a clip uint8 [T,H,W,3], to be found under the hash that is returned.

        Args:
            name: the clip's name in errors.
            frames: copied where they must wait.

        Raises:
            BadData: not such an array, or the extractor made NaN of a clip.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise BadData(
                f"the clip {name!r} is {frames.dtype} {list(frames.shape)}, "
                "it must be uint8 [T,H,W,3]."
            )
        key = sys.intern(clip_hash(frames))  # metrics have it as well
        if key in self._features:
            return key
        stored = self.cache.get(key)
        if stored is not None:
            self._features[key] = self.keep(stored)
            return key
        waiting = self._waiting.setdefault(frames.shape, {})
        if key not in waiting:
            waiting[key] = (name, frames.copy())
            batch = self._ensure_extractor().batch
            if len(waiting) >= batch and self._missing(frames.shape) >= batch:
                self._compute(frames.shape)
        return key

    def empty(self) -> FeatureQueue:
        """A queue before the same cache, for clips whose features are wanted for a while."""
        return FeatureQueue(self.make, self.cache, self.keep)

    def take(self, others: Mapping[str, Feature]) -> None:
        """Add features, by clip hash, that another queue of the same extractor has."""
        self._features.update(others)

    def finish(self) -> dict[str, Feature]:
        """Compute what still waits; all features so far, by clip hash."""
        for shape in list(self._waiting):
            if self._missing(shape):
                self._compute(shape)
        return dict(self._features)

    def _ensure_extractor(self) -> FeatureExtractor:
        if self._extractor is None:
            self._extractor = self.make()
        return self._extractor

    def _missing(self, shape: tuple[int, ...]) -> int:
        """Number of waiting clips, without those that another process has cached meanwhile."""
        waiting = self._waiting[shape]
        for key in list(waiting):
            stored = self.cache.get(key)
            if stored is not None:
                self._features[key] = self.keep(stored)
                del waiting[key]
        return len(waiting)

    def _compute(self, shape: tuple[int, ...]) -> None:
        """One forward pass for up to a batch of waiting clips of one shape."""
        extractor, waiting = self._ensure_extractor(), self._waiting[shape]
        names = [name for name, _ in waiting.values()]
        clips = [frames for _, frames in waiting.values()]
        short = extractor.batch - len(clips)
        try:
            values = extractor(np.stack(clips + clips[-1:] * short), names + names[-1:] * short)
        except (ValueError, RuntimeError) as error:
            listed = ", ".join(repr(name) for name in names)
            raise VpbenchError(f"{extractor.name} failed on the clips {listed}: {error}") from error
        ends = (values.shape[0], values.shape[-1]) if values.ndim in (2, 3) else None
        if ends != (extractor.batch, extractor.dim):
            raise VpbenchError(
                f"{extractor.name} gave features of shape {list(values.shape)}, "
                f"they must be [{extractor.batch},{extractor.dim}]."
            )
        for key, name, value in zip(waiting, names, values, strict=False):
            feature = np.array(value, dtype=np.float32)
            if not np.isfinite(feature).all():
                raise BadData(f"{extractor.name} gave NaN or infinity for the clip {name!r}.")
            self.cache.put(key, feature)
            self._features[key] = self.keep(feature)
        del self._waiting[shape]


@runtime_checkable
class SharesQueues(Protocol):
    """A `MetricContext` whose metrics keep what they have in common once."""

    @property
    def queues(self) -> MutableMapping[tuple[Path, bool], Any]:
        """Those that some metric has, by folder and `recompute`; weak: they go with the metrics."""
        ...


def open_queue(
    extractor: FeatureExtractor,
    shipped: Callable[[], Iterable[Shipped]],
    ctx: MetricContext,
    keep: Callable[[Feature], Feature] | None = None,
) -> FeatureQueue:
    """The queue of an extractor, in its folder of the user's cache.

    Args:
        extractor: its network is not built before a clip is in no cache.
        shipped: reads the features that come with vpbench; not called where the context asks for
            features to be recomputed.
        keep: what of a feature is kept in memory; None keeps all of it, in the same queue as other
            metrics of the context.
    """
    stated = extractor.fingerprint()
    folder = ctx.cache("features", digest(stated)[:16])
    queues = ctx.queues if keep is None and isinstance(ctx, SharesQueues) else {}
    known = queues.get((folder, ctx.recompute))
    if known is not None:
        return known
    cache = FeatureCache(stated, folder, () if ctx.recompute else shipped())
    queue = FeatureQueue(lambda: extractor, cache, keep or _whole)
    queues[folder, ctx.recompute] = queue
    return queue


def features(
    extractor_factory: Callable[[], FeatureExtractor],
    cache: FeatureCache,
    clips: Iterable[tuple[str, Frames]],
) -> dict[str, Feature]:
    """The feature of each clip; computes only those that no cache has.

    Args:
        extractor_factory: makes the extractor; not called when nothing is missing.
        cache: of the same extractor.
        clips: (id, uint8 [T,H,W,3]), read one after the other.

    Returns:
        Clip id -> float32 [dim], in the order of the clips.

    Raises:
        UsageError: an id comes twice.
        BadData: a clip is not a video, or has no finite feature; names it.
    """
    queue = FeatureQueue(extractor_factory, cache)
    keys: dict[str, str] = {}
    for name, frames in clips:
        if name in keys:
            raise UsageError(f"the clip {name!r} came twice.")
        keys[name] = queue.add(name, frames)
    computed = queue.finish()
    return {name: computed[key] for name, key in keys.items()}
