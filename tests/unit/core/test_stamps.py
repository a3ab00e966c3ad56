"""Stamps: what must agree before a file is taken for the one that was hashed."""

import os
import time

import pytest

from vpbench.core import stamps
from vpbench.core.stamps import GONE, Stamp, file_stamp, joint_stamp, stamp_of

OLD = time.time_ns() - 10**11


def status(size=7, mtime=OLD, ctime=OLD, inode=3):
    """What the operating system says of a file."""

    class Status:
        st_size, st_mtime_ns, st_ctime_ns, st_ino = size, mtime, ctime, inode

    return Status()


def test_each_of_the_four_changes_the_stamp():
    now = time.time_ns()
    first = stamp_of(status(), now)
    assert first.settled and first.proves(stamp_of(status(), now))
    for change in ({"size": 8}, {"mtime": OLD + 1}, {"ctime": OLD + 1}, {"inode": 4}):
        assert not first.proves(stamp_of(status(**change), now)), change


@pytest.mark.parametrize("name", ["mtime", "ctime"])
def test_a_file_that_was_just_written_proves_nothing(name):
    now = time.time_ns()
    for age, settled in ((2_000_000_000, True), (1_999_999_999, False), (-5, False)):
        stamp = stamp_of(status(**{name: now - age}), now)
        assert stamp.settled == settled
        assert stamp.proves(stamp) == settled


def test_a_set_of_files_is_its_names_and_stamps():
    one, two = Stamp("1", settled=True), Stamp("2", settled=True)
    first = joint_stamp([("a", one), ("b", two)])
    assert first == joint_stamp([("b", two), ("a", one)])
    for other in ([("a", two), ("b", one)], [("a", one)], [("a", one), ("c", two)]):
        assert not first.proves(joint_stamp(other))
    assert not joint_stamp([("a", one), ("b", Stamp("2", settled=False))]).settled


def test_a_file_that_is_gone_proves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    assert file_stamp(tmp_path / "gone") == GONE
    assert not GONE.proves(GONE)
    path = tmp_path / "file"
    path.write_text("a")
    assert file_stamp(path).proves(file_stamp(path))


def test_restoring_the_time_of_a_file_does_not_restore_its_stamp(tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    path = tmp_path / "file"
    path.write_text("a")
    before, times = file_stamp(path), path.stat()
    time.sleep(0.02)
    path.write_text("b")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns
    assert not before.proves(file_stamp(path))
