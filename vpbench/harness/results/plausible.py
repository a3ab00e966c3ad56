"""Marks rows that are too good to be predictions.

A method that reads the true future by a way that no probe sees gives it away by its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpbench.harness.results.ranking import Column, Row, mean_per_clip

NEAR_DB = 48.1
"""PSNR of an error of one grey level, 20 log10(255): no prediction of something that moves is so
exact, for the last bits of a frame are noise of its camera or of its rendering."""

STILL_DB = 40.0
"""A clip of which the last frame alone predicts so much does not move."""

SHARE = 0.1
"""More than so many of the moving clips: a few may be still although copy-last was not run."""

REASON = "implausible: check for leaks"

NULL = "copy-last"


def mark_implausible(rows: Sequence[Row], frames: int, columns: Mapping[str, Column]) -> None:
    """Set `Row.implausible` of methods whose frames are those of the future, nearly or exactly.

    Args:
        frames: all that are predicted: the first few alone may well be that good.
    """
    column = next((c for c in columns.values() if c.metric == "psnr"), None)
    if column is None:
        return
    still: set[str] = set()
    for row in rows:
        if row.name == NULL:
            still = {clip for clip, value in _per_clip(row, frames, column) if value >= STILL_DB}
    for row in rows:
        if row.runs and row.runs[0].inputs["kind"] == "method" and row.name != NULL:
            values = [v for clip, v in _per_clip(row, frames, column) if clip not in still]
            near = sum(value >= NEAR_DB for value in values)
            row.implausible = bool(values) and near > SHARE * len(values)


def _per_clip(row: Row, frames: int, column: Column) -> list[tuple[str, float]]:
    """PSNR of each clip, the mean over the runs of the row."""
    records = [record for fit in row.fits(frames, column) for record in fit]
    return [(k, v) for k, v in mean_per_clip(records).items() if v is not None]
