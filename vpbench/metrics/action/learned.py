"""What the recognisers have learned from, as fields of their fingerprints; import-light."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.metrics.action.two_stream.recogniser import domain
from vpbench.metrics.action.two_stream.store import find_recogniser


class TrainingList(Protocol):
    """The part of `TrainingClips` that needs no frames."""

    @property
    def key(self) -> str: ...  # noqa: D102

    @property
    def clips(self) -> Sequence[ClipInfo]: ...  # noqa: D102


Cache = Callable[[str, str], Path]


def probe(task: TaskInfo, training: TrainingList, cache: Cache, recipe: str) -> Mapping[str, str]:
    """Of `action`: the training windows."""
    return {"training": training.key}


def two_stream(
    task: TaskInfo, training: TrainingList, cache: Cache, recipe: str
) -> Mapping[str, str]:
    """Of `action-2s`: the weights of the recogniser that would be used now.

    Raises:
        MissingRecogniser: there is none.
        HashMismatch: its files are not what was written.
    """
    found = find_recogniser(domain(task, training.clips), cache, task.id, recipe)
    return {"recogniser": found.record["weights"]}
