"""Trains stages side by side, one process a stage, each after the stages that it needs.

A process is a worker of vpbench's own with a job file of its own, so that keys, records and
provenance are those of `vpbench fit`. What has the longest way to go starts first.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import make_folder
from vpbench.core.plan import RunPlan
from vpbench.harness.jobs.job import JobSpec

GRACE_S = 25.0
"""What stages get to store their state when the time is up."""
UNKNOWN_S = 60.0
"""What a stage is taken to last of which nothing is known, for the order of starts."""

WORKER = (sys.executable, "-m", "vpbench", "_job", "--serve")
"""Reads the names of job files, does the jobs, and writes their events."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class Segment:
    """One loop of a stage: its first and its last report of progress."""

    total: int
    first: tuple[float, int]
    last: tuple[float, int]

    @property
    def rate(self) -> float | None:
        """Steps a second."""
        seconds, steps = self.last[0] - self.first[0], self.last[1] - self.first[1]
        return steps / seconds if seconds > 0 and steps > 0 else None


@dataclass
class StageJob:
    """One stage that is to be trained, and how far it is.

    Attributes:
        run: a run that needs it, from which a worker rebuilds it.
        needs: keys of the stages before it.
        status: waiting, running, done, there (done before), failed, incomplete.
    """

    stage: StagePlan
    run: RunPlan
    spec: JobSpec
    needs: frozenset[str]
    status: str = "waiting"
    reason: str = ""
    started: float = 0.0
    ended: float = 0.0
    segments: dict[int, Segment] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    log: IO[bytes] | None = None

    @property
    def key(self) -> str:
        """The stage's key."""
        return self.stage.node.key

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the process, its start included."""
        return (self.ended or time.time()) - self.started if self.started else 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        """Keep what an event says."""
        if event["event"] == "progress" and event.get("total"):
            now = (time.time(), int(event["done"]))
            total = int(event["total"])
            self.segments.setdefault(total, Segment(total, now, now)).last = now
        elif event["event"] == "note":
            self.notes.append(str(event["text"]))
        elif event["event"] == "end" and event.get("status") != "done":
            self.reason = str(event.get("reason") or event.get("status"))


def chain_seconds(jobs: Iterable[StageJob], cost: Callable[[StageJob], float]) -> dict[str, float]:
    """Key -> seconds from the start of a stage to the end of all that waits for it."""
    by_key = {job.key: job for job in jobs}
    after: dict[str, list[str]] = {key: [] for key in by_key}
    for job in by_key.values():
        for need in job.needs:
            if need in after:
                after[need].append(job.key)
    known: dict[str, float] = {}

    def length(key: str) -> float:
        if key not in known:
            known[key] = cost(by_key[key]) + max(map(length, after[key]), default=0.0)
        return known[key]

    return {key: length(key) for key in by_key}


class Stages:
    """Runs jobs, at most `slots` at once, until all have ended or the time is up."""

    def __init__(
        self,
        jobs: Sequence[StageJob],
        slots: int,
        logs: Path,
        cost: Callable[[StageJob], float] = lambda job: UNKNOWN_S,
        say: Callable[[str], None] = lambda text: None,
        worker: Sequence[str] = WORKER,
    ) -> None:
        lengths = chain_seconds(jobs, cost)
        self.jobs = sorted(jobs, key=lambda job: -lengths[job.key])
        self.slots, self.logs, self.say = slots, make_folder(logs), say
        self.worker = worker

    def run(self, deadline: float | None = None) -> None:
        """Train everything; returns with no process left.

        Args:
            deadline: `time.time()` at which running stages are stopped at their last state.
        """
        try:
            while any(job.status in ("waiting", "running") for job in self.jobs):
                self._collect()
                self._give_up()
                if deadline is not None and time.time() >= deadline:
                    self._stop("the time was up")
                    return
                self._start_ready()
                time.sleep(0.1)
        except BaseException:
            self._stop("it was interrupted")
            raise

    def _start_ready(self) -> None:
        done = {job.key for job in self.jobs if job.status in ("done", "there")}
        free = self.slots - sum(job.status == "running" for job in self.jobs)
        for job in self.jobs:
            if free > 0 and job.status == "waiting" and job.needs <= done:
                self._start(job)
                free -= 1

    def _start(self, job: StageJob) -> None:
        name = job.stage.folder.path.name
        path = job.spec.write(self.logs / f"{name}.job.json")
        environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, str(job.spec.threads))}
        job.log = (self.logs / f"{name}.log").open("ab")
        job.process = subprocess.Popen(
            self.worker,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=job.log,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        assert job.process.stdin is not None and job.process.stdout is not None  # both are pipes
        with contextlib.suppress(BrokenPipeError):  # it has ended already: seen at the next look
            job.process.stdin.write(f"{path}\n".encode())
            job.process.stdin.flush()  # closed after this one job: it ends with who holds it open
        job.reader = threading.Thread(target=_read, args=(job, job.process.stdout), daemon=True)
        job.reader.start()
        job.status, job.started = "running", time.time()
        self.say(f"{job.stage.node.label} {job.key} started")

    def _collect(self) -> None:
        for job in self.jobs:
            process = job.process
            if job.status == "running" and process is not None and process.poll() is not None:
                self._ended(job)

    def _ended(self, job: StageJob) -> None:
        assert job.process is not None and job.reader is not None and job.log is not None
        job.reader.join(5.0)
        for stream in (job.log, job.process.stdin, job.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        job.ended = time.time()
        job.status = "done" if job.stage.folder.complete() else "failed"
        if job.status == "failed" and not job.reason:
            job.reason = f"it ended with {job.process.returncode}"
        reason = f": {job.reason}" if job.status == "failed" else ""
        label = job.stage.node.label
        self.say(f"{label} {job.key} {job.status} after {job.seconds:.0f} s{reason}")

    def _give_up(self) -> None:
        """Stages after one that failed will never start."""
        dead = {job.key for job in self.jobs if job.status in ("failed", "incomplete")}
        for job in self.jobs:
            missing = job.needs & dead
            if job.status == "waiting" and missing:
                job.status, job.reason = "incomplete", f"waits for {', '.join(sorted(missing))}"

    def _stop(self, why: str) -> None:
        running = [job for job in self.jobs if job.status == "running" and job.process is not None]
        for job in running:
            assert job.process is not None
            job.process.send_signal(signal.SIGTERM)  # a fit stores its state and returns
        end = time.time() + GRACE_S
        for job in running:
            assert job.process is not None
            try:
                job.process.wait(max(0.1, end - time.time()))
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()
            self._ended(job)
        for job in self.jobs:
            if job.status == "waiting" or (job.status == "failed" and job in running):
                job.status, job.reason = "incomplete", why


def _read(job: StageJob, stream: IO[bytes]) -> None:
    for line in stream:
        try:
            event = json.loads(line)
            job.take(event)
        except (ValueError, KeyError):
            continue  # cut short by a kill
        if event["event"] == "end" and job.process is not None and job.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                job.process.stdin.close()
