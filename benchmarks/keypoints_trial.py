"""The finished runs and trained parts of 'ours' that `keypoints_acceptance.py` looks at."""

from __future__ import annotations

import argparse
import dataclasses
import math
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keypoints_setup import Setup

from vpbench.api import MissingData
from vpbench.core.options import TRAIN, RunOptions
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Report
from vpbench.core.records import ScoreRecord
from vpbench.core.samples import Difference
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import BATCH, TaskData
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained
from vpbench.harness.results.finished_runs import FinishedRun, newest
from vpbench.harness.results.ranking import Column, Row, row_difference

METHOD, ORACLE, FROZEN = "ours", "ours-oracle", "ours[motion=frozen]"


@dataclass(frozen=True)
class Line:
    """One figure, with the bound that it is held against if there is one."""

    name: str
    value: float | None
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    se: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None without one. A missing figure keeps no bound."""
        if self.at_least is None and self.at_most is None:
            return None
        if self.value is None or not math.isfinite(self.value):
            return False
        low = -math.inf if self.at_least is None else self.at_least
        return low <= self.value <= (math.inf if self.at_most is None else self.at_most)

    def cells(self) -> list[str]:
        """For the table."""
        value = "-" if self.value is None else f"{self.value:.3f}"
        error = "" if self.se is None else f"+-{self.se:.3f}"
        bound = "" if self.at_least is None else f">= {self.at_least:g}"
        bound = bound if self.at_most is None else f"<= {self.at_most:g}"
        met = self.met
        verdict = "" if met is None else "met" if met else "MISSED"
        name = f"{self.name}, {self.unit}" if self.unit else self.name
        return [f"{name} ({self.note})" if self.note else name, value, error, bound, verdict]

    def json(self) -> dict[str, Any]:
        """All fields, and the verdict."""
        return {**dataclasses.asdict(self), "met": self.met}


@dataclass
class Trial:
    """The runs, and the trained parts behind them."""

    setup: Setup
    args: argparse.Namespace
    report: Report

    @property
    def task_data(self) -> TaskData:
        """The dataset with its task."""
        return self.setup.task_data

    @cached_property
    def items(self) -> list[Item]:
        """Test clips."""
        return list(self.task_data.task.test)

    @cached_property
    def plans(self) -> dict[str, RunPlan]:
        """Of the three methods."""
        names = [METHOD, ORACLE, FROZEN]
        options = RunOptions(preset=self.args.preset, fit_seeds=(self.args.fit_seed,))
        return dict(zip(names, self.setup.plan(names, options), strict=True))

    @cached_property
    def loaded(self) -> LoadedMethod:
        """The trained method."""
        where = self.setup
        run = self.plans[METHOD]
        return load_trained(run, self.task_data, where.registry, where.paths, "cpu", self.report)

    @cached_property
    def _runs(self) -> dict[str, FinishedRun]:
        by_method: dict[str, FinishedRun] = {}
        runs = newest(
            self.setup.paths.runs, self.task_data.task.id, self.setup.registry, self.args.limit
        )
        for (_, method, trained, fit_seed, seed), run in runs.items():
            mine = trained == TRAIN and seed == 0 and fit_seed in (None, self.args.fit_seed)
            if mine and run.inputs["task"]["limit"] == self.args.limit:
                by_method[method] = run
        return by_method

    def finished(self, name: str) -> FinishedRun:
        """The newest complete run of one of the three methods, or of a reference.

        Raises:
            MissingData: with the command that makes it.
        """
        full = self.plans[name].name if name in self.plans else name
        if full not in self._runs:
            words = ["vpbench", "run", METHOD, ORACLE, FROZEN, "--dataset", "puppets"]
            words += ["--runs", str(self.setup.paths.runs)]
            words += ["--preset", self.args.preset] if self.args.preset else []
            words += ["--limit", str(self.args.limit)] if self.args.limit else []
            words += ["--fit-seeds", str(self.args.fit_seed)] if self.args.fit_seed else []
            raise MissingData(
                f"there is no finished run of {full}.", fix=f"Run: {shlex.join(words)}"
            )
        return self._runs[full]

    def score(self, name: str, metric: str) -> ScoreRecord | None:
        """The stored score over all frames, None where it was not scored."""
        return self.finished(name).scores.get((metric, self.task_data.task.horizon))

    def apart(self, a: str, b: str, metric: str) -> Difference | None:
        """The paired difference a - b, of a set metric without bias."""
        record = self.score(a, metric)
        if record is None:
            return None
        column = Column(
            metric,
            record["fp8"],
            record["fingerprint"],
            record["direction"],
            record["unit"],
            record["kind"],
        )
        rows = [Row(n, [self.finished(n)]) for n in (a, b)]
        return row_difference(rows[0], rows[1], self.task_data.task.horizon, column)

    def batches(self) -> list[list[Item]]:
        """Test clips in batches of the size that methods are always asked with."""
        return [self.items[k : k + BATCH] for k in range(0, len(self.items), BATCH)]

    def show(self, what: str, done: int, total: int) -> None:
        """Progress."""
        self.report({"event": "progress", "what": what, "done": done, "total": total})
