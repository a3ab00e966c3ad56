"""`action`: which action a linear probe on I3D's logits recognises in a predicted clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames, TaskInfo
from vpbench.core.hashing import digest
from vpbench.metrics.action.answers import Recogniser, Softmax
from vpbench.metrics.action.probe_store import shipped_probe, store_probe, stored_probe
from vpbench.metrics.action.ridge import PENALTY, RECIPE, Ridge, fit_ridge
from vpbench.metrics.action.specs import ACTION
from vpbench.metrics.feature_queue import open_queue
from vpbench.metrics.video import open_extractor, shipped_features

if TYPE_CHECKING:
    from vpbench.api.optional import Progress
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value


class Action(Recogniser):
    """Top-1 accuracy of a ridge probe, fitted on real training clips, on predicted clips.

    The features are the 400 logits that FVD uses (recipe tf2018), of as many frames as are scored;
    the probe sees the task's own target windows of all training clips, and nothing else.
    """

    spec = ACTION

    def __init__(self, task: TaskInfo, params: Mapping[str, Value], ctx: MetricContext) -> None:
        """
        Raises:
            UsageError: parameters, no classes, or no training clips of each class.
            MissingWeights: I3D's weights are not here.
        """
        super().__init__(task)
        if params:
            raise UsageError(f"action has no parameters, got {sorted(params)}.")
        if ctx.training is None:
            raise UsageError("action needs the training clips of a task: score with `vpbench run`.")
        self._training = ctx.training
        self._train_labels = _labels(ctx.training.clips, task.class_names)
        extractor = open_extractor("tf2018", "float32", ctx)
        self._extractor = dict(extractor.fingerprint())
        self._queue = open_queue(extractor, shipped_features, ctx)
        self._probes = ctx.cache("probes", digest(self._extractor)[:16])
        self._recompute = ctx.recompute
        self._horizon = task.horizon
        self._fake: dict[str, tuple[str, ...]] = {}

    def flush(self) -> None:
        """Compute the features of all clips seen so far, so that the cache holds them."""
        self._queue.finish()

    def prepare_training(self, part: tuple[int, int], report: Progress, /) -> None:
        """Compute the features of every n-th training clip, unless the probes are there.

        For the numbers of frames that tables have: the first 16, and all T.
        """
        counts = sorted({min(16, self._horizon), self._horizon})
        missing = [t for t in counts if t >= self.spec.min_frames and self._known(t) is None]
        numbers = range(len(self._train_labels))[part[0] :: part[1]]
        if not missing:
            return
        queue = self._queue.empty()
        for done, i in enumerate(numbers):
            frames = self._training.read(i)
            for t in missing:
                queue.add(self._training.clips[i].id, frames[:t])
            report(done + 1, len(numbers))
        queue.finish()

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Features, recipe of the probe and training clips; computes nothing."""
        return {
            **{f"features_{key}": value for key, value in self._extractor.items()},
            "metric": self.spec.name,
            "version": self.spec.version,
            "classifier": RECIPE,
            "penalty": PENALTY,
            "arithmetic": "float64",
            "classes": digest(list(self._classes)),
            "training": self._training.key,
            "samples": "mean",
        }

    def probe(self, frames: int) -> Ridge:
        """The probe for clips of `frames` frames: shipped, fitted before, or fitted now."""
        known = self._known(frames)
        if known is not None:
            return known
        queue = self._queue.empty()
        clips = self._training.clips
        keys = [queue.add(clip.id, self._training.read(i)[:frames]) for i, clip in enumerate(clips)]
        features = queue.finish()
        rows = np.stack([features[key] for key in keys])
        probe = fit_ridge(rows, self._train_labels, len(self._classes))
        store_probe(self._probes, self.probe_key(frames), probe)
        return probe

    def probe_key(self, frames: int) -> str:
        """What the probe for `frames` frames depends on, 64 hex digits."""
        return digest([dict(self.fingerprint()), frames])

    def _known(self, frames: int) -> Ridge | None:
        if self._recompute:
            return None
        key = self.probe_key(frames)
        return stored_probe(self._probes, key) or shipped_probe(key)

    def _take(self, name: str, fake: Frames) -> None:
        self._fake[name] = tuple(self._queue.add(name, sample) for sample in fake)

    def _join(self, other: Self) -> None:
        self._queue.take(other._queue.finish())
        self._fake |= other._fake

    def _recognise(
        self, names: Sequence[str]
    ) -> tuple[dict[str, Softmax], dict[str, dict[str, Softmax]]]:
        features = self._queue.finish()
        assert self._frames is not None  # there are clips
        probe = self.probe(self._frames)
        softmax: dict[str, Softmax] = {}
        for name in names:
            rows = np.stack([features[key] for key in self._fake[name]])
            softmax[name] = probe.softmax(rows).tolist()
        return softmax, {}


def _labels(clips: Sequence[object], names: Sequence[str]) -> list[int]:
    """The class of each training clip.

    Raises:
        UsageError: there are none, or none of some class.
    """
    labels = [label for clip in clips if (label := getattr(clip, "label", None)) is not None]
    if len(labels) < len(clips) or not labels:
        raise UsageError("action needs training clips with a class, but there are none.")
    for number, name in enumerate(names):
        if number not in labels:
            raise UsageError(f"action needs training clips of every class, {name!r} has none.")
    return labels
