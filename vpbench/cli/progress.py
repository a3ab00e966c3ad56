"""Progress on standard error: a few bars on a terminal, a line every half minute in a log.

Nothing is silent for long: a terminal always shows a moving line, and a log says what is under way
when nothing has come for half a minute.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar

import click

from vpbench.api.errors import printable
from vpbench.cli.bars import amount, bars, span
from vpbench.cli.screen import console
from vpbench.core.lock import announce_waits

_LINE_EVERY = 30.0
"""Between two lines about one thing in a log, seconds."""
_FIRST_LINE = 5.0
"""Before the first one, seconds."""
_TICK = 1.0
"""Seconds between two looks whether a log has been silent for long."""
_DONE = {"fit": "fitted", "predict": "predicted", "score": "finished"}
"""What a run is called once a step is complete."""

_Key = tuple[str, str]
"""Whose work it is, and what."""


@dataclass
class _Shown:
    """One thing that is under way.

    Attributes:
        begun, first: when this process began it, and how far it was then.
        reported: when the last line about it was written.
        bar: its bar on a terminal.
    """

    begun: float
    first: float
    reported: float
    done: float = 0.0
    total: float | None = None
    unit: str = ""
    values: str = ""
    bar: Any = None

    def left(self, now: float) -> float | None:
        """Seconds that the rest takes at the rate of this process."""
        if self.total is None or not self.total > self.done > self.first:
            return None
        return (self.total - self.done) * (now - self.begun) / (self.done - self.first)


@dataclass
class _Overall:
    """All jobs of a command: how many are done of how many, and the time left, if known."""

    done: int = 0
    total: int = 0
    left: float | None = None

    def words(self) -> str:
        """As a log says it."""
        left = "" if self.left is None else f", {span(self.left)} left"
        return f"{self.done} of {self.total} jobs done{left}"


@dataclass
class Progress:
    """Shows events: bars on a terminal, plain lines in a log.

    Args:
        what: what the command is doing while no event says more.

    Attributes:
        relay: takes the events instead, in a process that works for another one.
        debug: show what plugins print, and tracebacks.
    """

    what: str = "working"
    quiet: bool = False
    relay: ClassVar[Callable[[dict[str, Any]], None] | None] = None
    interactive: bool = field(init=False)
    debug: bool = field(init=False)
    _rows: dict[_Key, _Shown] = field(init=False, default_factory=dict[_Key, _Shown])
    _shards: dict[str, set[int]] = field(init=False, default_factory=dict[str, set[int]])
    _overall: _Overall = field(init=False, default_factory=_Overall)
    _top: Any = field(init=False, default=None)
    _screen: Any = field(init=False, default=None)
    _spoke: float = field(init=False, default=0.0)
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)
    _over: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        context = click.get_current_context(silent=True)
        self.debug = bool(context and context.params.get("debug"))
        self.interactive = sys.stderr.isatty() and not self.quiet

    def __enter__(self) -> Progress:
        self._spoke = time.monotonic()
        announce_waits(lambda text: self({"event": "note", "text": text}))
        if self.interactive:
            self._screen = bars(console(stderr=True))
            self._top = self._screen.add_task(self.what, total=None, method="", values="", unit="")
            self._screen.start()
        elif not self.quiet and Progress.relay is None:
            threading.Thread(target=self._tick, daemon=True, name="progress").start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        announce_waits(None)
        self._over.set()
        if self._screen is not None:
            for row in self._rows.values():  # what is left on the screen says nothing any more
                self._screen.update(row.bar, visible=False)
            self._screen.update(self._top, visible=False)
            self._screen.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        if Progress.relay is not None:
            Progress.relay(event)
            return
        with self._lock:
            self._show(event)

    def _show(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            self._advance(event)
        elif kind == "jobs":
            self._count_jobs(event)
        elif kind == "stage":
            seconds = f" ({event['seconds']} s)" if "seconds" in event else ""
            self._line(f"{event['what']} {event['status']}{seconds}")
        elif kind == "note":
            self._line(event["text"])
        elif kind == "output" and self.debug:
            self._line(event["text"].rstrip())
        elif kind == "run":
            self._end(event)

    def of(self, whose: str, what: str) -> Callable[[int, int], None]:
        """A function (done, total) that shows how far one thing of somebody's is."""

        def report(done: int, total: int) -> None:
            self({"event": "progress", "what": what, "method": whose, "done": done, "total": total})

        return report

    def _advance(self, event: dict[str, Any]) -> None:
        key, now = (event.get("method", ""), event["what"]), time.monotonic()
        done = self._seen(event) if "shard" in event else event["done"]
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Shown(now, done, now - _LINE_EVERY + _FIRST_LINE)
        if event.get("resumed"):  # done by an earlier process: it says nothing about the rate
            row.begun, row.first = now, done
        row.done, row.total, row.unit = done, event["total"], event.get("unit", "")
        if "values" in event:  # they come less often than steps: keep showing the last ones
            row.values = "  ".join(
                f"{k} {'nan' if v is None else format(v, '.4g')}"
                for k, v in event["values"].items()
            )
        if self._screen is not None:
            self._draw(key, row, now)
        elif now - row.reported > _LINE_EVERY:
            row.reported = now
            self._line(self._words(key, row, now))
        if row.total is not None and row.done >= row.total:
            self._drop(key)

    def _draw(self, key: _Key, row: _Shown, now: float) -> None:
        """Move a bar, which begins where this process began."""
        if row.bar is None:
            row.bar = self._screen.add_task(
                key[1], total=row.total, method=key[0], values="", unit="", left=None, rate=None
            )
        made, seconds = row.done - row.first, now - row.begun
        self._screen.update(
            row.bar,
            completed=row.done,
            total=row.total,
            values=row.values,
            unit=row.unit,
            left=row.left(now),
            rate=made / seconds if made > 0 and seconds > 0 else None,
        )

    def _drop(self, key: _Key) -> None:
        """Show no more of what is done: one line a running job at most."""
        row = self._rows.pop(key, None)
        if row is not None and row.bar is not None:
            self._screen.remove_task(row.bar)

    def _count_jobs(self, event: dict[str, Any]) -> None:
        self._overall = _Overall(event["done"], event["total"], event["left"])
        if self._screen is not None:
            self._screen.update(
                self._top,
                description="jobs",
                completed=event["done"],
                total=event["total"],
                left=event["left"],
            )

    @staticmethod
    def _words(key: _Key, row: _Shown, now: float) -> str:
        """One line of a log: how far, the figures, the time left."""
        words = [*key, amount(row.done, row.total, row.unit), row.values]
        if (left := row.left(now)) is not None:
            words.append(f"{span(left)} left")
        return " ".join(word for word in words if word)

    def _seen(self, event: dict[str, Any]) -> int:
        """Several workers share one run: count its shards, not their reports."""
        seen = self._shards.setdefault(f"{event['run']} {event['what']}", set())
        seen.add(event["shard"])
        return len(seen)

    def _end(self, event: dict[str, Any]) -> None:
        for key in [key for key in self._rows if key[0] == event["method"]]:
            self._drop(key)
        if event["status"] == "failed":
            self._line(f"{event['method']} failed: {event['reason']}")
        elif event["fresh"]:
            self._line(f"{event['method']} {_DONE[event['until']]}")
        elif event["until"] == "fit" and not event["trains"]:
            self._line(f"{event['method']}: nothing to train")
        else:
            self._line(f"{event['method']}: {_DONE[event['until']]} before, skipped")

    def _tick(self) -> None:
        """Say what is under way when a log has been silent for long."""
        while not self._over.wait(_TICK):
            self._look()

    def _look(self) -> None:
        with self._lock:
            if time.monotonic() - self._spoke >= _LINE_EVERY:
                self._line(self._under_way())

    def _under_way(self) -> str:
        now = time.monotonic()
        parts = [self._overall.words()] if self._overall.total else []
        parts += [self._words(key, row, now) for key, row in self._rows.items()]
        return "; ".join(parts) or f"{self.what} ..."

    def _line(self, text: str) -> None:
        text = printable(text)  # it may hold names from files
        self._spoke = time.monotonic()
        if self._screen is not None:
            self._screen.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)
