"""Checks and their results as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Level = Literal["basic", "full"]
Status = Literal["passed", "failed", "skipped", "expected-failure", "unexpected-pass"]

GOOD: tuple[Status, ...] = ("passed", "skipped", "expected-failure")
"""Outcomes that do not count against a plugin."""


class CheckFailed(Exception):
    """A check failed.

    Attributes:
        expected, got: what should be and what is.
        where: file and line, or the name of what is wrong.
        fix: what to do about it.
    """

    def __init__(self, expected: str, got: str, where: str = "", fix: str = "") -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.expected, self.got, self.where, self.fix = expected, got, where, fix


class NotApplicable(Exception):
    """A check does not apply to this plugin; the message gives the reason."""


@dataclass(frozen=True)
class Check:
    """One guarantee that a plugin must meet.

    Attributes:
        id: short, lower case, unique within a kind.
        level: "basic" for every run, "full" for slow ones.
        kinds: the kinds of plugin it is about.
        why: one sentence.
        run: raises `CheckFailed` or `NotApplicable`; returns when the check holds.
        needs: checks without which this one means nothing; it is skipped where one has failed.
    """

    id: str
    level: Level
    kinds: tuple[str, ...]
    why: str
    run: Callable[[Any], None]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check on one plugin."""

    id: str
    status: Status
    expected: str = ""
    got: str = ""
    where: str = ""
    fix: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it does not count against the plugin."""
        return self.status in GOOD


@dataclass(frozen=True)
class Request:
    """The request to the child process.

    Attributes:
        plugins: values of plugins that are not found by discovery alone.
        checks: ids to run, in order.
        failed: ids that have failed or were skipped for it, in an earlier process.
        work: folder of this plugin's checks; nothing outside may be written.
        cache: the user's cache, for weights.
        root: the folder of a dataset, None for where it is looked for anyway.
    """

    kind: str
    name: str
    full: bool
    plugins: tuple[str, ...]
    checks: tuple[str, ...]
    failed: tuple[str, ...]
    work: Path
    cache: Path
    root: str | None = None
