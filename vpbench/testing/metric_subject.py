"""A metric under examination, and the clips that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from vpbench.api.errors import MissingWeights
from vpbench.api.specs import MetricSpec, Value
from vpbench.api.types import ClipInfo, Frames, Score
from vpbench.harness.inputs.training_clips import TaskTrainingClips
from vpbench.harness.training.context import ScoreContext
from vpbench.testing.clips import COUNTS, SampleClips, sample_task_data
from vpbench.testing.model import NotApplicable
from vpbench.testing.report import where_defined
from vpbench.testing.subject import Subject

SIZE = 32
CLIPS = 5
SAMPLES = 2


@dataclass(frozen=True)
class Pair:
    """A predicted clip and its real one."""

    fake: Frames
    real: Frames
    clip: ClipInfo


class MetricSubject(Subject):
    """A metric."""

    @property
    def metric_spec(self) -> MetricSpec:
        """The metric's spec."""
        return cast(MetricSpec, self.spec)

    def make(self, **params: Value) -> Any:
        """A new instance; parameters not given take their defaults."""
        frames = max(8, self.metric_spec.min_frames)
        data = sample_task_data(1, frames, SIZE, self.request.work / "given" / "cache")
        info, training = data.task.info, TaskTrainingClips(data)
        weights = self.metric_spec.weights
        ctx = ScoreContext("cpu", 1, self.request.cache, declared=weights, training=training)
        create = self.registry.factory("metric", self.row.name)
        values = {**self.metric_spec.params, **params}
        return self.call("the factory", unless_missing, create, info, values, ctx)

    def pairs(self, noise: float = 16.0, seed: int = 0) -> list[Pair]:
        """Clips and noisy copies of them; the same noise for the same seed, scaled."""
        spec = self.metric_spec
        count, frames = max(CLIPS, spec.min_clips), max(8, spec.min_frames)
        data = SampleClips()
        clips = [c for split in COUNTS for c in data.clips(split)][:count]
        if len(clips) < count:
            raise NotApplicable(f"it needs {count} clips, but there are {len(clips)}")
        rng = np.random.default_rng(seed)
        pairs: list[Pair] = []
        for clip in clips:
            order = [t % clip.frames for t in range(frames)]
            real = np.ascontiguousarray(data.read(clip, order)[:, ::2, ::2])
            error = noise * rng.standard_normal((SAMPLES, *real.shape))
            fake = np.clip(np.rint(real + error), 0, 255).astype(np.uint8)
            pairs.append(Pair(fake, real, clip))
        return pairs

    def fed(self, pairs: Sequence[Pair]) -> Any:
        """A new instance that has seen some clips."""
        metric = self.make()
        for p in pairs:
            self.call("update", unless_missing, metric.update, p.fake, p.real, p.clip)
        return metric

    def score(self, pairs: Sequence[Pair]) -> Score:
        """The score of some clips."""
        return self.call("result", unless_missing, self.fed(pairs).result)

    def at(self, name: str) -> str:
        """Where a method of the metric is written."""
        made = self.registry.factory("metric", self.row.name)
        return where_defined(getattr(made, name, made))


def unless_missing(function: Any, *arguments: Any) -> Any:
    """Call; weights that are not here make a check inapplicable."""
    try:
        return function(*arguments)
    except MissingWeights as error:
        raise NotApplicable(str(error)) from error
