"""How checks are run, declared, ordered and told."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner

from vpbench.api import UnknownName, UsageError
from vpbench.cli.check import check
from vpbench.core.registry import KINDS, build
from vpbench.testing import CheckResult, checks_of
from vpbench.testing.pytests import report
from vpbench.testing.runner import kind_and_name

MUTANTS = Path(__file__).parents[2] / "contract" / "method_mutants.py"


@pytest.mark.parametrize("kind", KINDS)
def test_checks_are_data(kind):
    checks = checks_of(kind, full=True)
    ids = [c.id for c in checks]
    assert len(set(ids)) == len(ids)
    for k, one in enumerate(checks):
        assert set(one.needs) <= set(ids[:k]), f"{one.id} comes before what it needs"
        assert one.why.endswith(".") and one.run.__doc__
    assert {c.id for c in checks_of(kind)} == {c.id for c in checks if c.level == "basic"}


def test_names_with_and_without_a_kind():
    plugins = build()
    assert kind_and_name("copy-last", plugins) == ("method", "copy-last")
    assert kind_and_name("metric:psnr", plugins) == ("metric", "psnr")
    assert kind_and_name("folder:clips[size=16]", plugins) == ("dataset", "folder:clips[size=16]")
    with pytest.raises(UnknownName, match="copy-last"):
        kind_and_name("copy-lost", plugins)


def test_a_name_of_two_kinds_needs_the_kind(tmp_path):
    path = tmp_path / "two.py"
    path.write_text(
        "from vpbench.api import MethodSpec\nSPEC = MethodSpec('psnr', ':X', 'a method')\n"
    )
    with pytest.raises(UsageError, match="method:psnr"):
        kind_and_name("psnr", build([str(path)]))


def test_a_report_tells_all():
    text = report(CheckResult("shape", "failed", "this", "that", "file.py:3", "do so"))
    assert [w for w in ("expected", "got", "where", "fix") if w not in text] == []


def run(monkeypatch, *words):
    monkeypatch.setenv("VPBENCH_PLUGINS", str(MUTANTS))
    from vpbench.core.registry import registry

    registry.cache_clear()
    result = CliRunner().invoke(check, words, standalone_mode=False)
    registry.cache_clear()
    return result


def test_the_command_shows_what_is_wrong(monkeypatch):
    result = run(monkeypatch, "float")
    assert result.return_value == 1
    words = ("✗ dtype", "a numpy array of uint8", "float32", "method_mutants.py:", "to_uint8")
    assert [w for w in words if w not in result.output] == []


def test_the_command_in_json(monkeypatch):
    import json

    result = run(monkeypatch, "method:roll", "--json")
    found = json.loads(result.output)
    assert result.return_value == 0 and found["ok"] and found["schema"] == "vpbench.check/1"
    assert {c["status"] for c in found["checks"]} == {"passed", "skipped"}


def pytest_in(folder, *words):
    known = entry_points(group="pytest11", name="vpbench")
    load = () if known else ("-p", "vpbench.testing.pytest_plugin")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *load, "-p", "no:cacheprovider", *words],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_pytest_option(tmp_path):
    code, out = pytest_in(tmp_path, "--vpbench", "copy-last", "-v")
    assert code == 0 and "future-probe PASSED" in out, out


@pytest.mark.e2e
def test_a_test_file_of_two_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_PLUGINS", str(MUTANTS))
    monkeypatch.setenv("PYTHONPATH", str(MUTANTS.parents[2]))  # the file imports its kit from there
    (tmp_path / "test_mine.py").write_text(
        "from vpbench.testing import checks_for\ntest_conformance = checks_for('declared-still')\n"
        "test_other = checks_for('float')\n"
    )
    code, out = pytest_in(tmp_path, "-q", "-rx")
    assert code == 1, out
    assert "1 failed" in out and "1 xfailed" in out and "meant to stand still" in out
    assert "test_other[dtype]" in out


def test_without_the_option_nothing_is_imported(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_light():\n"
        "    heavy = {'torch', 'numpy', 'vpbench.testing.suite', 'vpbench.core.registry'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    code, out = pytest_in(tmp_path, "-q")
    assert code == 0, out
