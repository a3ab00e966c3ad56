"""What ran where."""

import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from tests.forget import forget_modules
from vpbench.core.provenance import (
    environment,
    git_state,
    installed_folders,
    machine,
    own_folder,
    packages,
    peak_memory_mib,
    source_path,
    top_module,
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "prov_toy"
    (folder / "sub").mkdir(parents=True)
    for name in ("__init__.py", "method.py", "sub/__init__.py", "sub/deep.py"):
        (folder / name).write_text("raise SystemExit('looked at, not imported')")
    (tmp_path / "prov_single.py").write_text("# one file")
    (tmp_path / "prov_space" / "inner").mkdir(parents=True)
    (tmp_path / "prov_space" / "inner" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget_modules()
    yield folder
    forget_modules()
    for name in [n for n in sys.modules if n.startswith("prov_")]:
        del sys.modules[name]


def test_the_source_of_a_package_is_its_folder(package):
    for name in ("prov_toy", "prov_toy.method", "prov_toy.sub.deep"):
        assert source_path(name, "") == package
    assert "prov_toy" not in sys.modules
    assert own_folder(package) == package


def test_the_source_of_a_single_module_or_file(package, monkeypatch, tmp_path):
    single = package.parent / "prov_single.py"
    assert source_path("prov_single", "") == single
    assert source_path(str(single), "") == single
    assert own_folder(single) == package.parent
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "prov_single.py").write_text("# another one of that name")
    monkeypatch.chdir(elsewhere)
    assert source_path("prov_single.py", f"{single}:SPEC") == single


def test_a_package_in_a_namespace_is_not_the_namespace(package):
    inner = package.parent / "prov_space" / "inner"
    assert top_module("prov_space.inner.method") == (
        "prov_space.inner",
        inner / "__init__.py",
    )
    assert source_path("prov_space.inner.method", "") == inner


@pytest.mark.parametrize("module", ["", "no_such", "no_such.sub", "sys", "..x"])
def test_what_is_not_there_has_no_source(module):
    assert source_path(module, "") is None


def test_a_single_module_in_site_packages_has_no_folder_of_its_own():
    folder = Path(pytest.__file__).parents[1]
    assert folder.resolve() in installed_folders()
    assert own_folder(folder / "some_plugin.py") is None
    assert own_folder(folder / "pytest") == folder / "pytest"


def test_packages_are_named_with_their_versions():
    names = packages()
    assert any(n.startswith("numpy==") for n in names) and names == sorted(names, key=str.lower)
    assert not any("None" in n for n in names)


def test_the_environment_names_what_is_loaded_and_nothing_else():
    found = environment()
    assert found["packages"]["numpy"] == numpy.__version__
    assert "pip" not in found["packages"] or "pip" in sys.modules
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_machine_in_plain_json():
    found = machine()
    assert found["cores"] >= 1 and found["memory_gib"] > 0 and found["host"]
    assert all(isinstance(v, str | int | float) for v in found.values())
    assert peak_memory_mib() > 10


@pytest.mark.skipif(sys.platform != "linux", reason="only there the peak is handed on")
def test_the_peak_of_a_large_parent_is_not_its_childs():
    """A process of a few MiB, begun by one of 400."""
    inner = "from vpbench.core.provenance import peak_memory_mib as p; print(p())"
    outer = (
        "import subprocess, sys; eaten = b'x' * (400 << 20); "
        f"print(subprocess.check_output([sys.executable, '-c', {inner!r}], text=True))"
    )
    peak = float(subprocess.check_output([sys.executable, "-c", outer], text=True))
    assert 2 < peak < 300


def test_git_state(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert git_state(tmp_path) is None
    repo = tmp_path / "repo"
    repo.mkdir()

    def git(*words):
        subprocess.run(
            ["git", "-C", str(repo), "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    (repo / "a").write_text("")
    git("add", "a")
    git("commit", "-qm", "one")
    clean = git_state(repo)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (repo / "a").write_text("changed")
    git_state.cache_clear()
    assert git_state(repo) == {**clean, "dirty": True}
    git_state.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert git_state(repo) is None
    git_state.cache_clear()
