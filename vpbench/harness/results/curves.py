"""Metrics over time: what each predicted frame is worth, for the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vpbench.core import schema
from vpbench.core.intervals import MIN_CLUSTERS
from vpbench.core.records import ScoreRecord
from vpbench.harness.results.ranking import Column, Row


def curves_json(
    rows: Sequence[Row], frames: int, columns: Mapping[str, Column]
) -> dict[str, list[schema.CurveJson]]:
    """Metric -> the curves of the rows that have one; metrics without values a frame are left out.

    A value is the mean over clips, seeds and training runs of one frame's; the value of a metric
    need not be the mean of its curve (PSNR is that of a clip's mean squared error).
    """
    found: dict[str, list[schema.CurveJson]] = {}
    for name, column in columns.items():
        curves = [_curve(row, frames, column) for row in rows if column.kind == "clip"]
        known = [curve for curve in curves if curve is not None]
        if known:
            found[name] = known
    return found


def _curve(row: Row, frames: int, column: Column) -> schema.CurveJson | None:
    records = [record for fit in row.fits(frames, column) for record in fit]
    if not records or not all(record["per_frame"] for record in records):
        return None
    clips = _mean_curves(records, frames)
    if not clips:
        return None
    clusters = [records[0]["clusters"].get(name, name) for name in clips]
    points = [
        mean_and_error([curve[t] for curve in clips.values()], clusters) for t in range(frames)
    ]
    return {
        "method": row.name,
        "row": row.label,
        "n": len(clips),
        "values": [value for value, _ in points],
        "se": [error for _, error in points],
    }


def _mean_curves(records: Sequence[ScoreRecord], frames: int) -> dict[str, list[float]]:
    """Clip -> mean over runs of its value at each frame; clips that lack one are left out."""
    means: dict[str, list[float]] = {}
    for name in sorted(set[str]().union(*(record["per_frame"] for record in records))):
        curves = [record["per_frame"].get(name, []) for record in records]
        known = [[v for v in curve if v is not None] for curve in curves]
        if all(len(curve) == frames for curve in known):
            means[name] = [math.fsum(at) / len(at) for at in zip(*known, strict=True)]
    return means


def mean_and_error(values: Sequence[float], clusters: Sequence[str]) -> tuple[float, float | None]:
    """Mean, and its standard error with clips of one cluster together.

    The error is that of the linearised mean over G clusters, sqrt(G/(G-1) sum_g (sum over the
    clips of g of x - mean)^2) / n; for single clips, the usual standard error. None with fewer
    than `MIN_CLUSTERS` clusters.
    """
    mean = math.fsum(values) / len(values)
    sums: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value - mean)
    count = len(sums)
    if count < MIN_CLUSTERS:
        return mean, None
    squares = math.fsum(math.fsum(own) ** 2 for own in sums.values())
    return mean, math.sqrt(count / (count - 1) * squares) / len(values)
