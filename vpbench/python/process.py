"""The process that works for a program, and how its progress is shown."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vpbench.cli.progress import Progress
from vpbench.core.child import Child
from vpbench.core.progress import Report, silent

WORD = "_python"
"""Hidden verb of the command line."""

_shared: list[tuple[object, Child]] = []
"""The process for work without a method's code, and the surroundings that it was started in. It is
kept: its imports take a second."""


def ask(request: Mapping[str, Any], *, progress: bool = True) -> dict[str, Any]:
    """Have the shared process do something.

    Raises:
        VpbenchError: what it has raised.
    """
    here = (os.getcwd(), sorted((k, v) for k, v in os.environ.items() if k.startswith("VPBENCH_")))
    if not _shared or _shared[0][0] != here or not _shared[0][1].alive:
        close()
        _shared.append((here, start("vpbench")))
    with shown(progress) as report:
        return _shared[0][1].ask(request, report)[0]


def start(what: str) -> Child:
    """A process of its own; `what` names it in errors."""
    child = Child(WORD, what)
    atexit.register(child.close)
    return child


def close() -> None:
    """End the shared process."""
    while _shared:
        _shared.pop()[1].close()


@contextmanager
def shown(progress: bool) -> Iterator[Report]:
    """Show events: bars in a terminal and in a notebook, lines elsewhere."""
    if not progress:
        yield silent
    elif _in_notebook():
        from vpbench.python.notebook import NotebookProgress

        with NotebookProgress() as bars:
            yield bars
    else:
        with Progress() as lines:
            yield lines


def _in_notebook() -> bool:
    """Whether a notebook shows what this process displays."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None
