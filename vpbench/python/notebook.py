"""Progress in a notebook: one line of bars that is updated in place, and gone at the end."""

from __future__ import annotations

import html
import time
from types import TracebackType
from typing import Any

_EVERY_S = 0.2
"""Between two updates: a notebook stores and sends each of them."""


class NotebookProgress:
    """Shows events of workers as bars below a cell."""

    def __init__(self) -> None:
        self._bars: dict[tuple[str, str], tuple[float, float | None]] = {}
        self._notes: list[str] = []
        self._shown = 0.0
        self._display: Any = None

    def __enter__(self) -> NotebookProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.clear()
        if self._display is not None:
            self._show()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        method = str(event.get("method", ""))
        if event["event"] == "progress":
            done, total = event["done"], event["total"]
            key = (method, str(event["what"]))
            if total is not None and done >= total:
                self._bars.pop(key, None)
            else:
                self._bars[key] = (done, total)
        elif event["event"] == "note":
            self._notes.append(str(event["text"]))
        elif event["event"] == "run":
            self._bars = {key: bar for key, bar in self._bars.items() if key[0] != method}
            if event["status"] == "failed":
                self._notes.append(f"{method} failed: {event['reason']}")
        if time.monotonic() - self._shown > _EVERY_S:
            self._show()

    def _show(self) -> None:
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        self._shown = time.monotonic()
        if self._display is None:
            self._display = display(HTML(self.html()), display_id=True)
        else:
            self._display.update(HTML(self.html()))

    def html(self) -> str:
        """Bars and notes."""
        lines = [
            f"<div>{html.escape(' '.join(filter(None, key)))} "
            f'<progress value="{done}"{"" if total is None else f" max={total}"}></progress> '
            f"{done:g}{'' if total is None else f'/{total:g}'}</div>"
            for key, (done, total) in self._bars.items()
        ]
        return "".join([*(f"<div>{html.escape(note)}</div>" for note in self._notes), *lines])
