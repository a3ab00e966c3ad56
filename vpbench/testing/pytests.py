"""The checks of a plugin as pytest tests."""

from __future__ import annotations

import functools
from collections.abc import Callable

from vpbench.testing.model import CheckResult
from vpbench.testing.runner import kind_and_name, run_checks
from vpbench.testing.suite import checks_of


@functools.lru_cache(maxsize=8)
def results(name: str, kind: str, full: bool) -> dict[str, CheckResult]:
    """Results by id; the checks of a plugin run once a process."""
    return {r.id: r for r in run_checks(kind, name, full)}


def report(result: CheckResult) -> str:
    """A failure in four lines."""
    lines = [
        f"{result.id}: {result.status}",
        f"  expected  {result.expected}",
        f"  got       {result.got}",
    ]
    lines += [f"  where     {result.where}"] if result.where else []
    lines += [f"  fix       {result.fix}"] if result.fix else []
    return "\n".join(lines)


def settle(result: CheckResult) -> None:
    """Pass, skip, fail or expect to fail, in pytest's terms."""
    import pytest

    if result.status == "skipped":
        pytest.skip(result.got or result.expected)
    if result.status == "expected-failure":
        pytest.xfail(f"{result.fix} ({result.got})")
    if not result.ok:
        pytest.fail(report(result), pytrace=False)


def checks_for(name: str, kind: str | None = None, full: bool = False) -> Callable[[str], None]:
    """A test function with one case for each check.

    Args:
        name: of an installed plugin.
        kind: method, component, dataset, metric or executor; None finds it out by the name.
        full: the slow checks as well.

    Example:
        test_conformance = checks_for("my-method")

    Raises:
        UnknownName: no such plugin is installed.
    """
    import pytest

    kind, name = (kind, name) if kind is not None else kind_and_name(name)

    @pytest.mark.parametrize("check", [c.id for c in checks_of(kind, full)])
    def test_conformance(check: str) -> None:
        settle(results(name, kind, full)[check])

    return test_conformance
