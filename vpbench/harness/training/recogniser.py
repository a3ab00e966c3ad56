"""Trains a two-stream recogniser on the clips of a task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpbench.api.errors import MissingData
from vpbench.core import provenance
from vpbench.core.hashing import file_sha256
from vpbench.core.progress import Report
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.inputs.training_clips import TaskTrainingClips

if TYPE_CHECKING:
    from vpbench.metrics.action.two_stream.recogniser import TwoStream


@dataclass(frozen=True, kw_only=True)
class RecogniserOptions:
    """What may be chosen of a training.

    Attributes:
        steps: of each stream; None for those of the preset.
        pretrained: safetensors to begin with; None for random weights.
        threads: None for all cores.
    """

    preset: str
    steps: int | None = None
    seed: int = 0
    pretrained: Path | None = None
    threads: int | None = None
    device: str = "auto"


def train_recogniser(
    task_data: TaskData, cache: Path, options: RecogniserOptions, report: Report
) -> TwoStream:
    """Train, and store the result in the cache.

    Raises:
        MissingData: the dataset has no classes, or no training or validation clips.
        UsageError: clips too short for a stack of flow, or weights of another network.
    """
    from vpbench.kit.threads import pick_device, set_threads
    from vpbench.metrics.action.two_stream.files import Origin, save_recogniser
    from vpbench.metrics.action.two_stream.recogniser import read_weights
    from vpbench.metrics.action.two_stream.settings import preset
    from vpbench.metrics.action.two_stream.train import train_streams

    task, settings = task_data.task, preset(options.preset, options.steps)
    if not task.has_label:
        raise MissingData(f"{task.dataset} has no classes to recognise.")
    device, begun = pick_device(options.device), options.pretrained
    set_threads(options.threads or provenance.cores())
    train, validation = TaskTrainingClips(task_data), TaskTrainingClips(task_data, "val")

    def progress(what: str, done: int, total: int, values: dict[str, float]) -> None:
        shown = {"values": values} if values else {}
        report(
            {
                "event": "progress",
                "what": what,
                "method": f"recogniser {task.id}",
                "done": done,
                "total": total,
                **shown,
            }
        )

    trained = train_streams(
        train,
        validation,
        task.info.n_classes,
        settings,
        progress,
        seed=options.seed,
        device=device,
        pretrained=None if begun is None else read_weights(begun),
    )
    origin = Origin(
        dataset=task.dataset,
        preset=options.preset if options.steps is None else "custom",
        seed=options.seed,
        device=device,
        pretrained="" if begun is None else file_sha256(begun),
    )
    n = len(validation.clips)
    return save_recogniser(cache, task.info, train.clips, n, trained, settings, origin)
