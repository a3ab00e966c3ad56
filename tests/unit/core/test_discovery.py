"""Two ways of finding plugins, and what each makes of odd distributions."""

import shutil
import sys

import pytest

from vpbench.core import discovery
from vpbench.core.discovery import GROUPS, PluginRef, by_entrypoints, by_metadata, culprits


def refs(finder):
    return {(r.kind, r.name, r.value, r.dist, r.version) for r in finder()}


def both(expected):
    assert refs(by_entrypoints) == refs(by_metadata) == expected
    assert all(r.source == "entry-point" for r in by_entrypoints() + by_metadata())


def test_all_groups_are_found_alike(site):
    text = "".join(f"[{group}]\nthing = pkg.{kind}:SPEC\n" for group, kind in GROUPS.items())
    site.add("a-plugin", "[console_scripts]\nrun = a:main\n" + text)
    both({(kind, "thing", f"pkg.{kind}:SPEC", "a-plugin", "1.0") for kind in GROUPS.values()})


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("mine = pkg.mod:SPEC", "mine", "pkg.mod:SPEC"),
        ("mine=pkg.mod:SPEC", "mine", "pkg.mod:SPEC"),
        ("mine = pkg.mod:SPEC [extra, other]", "mine", "pkg.mod:SPEC"),
        ("mine = pkg.mod : SPEC.inner", "mine", "pkg.mod:SPEC.inner"),
        ("mine = pkg", "mine", "pkg"),
        ("MiXed-Case = pkg:S", "MiXed-Case", "pkg:S"),
        ("größe = pkg.größe:SPEC", "größe", "pkg.größe:SPEC"),
        ("with space = pkg:S", "with space", "pkg:S"),
        ("mine =", "mine", ""),
        ("mine = !!! no module !!!", "mine", "!!!nomodule!!!"),
        ("a:b = pkg:S", "a:b", "pkg:S"),
    ],
)
def test_one_entry_point_is_found_alike(site, line, name, value):
    site.add("one", f"# comment\n\n[vpbench.methods]\n{line}\n")
    both({("method", name, value, "one", "1.0")})


@pytest.mark.parametrize("text", [None, "", "\n\n", "[vpbench.methods]\n", "[other]\na = b:c\n"])
def test_nothing_announced_is_nothing_found(site, text):
    site.add("empty", text)
    both(set())


def test_names_of_distributions_are_compared_as_packaging_tools_do(site):
    site.add("My.Big_Plugin", "[vpbench.methods]\na = b:C\n", "2.0rc1")
    both({("method", "a", "b:C", "my-big-plugin", "2.0rc1")})


def test_the_first_of_two_copies_on_the_path_counts(site, tmp_path, monkeypatch):
    later = tmp_path / "later"
    site.add("copy", "[vpbench.methods]\na = new:C\n", "2.0")
    site.add("Copy", "[vpbench.methods]\na = old:C\n", "1.0", folder=later)
    monkeypatch.setattr(sys, "path", [*sys.path, str(later)])
    both({("method", "a", "new:C", "copy", "2.0")})


def test_an_egg_info_beside_the_source_has_a_version_too(site):
    info = site.folder / "dev_plugin.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: dev-plugin\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[vpbench.methods]\na = b:C\n")
    both({("method", "a", "b:C", "dev-plugin", "0.3")})


def test_distributions_with_broken_metadata_do_not_hide_each_other(site):
    site.add("one", "[vpbench.methods]\na = b:C\n", metadata=False)
    site.add("two", "[vpbench.methods]\nb = b:C\n", metadata=False)
    site.add("three", b"\xff\xfe\n")
    assert {r.name for r in by_metadata()} == {"a", "b"}
    assert all(r.version is not None and r.dist is not None for r in by_metadata())


GOOD = {("method", "good", "g:S", "good-one", "1.0")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[console_scripts]\nrun = a:b\nrun = a:c\n", "DuplicateOptionError"),
        ("[x]\na = b\n[x]\nc = d\n", "DuplicateSectionError"),
        ("[vpbench.metrics]\nm = pkg:S%x\n", "InterpolationSyntaxError"),
        ("no section = here\n", "MissingSectionHeaderError"),
        ("[x]\nno equals sign\n", "ParsingError"),
        (b"[x]\na = \xff\n", "UnicodeDecodeError"),
    ],
)
def test_a_broken_distribution_makes_the_whole_discovery_fall_back(site, text, said):
    site.add("good-one", "[vpbench.methods]\ngood = g:S\n")
    assert discovery.installed().finder == "entrypoints"
    assert culprits() == []
    site.add("bad-one", text, "6.6")
    found = discovery.installed()
    assert found.finder == "importlib.metadata" and said in found.trouble
    assert refs(lambda: found.refs) >= GOOD
    (guilty,) = culprits()
    assert guilty.startswith("bad-one 6.6: ") and said in guilty
    shutil.rmtree(site.folder / "bad_one-6.6.dist-info")
    discovery._installed.cache_clear()
    assert discovery.installed().finder == "entrypoints"


def test_a_percent_sign_elsewhere_harms_nobody_and_nobody_is_blamed(site):
    site.add("good-one", "[vpbench.methods]\ngood = g:S\n")
    site.add("fine", "[console_scripts]\nrun = a:b%c\n")
    assert discovery.installed().finder == "entrypoints" and culprits() == []


def test_malformed_lines_in_a_vpbench_group_are_rows_of_their_own(site):
    site.add("good-one", "[vpbench.methods]\ngood = g:S\n")
    site.add("bad-one", "[vpbench.methods]\n# note\nno equals sign\nfine = f:S [x]\n[o]\na=b:c\n")
    found = discovery.installed()
    assert refs(lambda: found.refs) == GOOD | {
        ("method", "no equals sign", "", "bad-one", "1.0"),
        ("method", "fine", "f:S", "bad-one", "1.0"),
    }


def test_a_percent_sign_is_kept_by_the_fallback(site):
    site.add("odd", "[vpbench.metrics]\nm = pkg:S%x\n")
    assert refs(lambda: discovery.installed().refs) == {("metric", "m", "pkg:S%x", "odd", "1.0")}


def test_asked_once_a_path(site, monkeypatch):
    calls = []
    monkeypatch.setattr(discovery, "by_entrypoints", lambda: calls.append(1) or [])
    assert discovery.installed() == discovery.installed()
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere"])
    discovery.installed()
    assert len(calls) == 2


@pytest.fixture
def everything(site, tmp_path, monkeypatch):
    """A plugin from every source."""
    folder = tmp_path / "config" / "vpbench" / "plugins"
    folder.mkdir(parents=True)
    for name in ("b.py", "a.py", "_private.py", ".hidden.py", "notes.txt"):
        (folder / name).write_text("")
    site.add("dist", "[vpbench.methods]\nz = m:Z\ny = m:Y\n")
    monkeypatch.setenv("VPBENCH_PLUGINS", " env.one:S, ,env.two ")
    return folder


def test_every_source_in_its_precedence(everything):
    builtin = [PluginRef("", "", "own:B", "builtin")]
    found = discovery.discover(builtin, ["./cli.py:S"])
    assert [(r.source, r.value) for r in found.refs] == [
        ("cli", "./cli.py:S"),
        ("env", "env.one:S"),
        ("env", "env.two"),
        ("folder", str(everything / "a.py")),
        ("folder", str(everything / "b.py")),
        ("entry-point", "m:Y"),
        ("entry-point", "m:Z"),
        ("builtin", "own:B"),
    ]


def test_without_plugins_only_what_is_named_or_built_in_is_left(everything, monkeypatch):
    monkeypatch.setenv("VPBENCH_NO_PLUGINS", "1")
    found = discovery.discover([PluginRef("", "", "own:B", "builtin")], ["./cli.py:S"])
    assert [r.source for r in found.refs] == ["cli", "builtin"]
    assert "VPBENCH_NO_PLUGINS" in found.finder
    monkeypatch.setenv("VPBENCH_NO_PLUGINS", "0")
    assert len(discovery.discover([]).refs) == 6


def test_no_plugin_folder_is_no_plugins(site):
    assert discovery.from_folder() == []
