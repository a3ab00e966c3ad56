"""Worker processes on this machine, with slots for cores, GPUs and memory.

Workers stay alive and take one job after another. A worker that dies takes its job with it and
nothing else. A worker that has loaded the code of one method serves that method alone: its changes
to the interpreter cannot reach other methods, nor scoring.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from vpbench.core.children import remember
from vpbench.core.progress import Event
from vpbench.core.provenance import cores, memory_gib

_TAIL = 2000
"""Bytes of standard error that are searched for the last line of a worker that died."""

_OUTPUT = 1 << 20
"""Bytes of what a job prints that are kept."""

_MEMORY_SHARE = 0.9
"""Of the main memory, for jobs: the rest is for the system and for this process."""

GRACE_S = 3.5
"""What workers get to store their state when they are asked to stop, all together: a user waits
at a prompt. A fit that needs longer loses the steps since its last checkpoint, nothing else."""

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Slots:
    """What may be in use at once."""

    cpus: int
    gpus: int = 0
    memory_gib: float = 0.0

    @staticmethod
    def of_machine(workers: int | None = None) -> Slots:
        """The free cores (or `--workers`), nine tenths of the memory."""
        return Slots(workers or cores(), _gpus(), _MEMORY_SHARE * memory_gib())


def _gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([v for v in visible.split(",") if v.strip()])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


@dataclass
class LocalHandle:
    """A job in the queue, at work or ended."""

    job: Path
    cpus: int
    gpus: int
    memory_gib: float
    loads: str = ""
    status: str = "queued"
    reason: str | None = None
    code: int = 0

    def done(self) -> bool:
        """Whether it has ended."""
        return self.status in ("done", "busy", "failed", "cancelled")

    def error(self) -> str | None:
        """Why it failed."""
        return self.reason

    def cancel(self) -> None:
        """Take it out of the queue; a job at work continues to its end."""
        if self.status == "queued":
            self.status = "cancelled"


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    threads: int
    code: str
    log: IO[bytes]
    handle: LocalHandle | None = None
    rest: bytes = b""
    log_start: int = 0

    def output(self) -> str:
        """What was written to standard error during this job; of much, the end."""
        size = self.log.seek(0, os.SEEK_END)
        self.log.seek(max(self.log_start, size - _OUTPUT))
        return self.log.read().decode(errors="replace")

    def tail(self) -> str:
        """The last line that the worker wrote to standard error during this job."""
        self.log.seek(0, os.SEEK_END)
        size = self.log.tell()
        self.log.seek(max(self.log_start, size - _TAIL))
        lines = [x for x in self.log.read().decode(errors="replace").splitlines() if x.strip()]
        return lines[-1].strip() if lines else ""


@dataclass
class LocalExecutor:
    """The `Executor` of `vpbench.api` for one machine."""

    slots: Slots = field(default_factory=Slots.of_machine)
    _queue: deque[LocalHandle] = field(default_factory=deque[LocalHandle])
    _workers: list[_Worker] = field(default_factory=list[_Worker])
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _report: Callable[[Path, Event], None] = lambda job, event: None

    def submit(
        self, job: Path, cpus: int = 1, gpus: int = 0, memory_gib: float = 0.0
    ) -> LocalHandle:
        """Put a job in the queue; it starts once its slots are free.

        A job that needs more than the machine has runs alone.
        """
        handle = LocalHandle(
            job,
            min(cpus, self.slots.cpus),
            min(gpus, self.slots.gpus),
            min(memory_gib, self.slots.memory_gib),
            _code_of(job),
        )
        self._queue.append(handle)
        return handle

    def listen(self, report: Callable[[Path, Event], None]) -> None:
        """Pass the events of all jobs on while they run."""
        self._report = report

    def poll(self, seconds: float) -> None:
        """Start what fits, then wait for events at most this long."""
        self._start()
        for key, _ in self._selector.select(seconds):
            self._read(cast("_Worker", key.data))

    def close(self) -> None:
        """End all workers; those at work are asked to stop and keep their state.

        A second interrupt meanwhile kills them.
        """
        deadline = time.monotonic() + GRACE_S  # for all together
        try:
            for worker in self._workers:
                worker.process.send_signal(signal.SIGTERM)
                _hang_up(worker)
            for worker in self._workers:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in list(self._workers):
                worker.process.kill()  # does nothing to one that has ended
                worker.process.wait()
                self._remove(worker)
            self._selector.close()

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fits(self, wanted: LocalHandle) -> bool:
        at_work = [w.handle for w in self._workers if w.handle is not None]
        return (
            sum(h.cpus for h in at_work) + wanted.cpus <= self.slots.cpus
            and sum(h.gpus for h in at_work) + wanted.gpus <= self.slots.gpus
            and sum(h.memory_gib for h in at_work) + wanted.memory_gib <= self.slots.memory_gib
        )

    def _start(self) -> None:
        waiting = [h for h in self._queue if h.status == "queued"]
        self._queue = deque(waiting)
        for handle in waiting:
            if self._fits(handle):
                self._queue.remove(handle)
                self._give(self._worker(handle), handle)

    def _worker(self, handle: LocalHandle) -> _Worker:
        """A worker for a job: an idle one of the same kind, or a new one."""
        threads, code = handle.cpus, handle.loads
        idle = [w for w in self._workers if w.handle is None]
        for worker in idle:
            if (worker.threads, worker.code) == (threads, code):
                return worker
        waiting = {h.loads for h in self._queue}
        for worker in idle:
            if worker.threads != threads or (worker.code and worker.code not in waiting):
                self._end(worker)
        return self._spawn(threads, code)

    def _spawn(self, threads: int, code: str) -> _Worker:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment |= dict.fromkeys(_ONE_THREAD, str(threads))
        log = tempfile.TemporaryFile(prefix="vpbench-worker-")  # noqa: SIM115 - lives with the worker
        process = subprocess.Popen(
            [sys.executable, "-m", "vpbench", "_job", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        remember(process)
        worker = _Worker(process, threads, code, cast("IO[bytes]", log))
        assert process.stdout is not None  # stdout=PIPE above
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        return worker

    def _give(self, worker: _Worker, handle: LocalHandle) -> None:
        handle.status, worker.handle = "running", handle
        worker.log.seek(0, os.SEEK_END)
        worker.log_start = worker.log.tell()
        assert worker.process.stdin is not None  # a PIPE, see _spawn
        try:
            worker.process.stdin.write(f"{handle.job}\n".encode())
            worker.process.stdin.flush()
        except BrokenPipeError:
            self._died(worker)

    def _read(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None  # a PIPE, see _spawn
        data = worker.process.stdout.read(1 << 16)
        if data is None:
            return
        if not data:
            self._died(worker)
            return
        *lines, worker.rest = (worker.rest + data).split(b"\n")
        for line in lines:
            self._event(worker, json.loads(line))

    def _event(self, worker: _Worker, event: dict[str, Any]) -> None:
        handle = worker.handle
        if handle is None:
            return
        if event["event"] != "end":
            self._report(handle.job, event)
            return
        worker.handle = None
        self._keep_output(worker, handle)
        handle.reason, handle.code = event.get("reason"), event.get("code", 0)
        handle.status = event["status"]

    def _keep_output(self, worker: _Worker, handle: LocalHandle) -> None:
        """What the job has printed: a file beside the job's, and an event."""
        text = worker.output()
        if text.strip():
            with contextlib.suppress(OSError):  # a full disk: the result itself says so
                handle.job.with_suffix(".log").write_text(text, errors="replace")
            self._report(handle.job, {"event": "output", "text": text})

    def _died(self, worker: _Worker) -> None:
        code = worker.process.wait()
        handle, worker.handle = worker.handle, None
        if handle is not None:
            self._keep_output(worker, handle)
            how = (
                f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
            )
            last = worker.tail()
            handle.status, handle.code = "failed", 1
            handle.reason = f"its process {how}." + (f" Last stderr line: {last}" if last else "")
        self._remove(worker)

    def _end(self, worker: _Worker) -> None:
        _hang_up(worker)
        worker.process.wait()
        self._remove(worker)

    def _remove(self, worker: _Worker) -> None:
        if worker.process.stdout is not None:
            self._selector.unregister(worker.process.stdout)
            worker.process.stdout.close()
        _hang_up(worker)
        worker.log.close()
        self._workers.remove(worker)


def _code_of(job: Path) -> str:
    """Whose code a job loads; a file that cannot be read fails in the worker, which says why."""
    try:
        return str(json.loads(job.read_bytes()).get("code", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _hang_up(worker: _Worker) -> None:
    """Close the pipe to a worker: it ends after its job. It may be dead already."""
    if worker.process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.close()
