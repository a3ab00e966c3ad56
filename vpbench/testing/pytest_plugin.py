"""Pytest options `--vpbench NAME` and `--vpbench-full`: the checks of a plugin without a test file.

Without the option this module does nothing and imports nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("vpbench", "conformance checks of vpbench plugins")
    group.addoption(
        "--vpbench",
        action="append",
        default=[],
        metavar="NAME",
        help="run the conformance checks of a plugin; NAME or kind:NAME, may be repeated",
    )
    group.addoption("--vpbench-full", action="store_true", help="the slow checks as well")


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add one test for each check of the named plugins."""
    names: list[str] = config.getoption("--vpbench") or []
    for name in names:
        parent = _Plugin.from_parent(session, name=name, nodeid=f"vpbench[{name}]")
        items.extend(parent.collect())


class _Plugin(pytest.Collector):
    """The checks of one plugin."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item a check."""
        from vpbench.testing.runner import kind_and_name
        from vpbench.testing.suite import checks_of

        kind, name = kind_and_name(self.name)
        full = bool(self.config.getoption("--vpbench-full"))
        for check in checks_of(kind, full):
            item = _CheckItem.from_parent(self, name=check.id)
            item.subject = (name, kind, full)
            yield item


class _CheckItem(pytest.Item):
    """One check."""

    subject: tuple[str, str, bool]

    def runtest(self) -> None:
        """Run all checks of the plugin once, and report this one."""
        from vpbench.testing.pytests import results, settle

        settle(results(*self.subject)[self.name])

    def reportinfo(self) -> tuple[str, None, str]:
        """How pytest calls it."""
        return "vpbench", None, f"{self.subject[1]}:{self.subject[0]} {self.name}"
