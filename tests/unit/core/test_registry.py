"""Specs by kind and name; whatever a plugin does, it is one row."""

import sys
from pathlib import Path

import pytest

from vpbench.api import MethodFailed, MissingDependency, UnknownName, UsageError
from vpbench.core import registry
from vpbench.core.loading import load_object
from vpbench.core.registry import build

PLUGIN = "from vpbench.api import *\n"


def row(found, kind, name):
    (only,) = [e for e in found.of(kind) if e.name == name]
    return only


def test_a_plugin_is_found_and_nothing_but_its_spec_is_imported(site):
    site.method("my-dist", "mine")
    found = build()
    assert found.finder == "entrypoints" and not found.trouble
    entry = row(found, "method", "mine")
    assert (entry.status, entry.origin) == ("ok", "my-dist 1.0")
    assert found.method("mine").summary == "summary" and "made" not in sys.modules
    assert {"psnr", "ssim"} <= set(found.names("metric"))
    assert found.dataset("folder").name == "folder"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise ImportError('a\\nb')", "ImportError: a"),
        ("this is no python", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError", "ValueError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("from vpbench.api import *\nSPEC = MethodSpec('mine', 'a:B', 's', sumary='x')", "sumary"),
        (
            "from vpbench.api import *\nSPEC = MethodSpec('mine', 'a:B', 's', api=2)",
            "mine needs plugin api 2",
        ),
        (
            "from vpbench.api import *\nSPEC = MethodSpec('mine', 'a:B', 's', api='1')",
            "must be an integer",
        ),
        (
            "from vpbench.api import *\nSPEC = MethodSpec('other', 'a:B', 's')",
            "announced as 'mine' and calls itself 'other'",
        ),
        ("from vpbench.api import *\nSPEC = MethodSpec(3, 'a:B', 's')", "calls itself 3"),
        (
            "from vpbench.api import *\nSPEC = ExecutorSpec('mine', 'a:B', 's')",
            "is a ExecutorSpec, not a MethodSpec",
        ),
        (
            "from vpbench.api import *\nSPEC = MethodSpec('mine', 'a:B', 's', kind='ceiling')",
            "kind='ceiling' is for rows of vpbench",
        ),
        ("SPEC = 'mine'", "contains no spec"),
        ("class SPEC: pass", "contains no spec"),
        ("SPEC = None", "contains no spec"),
        ("SPEC = [1, 2]", "contains no spec"),
        ("", "has no SPEC"),
    ],
)
def test_whatever_a_plugin_does_is_one_broken_row_with_its_reason(site, text, said):
    site.method("fine-dist", "fine")
    site.module("mine_specs", text)
    site.add("bad-dist", "[vpbench.methods]\nmine = mine_specs:SPEC\n", "2.0")
    found = build()
    entry = row(found, "method", "mine")
    assert entry.status == "broken" and said in entry.reason and "\n" not in entry.reason
    assert found.method("fine").name == "fine"
    assert "mine" in found.names("method")
    with pytest.raises(UsageError, match=r"'mine' \(bad-dist 2.0\) is broken: ") as caught:
        found.method("mine")
    assert said in str(caught.value)


@pytest.mark.parametrize("value", ["", ":", "!!!", "no_such_module_here:X", "a b c"])
def test_malformed_announcements_are_broken_rows(site, value):
    site.add("bad-dist", f"[vpbench.metrics]\nmine = {value}\n")
    assert row(build(), "metric", "mine").status == "broken"


def test_a_line_without_a_value_is_a_broken_row_of_the_fallback(site):
    site.method("fine-dist", "fine")
    site.add("bad-dist", "[vpbench.methods]\nmine\n")
    found = build()
    assert found.finder == "importlib.metadata" and "ParsingError" in found.trouble
    assert row(found, "method", "mine").status == "broken"
    assert row(found, "method", "fine").status == "ok"


@pytest.mark.parametrize("name", ["Mine", "my_method", "a:b", "stages"])
def test_names_that_no_plugin_may_have(site, name):
    site.module("mine_specs", PLUGIN + f"SPEC = MethodSpec({name!r}, 'a:B', 's')")
    found = build(["mine_specs:SPEC"])
    assert row(found, "method", name).status == "broken"


def test_two_packages_with_one_name_are_an_error_only_on_use(site):
    site.method("first-dist", "mine", "1.0", licence="A")
    site.method("second-dist", "mine", "2.5", licence="B")
    found = build()
    assert [e.status for e in found.of("method") if e.name == "mine"] == ["ok", "ok"]
    with pytest.raises(UsageError) as caught:
        found.method("mine")
    for words in ("first-dist==1.0", "second-dist==2.5", "first-dist:mine"):
        assert words in str(caught.value)
    assert found.method("first-dist:mine").licence == "A"
    assert found.method("Second_Dist:mine").licence == "B"
    assert found.exact_name("method", "second-dist:mine") == "second-dist:mine"
    with pytest.raises(UnknownName):
        found.method("third-dist:mine")


def test_a_broken_rival_is_still_a_rival(site):
    site.method("first-dist", "mine")
    site.add("second-dist", "[vpbench.methods]\nmine = not_there_at_all:SPEC\n", "2.5")
    found = build()
    with pytest.raises(UsageError, match=r"second-dist==2\.5"):
        found.method("mine")
    assert found.method("first-dist:mine")
    with pytest.raises(UsageError, match="is broken"):
        found.method("second-dist:mine")


def test_exact_names_are_short_where_nothing_is_in_doubt(site):
    site.method("only-dist", "mine")
    found = build()
    assert found.exact_name("method", "only-dist:mine") == "mine"
    assert found.exact_name("method", "copy-last") == "copy-last"


def test_precedence_and_shadowed_rows(site, tmp_path, monkeypatch, write_method):
    folder = tmp_path / "config" / "vpbench" / "plugins"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(write_method("mine", licence="folder"))
    site.module("env_specs", write_method("mine", licence="env"))
    cli = tmp_path / "cli.py"
    cli.write_text(write_method("mine", licence="cli"))
    site.method("my-dist", "mine", licence="entry-point")
    monkeypatch.setenv("VPBENCH_PLUGINS", "env_specs:SPEC")

    def states(*extra):
        return [(e.ref.source, e.status) for e in build(extra).of("method") if e.name == "mine"]

    sources = ["env", "folder", "entry-point"]
    assert states() == list(zip(sources, ["ok", "shadowed", "shadowed"], strict=True))
    found = build([f"{cli}:SPEC"])
    assert found.method("mine").licence == "cli"
    assert [e.reason for e in found.of("method") if e.name == "mine"] == [
        "",
        *[f"by {cli}:SPEC"] * 3,
    ]
    assert found.names("method").count("mine") == 1
    assert found.method("my-dist:mine").licence == "entry-point"
    assert found.exact_name("method", "my-dist:mine") == "my-dist:mine"
    monkeypatch.setenv("VPBENCH_NO_PLUGINS", "1")
    assert states() == []
    assert build().method("noise").kind == "null"


def test_a_name_of_ours_is_nobody_elses(site, tmp_path, monkeypatch, write_method):
    """From a package, a file, the environment or the command line: ours stays in force."""
    site.method("null-dist", "noise", licence="entry-point")
    (tmp_path / "mine.py").write_text(write_method("copy-last"))
    monkeypatch.setenv("VPBENCH_PLUGINS", str(tmp_path / "mine.py"))
    found = build()
    for name in ("noise", "copy-last"):
        rows = [e for e in found.of("method") if e.name == name]
        assert [(e.status, e.clashes) for e in rows] == [("ok", False), ("broken", True)]
        assert rows[1].reason == f"the name {name!r} belongs to a method of vpbench; choose another"
        assert found.method(name).kind == "null" and found.names("method").count(name) == 1
        assert found.exact_name("method", name) == name
    with pytest.raises(UsageError, match="belongs to a method of vpbench"):
        found.find("method", "null-dist:noise")
    monkeypatch.delenv("VPBENCH_PLUGINS")
    with pytest.raises(UsageError, match="belongs to a method of vpbench") as caught:
        build([str(tmp_path / "mine.py")]).find("method", "copy-last")
    assert caught.value.exit_code == 2


def test_another_kind_may_have_a_name_of_ours(site):
    spec = "ComponentSpec('noise', 'motion', 'made:Up', 'summary')"
    site.module("noisy_specs", f"from vpbench.api import *\nSPEC = {spec}\n")
    site.add("my-dist", "[vpbench.components]\nnoise = noisy_specs:SPEC\n")
    assert build().component("noise").name == "noise"


def test_without_plugins_the_built_in_ones_still_work(site, monkeypatch):
    site.add("bad", "[vpbench.methods]\nx = not_there_at_all:S\n")
    monkeypatch.setenv("VPBENCH_NO_PLUGINS", "1")
    found = build()
    assert {e.ref.source for e in found.entries} == {"builtin"}
    assert {e.status for e in found.entries} == {"ok"}


def test_a_file_with_several_specs_each_counted_once(tmp_path, site, write_method):
    path = tmp_path / "many.py"
    path.write_text(
        write_method("one") + "AGAIN = SPEC\nPART = ComponentSpec('part', 'motion', ':P', 's')\n"
        "class P: pass\n"
    )
    found = build([str(path)])
    mine = [(e.kind, e.name, e.status) for e in found.entries if e.ref.source == "cli"]
    assert sorted(mine) == [("component", "part", "ok"), ("method", "one", "ok")]
    assert found.factory("component", "part").__name__ == "P"
    assert found.factory("component", "part") is found.factory("component", "part")


def test_a_plugin_file_that_is_not_there_is_a_broken_row(site):
    entry = row(build(["./nowhere.py:SPEC"]), "method", "nowhere")
    assert "there is no plugin file" in entry.reason


@pytest.mark.parametrize("kind", ["method", "component", "dataset", "metric", "executor"])
def test_unknown_names_offer_the_nearest_and_the_list(site, kind):
    known = {
        "method": ("copy-last", "copylast"),
        "metric": ("psnr", "PSRN"),
        "dataset": ("folder", "foldr"),
        "executor": ("local", "locl"),
        "component": ("bend", "bedn"),
    }[kind]
    site.module("part_specs", PLUGIN + "P = ComponentSpec('bend', 'motion', 'a:B', 's')")
    with pytest.raises(UnknownName, match=rf"Did you mean {known[0]}.*vpbench list {kind}s"):
        build(["part_specs"]).spec(kind, known[1])


def factory(site, text, value, spec="made_specs:SPEC"):
    site.module("made_specs", PLUGIN + f"SPEC = MethodSpec('mine', {value!r}, 's')")
    site.module("made", text)
    return lambda: build([spec]).factory("method", "mine")


def test_factories_are_imported_on_use(site):
    assert factory(site, "class Up: pass", "made:Up")().__name__ == "Up"


@pytest.mark.parametrize(
    ("text", "value", "error", "said"),
    [
        ("", "made:Up", UsageError, "made has no Up"),
        ("", "madeup:Up", UsageError, "its factory madeup:Up does not exist"),
        ("import mad", "made:Up", MissingDependency, "needs the Python package 'mad'"),
        ("import no_such.sub", "made:Up", MissingDependency, "pip install no_such"),
        ("from os import no_such", "made:Up", MethodFailed, "cannot be imported: ImportError"),
        ("1 / 0", "made:Up", MethodFailed, "ZeroDivisionError"),
        ("raise SystemExit(1)", "made:Up", MethodFailed, "SystemExit"),
        ("def", "made:Up", MethodFailed, "SyntaxError"),
    ],
)
def test_factories_that_cannot_be_had(site, text, value, error, said):
    with pytest.raises(error, match=said):
        factory(site, text, value)()


def test_files_are_imported_once_and_not_left_half_done(tmp_path, site):
    path = tmp_path / "x.py"
    path.write_text("A = object()\nclass B:\n    C = 1\n")
    assert load_object(f"{path}:A") is load_object(f"{path}:A")
    assert load_object(f"{path}:B.C") == 1
    bad = tmp_path / "y.py"
    bad.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load_object(str(bad))
    with pytest.raises(UsageError, match=r"has no B\.D"):
        load_object(f"{path}:B.D")


def test_the_registry_is_built_once(site):
    assert registry.registry() is registry.registry()
    assert Path(registry.__file__).name == "registry.py"
