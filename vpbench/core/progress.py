"""What happens, as plain dicts: workers report them, the command line shows them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """Show nothing."""


class EventLog:
    """Appends events to a file, one JSON object a line, and hands them on."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path, self.report = path, report

    def __call__(self, event: Event) -> None:
        """Record and pass on; progress is passed on only, it would swamp the file."""
        if event.get("event") != "progress":
            line = json.dumps({"time": round(time.time(), 3), **event}, ensure_ascii=False)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        self.report(event)
