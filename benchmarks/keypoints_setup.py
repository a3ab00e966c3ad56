"""The first stage of 'ours' outside of a run: what the benchmarks of the keypoint method share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vpbench.api import VpbenchError
from vpbench.cli.show import Progress
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths, user_paths
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report
from vpbench.core.registry import Registry, registry
from vpbench.core.rundir import StageDir
from vpbench.core.seeding import seed_of
from vpbench.harness.inputs.fetch import declared_weights, fetch_for_run
from vpbench.harness.inputs.task_data import TaskData, open_task_data
from vpbench.harness.prediction.loaded import plan_loaded
from vpbench.harness.training.context import StageContext
from vpbench.harness.training.loading import make_slots
from vpbench.harness.training.stage import train_view
from vpbench.harness.training.views import FrameView

_STAGE = "ours:keypoints"


@dataclass(frozen=True)
class Setup:
    """A dataset with its default task, and what is installed."""

    task_data: TaskData
    registry: Registry
    paths: Paths

    def plan(self, names: list[str], options: RunOptions) -> list[RunPlan]:
        """The named methods, one plan each, in their order."""
        methods = [MethodRef.parse(name) for name in names]
        return plan_loaded(methods, options, self.task_data, self.registry, self.paths)


@dataclass(frozen=True)
class Prepared:
    """All that `FirstStage` is made from, as the harness makes it."""

    detector: Any
    translator: Any
    data: FrameView
    ctx: Any


def open_setup(
    runs: Path | None = None, dataset: str = "puppets", limit: int | None = None
) -> Setup:
    """Open a dataset; `limit` as in `vpbench run`."""
    plugins, folders = registry(()), user_paths(runs)
    return Setup(
        open_task_data(TaskRef(dataset=dataset, limit=limit), plugins, folders), plugins, folders
    )


def first_stage(
    where: Setup,
    name: str,
    folder: Path,
    threads: int,
    report: Report,
    *,
    preset: str | None = None,
    fit_seed: int = 0,
) -> Prepared:
    """Parts, data and context of the first stage of a method, untrained.

    Args:
        name: of the method, with its parameters.
        folder: where the stage keeps its state, log and pictures.
        fit_seed: the same number gives the same weights and batches as `vpbench fit`.

    Raises:
        MissingWeights: those of the perceptual network are not here and cannot be fetched.
    """
    (run,) = where.plan([name], RunOptions(preset=preset, fit_seeds=(fit_seed,)))
    stage = next(s for s in run.stages if s.node.label == _STAGE)
    wanted = replace(stage, origin="to fit", folder=StageDir(folder))
    fetch_for_run(replace(run, stages=(wanted,)), where.paths, report)
    node, info = stage.node, where.task_data.task.info
    slots = make_slots(run.method, info, where.registry)
    ctx = StageContext(
        info,
        node.trains,
        "cpu",
        threads,
        seed_of("fit", fit_seed, node.owner, node.stage),
        wanted.folder,
        run.name,
        where.paths.cache,
        report,
        slots,
        declared=declared_weights(node),
    )
    data = train_view(where.task_data, (fit_seed, node.owner, node.stage))
    return Prepared(slots["detector"], slots["translator"], data, ctx)


@contextmanager
def progress_lines() -> Generator[Progress]:
    """Progress on stderr; what vpbench raises on purpose ends the script with one sentence."""
    try:
        with Progress() as progress:
            yield progress
    except VpbenchError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(error.exit_code)


def table(rows: list[list[str]], write: Callable[[str], object] = print) -> None:
    """Columns of equal width; the first is text, the others are figures."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        write("  " + "  ".join(cells).rstrip())
