"""Where jobs run, for plugins that place them. Structural: nothing to inherit from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


class Handle(Protocol):
    """A job that was given to an executor."""

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        ...

    def error(self) -> str | None:
        """Why it failed; None while it runs and when it went well."""
        ...

    def cancel(self) -> None:
        """Stop it."""
        ...


class Executor(Protocol):
    """Places jobs. A job is a JSON file that `vpbench _job FILE` runs."""

    def submit(self, job: Path, cpus: int, gpus: int, memory_gib: float) -> Handle:
        """Run `vpbench _job JOB` somewhere, once the resources are free."""
        ...

    def poll(self, seconds: float) -> None:
        """Wait until something happens, at most this long."""
        ...

    def close(self) -> None:
        """Stop what still runs and free everything."""
        ...


@runtime_checkable
class StreamsEvents(Protocol):
    """What an executor may offer besides: the events of jobs while they run.

    Without it the harness reads the event log of each job, in which progress comes more seldom.
    """

    def listen(self, report: Callable[[Path, dict[str, Any]], None]) -> None:
        """Call `report` with the job file and each event of it."""
        ...
