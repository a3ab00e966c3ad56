"""Hands jobs to an executor and collects their events; knows nothing of their purpose."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vpbench.api.errors import VpbenchError
from vpbench.api.executors import Executor, Handle, StreamsEvents
from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import make_folder
from vpbench.core.lock import report_wait
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Event
from vpbench.harness.jobs.events import EventTail
from vpbench.harness.jobs.executors.local import Slots
from vpbench.harness.jobs.job import JobSpec

_RETRY_S = 0.3
_LONGEST_RETRY_S = 5.0
"""Seconds between two attempts at a job that another process is doing: more from time to time."""


@dataclass
class Job:
    """A submitted job and what it belongs to.

    Attributes:
        handle: None while a stage waits for others.
        tail: the events of the job.
        end: its last event, once it has come.
        answers: events that answer a probe.
        pause: seconds before the next attempt, where another process is doing it.
        resumes: when that is, on the clock of `time.monotonic`; 0 where it need not wait.
    """

    spec: JobSpec
    needs: tuple[int, int, float]
    runs: list[RunPlan]
    stage: StagePlan | None = None
    handle: Handle | None = None
    path: Path = Path()
    tail: EventTail | None = None
    end: Event = field(default_factory=dict[str, Any])
    answers: list[Event] = field(default_factory=list[Event])
    pause: float = 0.0
    resumes: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether the executor has done with it."""
        return self.handle is not None and self.handle.done()

    @property
    def busy(self) -> bool:
        """Whether another process is doing the work."""
        return self.end.get("status") == "busy"

    @property
    def trouble(self) -> str | None:
        """Why an ended job failed; None if it did not."""
        if self.end.get("status") == "done":
            return None
        reason = self.end.get("reason") or (self.handle.error() if self.handle else None)
        return str(reason or "it ended without a result")


@dataclass
class Dispatcher:
    """Starts jobs and collects those that have ended.

    Attributes:
        make: makes the executor; called when the first job comes, so that finished work starts
            nothing.
        slots: what may be in use at once.
        on_event: called with every event but the last one and the answers of probes.
    """

    make: Callable[[Slots], Executor]
    slots: Slots
    on_event: Callable[[Job, Event], None]
    jobs: list[Job] = field(default_factory=list[Job])
    _by_path: dict[Path, Job] = field(default_factory=dict[Path, Job])
    _executor: Executor | None = None

    @property
    def executor(self) -> Executor:
        """Where jobs go."""
        if self._executor is None:
            executor = self.make(self.slots)
            if isinstance(executor, StreamsEvents):
                executor.listen(self._streamed)
            self._executor = executor
        return self._executor

    def add(self, job: Job, *, start: bool = True) -> Job:
        """Take a job, and start it unless it has to wait for others."""
        self.jobs.append(job)
        if start:
            self.start(job)
        return job

    def start(self, job: Job) -> None:
        """Write the job file and hand it to the executor."""
        executor = self.executor
        folder = make_folder(Path(job.spec.run.folder) / "events")
        # another process may share this run, and have begun in the same second
        own = f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(3)}"
        job.path = folder / f"{job.spec.id}-{own}.json"
        job.spec = replace(
            job.spec,
            events=str(job.path.with_suffix(".jsonl")),
            log_progress=not isinstance(executor, StreamsEvents),
        )
        job.tail, job.end, job.answers = EventTail(Path(job.spec.events)), {}, []
        job.spec.write(job.path)
        self._by_path[job.path] = job
        job.handle = executor.submit(job.path, *job.needs)

    def again(self, job: Job) -> None:
        """Start a job once more after a while: another process was doing the work.

        The attempt leaves no files: a wait may take hours.
        """
        for path in (job.path, job.path.with_suffix(".jsonl")):
            path.unlink(missing_ok=True)
        self._by_path.pop(job.path, None)
        job.pause = min(_LONGEST_RETRY_S, max(_RETRY_S, 1.5 * job.pause))
        job.resumes = time.monotonic() + job.pause
        job.handle, job.tail = None, None
        if job.stage is not None:
            report_wait(job.stage.folder.lock)
        self.add(job, start=False)

    def ended(self) -> list[Job]:
        """Wait a moment; jobs that have ended since, taken out of the list.

        Raises:
            VpbenchError: all jobs wait, and none is running.
        """
        for job in self.jobs:
            if 0 < job.resumes <= time.monotonic():
                job.resumes = 0.0
                self.start(job)
        if not any(job.handle is not None or job.resumes for job in self.jobs):
            raise VpbenchError("stages wait for each other and none can start.")
        self._poll()
        if not isinstance(self.executor, StreamsEvents):
            for job in self.jobs:
                self._listen(job)
        finished = [job for job in self.jobs if job.ended]
        for job in finished:
            self.jobs.remove(job)
            self._listen(job)
        return finished

    def _poll(self) -> None:
        """Let the executor work for a moment, or wait where it has nothing to do."""
        self.executor.poll(0.5)
        if all(job.handle is None for job in self.jobs):
            time.sleep(_RETRY_S)

    def of(self, run: RunPlan) -> list[Job]:
        """Jobs of one run alone."""
        return [job for job in self.jobs if job.runs == [run]]

    def close(self) -> None:
        """End all workers."""
        if self._executor is not None:
            self._executor.close()

    def _streamed(self, path: Path, event: Event) -> None:
        """An executor passes an event on; those that are logged are read from the log.

        The start is worth hearing twice: then it comes in time.
        """
        job = self._by_path.get(path)
        if job is not None and event["event"] in ("start", "progress", "output"):
            self.on_event(job, event)

    def _listen(self, job: Job) -> None:
        """Read what a job has logged since the last look."""
        for event in [] if job.tail is None else job.tail.new():
            if event["event"] == "end":
                job.end = event
            elif event["event"] in ("probe", "score-probe", "leak-probe"):
                job.answers.append(event)
            else:
                self.on_event(job, event)
