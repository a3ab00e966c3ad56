"""I3D features of two sets of clips under several recipes, each distinct one computed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpbench.api.errors import VpbenchError
from vpbench.api.protocols import Dataset
from vpbench.api.types import Frames
from vpbench.core.hashing import digest
from vpbench.core.pools import in_processes
from vpbench.core.progress import Report
from vpbench.core.tasks import Item
from vpbench.harness.scoring.measure_workers import portable, read_item, score_context
from vpbench.media.geometry import Geometry
from vpbench.media.roundtrip import round_trip
from vpbench.metrics.feature_queue import features
from vpbench.metrics.features import Feature, FeatureCache, FeatureExtractor
from vpbench.metrics.i3d.recipes import RECIPES, Recipe
from vpbench.metrics.video_specs import FVD

PART = 4
"""Clips that a process takes at a time."""


@dataclass(frozen=True)
class FeatureSet:
    """Features of all clips of one side.

    Attributes:
        side: "real", "fake" or "reference".
        recipe: of the network's input and its normalisations; see `network_recipe`.
        frames: of each window, from its start.
        size: short side in pixels that frames are brought to first, antialiased; None leaves them.
        codec: that frames have been through, "" for none.
    """

    side: str
    recipe: Recipe
    frames: int
    size: int | None = None
    codec: str = ""

    def prepared(self, frames: Frames) -> Frames:
        """What the network is given of uint8 [T,H,W,3]."""
        shown = frames if self.size is None else Geometry(self.size).frames(frames, crop=False)
        return round_trip(shown, self.codec) if self.codec else shown


def network_recipe(recipe: Recipe, square: bool) -> Recipe:
    """The first named recipe with the same features: what differs in ddof alone shares them.

    Args:
        square: frames are as high as wide, so that to stretch and to crop are the same.
    """
    for known in RECIPES.values():
        same = (known.rule, known.eps) == (recipe.rule, recipe.eps)
        if same and (square or known.aspect == recipe.aspect):
            return known
    return recipe


@dataclass(frozen=True)
class ClipSource:
    """Where the clips of one side come from. Picklable.

    Attributes:
        items: its windows, by name.
        geometry: how clips are brought to size; None takes them as they are.
    """

    dataset: Dataset
    items: Mapping[str, Item]
    geometry: Geometry | None


def extract(
    sets: Sequence[FeatureSet],
    windows: Mapping[FeatureSet, Sequence[Item]],
    sources: Mapping[str, ClipSource],
    cache: Path,
    device: str,
    workers: int,
    report: Report,
) -> dict[FeatureSet, dict[str, Feature]]:
    """The features of some sets, from the cache where they are there.

    Args:
        windows: of each set.
        sources: by side.
        cache: the user's.

    Returns:
        Set -> name of the window -> float32 [400].

    Raises:
        VpbenchError: a clip cannot be read, weights are missing, or a process was killed.
    """
    parts = [
        _Part(one, tuple(windows[one][k : k + PART]))
        for one in sets
        for k in range(0, len(windows[one]), PART)
    ]
    found: dict[FeatureSet, dict[str, Feature]] = {one: {} for one in sets}
    total, done = sum(len(part.items) for part in parts), 0
    what = {"event": "progress", "what": "features of I3D", "total": total}
    report({**what, "done": 0})
    job = _Job(dict(sources), cache, device)
    for part, got in zip(parts, _run(job, parts, workers), strict=True):
        if isinstance(got, VpbenchError):
            raise got
        found[part.of] |= got
        done += len(part.items)
        report({**what, "done": done})
    return found


@dataclass(frozen=True)
class _Part:
    """Some clips of a set."""

    of: FeatureSet
    items: tuple[Item, ...]


@dataclass
class _Job:
    """What a process needs, and the networks that it has built."""

    sources: dict[str, ClipSource]
    cache: Path
    device: str
    extractors: dict[Recipe, FeatureExtractor] = field(
        default_factory=dict[Recipe, FeatureExtractor]
    )

    def features(self, part: _Part) -> dict[str, Feature]:
        """Of some clips, by name."""
        ctx = score_context(self.cache, self.device, None, FVD.weights)
        recipe = part.of.recipe
        if recipe not in self.extractors:
            from vpbench.metrics.i3d.extract import I3DFeatures

            path = ctx.weights("i3d")
            self.extractors[recipe] = I3DFeatures(path, recipe, device=ctx.device)
        extractor = self.extractors[recipe]
        from vpbench.metrics.video import shipped_features

        stated = dict(extractor.fingerprint())
        folder = ctx.cache("features", digest(stated)[:16])
        cache = FeatureCache(stated, folder, shipped_features())
        return features(lambda: extractor, cache, self.clips(part))

    def clips(self, part: _Part) -> Iterator[tuple[str, Frames]]:
        """Names and frames of some clips, as the network is given them."""
        source = self.sources[part.of.side]
        for item in part.items:
            frames = read_item(source.dataset, source.geometry, item)
            yield item.id, part.of.prepared(frames)


_jobs: list[_Job] = []
"""In a worker process: the one that it does."""


def _run(job: _Job, parts: Sequence[_Part], workers: int) -> Iterator[Any]:
    return in_processes(
        _work, parts, min(workers, len(parts)), "scores clips", begin=_begin, arguments=(job,)
    )


def _begin(job: _Job) -> None:
    _jobs[:] = [job]


def _work(part: _Part) -> dict[str, Feature] | VpbenchError:
    try:
        return _jobs[0].features(part)
    except VpbenchError as error:
        return portable(error)
