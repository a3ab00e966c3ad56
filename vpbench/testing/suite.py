"""All checks of a kind, in the order in which they run."""

from __future__ import annotations

import importlib

from vpbench.testing.model import Check

_MODULES = {
    "method": ("specs", "training_checks", "outputs", "behaviour", "hygiene", "slow"),
    "component": ("specs", "components"),
    "dataset": ("specs", "datasets"),
    "metric": ("specs", "metrics"),
    "executor": ("specs", "executors"),
}


def checks_of(kind: str, full: bool = False) -> list[Check]:
    """The checks of one kind of plugin; those of level "full" only where asked for."""
    selected: list[Check] = []
    for name in _MODULES[kind]:
        checks: tuple[Check, ...] = importlib.import_module(f"vpbench.testing.{name}").CHECKS
        selected += [c for c in checks if kind in c.kinds and (full or c.level == "basic")]
    return _ordered(selected)


def _ordered(checks: list[Check]) -> list[Check]:
    """What a check needs comes before it; otherwise the order stays."""
    left, done = list(checks), list[Check]()
    while left:
        open_ = {c.id for c in left}
        ready = next(c for c in left if not open_.intersection(c.needs))
        left.remove(ready)
        done.append(ready)
    return done
