"""What a command requests: which task, which methods, and how the work is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Step = Literal["fit", "predict", "score"]

TRAIN, TRAIN_AND_VAL = "train", "train+val"
"""What methods are trained on."""


@dataclass(frozen=True, kw_only=True)
class TaskRef:
    """Which dataset and task a command means.

    Attributes:
        dataset: as typed, paths made absolute; "" for any dataset, when stored runs are read.
        task: the task's name or id, None for the dataset's default.
        root: `--root`, the dataset's folder.
        limit: only so many test clips; such a run is not comparable.
        train_on: "train", or "train+val".
    """

    dataset: str
    task: str | None = None
    root: str | None = None
    limit: int | None = None
    train_on: str = TRAIN

    @property
    def words(self) -> list[str]:
        """The options that name the same dataset, task and folder in another command."""
        words = ["--dataset", self.dataset]
        words += ["--task", self.task] if self.task else []
        return words + (["--root", self.root] if self.root else [])


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How methods are run: what the options of a command say.

    Attributes:
        preset: for names that do not set one and methods that have it.
        samples: videos for each clip, of stochastic methods.
        references: run, or show, the reference rows too.
        checkpoint: a trained stage folder, or a folder of them, for the named methods.
        refit: train even if a checkpoint is there.
        again: predict and score again even if the run is finished.
        until: the last thing to do.
        metrics: names of the metrics, None for all default ones.
        workers: slots for cores; None is all free ones.
        threads: for fitting only; None is all free cores.
        plugins: values given on the command line, such as `/home/me/mine.py:SPEC`.
        recompute: do not use features that come with vpbench.
        executor: where jobs are placed.
    """

    preset: str | None = None
    seeds: Sequence[int] = (0,)
    fit_seeds: Sequence[int] = (0,)
    samples: int = 1
    references: bool = True
    checkpoint: Path | None = None
    refit: bool = False
    again: bool = False
    until: Step = "score"
    metrics: tuple[str, ...] | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    plugins: tuple[str, ...] = ()
    recompute: bool = False
    executor: str = "local"

    @property
    def seed(self) -> int:
        """The one prediction seed, for work that takes only one."""
        return self.seeds[0]

    @property
    def fit_seed(self) -> int:
        """The one training seed, for work that takes only one."""
        return self.fit_seeds[0]
