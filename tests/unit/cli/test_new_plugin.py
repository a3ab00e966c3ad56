"""What `new-plugin` writes, and what it refuses."""

import json
import subprocess
import sys
import tomllib

import pytest
from new_plugin_toys import (
    generate,
)

from vpbench.api import (
    Unwritable,
    UsageError,
)
from vpbench.cli.new_plugin import KINDS, LONGEST
from vpbench.core.discovery import GROUPS

ALL = list(KINDS)


@pytest.mark.parametrize("kind", ALL)
def test_a_package_is_complete(kind, tmp_path):
    generate(tmp_path, "my-thing", kind)
    folder = tmp_path / "vpbench-my-thing"
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    usual = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        ".gitignore",
        ".github/workflows/check.yml",
        "tests/test_conformance.py",
        "vpbench_my_thing/__init__.py",
        "vpbench_my_thing/spec.py",
    }
    assert usual < files
    assert not any("$" in name or name.endswith(".tmpl") for name in files)
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]
    assert set(points) <= set(GROUPS)
    assert points[f"vpbench.{KINDS[kind].group}"]["my-thing"] == "vpbench_my_thing.spec:SPEC"
    assert project["project"]["dependencies"] == ["vpbench"]
    text = "".join((folder / name).read_text() for name in files)
    assert "$" not in text
    assert text.count("EDIT 1") == 1 and text.count("EDIT 2") == 1
    assert len((folder / "README.md").read_text().splitlines()) <= 22
    test = (folder / "tests/test_conformance.py").read_text()
    assert len([line for line in test.splitlines() if line]) == 2


@pytest.mark.parametrize("name", ["x", "a" + "b" * (LONGEST - 1)])
@pytest.mark.parametrize("kind", ALL)
def test_generated_code_is_clean_for_short_and_long_names(kind, name, tmp_path):
    generate(tmp_path, name, kind)
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *words, "--no-cache", "."],
            cwd=tmp_path / f"vpbench-{name}",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_specs_import_neither_numpy_nor_torch(tmp_path):
    for kind in ALL:
        generate(tmp_path, f"my-{kind}", kind)
    names = [f"vpbench_my_{kind.replace('-', '_')}.spec" for kind in ALL]
    code = (
        f"import sys\nfor kind in {ALL!r}: sys.path.insert(0, f'vpbench-my-{{kind}}')\n"
        f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    "name", ["", "My-method", "1st", "a_b", "a--b", "a-", "a/b", "../a", "a b", "é", "x" * 41]
)
def test_bad_names_are_refused(name, tmp_path):
    with pytest.raises(UsageError, match="is not a plugin name"):
        generate(tmp_path, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("copy-last", "end-to-end"),
        ("copy-last", "composed"),
        ("psnr", "metric"),
        ("puppets", "dataset"),
    ],
)
def test_names_that_are_registered_are_refused(name, kind, tmp_path):
    with pytest.raises(UsageError, match=f"{name!r} already, from builtin"):
        generate(tmp_path, name, kind)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_the_runs_is_no_name(tmp_path):
    with pytest.raises(UsageError, match="reserved by vpbench"):
        generate(tmp_path, "stages")


def test_an_existing_python_package_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "here/vpbench_taken").mkdir(parents=True)
    (tmp_path / "here/vpbench_taken/__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    with pytest.raises(UsageError, match="a Python package vpbench_taken exists already"):
        generate(tmp_path, "taken")


@pytest.mark.parametrize("there", ["folder", "file", "dead link"])
def test_nothing_is_overwritten(there, tmp_path):
    place = tmp_path / "vpbench-my-thing"
    if there == "folder":
        place.mkdir()
    elif there == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists; nothing was written"):
        generate(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["vpbench-my-thing"]
    assert there != "file" or place.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable):
        generate(tmp_path / "file" / "below")


@pytest.mark.parametrize(("kind", "count"), [("metric", 3), ("dataset", 4)])
def test_json_names_files_and_the_next_commands(kind, count, tmp_path):
    told = json.loads(generate(tmp_path, "my-thing", kind, "--json"))
    folder = tmp_path / "vpbench-my-thing"
    assert told["schema"] == "vpbench.new-plugin/1"
    assert told["folder"] == str(folder)
    assert told["files"] == sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
    )
    assert len(told["next"]) == count
    text = generate(tmp_path / "b", "my-thing", kind)
    assert [line.strip() for line in text.splitlines()][1 - count :] == told["next"][1:]


def test_next_commands_survive_spaces_in_the_path(tmp_path):
    text = generate(tmp_path / "two words")
    assert f"-e '{tmp_path}/two words/vpbench-my-thing'" in text
