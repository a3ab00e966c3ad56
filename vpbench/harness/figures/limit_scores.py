"""What a figure of limits shows of each row: its score, and its difference from the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpbench.api.errors import MissingData
from vpbench.core import schema
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths
from vpbench.core.registry import Registry
from vpbench.core.samples import Difference
from vpbench.core.tasks import Task
from vpbench.harness.figures.limit_rows import LimitRow
from vpbench.harness.results.compare import Comparison, compare, one_table
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.ranking import Column, Row, row_difference
from vpbench.harness.results.row_names import rows_of
from vpbench.harness.results.rows import command_of


@dataclass(frozen=True)
class LimitValue:
    """What the figure shows of a row.

    Attributes:
        value: None where there is none, for the `reason`; `command` makes it.
        difference: from the method, over the same clips.
        notes: what tables say about the row; `not_comparable` holds why it may not be ranked.
    """

    row: LimitRow
    value: float | None
    ends: tuple[float, float] | None
    difference: Difference
    reason: str = ""
    command: str = ""
    notes: Sequence[str] = ()
    not_comparable: Sequence[str] = ()

    def json(self) -> dict[str, Any]:
        """For the record of the figure."""
        apart = self.difference.interval()
        return {
            "method": self.row.method,
            "role": self.row.mark,
            "value": self.value,
            "ci95": None if self.ends is None else list(self.ends),
            "difference": self.difference.estimate,
            "difference_ci95": None if apart is None else list(apart),
            "reason": self.reason or None,
            "command": self.command or None,
            "notes": list(self.notes),
            "not_comparable": list(self.not_comparable),
        }


class LimitScores:
    """The scores of one metric in one table.

    Args:
        group: the table, with the rows of the figure and its references.
        runs: those behind it.

    Raises:
        MissingData: no row has a score of the metric.
    """

    def __init__(
        self, group: schema.GroupJson, runs: Sequence[FinishedRun], task: Task, metric: str
    ) -> None:
        self.group, self.runs, self.task, self.metric = group, runs, task, metric
        self.rows: dict[str, schema.RowJson] = {}
        # The first of a method was trained on the training split, with the fewest samples.
        for row in group["rows"]:
            self.rows.setdefault(row["method"], row)
        if metric not in group["metrics"]:
            run = [name for name, row in self.rows.items() if row["seeds"]]
            raise MissingData(
                f"no finished run of {task.id} has a score of {metric}.",
                fix=f"Run: {self.command('score', run)} --metrics {metric}",
            )
        shown = group["metrics"][metric]
        self.direction, self.unit = shown["direction"], shown["unit"]
        self.fingerprint = shown["fingerprint"]
        scores = (self._score(name) for name in self.rows)
        self.corrected = any(score.get("corrected") is not None for score in scores)

    def command(self, verb: str, methods: Sequence[str]) -> str:
        """The command that makes runs, or scores, of this task."""
        return command_of(verb, methods, self.task.dataset, self.task.name)

    def _score(self, name: str) -> Mapping[str, Any]:
        row = self.rows.get(name)
        return {} if row is None else row["scores"].get(self.metric, {})

    def value(self, name: str) -> tuple[float | None, tuple[float, float] | None]:
        """A figure, without its bias where the metric has one, and its interval."""
        score = self._score(name)
        what, ends = ("corrected", "corrected_ci95") if self.corrected else ("value", "ci95")
        interval = score.get(ends)
        return score.get(what), None if interval is None else (interval[0], interval[1])

    def shown(self, row: LimitRow, head: str = "") -> LimitValue:
        """What the figure shows of a row of the method `head`."""
        value, ends = self.value(row.method)
        apart = Difference(None)
        if head and head != row.method:
            apart = self.difference(row.method, head)
        reason, command = self.lacking(row.method) if value is None else ("", "")
        entry = self.rows.get(row.method)
        shown = LimitValue(row, value, ends, apart, reason, command)
        if entry is None:
            return shown
        return replace(shown, notes=entry["notes"], not_comparable=entry["not_comparable"])

    def lacking(self, name: str) -> tuple[str, str]:
        """Why a row has no figure, and the command that makes it; "" where none can."""
        score, row = self._score(name), self.rows.get(name)
        reason = str(score.get("reason") or "")
        if row is None or not row["seeds"]:
            if reason.startswith("n/a"):
                return reason, ""
            failed = reason if reason.startswith("failed") else "not run"
            return failed, self.command("run", [name])
        if score.get("value") is not None:
            return "too few clips for a figure without bias", ""
        scored = f"{self.command('score', [name])} --metrics {self.metric}"
        return (reason, "") if reason not in ("", "not scored") else ("not scored", scored)

    def difference(self, name: str, other: str) -> Difference:
        """A row less another one, over the same clips and without bias."""
        if self.value(name)[0] is None or self.value(other)[0] is None:
            return Difference(None, reason="not scored")
        one, two = self._row(name), self._row(other)
        scores = (r for run in one.runs for (m, _), r in run.scores.items() if m == self.metric)
        kind = next((record["kind"] for record in scores), "clip")
        direction = "up" if self.direction == "up" else "down"
        column = Column(self.metric, self.fingerprint, {}, direction, self.unit, kind)
        apart = row_difference(one, two, self.group["frames"], column)
        return apart or Difference(None, reason="no clips in common")

    def _row(self, name: str) -> Row:
        return rows_of(name, self.runs)[0]


def read_scores(
    methods: Sequence[str],
    task: Task,
    metric: str,
    options: RunOptions,
    registry: Registry,
    paths: Paths,
) -> LimitScores:
    """The scores of some rows, and of the references, from finished runs.

    Args:
        methods: canonical names.

    Raises:
        MissingData: there is no finished run of any of them, or none has a score of the metric.
        Incomparable: the runs cannot share one table.
        HashMismatch: a stored file is not what was written.
    """
    refs, where = [MethodRef.parse(name) for name in methods], TaskRef(dataset="", task=task.id)
    comparison = compare(refs, options, registry, paths, where, subsets=("none",), now=task)
    groups = [g for g in comparison.groups if g["frames"] == task.horizon]
    if not groups:
        made = command_of("run", methods, task.dataset, task.name)
        raise MissingData(
            f"there is no finished run of {methods[0]} on {task.id}, nor of the other rows.",
            fix=f"Run: {made}",
        )
    one_table(Comparison(groups, comparison.differences))
    return LimitScores(groups[0], comparison.behind(groups[0]), task, metric)
