"""Which runs of a method are one row of a table, and what tells its rows apart.

Runs that differ in nothing but their seeds are averaged. Others are not: with more samples a clip,
or trained on more clips, a figure has another expected value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vpbench.core import schema
from vpbench.core.options import TRAIN
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.ranking import Row

RowKey = tuple[str, str, int]
"""Method, what it was trained on, samples."""

_ADVICE = ": run with --samples "
"""How metrics end the reason of a figure that needs more samples."""


def row_key(run: FinishedRun) -> RowKey:
    """What all runs of one row share."""
    return run.inputs["method"], run.train_on, run.inputs["samples"]


def row_labels(runs: Iterable[FinishedRun]) -> dict[RowKey, str]:
    """The name of each row within a table, each there once.

    That of the method where it has one row; else with what its rows do not share: `mine` and
    `mine (train+val)`, `mine (1 sample)` and `mine (4 samples)`.
    """
    keys = sorted({row_key(run) for run in runs})
    return {key: _label(key, [other for other in keys if other[0] == key[0]]) for key in keys}


def _label(key: RowKey, own: Sequence[RowKey]) -> str:
    name, trained, samples = key
    parts: list[str] = []
    if trained != TRAIN and len({other[1] for other in own}) > 1:
        parts.append(trained)
    if len({other[2] for other in own}) > 1:
        parts.append(f"{samples} sample{'s' * (samples != 1)}")
    return f"{name} ({', '.join(parts)})" if parts else name


def rows_of(name: str, runs: Iterable[FinishedRun]) -> list[Row]:
    """The rows of a method, one without runs where it has none."""
    own = [run for run in runs if run.inputs["method"] == name]
    rows = [
        Row(name, [run for run in own if row_key(run) == key], label=label)
        for key, label in row_labels(own).items()
    ]
    return rows or [Row(name, [])]


def place_of(name: str, rows: Sequence[Row]) -> int | None:
    """Where the row of that name stands, or else the first of a method; None where none does."""
    for names in ([row.label for row in rows], [row.name for row in rows]):
        if name in names:
            return names.index(name)
    return None


def point_to_others(rows: Sequence[Row], shown: Sequence[schema.RowJson]) -> None:
    """Where a figure needs more samples, name the row that has them in place of how to make it."""
    for row, entry in zip(rows, shown, strict=True):
        for name, score in entry["scores"].items():
            what, advice, _ = (score["reason"] or "").partition(_ADVICE)
            if score["value"] is None and advice:
                found = _with_value(row, name, rows, shown)
                score["reason"] = f"{what}: {found} has it" if found else score["reason"]


def _with_value(
    row: Row, metric: str, rows: Sequence[Row], shown: Sequence[schema.RowJson]
) -> str | None:
    """The row of equal method and training that has a figure."""
    for other, entry in zip(rows, shown, strict=True):
        alike = other.runs and row_key(other.runs[0])[:2] == row_key(row.runs[0])[:2]
        if alike and entry["scores"][metric]["value"] is not None:
            return other.label
    return None
