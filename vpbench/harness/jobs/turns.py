"""One command at a time judges what is there of a run; others wait, and then see what is there.

Between the look at earlier results and the verdict on them lies a probe, and the verdict may set a
folder or scores aside. Two commands that both did so would pull the folder from under each other.
The turn covers look, probe, verdict and setting aside alone: training, predicting and scoring are
shared between commands and have locks of their own.

No command stops for a turn: its other work goes on, so commands cannot wait for each other in a
circle.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vpbench.api.errors import Unwritable
from vpbench.core.lock import LockLost, LockWatch, RunLock, lock_or_wait
from vpbench.core.rundir import RunDir
from vpbench.harness.results.run_result import RunResult

Step = Callable[[RunResult], None]

_POLL_S = 0.2
"""Seconds between two attempts, where a command has nothing else to do."""


def turn_file(folder: RunDir) -> Path:
    """The lock of a run's turn: beside its folder, which may be set aside."""
    return folder.path.with_name(f"{folder.path.name}.lock")


@dataclass
class Turns:
    """The turns that a command has, and those that it waits for.

    Attributes:
        guarded: does a step for a run, and sees to its errors; `take` leaves them to its caller.
    """

    guarded: Callable[[RunResult, Step], None]
    _held: dict[Path, RunLock | None] = field(default_factory=dict[Path, "RunLock | None"])
    _waiting: dict[Path, tuple[RunResult, Step]] = field(
        default_factory=dict[Path, tuple[RunResult, "Step"]]
    )

    @property
    def awaited(self) -> bool:
        """Whether another command has a turn that this one waits for."""
        return bool(self._waiting)

    def take(self, result: RunResult, step: Step) -> None:
        """Do a step once the turn of a run has come; `end` ends it.

        Where nothing may be written, nothing is set aside either: there the step needs no turn.
        """
        path = result.run.folder.path
        try:
            lock = LockWatch(turn_file(result.run.folder)).try_lock()
        except Unwritable:
            lock = None
        else:
            if lock is None:
                self._waiting[path] = (result, step)
                return
        self._waiting.pop(path, None)
        self._held[path] = lock
        step(result)

    def retry(self, *, idle: bool) -> None:
        """Look whether a turn has come by now.

        Args:
            idle: nothing else is to be done meanwhile.
        """
        if idle and self._waiting:
            time.sleep(_POLL_S)
        for result, step in list(self._waiting.values()):
            self.guarded(result, functools.partial(self.take, step=step))

    def has(self, result: RunResult) -> bool:
        """Whether this command has taken the turn of a run."""
        return result.run.folder.path in self._held

    def holds(self, result: RunResult) -> bool:
        """Whether the turn is still this command's: one that stood still for minutes loses it."""
        lock = self._held[result.run.folder.path]
        try:
            if lock is not None:
                lock.check()
        except LockLost:
            return False
        return True

    def end(self, result: RunResult) -> None:
        """Pass the turn of a run on, or stop waiting for it; nothing where there is neither."""
        path = result.run.folder.path
        self._waiting.pop(path, None)
        lock = self._held.pop(path, None)
        if lock is not None:
            lock.release()

    def close(self) -> None:
        """End all turns."""
        self._waiting.clear()
        for lock in self._held.values():
            if lock is not None:
                lock.release()
        self._held.clear()


@contextmanager
def turn(folder: RunDir) -> Generator[None]:
    """The turn of one run, for a command that does nothing else meanwhile and holds no lock."""
    try:
        lock = lock_or_wait(turn_file(folder), lambda: False)
    except Unwritable:
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
