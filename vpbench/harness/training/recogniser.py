"""Trains a two-stream recogniser on the clips of a task."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vpbench.api.errors import MissingData, UsageError
from vpbench.core import provenance
from vpbench.core.code import digest_cache, module_file
from vpbench.core.hashing import digest, file_sha256
from vpbench.core.leftovers import sweep
from vpbench.core.lock import LockWatch, RunLock
from vpbench.core.progress import Report
from vpbench.core.rundir import StageDir
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.inputs.training_clips import TaskTrainingClips
from vpbench.harness.training.context import StageContext

if TYPE_CHECKING:
    from vpbench.metrics.action.two_stream.files import Origin
    from vpbench.metrics.action.two_stream.recogniser import TwoStream
    from vpbench.metrics.action.two_stream.settings import Settings
    from vpbench.metrics.action.two_stream.train import Trained

_TWO_STREAM = "vpbench.metrics.action.two_stream"
_CODE = (
    "vpbench.metrics.flow",
    *(f"{_TWO_STREAM}.{name}" for name in ("flow", "networks", "recogniser", "train", "views")),
)
"""Modules that a training follows from: where one has changed, it begins again."""


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
    """Train, and store the result in the cache; an interrupted training resumes.

    Its state lies in CACHE/recogniser-training/ until it is finished, under a hash of everything
    that decides about the weights but threads and device.

    Raises:
        MissingData: the dataset has no classes, or no training or validation clips.
        UsageError: clips too short for a stack of flow, weights of another network, or another
            process trains the same recogniser.
        Corrupt: the stored state cannot be read.
    """
    from vpbench.kit.threads import pick_device, set_threads
    from vpbench.metrics.action.two_stream.files import Origin, save_recogniser
    from vpbench.metrics.action.two_stream.settings import preset

    task, settings = task_data.task, preset(options.preset, options.steps)
    if not task.has_label:
        raise MissingData(f"{task.dataset} has no classes to recognise.")
    device = pick_device(options.device)
    threads = options.threads or provenance.cores()
    set_threads(threads)
    train, validation = TaskTrainingClips(task_data), TaskTrainingClips(task_data, "val")
    origin = Origin(
        dataset=task.dataset,
        preset=options.preset if options.steps is None else "custom",
        seed=options.seed,
        device=device,
        pretrained="" if options.pretrained is None else file_sha256(options.pretrained),
    )
    key = state_key(train.key, validation.key, settings, origin, _code(cache))
    folder = StageDir(cache / "recogniser-training" / key[:16])
    with _locked(folder) as lock:
        sweep([folder.path])
        if folder.resume.is_dir():
            report({"event": "note", "text": "resuming the training that was interrupted"})
        ctx = StageContext(
            task.info,
            (),
            device,
            threads,
            options.seed,
            folder,
            f"recogniser {task.id}",
            cache,
            report,
            guard=lock.check,
        )
        trained = _train(train, validation, settings, options.pretrained, ctx)
        n = len(validation.clips)
        made = save_recogniser(cache, task.info, train.clips, n, trained, settings, origin)
        shutil.rmtree(folder.resume, ignore_errors=True)
    with contextlib.suppress(OSError):  # the next training has begun
        folder.path.rmdir()
    return made


def state_key(
    train: str, validation: str, settings: Settings, origin: Origin, code: Mapping[str, str]
) -> str:
    """What the state of an unfinished training belongs to, 64 hex digits.

    Args:
        train, validation: `TrainingClips.key` of the clips to learn from and to choose by.
        code: module -> digest.
    """
    parts = [settings.fields(), origin.seed, origin.pretrained, dict(code)]
    return digest([train, validation, *parts])


def _train(
    train: TaskTrainingClips,
    validation: TaskTrainingClips,
    settings: Settings,
    pretrained: Path | None,
    ctx: StageContext,
) -> Trained:
    """Train both streams; the seconds of earlier processes count."""
    from vpbench.metrics.action.two_stream.recogniser import read_weights
    from vpbench.metrics.action.two_stream.train import train_streams

    def progress(what: str, done: int, total: int, values: dict[str, float]) -> None:
        shown = {"values": values} if values else {}
        ctx.report(
            {
                "event": "progress",
                "what": what,
                "method": ctx.label,
                "done": done,
                "total": total,
                **shown,
            }
        )

    trained = train_streams(
        train,
        validation,
        ctx.task.n_classes,
        settings,
        progress,
        seed=ctx.seed,
        device=ctx.device,
        pretrained=None if pretrained is None else read_weights(pretrained),
        ctx=ctx,
    )
    return replace(trained, seconds=ctx.earlier + trained.seconds)


def _locked(folder: StageDir) -> RunLock:
    lock = LockWatch(folder.lock).try_lock()
    if lock is None:
        raise UsageError(
            "another process is training this recogniser.",
            fix="Wait for it, or train one with another --seed.",
        )
    return lock


def _code(cache: Path) -> dict[str, str]:
    """Module -> digest of the code that trains."""
    digests, files = digest_cache(cache), {name: module_file(name) for name in _CODE}
    table = {name: digests.of(path) for name, path in files.items() if path is not None}
    digests.save()
    return table
