"""Slow checks of methods."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vpbench.testing.method import MethodSubject, Setting, at
from vpbench.testing.model import Check, CheckFailed, NotApplicable

SLACK_MIB = 96.0
"""Memory that is not counted: pools, caches, rounding to pages."""

FACTOR = 2.0


def memory(subject: MethodSubject) -> None:
    """Peak memory of eight clips is at most twice eight times that of one."""
    if not sys.platform.startswith("linux"):
        raise NotApplicable("peak memory can be reset on Linux only")
    setting = subject.setting()
    instance = setting.instance()
    setting.ask(instance, setting.items[:1])
    one, eight = (_peak(setting, instance, count) for count in (1, 8))
    bound = FACTOR * 8 * one + SLACK_MIB
    if eight > bound:
        raise CheckFailed(
            f"at most {bound:.0f} MiB for 8 clips ({one:.0f} MiB for one)",
            f"{eight:.0f} MiB",
            at(instance),
            "Look for an array over pairs of clips; work through clips one by one.",
        )


def _peak(setting: Setting, instance: object, count: int) -> float:
    """MiB by which predicting `count` clips raises the resident size at its peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise NotApplicable(f"peak memory cannot be reset here: {error}") from error
    before = _status("VmRSS")
    setting.ask(instance, setting.items[:count])
    return max(0.0, _status("VmHWM") - before)


def _status(name: str) -> float:
    text = Path("/proc/self/status").read_text()
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.M)
    return int(match[1]) / 1024 if match else 0.0


CHECKS = (
    Check(
        "memory",
        "full",
        ("method",),
        "A method that fits one clip must fit a batch.",
        memory,
        ("network",),
    ),
)
