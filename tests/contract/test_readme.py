"""The commands in the README of an installed plugin are run."""

from pathlib import Path

import pytest

from vpbench.core.registry import build
from vpbench.testing import run_checks

SPEC = Path(__file__).with_name("method_mutants.py")


def install(site, command):
    """A distribution whose entry point is the good method `roll`."""
    site.mkdir()
    (site / "roll_plugin.py").write_text(
        f"import sys\nsys.path.insert(0, {str(SPEC.parents[2])!r})\n"
        "from vpbench.api import MethodSpec\n"
        "SPEC = MethodSpec('roll-plugin', 'tests.contract.method_mutants:Roll', 'rolls')\n"
    )
    info = site / "roll_plugin-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[vpbench.methods]\nroll-plugin = roll_plugin:SPEC\n")
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: roll-plugin\nVersion: 1.0\n\n"
        f"# Roll\n\n```sh\npip install roll-plugin\n{command}\n```\n"
    )


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("vpbench info roll-plugin  # what it is", []), ("vpbench info rolls-plugin", ["readme"])],
)
def test_commands_of_the_readme_are_run(command, wrong, tmp_path, monkeypatch):
    install(tmp_path / "site", command)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    results = run_checks("method", "roll-plugin", True, build())
    assert [r.id for r in results if not r.ok] == wrong, results
    assert next(r for r in results if r.id == "readme").status == ("failed" if wrong else "passed")
