"""What metrics that recognise actions share: checks, and the score from a softmax of each clip."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from vpbench.api.errors import BadData, UsageError
from vpbench.api.types import ClipInfo, Frames, Recognition, Score, TaskInfo
from vpbench.core.recognition import best_class, correct
from vpbench.metrics.frame_arrays import check_frames

if TYPE_CHECKING:
    from vpbench.api.specs import MetricSpec, Value

Softmax = list[list[float]]
"""[S][C] of one clip."""


class Recogniser(ABC):
    """A metric whose value is the share of clips that are recognised as their class.

    The real clip is not looked at: what counts is the class that the prediction was asked for.
    """

    spec: MetricSpec

    def __init__(self, task: TaskInfo) -> None:
        """
        Raises:
            UsageError: the dataset has no classes.
        """
        if task.n_classes < 2:
            raise UsageError(f"{self.spec.name} needs a dataset with classes.")
        self._classes = task.class_names
        self._labels: dict[str, int] = {}
        self._frames: int | None = None

    def update(self, fake: Frames | None, real: Frames | None, clip: ClipInfo) -> None:
        """Add one clip.

        Args:
            fake: uint8 [S,T,H,W,3], the samples of the prediction; the same T for all clips.
            real: not used; None or uint8 [T,H,W,3].
            clip: with its class; each may come once.

        Raises:
            UsageError: no prediction, no class, too few frames, or the clip came before.
            BadData: a wrong dtype or shape.
        """
        name = self.spec.name
        if fake is None:
            raise UsageError(f"{name} needs the predicted clip of {clip.id!r}.")
        if clip.id in self._labels:
            raise UsageError(f"{name} was given the clip {clip.id!r} twice.")
        if clip.label is None or not 0 <= clip.label < len(self._classes):
            raise UsageError(f"{name}: the clip {clip.id!r} has no class.")
        self._check(fake, real, clip.id)
        self._take(clip.id, fake)
        self._labels[clip.id] = clip.label

    def merge(self, other: Self) -> None:
        """Add the clips that another instance has seen.

        Raises:
            UsageError: other settings, another T, or a clip that both have seen.
        """
        name = self.spec.name
        if type(other) is not type(self) or other.fingerprint() != self.fingerprint():
            raise UsageError(f"{name} can be merged only with {name} of equal settings.")
        twice = sorted(self._labels.keys() & other._labels)
        if twice:
            raise UsageError(f"{name} was given the clip {twice[0]!r} twice.")
        if None not in (self._frames, other._frames) and self._frames != other._frames:
            raise UsageError(f"{name} needs equal T, got {self._frames} and {other._frames}.")
        self._labels |= other._labels
        self._frames = self._frames or other._frames
        self._join(other)

    def result(self) -> Score:
        """The share of clips whose most probable class is theirs; the same for any order.

        A clip's value is the share of its samples, 0 or 1 with one. `recognition` holds the softmax
        of every clip and sample.
        """
        names = sorted(self._labels)
        if not names:
            return Score(None, n=0, reason="no clips")
        softmax, streams = self._recognise(names)
        labels = {name: self._labels[name] for name in names}
        samples: dict[str, list[float | None]] = {
            name: [float(best_class(row) == labels[name]) for row in softmax[name]]
            for name in names
        }
        per_clip = correct(softmax, labels)
        return Score(
            value=math.fsum(per_clip.values()) / len(names),
            n=len(names),
            per_clip=dict[str, float | None](per_clip),
            samples=samples,
            recognition=Recognition(self._classes, labels, softmax, streams),
        )

    @abstractmethod
    def fingerprint(self) -> Mapping[str, Value | None]:
        """All settings that can move the value."""

    @abstractmethod
    def _take(self, name: str, fake: Frames) -> None:
        """Keep what is needed of a checked prediction [S,T,H,W,3]."""

    @abstractmethod
    def _join(self, other: Self) -> None:
        """Take over what another instance keeps."""

    @abstractmethod
    def _recognise(
        self, names: Sequence[str]
    ) -> tuple[dict[str, Softmax], dict[str, dict[str, Softmax]]]:
        """Clip -> softmax of its samples, and the same of each stream where there are several."""

    def _check(self, fake: Any, real: Any, clip: str) -> None:
        name = self.spec.name
        check_frames(name, fake, "predicted", "STHWC", clip)
        shape = fake.shape
        if real is not None and tuple(getattr(real, "shape", ())) != tuple(shape[1:]):
            raise BadData(
                f"{name}: clip {clip!r} has predicted samples of shape {tuple(shape[1:])} and real "
                f"frames of shape {tuple(getattr(real, 'shape', ()))}."
            )
        frames, least = shape[1], self.spec.min_frames
        if frames < least:
            raise UsageError(f"{name} needs at least {least} frames, {clip!r} has {frames}.")
        if self._frames not in (None, frames):
            raise UsageError(
                f"{name}: the clip {clip!r} has {frames} frames, the others have {self._frames}."
            )
        self._frames = frames
