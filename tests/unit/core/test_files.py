"""Files that are whole or not there."""

import errno
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vpbench.api import Corrupt, Unwritable
from vpbench.core import files
from vpbench.core.files import atomic_file, make_folder, read_json, storage, write_bytes, write_json


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_written_whole_with_the_usual_rights(tmp_path):
    path = tmp_path / "new" / "deep" / "a.json"
    write_json(path, {"b": (1, 2), "a": "é"})
    assert path.read_text() == '{\n "b": [\n  1,\n  2\n ],\n "a": "é"\n}\n'
    assert read_json(path) == {"b": [1, 2], "a": "é"}
    plain = tmp_path / "plain"
    plain.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert names(path.parent) == ["a.json"]


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as temporary:
        temporary.write_bytes(b"half of the new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    code = (
        "import os, sys; from pathlib import Path; from vpbench.core.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as t: t.write_bytes(b'new'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert path.read_bytes() == b"old"
    assert all(p.name.startswith(files.TEMPORARY) for p in tmp_path.iterdir() if p != path)


def test_flushed_before_the_rename_and_guarded_right_before_it(tmp_path, monkeypatch):
    path, order = tmp_path / "a.bin", []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda d: (order.append("fsync"), fsync(d)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (order.append("rename"), replace(a, b)))
    write_bytes(path, b"x", lambda: order.append("guard"))
    assert order == ["fsync", "guard", "rename"]


def test_a_guard_that_raises_leaves_nothing(tmp_path):
    def guard():
        raise RuntimeError("no longer mine")

    with pytest.raises(RuntimeError):
        write_bytes(tmp_path / "a.bin", b"x", guard)
    assert names(tmp_path) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_nan_is_not_written(tmp_path, value):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, value)
    assert read_json(path) == 1 and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": Infinity}', "\xff"])
def test_what_is_no_json_is_corrupt(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Corrupt, match=r"a\.json is not valid JSON"):
        read_json(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json")


def test_a_file_in_place_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(Unwritable, match="a file exists where a folder is needed") as caught:
            make_folder(path)
        assert caught.value.exit_code == 5 and "\n" not in str(caught.value)
    with pytest.raises(Unwritable, match="a file exists where"):
        write_bytes(tmp_path / "file" / "a.bin", b"")


def test_a_folder_in_place_of_a_file_is_one_sentence(tmp_path):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(Unwritable, match="a folder exists where a file is needed"):
        write_bytes(tmp_path / "a.bin", b"")
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
def test_a_full_disk_is_one_sentence():
    path = Path("/dev/full")
    with pytest.raises(Unwritable, match=r"/dev/full: the disk is full\."), storage(path):
        path.write_bytes(b"x" * 100_000)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "may not be written"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.ENAMETOOLONG, "too long"),
    ],
)
def test_what_the_system_says_while_flushing(tmp_path, monkeypatch, number, said):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Unwritable, match=said) as caught:
        write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_other_errors_pass_as_they_are(tmp_path):
    with pytest.raises(ConnectionResetError), storage(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


def random_json(dice, depth=0):
    kind = dice.integers(9 if depth < 4 else 6)
    if kind < 6:
        words = ("", 'a"b\n', "é\u2028", ", : [", True, None, 0, -7, 1e-300, 0.1, 1e22, 2**70)
        return words[dice.integers(len(words))]
    size = dice.integers(4)
    if kind == 6:
        return [random_json(dice, depth + 1) for _ in range(size)]
    return {f"k{dice.integers(99)}, : ": random_json(dice, depth + 1) for _ in range(size)}


def test_the_stored_form_is_that_of_json():
    """Written with C's help; to the byte what the standard library writes with indent=1."""
    dice = np.random.default_rng(0)
    values = [random_json(dice) for _ in range(500)] + [{}, [], [[]], {"a": {}}, [{}, []], "x", 1.5]
    for value in values:
        wanted = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        assert files.stored_bytes(value) == files.json_bytes(value) == wanted.encode()
    for bad in (math.nan, [math.inf], {"a": [1.0, -math.inf]}):
        with pytest.raises(ValueError, match="JSON"):
            files.stored_bytes(bad)
