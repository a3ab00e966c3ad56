"""Tables of the code behind a result, and what has changed of it."""

import importlib
import json
import os
import sys
import time
from pathlib import Path

import entrypoints
import pytest

from tests.forget import forget_modules
from vpbench.core import code
from vpbench.core.code import (
    Root,
    changed_modules,
    code_table,
    describe_change,
    digest_cache,
    factory_modules,
    loaded_files,
    module_file,
    roots_of,
    short_names,
    source_digest,
    table_id,
)
from vpbench.core.stat_cache import StatCache


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A package of two modules that has been imported by a process that began later."""
    folder = tmp_path / "code_toy"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "method.py").write_text("from code_toy.nets import GAIN\n")
    (folder / "nets.py").write_text("GAIN = 2\n")
    (folder / "unused.py").write_text("GAIN = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(code, "STARTED", time.time() + 60)
    forget_modules()
    importlib.import_module("code_toy.method")
    yield folder
    for name in [n for n in sys.modules if n.startswith("code_toy")]:
        del sys.modules[name]
    forget_modules()


def of_plugin(roots, digests=None):
    """The table of the plugin's modules alone."""
    table = code_table(roots, digests or StatCache(None, code._file_digest))
    mine = {k: v for k, v in table["modules"].items() if "code_toy" in k or "code_one" in k}
    return {**table, "modules": mine}


def fresh():
    return StatCache(None, code._file_digest)


FACTORY = [("code_toy.method:Toy", "")]


def test_a_table_has_the_loaded_modules_of_vpbench_and_of_the_plugin(plugin):
    table = code_table(roots_of(FACTORY), fresh())
    names = set(table["modules"])
    assert {n for n in names if n.startswith("code_toy")} == {
        "code_toy",
        "code_toy.method",
        "code_toy.nets",
    }
    others = names - {"code_toy", "code_toy.method", "code_toy.nets"}
    assert "vpbench.core.code" in others
    assert {n.partition(".")[0] for n in others} == {"vpbench"}
    assert table["modules"]["code_toy.nets"] == source_digest(b"GAIN = 2\n")
    assert table["environment"]["packages"]


def test_an_edit_is_a_changed_module_and_a_comment_is_not(plugin):
    table = of_plugin(roots_of(FACTORY))
    assert changed_modules(table, fresh()) == []
    (plugin / "nets.py").write_text("GAIN = 2  # loud\n")
    assert changed_modules(table, fresh()) == []
    (plugin / "nets.py").write_text("GAIN = 1  # soft\n")
    (plugin / "unused.py").write_text("GAIN = 4\n")  # was not loaded
    assert changed_modules(table, fresh()) == ["code_toy.nets"]
    (plugin / "method.py").unlink()
    assert changed_modules(table, fresh()) == ["code_toy.method", "code_toy.nets"]


def test_a_table_is_named_by_what_is_in_it(plugin):
    table = of_plugin(roots_of(FACTORY))
    name = table_id(table)
    assert len(name) == 16 and table_id(of_plugin(roots_of(FACTORY))) == name
    other = {**table["modules"], "code_toy.nets": "0"}
    assert table_id({**table, "modules": other}) != name
    assert table_id({**table, "environment": {}}) != name


def test_a_module_that_moves_to_another_folder_is_the_same_module(plugin, tmp_path, monkeypatch):
    """Installed from a wheel instead of a checkout, say."""
    table = of_plugin(roots_of(FACTORY))
    target = tmp_path / "elsewhere" / "code_toy"
    target.parent.mkdir()
    plugin.rename(target)
    monkeypatch.syspath_prepend(str(target.parent))
    for name in table["modules"]:
        del sys.modules[name]  # as in the process that looks
    forget_modules()
    assert module_file("code_toy.nets") == target / "nets.py"
    assert changed_modules(table, fresh()) == []
    (target / "nets.py").write_text("GAIN = 9\n")
    assert changed_modules(table, fresh()) == ["code_toy.nets"]


def test_a_module_that_becomes_a_package_is_found(plugin):
    table = of_plugin(roots_of(FACTORY))
    (plugin / "nets").mkdir()
    (plugin / "nets.py").rename(plugin / "nets" / "__init__.py")
    assert changed_modules(table, fresh()) == []


def test_a_module_that_was_edited_while_the_process_ran_never_counts_as_unchanged(
    plugin, monkeypatch
):
    """What is on disk then is not what was loaded; to edit it back proves nothing either."""
    started = time.time()
    monkeypatch.setattr(code, "STARTED", started)
    for path in plugin.glob("*.py"):
        os.utime(path, (started - 10, started - 10))
    (plugin / "nets.py").write_text("GAIN = 5\n")
    os.utime(plugin / "nets.py", (started + 5, started + 5))
    table = of_plugin(roots_of(FACTORY))
    assert table["modules"]["code_toy.method"] != "edited while it ran"
    assert table["modules"]["code_toy.nets"] == "edited while it ran"
    assert changed_modules(table, fresh()) == ["code_toy.nets"]
    (plugin / "nets.py").write_text("GAIN = 2\n")
    assert changed_modules(table, fresh()) == ["code_toy.nets"]


def test_a_module_whose_time_lies_ahead_was_not_edited(plugin):
    """As from an archive of a machine whose clock was wrong: it was there before the process."""
    for path in plugin.glob("*.py"):
        os.utime(path, (time.time() + 86400, time.time() + 86400))
    table = of_plugin(roots_of(FACTORY))
    assert "edited while it ran" not in table["modules"].values()
    assert changed_modules(table, fresh()) == []


@pytest.fixture
def single(tmp_path, monkeypatch):
    """A plugin of one file with a helper beside it, loaded as the registry loads it."""
    from vpbench.core.loading import load_object

    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "code_one.py").write_text("from code_one_helper import GAIN\nSPEC = GAIN\n")
    (folder / "code_one_helper.py").write_text("GAIN = 2\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(code, "STARTED", time.time() + 60)
    assert load_object(f"{folder / 'code_one.py'}:SPEC") == 2
    yield folder / "code_one.py"
    for name in [n for n in sys.modules if "code_one" in n]:
        del sys.modules[name]
    forget_modules()


def test_a_single_file_counts_with_the_modules_beside_it(single):
    roots = roots_of([(":Toy", f"{single}:SPEC")])
    assert single.parent in [root.path for root in roots]
    table = of_plugin(roots)
    helper = single.with_name("code_one_helper.py")
    assert set(table["modules"]) == {f"file:{single}", f"file:{helper}"}
    assert changed_modules(table, fresh()) == []
    helper.write_text("GAIN = 3\n")
    assert changed_modules(table, fresh()) == [f"file:{helper}"]
    single.write_text("SPEC = 1\n")
    assert short_names(changed_modules(table, fresh())) == "code_one.py, code_one_helper.py"


def test_what_lies_beside_a_single_file_is_found_by_processes_that_never_load_it(
    single, monkeypatch
):
    """The file puts its folder on the path for itself; `compare` does not."""
    table = of_plugin(roots_of([(":Toy", f"{single}:SPEC")]))
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(single.parent)])
    for name in [n for n in sys.modules if "code_one" in n]:
        monkeypatch.delitem(sys.modules, name)
    forget_modules()
    assert changed_modules(table, fresh()) == []


def test_factories_name_the_modules_that_they_come_from(single):
    named = factory_modules([(":Toy", f"{single}:SPEC"), ("code_one_helper:X", "code_one_helper")])
    assert named == [f"file:{single}", "code_one_helper"]
    assert factory_modules([("no_such_module:X", "no_such_module")]) == []


def test_a_single_file_that_is_imported_as_a_module_too(single, monkeypatch):
    """`factory="code_one:Toy"` works where the folder is on the path, and `compare` elsewhere."""
    importlib.import_module("code_one")
    factories = [("code_one:Toy", f"{single}:SPEC")]
    table = of_plugin(roots_of(factories))
    assert f"file:{single}" in table["modules"] and "code_one" not in table["modules"]
    assert not [name for name in table["modules"] if name.startswith("vpbench_file_")]
    assert factory_modules(factories) == [f"file:{single}"]
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(single.parent)])
    for name in [n for n in sys.modules if "code_one" in n]:
        monkeypatch.delitem(sys.modules, name)
    forget_modules()
    assert f"file:{single}" not in changed_modules(table, fresh())
    single.write_text("SPEC = 1\n")
    assert f"file:{single}" in changed_modules(table, fresh())


def test_a_single_file_that_moves_is_another_one(single, tmp_path):
    table = of_plugin(roots_of([(":Toy", f"{single}:SPEC")]))
    single.rename(tmp_path / "code_one.py")
    assert changed_modules(table, fresh()) == [f"file:{single}"]


def test_a_module_in_site_packages_counts_without_what_lies_beside_it():
    """A distribution of one module, and a package."""
    shared = Path(entrypoints.__file__).parent
    roots = roots_of([("entrypoints:X", ""), ("pytest:X", "")])
    assert not {shared, shared.resolve()} & {root.path for root in roots}
    files = loaded_files(roots)
    assert {"entrypoints", "pytest", "vpbench"} <= {n.partition(".")[0] for n in files}
    assert "numpy" not in files


def test_an_environment_inside_the_folder_of_a_plugin_does_not_count(single, monkeypatch):
    folder = single.parent / ".venv" / "site-packages"
    (folder / "theirs-1.0.dist-info").mkdir(parents=True)
    (folder / "code_one_theirs.py").write_text("")
    monkeypatch.syspath_prepend(str(folder))
    forget_modules()
    importlib.import_module("code_one_theirs")
    roots = roots_of([(":Toy", f"{single}:SPEC")])
    helper = single.with_name("code_one_helper.py")
    assert set(of_plugin(roots)["modules"]) == {f"file:{single}", f"file:{helper}"}
    assert "code_one_theirs" in loaded_files([Root(folder / "code_one_theirs.py")])


def test_all_packages_of_a_distribution_count(site):
    for name in ("made_one", "made_two", "made_three"):
        site.module(name, "")
    info = site.add("made-dist", None)
    (info / "top_level.txt").write_text("made_one\nmade_two\n")
    (site.folder / "made_pack").mkdir()
    (site.folder / "made_pack" / "__init__.py").write_text("")
    other = site.add("made-more", None)
    (other / "top_level.txt").write_text("made_pack\nmade_three\n")
    forget_modules()
    roots = roots_of([("made_pack.method:X", "")])
    paths = {root.path for root in roots}
    assert {site.folder / "made_pack", site.folder / "made_three.py"} <= paths
    assert site.folder / "made_one.py" not in paths
    forget_modules()


def test_digests_are_kept_in_the_cache_of_the_user(tmp_path):
    digests = digest_cache(tmp_path)
    assert digests is digest_cache(tmp_path) and digests is not digest_cache(tmp_path / "other")
    assert digests.of(Path(code.__file__)) == source_digest(Path(code.__file__).read_bytes())
    assert digests.path is not None and tmp_path in digests.path.parents


def test_many_changed_modules_are_counted():
    assert short_names(["a", "b"]) == "a, b"
    assert short_names(["a", "file:/x/y.py", "c", "d", "e"]) == "a, y.py, c and 2 more"
    assert short_names(["a", "b"], 1) == "a and 1 more"


@pytest.mark.parametrize(
    ("listed", "counts"),
    [
        (("made_pack/__init__.py", "made_pack/deep/x.py", "made_three.py"), True),
        (("made_pack/__init__.py", "made_ns/inner/__init__.py"), True),
        (("made_three.py",), False),  # of another author
    ],
)
def test_a_distribution_without_top_level_is_known_by_its_files(site, listed, counts):
    """As hatchling, poetry and flit make them."""
    for name in {*listed, "made_pack/__init__.py"}:
        path = site.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    info = site.add("made-dist", None)
    (info / "RECORD").write_text("".join(f"{n},,\n" for n in (*listed, f"{info.name}/RECORD")))
    forget_modules()
    paths = {root.path for root in roots_of([("made_pack.method:X", "")])}
    outermost = {"made_three.py": site.folder / "made_three.py"}
    outermost["made_ns/inner/__init__.py"] = site.folder / "made_ns" / "inner"
    assert {outermost[n] in paths for n in listed if n in outermost} == {counts}
    forget_modules()


@pytest.mark.parametrize("editable", [True, False])
def test_of_an_editable_install_the_packages_beside_count(site, tmp_path, monkeypatch, editable):
    source = tmp_path / "project" / "src"
    (source / "made_pack").mkdir(parents=True)
    (source / "made_pack" / "__init__.py").write_text("")
    (source / "made_three.py").write_text("")
    info = site.add("made-dist", None)
    origin = {"url": (tmp_path / "project").as_uri(), "dir_info": {"editable": editable}}
    (info / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(sys, "path", [str(source), *sys.path])
    forget_modules()
    importlib.import_module("made_three")
    files = loaded_files(roots_of([("made_pack:X", "")]))
    assert ("made_three" in files) == editable
    forget_modules()


def test_a_change_is_described_as_code_or_data():
    assert describe_change(["a", "data:/x/w.txt"]) == "code of a, w.txt changed"
    assert describe_change(["data:/x/w.txt"]) == "w.txt changed"
