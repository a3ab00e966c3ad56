"""The conformance kit: what a plugin must hold, as checks that anybody can run.

A plugin's whole test file:

    from vpbench.testing import checks_for

    test_conformance = checks_for("my-method")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vpbench.testing.model import Check as Check
    from vpbench.testing.model import CheckFailed as CheckFailed
    from vpbench.testing.model import CheckResult as CheckResult
    from vpbench.testing.model import NotApplicable as NotApplicable
    from vpbench.testing.pytests import checks_for as checks_for
    from vpbench.testing.runner import run_checks as run_checks
    from vpbench.testing.suite import checks_of as checks_of

_MODULE = {
    "Check": "model",
    "CheckFailed": "model",
    "CheckResult": "model",
    "NotApplicable": "model",
    "checks_for": "pytests",
    "checks_of": "suite",
    "run_checks": "runner",
}

__all__ = [
    "Check",
    "CheckFailed",
    "CheckResult",
    "NotApplicable",
    "checks_for",
    "checks_of",
    "run_checks",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'vpbench.testing' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vpbench.testing.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULE))
