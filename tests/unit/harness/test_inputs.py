"""Files that a method reads by itself: what each net sees."""

import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from vpbench.core.hashing import file_sha256
from vpbench.core.input_files import changed_inputs
from vpbench.core.stat_cache import StatCache
from vpbench.harness.inputs import opened_files
from vpbench.harness.inputs.opened_files import OpenedFiles
from vpbench.harness.prediction.inputs import files_beside, new_beside, plugin_folders


def hashes():
    return StatCache(None, file_sha256)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A single-file plugin with one data file of each kind beside it, older than the process."""
    from vpbench.media.encode import write_mp4

    monkeypatch.setattr(opened_files, "STARTED", time.time() + 60)
    folder = tmp_path / "plug"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    (folder / "mine.py").write_text("")
    (folder / "table.csv").write_text("1,2")
    np.savez(folder / "net.npz", w=np.arange(3))
    save_file({"w": np.arange(3)}, folder / "net.safetensors")
    cv2.imwrite(str(folder / "mask.png"), frames[0])
    write_mp4(folder / "clip.mp4", frames, 25)
    return folder


class Method:
    """Enough of a resolved method to say where it comes from."""

    built_in = False

    def __init__(self, path, factory=":Mine"):
        self.factories = [(factory, f"{path}:SPEC")]


def by_av(path):
    import av

    with av.open(str(path)) as video:
        assert len(list(video.decode(video=0))) == 12


def by_safe_open(path):
    with safe_open(path, "numpy") as file:
        file.get_tensor("w")


PYTHON = {
    "open": ("table.csv", lambda p: p.open().read()),
    "os.open": ("table.csv", lambda p: os.close(os.open(p, os.O_RDONLY))),
    "bytes": ("table.csv", lambda p: open(os.fsencode(p)).close()),
    "np.load": ("net.npz", lambda p: np.load(p)["w"]),
    "np.loadtxt": ("table.csv", lambda p: np.loadtxt(p, delimiter=",")),
}
NATIVE = {
    "safetensors": ("net.safetensors", load_file),
    "safe_open": ("net.safetensors", by_safe_open),
    "cv2": ("mask.png", lambda p: cv2.imread(str(p)).mean()),
    "PyAV": ("clip.mp4", by_av),
}


def opened(read, *, ignore=(), folders=()):
    """Names of the files that one call is seen to open."""
    files = OpenedFiles()
    files.ignore(ignore)
    with files.watching():
        read()
    return {Path(row["path"]).name: row for row in files.files(folders, hashes())}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("how", PYTHON)
def test_what_python_opens_is_seen_wherever_it_lies(plugin, how):
    name, read = PYTHON[how]
    seen = opened(lambda: read(plugin / name))
    assert seen[name]["sha256"] == file_sha256(plugin / name)
    assert seen[name]["how"] == "opened" and set(seen) == {name}


@pytest.mark.parametrize("how", NATIVE)
def test_native_readers_open_past_the_hook_and_the_folder_accounts_for_them(plugin, how):
    name, read = NATIVE[how]
    assert name not in opened(lambda: read(plugin / name))
    beside = {
        Path(row["path"]).name: row for row in files_beside(Method(plugin / "mine.py"), hashes())
    }
    assert beside[name]["sha256"] == file_sha256(plugin / name) and beside[name]["how"] == "beside"


def test_a_path_relative_to_the_working_directory_or_through_a_link(plugin, monkeypatch):
    monkeypatch.chdir(plugin)
    os.symlink("table.csv", "link.csv")
    seen = opened(lambda: Path("link.csv").read_text())
    assert seen["table.csv"]["path"] == str(plugin.resolve() / "table.csv")


def test_only_what_is_opened_while_the_method_works_counts(plugin):
    files = OpenedFiles()
    (plugin / "table.csv").read_text()
    with files.watching():
        (plugin / "net.npz").read_bytes()
    (plugin / "mask.png").read_bytes()
    assert [Path(f["path"]).name for f in files.files([], hashes())] == ["net.npz"]


@pytest.mark.parametrize("mode", ["w", "a", "r+", "x"])
def test_what_the_method_writes_itself_is_not_an_input(plugin, mode):
    path = plugin / ("new.txt" if mode == "x" else "table.csv")

    def both():
        with path.open(mode) as stream:
            stream.write("x")
        path.read_text()

    assert opened(both) == {}


def test_code_and_what_is_accounted_for_elsewhere_does_not_count(plugin, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "shard.json").write_text("{}")
    (tmp_path / "runs-not.json").write_text("{}")

    def read():
        (plugin / "mine.py").read_text()
        (runs / "shard.json").read_text()
        (tmp_path / "runs-not.json").read_text()
        Path("/proc/self/status").read_text()
        Path(np.__file__).with_name("version.pyi").exists()
        (Path(np.__file__).parent / "__init__.py").read_text()

    assert set(opened(read, ignore=[runs])) == {"runs-not.json"}


def test_scratch_files_of_this_process_are_passed_over(plugin, tmp_path, monkeypatch):
    """In the temporary folder, and younger than the process; not what lay there before."""
    monkeypatch.setattr(opened_files.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(opened_files, "STARTED", time.time() - 1)
    os.utime(plugin / "net.npz", (1, 1))

    def read():
        (plugin / "table.csv").read_text()
        (plugin / "net.npz").read_bytes()

    assert set(opened(read)) == {"net.npz"}
    assert set(opened(read, folders=[plugin])) == {"net.npz", "table.csv"}


def test_a_file_that_is_gone_is_not_listed(plugin):
    def read():
        (plugin / "table.csv").read_text()
        (plugin / "table.csv").unlink()

    assert opened(read) == {}


def test_where_the_files_of_a_plugin_lie(plugin):
    assert plugin_folders(Method(plugin / "mine.py")) == [plugin]
    assert plugin_folders(Method("", "vpbench.harness.references.trivial:CopyLast")) == []
    assert plugin_folders(Method("", "entrypoints:X")) == []  # one module in site-packages
    (package,) = plugin_folders(Method("", "pytest:X"))
    assert package == Path(pytest.__file__).parent


def test_what_lies_beside_a_plugin_and_does_not_count(plugin):
    for name in (
        "README.md",
        "notes.rst",
        "run.log",
        "explore.ipynb",
        "mine-0f1e2d3c.vpb",
        "mine-toy.html",
        "leaderboards/toy/mine-0f1e2d3c.json",
        ".hidden",
        "helper.py",
        "lib.so",
        "py.typed",
        ".git/config",
        "__pycache__/x.pyc",
        "node_modules/a.js",
        "venv/pyvenv.cfg",
        "venv/lib/data.bin",
        "checkpoints/fit/stage.json",
        "checkpoints/fit/checkpoint/net.safetensors",
        "runs/t/m/01234567/run.json",
        "runs/t/m/01234567/predictions/00000.npz",
        "home/clips/a.npz",
    ):
        path = plugin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (plugin / "data").mkdir()
    (plugin / "data" / "deep.bin").write_text("x")
    found = files_beside(Method(plugin / "mine.py"), hashes(), [plugin / "home"])
    assert {Path(row["path"]).relative_to(plugin.resolve()).as_posix() for row in found} == {
        "clip.mp4",
        "data/deep.bin",
        "mask.png",
        "net.npz",
        "net.safetensors",
        "table.csv",
    }


def test_links_to_folders_are_followed_and_loops_end(plugin, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "net.bin").write_text("x")
    (plugin / "weights").symlink_to(elsewhere)
    (plugin / "again").symlink_to(elsewhere / "deep")
    (elsewhere / "loop").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(plugin)
    (plugin / "around").symlink_to(tmp_path)
    method = Method(plugin / "mine.py")
    found = files_beside(method, hashes())
    linked = [row for row in found if row["how"] == "linked"]
    assert [Path(row["path"]).name for row in linked] == ["net.bin"] and len(found) == 6
    own = [row for row in found if row["how"] == "beside"]
    assert new_beside(own, method, hashes(), (), linked=False) == []  # an earlier record
    assert new_beside(own, method, hashes(), ()) == [linked[0]["path"]]
    (elsewhere / "deep" / "net.bin").write_text("y")
    assert changed_inputs(found, hashes()) == [linked[0]["path"]]
    (elsewhere / "more.bin").write_text("")
    monkeypatch.setattr(opened_files, "MOST_FILES", 5)  # what is too much behind links goes alone
    assert files_beside(method, hashes()) == own


@pytest.mark.parametrize(("name", "limit"), [("MOST_FILES", 4), ("MOST_BYTES", 100)])
def test_a_folder_with_too_much_in_it_is_not_a_plugin_s(plugin, monkeypatch, name, limit):
    assert files_beside(Method(plugin / "mine.py"), hashes())
    monkeypatch.setattr(opened_files, name, limit)
    assert files_beside(Method(plugin / "mine.py"), hashes()) == []


def test_changed_lost_and_new_files_are_named(plugin):
    method = Method(plugin / "mine.py")
    files = files_beside(method, hashes())
    assert changed_inputs(files, hashes()) == [] == new_beside(files, method, hashes(), ())
    (plugin / "table.csv").write_text("1,3")
    (plugin / "net.npz").unlink()
    (plugin / "more.bin").write_text("")
    assert {Path(p).name for p in changed_inputs(files, hashes())} == {"table.csv", "net.npz"}
    assert [Path(p).name for p in new_beside(files, method, hashes(), ())] == ["more.bin"]


def test_files_with_strange_names(plugin):
    path = plugin.resolve() / os.fsdecode(b"caf\xe9.bin")
    path.write_text("x")
    seen = opened(path.read_text)
    assert list(seen) == [path.name]


CHILD = """
import sys
from pathlib import Path
from vpbench.core.stat_cache import StatCache
from vpbench.core.hashing import file_sha256
from vpbench.harness.inputs.opened_files import OpenedFiles
files = OpenedFiles()
with files.watching():
    sys.path.insert(0, sys.argv[1])
    import imported_toy
rows = files.files([Path(sys.argv[1])], StatCache(None, file_sha256))
print([Path(row["path"]).name for row in rows])
"""


def test_what_a_module_reads_while_it_is_imported_is_seen(tmp_path):
    (tmp_path / "imported_toy.py").write_text(
        "from pathlib import Path\nTABLE = Path(__file__).with_name('table.csv').read_text()\n"
    )
    (tmp_path / "table.csv").write_text("1")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['table.csv']"
