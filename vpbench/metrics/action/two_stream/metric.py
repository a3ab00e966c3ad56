"""`action-2s`: which action a trained two-stream network recognises in a predicted clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from vpbench.api.errors import UsageError
from vpbench.api.types import ClipInfo, Frames, Score, TaskInfo
from vpbench.metrics.action.answers import Recogniser, Softmax
from vpbench.metrics.action.specs import ACTION_2S
from vpbench.metrics.action.two_stream.recogniser import domain, recognise
from vpbench.metrics.action.two_stream.store import find_recogniser

if TYPE_CHECKING:
    from torch import nn

    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value


class ActionTwoStream(Recogniser):
    """Top-1 accuracy of a two-stream network on predicted clips.

    A clip is seen through the centre crop of up to 25 equally spaced frames, and of as many stacks
    of 10 flow fields, each also mirrored; the softmax of each stream is averaged over these views,
    and both streams are averaged (Simonyan & Zisserman, NeurIPS 2014, fusion by averaging).
    """

    spec = ACTION_2S

    def __init__(self, task: TaskInfo, params: Mapping[str, Value], ctx: MetricContext) -> None:
        """
        Raises:
            UsageError: an unknown parameter, no classes, or no training clips.
            MissingRecogniser: none was trained for this training split.
            HashMismatch: its files are not what was written.
        """
        super().__init__(task)
        unknown = sorted(params.keys() - {"recipe"})
        if unknown:
            raise UsageError(f"action-2s has no parameter {unknown[0]!r}.")
        if ctx.training is None:
            raise UsageError(
                "action-2s needs the training clips of a task: score with `vpbench run`."
            )
        key = domain(task, ctx.training.clips)
        preset = str(params.get("recipe", ""))
        self._recogniser = find_recogniser(key, ctx.cache, task.id, preset)
        self._settings = self._recogniser.settings
        self._networks: dict[str, nn.Module] | None = None
        self._found: dict[str, dict[str, Softmax]] = {}
        self._seen = ""

    def update(self, fake: Frames | None, real: Frames | None, clip: ClipInfo) -> None:
        """As `Recogniser.update`; a clip that the recogniser was trained on ends the scoring."""
        if self._recogniser.trained_on(clip):
            self._seen = min(filter(None, (self._seen, clip.id)))
        super().update(fake, real, clip)

    def result(self) -> Score:
        """As `Recogniser.result`; no value where the recogniser has seen a test clip."""
        if self._seen:
            name = self._recogniser.record["name"]
            reason = f"the recogniser {name} was trained on the test clip {self._seen!r}"
            return Score(None, n=0, reason=reason)
        return super().result()

    def fingerprint(self) -> Mapping[str, Value | None]:
        """The recogniser by its weights, and how it looks at a clip."""
        record = self._recogniser.record
        return {
            "metric": self.spec.name,
            "version": self.spec.version,
            "recogniser": record["weights"],
            "domain": record["domain"],
            "backbone": self._settings.backbone,
            "short_side": self._settings.short_side,
            "crop": self._settings.crop,
            "flow": self._settings.flow,
            "views": self._settings.views,
            "fusion": "mean-of-softmax",
            "samples": "mean",
        }

    def _take(self, name: str, fake: Frames) -> None:
        if self._seen:
            return
        if self._networks is None:
            self._networks = self._recogniser.networks()
        streams: dict[str, Softmax] = {}
        for sample in fake:
            for stream, found in recognise(self._networks, sample, self._settings).items():
                streams.setdefault(stream, []).append(found.tolist())
        self._found[name] = streams

    def _join(self, other: Self) -> None:
        self._found |= other._found
        self._seen = min(filter(None, (self._seen, other._seen)), default="")

    def _recognise(
        self, names: Sequence[str]
    ) -> tuple[dict[str, Softmax], dict[str, dict[str, Softmax]]]:
        streams = {
            stream: {name: self._found[name][stream] for name in names}
            for stream in ("spatial", "temporal")
        }
        return {name: self._found[name]["fused"] for name in names}, streams
