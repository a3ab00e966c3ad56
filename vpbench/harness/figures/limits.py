"""Where the error of each method arises, from the scores of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vpbench.api.errors import MissingData
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.registry import Registry
from vpbench.core.tasks import Task
from vpbench.harness.figures.limit_rows import LimitGroup, LimitRow, limit_groups
from vpbench.harness.figures.limit_scores import LimitScores, LimitValue, read_scores
from vpbench.harness.figures.sources import Figure
from vpbench.render.dots import DotGroup, DotPlot, DotRow, Mark, figure_text

LINES: Mapping[str, str] = {
    "real-other": "other real clips",
    "copy-last": "copy-last",
    "linear": "linear",
}
"""Reference rows that stand as lines: as good as can be hoped for, and what a method must beat."""

_MARKS: Sequence[tuple[Mark, str]] = (
    ("method", "the method"),
    ("oracle", "oracle: its renderer, given the true motion"),
    ("reference", "motion taken from training clips"),
    ("variant", "variant"),
)


def limits(
    refs: Sequence[MethodRef],
    task: Task,
    metric: str,
    options: RunOptions,
    registry: Registry,
    paths: Paths,
) -> Figure:
    """For each method: its own row, its oracle, reference motions and variants, beside references.

    A row without a score stays in the figure, with the command that makes it.

    Args:
        refs: the names as typed; see `limit_groups`.
        options: `preset` of names that set none, and plugins.

    Raises:
        MissingData: no row has a score of the metric.
        Incomparable: the runs cannot share one table.
    """
    groups = limit_groups(refs, registry, task.spec.size, options.preset)
    names = [row.method for group in groups for row in group.rows]
    chosen = replace(options, preset=None, metrics=(metric,), references=True)
    return limits_figure(groups, read_scores(names, task, metric, chosen, registry, paths))


def limits_figure(groups: Sequence[LimitGroup], scores: LimitScores) -> Figure:
    """The figure of some rows.

    Raises:
        MissingData: none of them has a score.
    """
    values = {
        group.title: [scores.shown(row, group.rows[0].method) for row in group.rows]
        for group in groups
    }
    lines = [scores.shown(LimitRow(n, "reference", label)) for n, label in LINES.items()]
    shown = [one for rows in values.values() for one in rows]
    if all(one.value is None for one in shown):
        raise MissingData(
            f"no row has a score of {scores.metric}: {shown[0].row.method} is {shown[0].reason}.",
            fix=f"Run: {shown[0].command}" if shown[0].command else "",
        )
    better = "less is better" if scores.direction == "down" else "more is better"
    words = [scores.metric, "without bias" if scores.corrected else ""]
    axis = " ".join(filter(None, words)) + (f", {scores.unit}" if scores.unit else "")
    plot = DotPlot(
        "Where errors arise",
        [DotGroup(name, [_dot(one) for one in rows]) for name, rows in values.items()],
        [(LINES[one.row.method], one.value) for one in lines if one.value is not None],
        f"{axis}: {better}",
        (scores.metric, "against the method"),
        [m for m in _MARKS if m[0] in {one.row.mark for one in shown}],
        _note(scores),
    )
    return Figure("limits", {"limits": plot}, _record(scores, values, lines))


def _dot(one: LimitValue) -> DotRow:
    ends, text = one.difference.interval(), ""
    if one.difference.estimate is not None:
        text = f"{_signed(one.difference.estimate)}"
        if ends is not None:
            text += f" [{_signed(ends[0])}, {_signed(ends[1])}]"
    note = f"{one.reason}: {one.command}" if one.command else one.reason
    label = one.row.label
    if one.not_comparable:
        label += " (not comparable)"
    return DotRow(label, one.row.mark, one.value, one.ends, text, note)


def _signed(value: float) -> str:
    text = figure_text(value)
    return f"+{text}" if value > 0 and text != "0" else text


def _note(scores: LimitScores) -> str:
    task = scores.task
    n = sorted({r["n"] for r in scores.rows.values() if r["n"] is not None})
    several = " to ".join(str(k) for k in (n[:1] + n[1:][-1:]))
    return (
        f"{task.id}, {task.horizon} frames, n = {several}; intervals of 95 %. Oracles see the true "
        "future: the gap to the method is what its motion costs, the gap to other real clips what "
        "its renderer costs."
    )


def _record(
    scores: LimitScores,
    values: Mapping[str, Sequence[LimitValue]],
    lines: Sequence[LimitValue],
) -> dict[str, Any]:
    lacking = [one for rows in (*values.values(), lines) for one in rows if one.value is None]
    return {
        "metric": scores.metric,
        "fingerprint": scores.fingerprint,
        "direction": scores.direction,
        "unit": scores.unit,
        "corrected": scores.corrected,
        "groups": [
            {"method": name, "rows": [one.json() for one in rows]} for name, rows in values.items()
        ],
        "references": [one.json() for one in lines],
        "missing": [
            {"method": one.row.method, "reason": one.reason, "command": one.command or None}
            for one in lacking
        ],
    }
