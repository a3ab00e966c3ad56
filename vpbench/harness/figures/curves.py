"""Metrics over time, from the scores of finished runs."""

from __future__ import annotations

from collections.abc import Sequence

from vpbench.api.errors import MissingData, UsageError
from vpbench.core.schema import GroupJson
from vpbench.core.tasks import Task
from vpbench.harness.figures.sources import Figure
from vpbench.render.curves import Curve, CurvePlot


def curves_figure(groups: Sequence[GroupJson], metric: str, task: Task) -> Figure:
    """One line for each row of the task's table.

    Args:
        groups: of a comparison with curves.
        metric: as in `--metrics`.

    Raises:
        UsageError: it is a metric of whole clips, or of sets.
        MissingData: no row has values a frame of this metric, or the rows share no column.
    """
    own = [
        group
        for group in groups
        if group["task"]["id"] == task.id
        and group["frames"] == task.horizon
        and not group["task"].get("subset")
    ]
    found = {n: c for g in own for n, c in g.get("curves", {}).items()}
    if metric not in found:
        versions = sorted(name for name in found if name.partition("#")[0] == metric)
        if versions:
            raise MissingData(f"the rows share no column of {metric}: {', '.join(versions)}.")
        if any(name.partition("#")[0] == metric for g in own for name in g["metrics"]):
            raise UsageError(
                f"{metric} has no value for each frame.", fix="psnr and ssim, for example, have."
            )
        raise MissingData(
            f"no row has values of {metric} frame by frame on {task.id}.",
            fix=f"Run: vpbench score METHOD --metrics {metric}",
        )
    curves, about = found[metric], own[0]["metrics"][metric]
    better = "less is better" if about["direction"] == "down" else "more is better"
    unit = f", {about['unit']}" if about["unit"] else ""
    several = sorted({curve["n"] for curve in curves})
    n = " to ".join(map(str, several[:1] + several[1:][-1:]))
    plot = CurvePlot(
        f"{metric} over time",
        [Curve(c["row"], c["values"], c["se"]) for c in curves],
        f"{metric}{unit}: {better}",
        f"{task.id}, n = {n} clips; mean over clips of each predicted frame, bars of one standard "
        "error.",
    )
    record = {"metric": metric, **about, "curves": list(curves)}
    return Figure("curves", {"curves": plot}, record)
