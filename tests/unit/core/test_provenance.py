"""What ran where."""

import importlib
import subprocess
import sys

import pytest

from vpbench.core import provenance
from vpbench.core.hashing import file_sha256, tree_sha256
from vpbench.core.provenance import (
    git_state,
    machine,
    packages,
    peak_memory_mib,
    source_hash,
    training_source,
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "prov_toy"
    (folder / "sub").mkdir(parents=True)
    for name in ("__init__.py", "method.py", "sub/__init__.py", "sub/deep.py"):
        (folder / name).write_text(f"# {name}")
    (tmp_path / "prov_single.py").write_text("# one file")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    source_hash.cache_clear()
    yield folder
    source_hash.cache_clear()
    for name in ("prov_toy", "prov_toy.sub"):
        sys.modules.pop(name, None)


def test_the_source_of_a_package_is_all_its_python(package):
    before = source_hash("prov_toy.method:Toy")
    assert before == tree_sha256(package, "*.py") == source_hash("prov_toy.sub.deep:Toy")
    assert "prov_toy" not in sys.modules  # looked at, not imported
    (package / "notes.txt").write_text("no matter")
    source_hash.cache_clear()
    assert source_hash("prov_toy.method:Toy") == before
    (package / "sub" / "deep.py").write_text("# changed")
    source_hash.cache_clear()
    assert source_hash("prov_toy.method:Toy") != before


def test_the_source_of_a_single_module_or_file(package, monkeypatch, tmp_path):
    single = package.parent / "prov_single.py"
    wanted = file_sha256(single)
    assert source_hash("prov_single:Toy") == wanted
    assert source_hash(f"{single}:Toy") == wanted
    assert source_hash(":Toy", f"{single}:SPEC") == wanted
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "prov_single.py").write_text("# another one of that name")
    monkeypatch.chdir(elsewhere)
    source_hash.cache_clear()
    assert source_hash("prov_single.py:Toy", f"{single}:SPEC") == wanted


def test_built_in_methods_are_one_module_each():
    path = importlib.import_module("vpbench.harness.references.specs").__file__
    assert source_hash("vpbench.harness.references.specs:X") == file_sha256(provenance.Path(path))


@pytest.mark.parametrize("factory", ["", ":", "no_such:X", "sys:X", "./no.py:X", "..x:Y"])
def test_no_source_is_an_empty_hash(factory):
    assert source_hash(factory) == ""


MODULES = {
    "method.py": "from . import nets\nimport numpy\ndef fit():\n    from prov_toy.sub import deep",
    "nets.py": "from .layers import conv\nimport prov_toy.extra",
    "layers.py": "conv = 1",
    "extra.py": "import os",
    "sub/deep.py": "from ..loss import l1\nfrom ... import nowhere",
    "loss.py": "from prov_toy import layers as l",
    "spec.py": "import prov_toy.method",
    "figures.py": "from prov_toy.method import fit",
}


def changes(package, name, factory="prov_toy.method:Toy"):
    """Whether one more line in a file makes another source of training."""
    training_source.cache_clear()
    before = training_source(factory)
    with (package / name).open("a") as stream:
        stream.write("\n# more")
    training_source.cache_clear()
    return training_source(factory) != before


def test_the_source_of_a_training_is_what_its_module_imports(package):
    for name, text in MODULES.items():
        (package / name).write_text(text)
    names = [*MODULES, "__init__.py", "sub/__init__.py"]
    counted = {name for name in names if changes(package, name)}
    assert counted == set(names) - {"spec.py", "figures.py"}
    assert changes(package, "spec.py", "prov_toy.spec:X")
    assert not changes(package, "loss.py", "prov_toy.nets:X")
    assert "prov_toy.method" not in sys.modules


def test_the_source_of_a_training_in_one_file_is_that_file(package):
    single = package.parent / "prov_single.py"
    training_source.cache_clear()
    assert training_source("prov_single:Toy") == file_sha256(single)
    assert training_source(":Toy", f"{single}:SPEC") == file_sha256(single)
    assert training_source("no_such:X") == ""
    (package / "method.py").write_text("def broken(:")
    training_source.cache_clear()
    assert len(training_source("prov_toy.method:Toy")) == 64


def test_packages_are_named_with_their_versions():
    names = packages()
    assert any(n.startswith("numpy==") for n in names) and names == sorted(names, key=str.lower)
    assert not any("None" in n for n in names)


def test_the_machine_in_plain_json():
    found = machine()
    assert found["cores"] >= 1 and found["memory_gib"] > 0 and found["host"]
    assert all(isinstance(v, str | int | float) for v in found.values())
    assert peak_memory_mib() > 10


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
