"""Values of files are kept as long as nothing about the file has changed."""

import json
import os
import shutil

import pytest

from vpbench.core import stat_cache as module
from vpbench.core.stamps import SETTLE_NS
from vpbench.core.stat_cache import StatCache, stat_cache


@pytest.fixture
def clock(monkeypatch):
    """Time passes only when told to: files have been at rest for long."""
    import time

    shift = [10 * SETTLE_NS]
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift[0])
    return shift


class Counting:
    """Reads files and counts how often."""

    def __init__(self):
        self.read = []

    def __call__(self, path):
        self.read.append(path.name)
        return path.read_text()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    return path


def test_a_file_at_rest_is_read_once(file, tmp_path, clock):
    compute = Counting()
    cache = StatCache(tmp_path / "cache" / "rows.json", compute)
    assert [cache.of(file) for _ in range(3)] == ["one"] * 3
    assert compute.read == ["a.txt"]
    cache.save()
    again = StatCache(tmp_path / "cache" / "rows.json", compute)
    assert again.of(file) == "one" and compute.read == ["a.txt"]


def test_a_file_that_was_just_written_is_read_every_time(file, tmp_path, clock):
    clock[0] = 0
    compute = Counting()
    cache = StatCache(None, compute)
    assert cache.of(file) == cache.of(file) == "one"
    assert compute.read == ["a.txt"] * 2


def same_time(file, write):
    """Change a file and put its modification time back."""
    before = file.stat()
    write()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(file):
    other = file.with_name("b.txt")
    other.write_text("two")
    shutil.copystat(file, other)
    other.replace(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("two, longer"),
        lambda file: os.utime(file, ns=(0, 12345)),
        lambda file: same_time(file, lambda: file.write_text("two")),
        replaced,
    ],
    ids=["size", "mtime", "ctime", "inode"],
)
def test_whatever_changes_about_a_file_it_is_read_again(file, clock, change):
    compute = Counting()
    cache = StatCache(None, compute)
    cache.of(file)
    change(file)
    assert cache.of(file) == file.read_text()
    assert len(compute.read) == 2


def test_another_path_is_another_file(file, clock):
    compute = Counting()
    cache = StatCache(None, compute)
    cache.of(file)
    linked = file.with_name("b.txt")
    os.link(file, linked)
    assert cache.of(linked) == "one" and compute.read == ["a.txt", "b.txt"]


def test_a_file_that_is_gone_has_no_value(file, clock):
    cache = StatCache(None, Counting())
    assert cache.of(file) == "one"
    file.unlink()
    assert cache.of(file) == ""
    file.write_text("new")
    assert cache.of(file) == "new"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[1]", '{"a": 1}', '{"a": [1]}', '{"a": [1, 2, 3]}', "\udce9"]
)
def test_a_damaged_cache_only_costs_time(file, tmp_path, clock, text):
    path = tmp_path / "rows.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    cache = StatCache(path, Counting())
    assert cache.of(file) == "one"
    cache.save()
    assert list(json.loads(path.read_bytes())["rows"]) == [str(file)]


def test_a_value_that_was_changed_in_the_cache_is_not_taken(file, tmp_path, clock):
    path = tmp_path / "rows.json"
    cache = StatCache(path, Counting())
    cache.of(file)
    cache.save()
    assert path.read_text().count('"one"') == 1
    path.write_text(path.read_text().replace('"one"', '"two"'))
    assert StatCache(path, Counting()).of(file) == "one"


def test_a_cache_that_cannot_be_written_only_costs_time(file, tmp_path, clock):
    (tmp_path / "taken").write_text("a file where a folder is needed")
    cache = StatCache(tmp_path / "taken" / "rows.json", Counting())
    assert cache.of(file) == "one"
    cache.save()
    assert (tmp_path / "taken").is_file()


def test_names_that_are_no_unicode(tmp_path, clock):
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_text("one")
    cache = StatCache(tmp_path / "rows.json", Counting())
    assert cache.of(path) == "one"
    cache.save()
    compute = Counting()
    assert StatCache(tmp_path / "rows.json", compute).of(path) == "one" and not compute.read


def test_one_object_for_one_file_and_function(tmp_path):
    compute = Counting()
    assert stat_cache(tmp_path / "a", compute) is stat_cache(tmp_path / "a", compute)
    assert stat_cache(tmp_path / "a", compute) is not stat_cache(tmp_path / "b", compute)
    module.stat_cache.cache_clear()
