"""What checks are run on: a plugin, its spec, and ways to use it under observation."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from vpbench.api.errors import VpbenchError
from vpbench.api.specs import Spec
from vpbench.core.registry import Entry, Registry, registry
from vpbench.testing.model import CheckFailed, NotApplicable, Request
from vpbench.testing.report import format_error, where_raised
from vpbench.testing.runner import find_row
from vpbench.testing.watch import Surroundings, Watch


class Subject:
    """A plugin of any kind.

    Attributes:
        request: what the child was asked to do.
        watch: sees writes and network access while the plugin's code runs.
        probed: what importing the spec in a fresh process reported.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.watch = Watch((request.work / "tmp", request.work / "cache", request.work / "given"))
        self._before: Surroundings | None = None
        self._folders = 0
        self.probed: dict[str, Any] = {}

    @functools.cached_property
    def registry(self) -> Registry:
        """All plugins, as this process finds them."""
        return registry(self.request.plugins)

    @property
    def row(self) -> Entry:
        """The plugin's row, broken or not."""
        return find_row(self.registry, self.request.kind, self.request.name)

    @property
    def spec(self) -> Spec:
        """The plugin's spec."""
        row = self.row
        assert row.spec is not None  # the check of the spec comes before all others
        return row.spec

    def folder(self, name: str) -> Path:
        """A new folder that a plugin is given to write in."""
        self._folders += 1
        path = self.request.work / "given" / f"{self._folders:03d}-{name}"
        path.mkdir(parents=True)
        return path

    def begin(self) -> None:
        """Before a check."""
        self._before = Surroundings()

    def end(self) -> None:
        """After a check: the process is put back as it was."""
        if self._before is not None:
            self._before.restore()

    def call(self, what: str, function: Any, *arguments: Any, **named: Any) -> Any:
        """Call the plugin's code under observation.

        Raises:
            CheckFailed: it raised; the failure records what and where.
        """
        try:
            with self.watch.on():
                return function(*arguments, **named)
        except (KeyboardInterrupt, CheckFailed, NotApplicable):
            raise
        except BaseException as error:  # a plugin may raise anything, even SystemExit
            fix = error.fix or "" if isinstance(error, VpbenchError) else ""
            raise CheckFailed(
                f"{what} returns",
                f"it raised {format_error(error)}",
                where_raised(error),
                fix or "Read the line above; `--debug` of the other verbs shows tracebacks.",
            ) from error
