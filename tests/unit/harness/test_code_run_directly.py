"""Python that a plugin runs without importing it, and modules that it looks for in vain."""

import importlib
import importlib.util
import py_compile
import runpy
import sys

import pytest

from vpbench.core import code
from vpbench.core.code import changed_modules, digest_cache
from vpbench.harness.inputs import opened_files
from vpbench.harness.inputs.opened_files import OpenedFiles

PLUGIN = """
import importlib
def look(name):
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A single-file plugin, loaded, with a second file beside it; older than the process."""
    for module in (code, opened_files):
        monkeypatch.setattr(module, "STARTED", 1e18)
    folder = tmp_path / "plug"
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN)
    (folder / "config.py").write_text("ADD = 0\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    yield folder
    for name in ("mine", "config", "local_settings"):
        sys.modules.pop(name, None)


CACHE = []
"""One for all tests: it spares the digests of vpbench."""


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    CACHE[:] = [tmp_path_factory.mktemp("cache")]


def table(folder, read):
    """The code behind what a plugin's file has done: it was imported, and `read` was called."""
    importlib.invalidate_caches()
    importlib.import_module("mine")
    files = OpenedFiles()
    with files.watching():
        read()
    return files.code([(":Mine", f"{folder / 'mine.py'}:SPEC")], CACHE[0])


def changed(made):
    return changed_modules(made, digest_cache(CACHE[0]))


def unregistered(path):
    spec = importlib.util.spec_from_file_location("config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def compiled(path):
    py_compile.compile(str(path), doraise=True)  # its cache is what is opened afterwards
    unregistered(path)


READERS = {
    "exec": lambda path: exec(path.read_text()),
    "runpy": lambda path: runpy.run_path(str(path)),
    "a spec that is not registered": unregistered,
    "its compiled form": compiled,
}


@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("place", ["beside", "elsewhere"])
def test_python_that_is_run_directly_is_code(plugin, how, place):
    path = plugin / "config.py"
    if place == "elsewhere":
        path = plugin.parent / "shared" / "config.py"
        path.parent.mkdir()
        path.write_text("ADD = 0\n")
    made = table(plugin, lambda: READERS[how](path))
    assert changed(made) == []
    path.write_text("ADD = 0  # words\n")
    assert changed(made) == []
    path.write_text("ADD = 60\n")
    assert changed(made) == [f"file:{path}"]


def look(name):
    """Let the plugin look for a module; whether there is one."""
    return sys.modules["mine"].look(name)


@pytest.mark.parametrize("name", ["local_settings.py", "local_settings/__init__.py"])
def test_a_module_that_was_looked_for_counts_once_it_is_there(plugin, name):
    made = table(plugin, lambda: look("local_settings"))
    for other in ("test_mine.py", "explore.ipynb", "other.py", "config_of_mine.py"):
        (plugin / other).write_text("1")
    assert changed(made) == []
    path = plugin / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("ADD = 60\n")
    assert changed(made) == [f"file:{path}"]


def test_a_module_that_would_be_found_before_another_counts(plugin, monkeypatch):
    first = plugin / "first"
    first.mkdir()
    monkeypatch.setattr(sys, "path", [str(first), *sys.path])
    made = table(plugin, lambda: look("config"))
    (first / "mine.py").write_text("1")  # that one was not looked for by the plugin
    assert changed(made) == []
    (first / "config.py").write_text("ADD = 60\n")
    assert changed(made) == [f"file:{first / 'config.py'}"]


def test_what_others_look_for_and_what_would_be_installed_does_not_count(plugin, monkeypatch):
    installed = plugin / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(installed), *sys.path])

    def by_another():
        exec(
            compile(
                "import importlib\ntry:\n import local_settings\nexcept ImportError: pass",
                "/elsewhere/package.py",
                "exec",
            )
        )

    made = table(plugin, lambda: (look("stranger_of_mine"), by_another()))
    (installed / "stranger_of_mine.py").write_text("1")
    (plugin / "local_settings.py").write_text("1")
    assert changed(made) == []


def test_a_module_that_the_plugin_writes_itself_is_not_missed(plugin):
    def make():
        if not look("local_settings"):
            (plugin / "local_settings.py").write_text("ADD = 0\n")
            importlib.invalidate_caches()
            assert look("local_settings")

    assert changed(table(plugin, make)) == []
