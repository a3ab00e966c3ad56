"""The event log of a job: one JSON object a line; the last is "end"."""

from __future__ import annotations

import json
import time
from pathlib import Path

from vpbench.core.progress import Event, Report

_PROGRESS_EVERY_S = 2.0
"""Seconds between two lines of progress, where the executor does not stream it."""


class EventLog:
    """Appends events to a file and hands them on."""

    def __init__(self, path: Path, report: Report, *, progress: bool = False) -> None:
        self.path, self.report, self.progress = path, report, progress
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        """Record and pass on; all progress would swamp the file."""
        if event.get("event") != "progress" or self._due():
            line = json.dumps({"time": round(time.time(), 3), **event}, ensure_ascii=False)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        self.report(event)

    def _due(self) -> bool:
        now = time.monotonic()
        if not self.progress or now - self._last < _PROGRESS_EVERY_S:
            return False
        self._last = now
        return True


class EventTail:
    """Reads what has been appended to an event log since the last look.

    A line that is not finished yet is left for the next look.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new(self) -> list[Event]:
        """Events that have come since."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        events: list[Event] = []
        for line in whole.splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                continue  # cut short by a kill, and written on by the next attempt
        return events
