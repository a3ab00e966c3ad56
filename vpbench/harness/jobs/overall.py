"""How much of a command is done, and about how long the rest takes, from what was measured."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from vpbench.core.options import Step
from vpbench.core.progress import Event, Report
from vpbench.harness.jobs.job import Kind as JobKind

Kind = Literal["fit", "predict", "score"]

_STEPS: dict[Step, tuple[Kind, ...]] = {
    "fit": (),
    "predict": ("predict",),
    "score": ("predict", "score"),
}
_STEP_OF: dict[JobKind, Kind] = {
    "stage": "fit",
    "predict": "predict",
    "features": "score",
    "score": "score",
}
"""Which step a job is part of; probes are short."""

_EVERY_S = 5.0
"""Seconds between two reports of the time that is left, where nothing else has changed."""

_ENOUGH = 0.02
"""Share of a step that must be done before its rate is trusted."""


@dataclass
class _Step:
    """One stage, or the predictions or the scores of one run.

    Attributes:
        begun: on the monotonic clock; None while it waits.
        seconds: how long it took; None before its end.
        first, share: how much of it was done when this process began it, and is done now.
    """

    begun: float | None = None
    seconds: float | None = None
    first: float = 0.0
    share: float = 0.0

    def estimate(self, now: float) -> float | None:
        """Seconds for the whole step at its own rate; None before there is one."""
        made = self.share - self.first
        if self.begun is None or made < _ENOUGH:
            return None
        return (now - self.begun) / made


@dataclass
class Overall:
    """The steps of a command. Those that were done before do not count, nor does their rate.

    Attributes:
        parallel: how many predictions and scores run at once; stages are fitted one by one.
    """

    report: Report
    parallel: int = 1
    _steps: dict[tuple[Kind, str], _Step] = field(default_factory=dict[tuple[Kind, str], _Step])
    _said: tuple[int, int] = (0, 0)
    _at: float = float("-inf")

    def plan_run(self, run: str, until: Step) -> None:
        """What is to be done with a run once its stages are there."""
        for kind in _STEPS[until]:
            self.plan(kind, run)

    def drop_run(self, run: str) -> None:
        """A run has failed, or was finished before."""
        for kind in _STEPS["score"]:
            self.drop(kind, run)

    def hear(self, job: JobKind, key: str, event: Event) -> None:
        """An event of a job: its step moves.

        Args:
            key: folder of the stage or run.
        """
        kind = _STEP_OF.get(job)
        if kind is None:
            return
        if event["event"] == "start":
            self.begin(kind, key)
        elif event["event"] == "progress" and event["total"] and job != "features":
            share = event["done"] / event["total"]
            self.advance(kind, key, share, resumed=event.get("resumed", False))

    def plan(self, kind: Kind, key: str) -> None:
        """There is something to do; a second call does nothing."""
        self._steps.setdefault((kind, key), _Step())

    def begin(self, kind: Kind, key: str) -> None:
        """A process has begun it."""
        step = self._steps.setdefault((kind, key), _Step())
        if step.begun is None:
            step.begun = time.monotonic()

    def advance(self, kind: Kind, key: str, share: float, *, resumed: bool = False) -> None:
        """So much of it is done, from 0 to 1.

        Args:
            resumed: it was done before.
        """
        step = self._steps.get((kind, key))
        if step is None or step.begun is None:
            return
        if resumed or (step.share == 0.0 and step.first == 0.0 and share < 1.0):
            step.first, step.begun = share, time.monotonic()
        step.share = share

    def finish(self, kind: Kind, key: str) -> None:
        """It is done; unless it was begun here, it was done before and does not count."""
        step = self._steps.get((kind, key))
        if step is None or step.begun is None:
            self.drop(kind, key)
        elif step.seconds is None:
            step.seconds = time.monotonic() - step.begun

    def drop(self, kind: Kind, key: str) -> None:
        """It will not be done, unless it is done already."""
        step = self._steps.get((kind, key))
        if step is not None and step.seconds is None:
            del self._steps[kind, key]

    def tell(self) -> None:
        """Report how far it all is, if that has changed or some seconds have passed."""
        done = sum(step.seconds is not None for step in self._steps.values())
        counts, now = (done, len(self._steps)), time.monotonic()
        if not self._steps or (counts == self._said and now - self._at < _EVERY_S):
            return
        self._said, self._at = counts, now
        event: Event = {"event": "jobs", "done": done, "total": counts[1], "left": self.left()}
        self.report(event)

    def left(self) -> float | None:
        """Seconds that the rest takes; None while a kind of step was not measured yet."""
        parts = [self._left("fit"), self._left("predict"), self._left("score")]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return known[0] + (known[1] + known[2]) / max(1, self.parallel)

    def _left(self, kind: Kind) -> float | None:
        """Seconds for the open steps of one kind, one after the other."""
        now = time.monotonic()
        steps = [step for (of, _), step in self._steps.items() if of == kind]
        open_steps = [step for step in steps if step.seconds is None]
        if not open_steps:
            return 0.0
        measured = [s.seconds for s in steps if s.seconds is not None]
        measured = measured or [e for s in open_steps if (e := s.estimate(now)) is not None]
        if not measured:
            return None
        usual = sum(measured) / len(measured)
        total = 0.0
        for step in open_steps:
            own = step.estimate(now)
            if own is not None:
                total += own * (1.0 - step.share)
            else:
                total += max(0.0, usual - (now - (step.begun or now)))
        return total
