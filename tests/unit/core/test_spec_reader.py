"""Specs of datasets are read in a process of their own, and again when a file of theirs changes."""

import sys

import pytest

from vpbench.core import spec_reader, stamps
from vpbench.core.discovery import PluginRef
from vpbench.core.loading import may_hold_dataset
from vpbench.core.registry import build
from vpbench.core.spec_reader import read_specs

SPEC = """
import json
from pathlib import Path
from vpbench.api import DatasetSpec, TaskSpec, WindowRule
size = json.loads(Path(__file__).with_name("size.json").read_text())
TASKS = (TaskSpec("small", WindowRule(2, 4, gap="spread"), size, resize="nearest"),)
SPEC = DatasetSpec("apart", ":Apart", "x", tasks=TASKS, roots=("a", "b"), options={"n": 3})
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VPBENCH_PLUGINS", str(tmp_path / "plug" / "apart_toy.py"))
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)  # nothing is written here without a trace
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "size.json").write_text("16")
    path = tmp_path / "plug" / "apart_toy.py"
    path.write_text(SPEC)
    return path


def loaded():
    return [name for name in sys.modules if "apart_toy" in name]


def test_the_spec_is_that_of_the_module_which_is_not_imported(plugin):
    from vpbench.api import DatasetSpec, TaskSpec, WindowRule

    tasks = (TaskSpec("small", WindowRule(2, 4, gap="spread"), 16, resize="nearest"),)
    expected = DatasetSpec("apart", ":Apart", "x", tasks=tasks, roots=("a", "b"), options={"n": 3})
    found = build()
    assert found.dataset("apart") == expected and not loaded()
    assert found.find("dataset", "apart").ref.value == str(plugin)


@pytest.fixture
def asked(monkeypatch):
    """Counts the processes that are started."""
    calls = []
    ask = spec_reader._ask
    monkeypatch.setattr(spec_reader, "_ask", lambda value: calls.append(value) or ask(value))
    return calls


def test_it_is_read_again_only_when_a_file_has_changed(plugin, asked):
    for _ in range(2):
        (spec,) = read_specs(str(plugin)).specs
        assert spec.tasks[0].size == 16
    assert len(asked) == 1
    plugin.with_name("size.json").write_text("32")
    assert read_specs(str(plugin)).specs[0].tasks[0].size == 32
    plugin.write_text(SPEC.replace('"x"', '"y"'))
    assert read_specs(str(plugin)).specs[0].summary == "y"
    assert len(asked) == 3


def test_a_damaged_cache_only_costs_time(plugin, asked, tmp_path):
    read_specs(str(plugin))
    path = tmp_path / "home" / "dataset-specs.json"
    path.write_bytes(path.read_bytes().replace(b"small", b"SMALL"))
    assert read_specs(str(plugin)).specs[0].tasks[0].id == "small" and len(asked) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import not_there", "No module named 'not_there'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import os; os._exit(3)", "exited with 3"),
        (
            "SPEC = DatasetSpec('apart', ':A', 's', options={'a': object()})",
            "not JSON serializable",
        ),
        ("SPEC = DatasetSpec('apart', ':A', 's', tasks=(3,))", "its spec cannot be read"),
    ],
)
def test_a_spec_that_cannot_be_read_is_a_broken_row(plugin, text, says):
    plugin.write_text(f"from vpbench.api import DatasetSpec\n{text}\n")
    (row,) = [e for e in build().entries if e.ref.value == str(plugin)]
    assert (row.kind, row.status) == ("dataset", "broken") and not loaded()
    assert row.reason.isprintable() and says in row.reason, row.reason


def test_a_file_with_other_plugins_is_imported_as_before(plugin):
    plugin.write_text(
        f"{SPEC}\nfrom vpbench.api import MethodSpec\nM = MethodSpec('other', ':O', 's')\n"
    )
    found = build()
    assert found.method("other").name == "other" and found.dataset("apart").name == "apart"
    assert loaded()
    for name in loaded():
        del sys.modules[name]


@pytest.mark.parametrize(
    ("ref", "may"),
    [
        (PluginRef("x", "dataset", "pkg:X", "entry-point", "d"), True),
        (PluginRef("x", "method", "pkg:X", "entry-point", "d"), False),
        (PluginRef("x", "dataset", "vpbench.data.specs:X", "entry-point", "vpbench"), False),
        (PluginRef("", "", "vpbench.data.specs:BUILTIN", "builtin"), False),
        (PluginRef("", "", "not_there.py", "cli"), False),
        (PluginRef("", "", "vpbench.metrics.specs", "cli"), False),
    ],
)
def test_what_may_hold_a_dataset(ref, may):
    assert may_hold_dataset(ref) is may
