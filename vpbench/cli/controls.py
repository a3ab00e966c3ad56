"""The controls of `vpbench check metric:NAME`: what a metric can tell from real clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpbench.cli.show import Progress

if TYPE_CHECKING:
    from vpbench.core.registry import Registry
    from vpbench.core.schema import ControlsJson
    from vpbench.harness.scoring.controlled import ControlMeasurement


def open_clips(dataset: str, root: str | None, limit: int | None) -> ControlMeasurement:
    """The clips that controls are made of: all of a folder, the test clips of any other dataset."""
    from vpbench.cli.opening import open_task, task_ref
    from vpbench.core.paths import user_paths
    from vpbench.harness.scoring.controlled import of_folder, of_task
    from vpbench.harness.scoring.measure import open_side

    if dataset.startswith("folder:"):
        paths = user_paths()
        return of_folder(open_side(dataset, paths), limit, paths)
    opened = open_task([], task_ref(dataset, root=root, limit=limit), None, False)
    return of_task(opened.task_data, opened.paths)


def score_controls(
    metric: str,
    dataset: str,
    root: str | None,
    limit: int | None,
    workers: int | None,
    registry: Registry,
    progress: Progress,
) -> ControlsJson:
    """The table of one metric, such as `fvd@styleganv`, on the clips of a dataset."""
    from vpbench.core.paths import user_paths
    from vpbench.core.provenance import cores
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.scoring.score import wanted_metrics
    from vpbench.testing.control_table import ControlReport, control_table

    wanted = wanted_metrics([metric], registry)
    clips = open_clips(dataset, root, limit)
    fetch_metric_weights([f for w in wanted for f in w.weights], user_paths(), progress)
    rows = control_table(clips, wanted, registry, workers or cores(), progress)
    return ControlReport(dataset, len(clips.items[0]), clips.task.horizon, rows).json(metric)
