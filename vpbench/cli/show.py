"""Everything that reaches the terminal: tables, JSON, progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

import click

from vpbench.core.hashing import plain

_LINE_EVERY = 30.0
"""Between two lines about one thing in a log, seconds."""
_FIRST_LINE = 5.0
"""Before the first one, seconds."""
_DONE = {"fit": "fitted", "predict": "predicted", "score": "finished"}
"""What a run is called once a step is complete."""


def print_json(value: Any) -> None:
    """One JSON object on standard output, without NaN."""
    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def console(stderr: bool = False) -> Any:
    """A rich console; plain text when it is no terminal."""
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else 160)


class Progress:
    """Shows events: bars on a terminal, plain lines in a log.

    Attributes:
        relay: takes the events instead, in a process that works for another one.
    """

    relay: ClassVar[Callable[[dict[str, Any]], None] | None] = None

    def __init__(self, quiet: bool = False) -> None:
        self.interactive = sys.stderr.isatty() and not quiet
        self._bars: dict[tuple[str, str], Any] = {}
        self._reported: dict[tuple[str, str], float] = {}
        self._begun: dict[tuple[str, str], tuple[float, int]] = {}
        self._values: dict[tuple[str, str], str] = {}
        self._done: dict[str, dict[int, int]] = {}
        self._progress: Any = None

    def __enter__(self) -> Progress:
        if self.interactive:
            self._progress = _bars(console(stderr=True))
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        if Progress.relay is not None:
            Progress.relay(event)
            return
        kind = event["event"]
        if kind == "progress":
            self._advance(event)
        elif kind == "stage":
            seconds = f" ({event['seconds']} s)" if "seconds" in event else ""
            self._line(f"{event['what']} {event['status']}{seconds}")
        elif kind == "note":
            self._line(event["text"])
        elif kind == "run":
            self._end(event)

    def of(self, whose: str, what: str) -> Callable[[int, int], None]:
        """A function (done, total) that shows how far one thing of somebody's is."""

        def report(done: int, total: int) -> None:
            self({"event": "progress", "what": what, "method": whose, "done": done, "total": total})

        return report

    def _advance(self, event: dict[str, Any]) -> None:
        method, what = event.get("method", ""), event["what"]
        done = self._shards(event) if "shard" in event else event["done"]
        key = (method, what)
        if (
            "values" in event
        ):  # values are reported less often than steps: keep showing the last ones
            self._values[key] = "  ".join(
                f"{k} {'nan' if v is None else format(v, '.4g')}"
                for k, v in event["values"].items()
            )
        values = self._values.get(key, "")
        if self._progress is not None:
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(
                    what,
                    total=event["total"],
                    method=method,
                    values="",
                    unit=event.get("unit", ""),
                )
            self._progress.update(
                self._bars[key], completed=done, total=event["total"], values=values
            )
            return
        self._log(key, done, event["total"], values, event.get("unit", ""))

    def _log(
        self, key: tuple[str, str], done: int, total: int | None, values: str, unit: str
    ) -> None:
        """A line now and then, where there is no terminal: how far, the figures, the time left."""
        now = time.monotonic()
        begun, first = self._begun.setdefault(key, (now, done))
        if now - self._reported.setdefault(key, now - _LINE_EVERY + _FIRST_LINE) <= _LINE_EVERY:
            return
        self._reported[key] = now
        words = [*key, _count(done, total, unit), values]
        if total is not None and total > done > first:
            words.append(f"{_span((total - done) * (now - begun) / (done - first))} left")
        self._line(" ".join(word for word in words if word))

    def _shards(self, event: dict[str, Any]) -> int:
        """Several workers share one run: count its shards, not their reports."""
        seen = self._done.setdefault(event["run"], {})
        seen[event["shard"]] = 1
        return len(seen)

    def _end(self, event: dict[str, Any]) -> None:
        for (method, _), bar in list(self._bars.items()):
            if method == event["method"]:
                self._progress.update(bar, visible=False)
        if event["status"] == "failed":
            self._line(f"{event['method']} failed: {event['reason']}")
        elif event["fresh"]:
            self._line(f"{event['method']} {_DONE[event['until']]}")
        else:
            self._line(f"{event['method']}: {_DONE[event['until']]} before, skipped")

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)


def _span(seconds: float) -> str:
    """A time as people say it: "about 40 s", "about 12 min", "about 3 h 20 min"."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"


def _count(done: float, total: float | None, unit: str) -> str:
    """How much of how much: "12/400", and for bytes "3.2/47.2 MB"."""
    if unit == "B":
        return f"{done / 1e6:.1f}/{'?' if total is None else f'{total / 1e6:.1f}'} MB"
    return f"{done:.0f}/{'?' if total is None else f'{total:.0f}'}"


def _bars(screen: Any) -> Any:
    """A bar for each thing: whose, what, how far, how fast, time left, losses as far as they fit.

    Names hold brackets, which rich would take for its markup.
    """
    from rich import progress as rp
    from rich.table import Column
    from rich.text import Text

    class Count(rp.ProgressColumn):
        """How much of how much."""

        def render(self, task: rp.Task) -> Text:
            return Text(_count(task.completed, task.total, task.fields["unit"]), style="green")

    class Rate(rp.ProgressColumn):
        """Steps, or megabytes, a second."""

        def render(self, task: rp.Task) -> Text:
            speed = task.finished_speed or task.speed or 0.0
            if task.fields["unit"] == "B":
                return Text(f"{speed / 1e6:.1f} MB/s", style="cyan")
            return Text(f"{speed:.1f}/s" if speed else "-/s", style="cyan")

    def plain(text: str, **column: Any) -> rp.TextColumn:
        style = column.pop("style", "none")
        return rp.TextColumn(text, style=style, markup=False, table_column=Column(**column))

    return rp.Progress(
        plain("{task.fields[method]}", style="bold", no_wrap=True),
        plain("{task.description}", no_wrap=True),
        rp.BarColumn(16),
        Count(),
        Rate(),
        rp.TimeRemainingColumn(),
        plain("{task.fields[values]}", no_wrap=True, overflow="ellipsis", ratio=1),
        console=screen,
        expand=True,
    )
