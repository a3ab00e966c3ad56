"""Everything that reaches the terminal: tables, JSON, progress."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import Any

import click

from vpbench.core.hashing import plain
from vpbench.core.schema import CompareJson, GroupJson

_LINE_EVERY = 30.0


def emit_json(value: Any) -> None:
    """One JSON object on standard output, without NaN."""
    click.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def console(stderr: bool = False) -> Any:
    """A rich console; plain text when it is no terminal."""
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else 160)


def print_comparison(comparison: CompareJson) -> None:
    """Draw every group as a table, and say in what the groups differ."""
    from rich.text import Text

    out = console()
    for group in comparison["groups"]:
        _print_group(out, group)
    for line in comparison["differences"]:
        out.print(Text(f"Not in one table: {line}", style="yellow"))


def _print_group(out: Any, group: GroupJson) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from vpbench.render.tables import table_model

    model = table_model(group)
    table = Table(box=box.SIMPLE_HEAD, title=model.title, title_justify="left",
                  title_style="bold", pad_edge=False)  # fmt: skip
    for column in model.columns:
        table.add_column(Text(column.title), justify=column.align, no_wrap=True)
    for row in model.rows:
        if row.rule_above:
            table.add_section()
        style = "dim" if row.dimmed else ""
        cells = [Text(c.plain, style="bold" if c.bold else "") for c in row.cells]
        table.add_row(*cells, style=style)
    out.print(table)
    for note in model.notes:
        out.print(Text(note.plain, style="dim"))
    out.print()


class Progress:
    """Shows events: bars on a terminal, plain lines in a log."""

    def __init__(self, quiet: bool = False) -> None:
        self.live = sys.stderr.isatty() and not quiet
        self._bars: dict[tuple[str, str], Any] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._done: dict[str, dict[int, int]] = {}
        self._progress: Any = None

    def __enter__(self) -> Progress:
        if self.live:
            from rich import progress as rp

            self._progress = rp.Progress(
                rp.TextColumn("[bold]{task.fields[method]}"), rp.TextColumn("{task.description}"),
                rp.BarColumn(), rp.MofNCompleteColumn(), _rate(), rp.TimeRemainingColumn(),
                rp.TextColumn("{task.fields[values]}"), console=console(stderr=True),
            )  # fmt: skip
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
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

    def _advance(self, event: dict[str, Any]) -> None:
        method, what = event.get("method", ""), event["what"]
        done = self._shards(event) if "shard" in event else event["done"]
        key = (method, what)
        values = "  ".join(f"{k} {v:.4g}" for k, v in event.get("values", {}).items()
                           if v is not None)  # fmt: skip
        if self._progress is not None:
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(
                    what, total=event["total"], method=method, values=""
                )
            fields = {"values": values} if values else {}
            self._progress.update(self._bars[key], completed=done, total=event["total"], **fields)
            return
        now = time.monotonic()
        if now - self._told.setdefault(key, now) > _LINE_EVERY:
            self._told[key] = now
            total = event["total"] if event["total"] is not None else "?"
            self._line(f"{method} {what} {done}/{total} {values}".strip())

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
            self._line(f"{event['method']} done")
        else:
            self._line(f"{event['method']}: finished before, nothing to do")

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)


def _rate_column() -> type:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second."""

        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f}/s" if speed else "-/s", style="cyan")

    return Rate


def _rate() -> Any:
    return _rate_column()()
