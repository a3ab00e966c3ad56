"""The bars of a terminal: whose, what, how far, how fast, time left, losses as far as they fit."""

from __future__ import annotations

from typing import Any


def span(seconds: float) -> str:
    """A time as people say it: "about 40 s", "about 12 min", "about 3 h 20 min"."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"


def amount(done: float, total: float | None, unit: str) -> str:
    """How much of how much: "12/400", and for bytes "3.2/47.2 MB"."""
    if unit == "B":
        return f"{done / 1e6:.1f}/{'?' if total is None else f'{total / 1e6:.1f}'} MB"
    return f"{done:.0f}/{'?' if total is None else f'{total:.0f}'}"


def bars(screen: Any) -> Any:
    """A bar for each thing. A task has the fields method, values, unit, left and rate.

    Names hold brackets, which rich would take for its markup.
    """
    from rich import progress as rp
    from rich.table import Column
    from rich.text import Text

    class Amount(rp.ProgressColumn):
        """How much of how much; how long it has been, where nothing can be counted."""

        def render(self, task: rp.Task) -> Text:
            if task.total is None and not task.completed:
                return Text(f"{task.elapsed or 0:.0f} s", style="green")
            return Text(amount(task.completed, task.total, task.fields["unit"]), style="green")

    class Rate(rp.ProgressColumn):
        """Steps, or megabytes, a second."""

        def render(self, task: rp.Task) -> Text:
            speed = task.fields.get("rate")
            if not speed:
                return Text("")
            if task.fields["unit"] == "B":
                return Text(f"{speed / 1e6:.1f} MB/s", style="cyan")
            return Text(f"{speed:.1f}/s", style="cyan")

    class Left(rp.ProgressColumn):
        """The time left, as people say it."""

        def render(self, task: rp.Task) -> Text:
            left = task.fields.get("left")
            return Text("" if left is None else f"{span(left)} left", style="cyan")

    def plain(text: str, **column: Any) -> rp.TextColumn:
        style = column.pop("style", "none")
        return rp.TextColumn(text, style=style, markup=False, table_column=Column(**column))

    return rp.Progress(
        rp.SpinnerColumn("line", style="cyan"),
        plain("{task.fields[method]}", style="bold", no_wrap=True),
        plain("{task.description}", no_wrap=True),
        rp.BarColumn(16),
        Amount(table_column=Column(no_wrap=True)),
        Rate(table_column=Column(no_wrap=True)),
        Left(table_column=Column(no_wrap=True)),
        plain("{task.fields[values]}", no_wrap=True, overflow="ellipsis", ratio=1),
        console=screen,
        expand=True,
        refresh_per_second=4,
    )
