"""Claims, between real processes."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from vpbench.api import Unwritable
from vpbench.core import lock
from vpbench.core.files import write_bytes
from vpbench.core.lock import LockLost, LockWatch, boot_id, lock_or_wait, process_start

RACE = """
import sys, time
from pathlib import Path
from vpbench.core.lock import LockWatch
print("here", flush=True)
for line in sys.stdin:
    unit, at = line.split()
    while time.time() < float(at):
        pass
    held = LockWatch(Path(unit)).try_lock()
    print("no" if held is None else "won", flush=True)
"""
HOLD = """
import sys
from pathlib import Path
from vpbench.core import lock
lock.BEAT_S = float(sys.argv[2])
held = lock.LockWatch(Path(sys.argv[1])).try_lock()
print("no" if held is None else held.token, flush=True)
sys.stdin.readline()
held.release()
"""


@contextmanager
def python(code, *words):
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@contextmanager
def holder(path, beat=10):
    with python(HOLD, path, beat) as process:
        assert len(process.stdout.readline().strip()) == 16
        yield process


@pytest.fixture
def unit(tmp_path):
    return tmp_path / "units" / "stage.lock"


def try_lock(unit):
    return LockWatch(unit).try_lock()


def only(unit, *names):
    """Nothing lies in the folder but these files."""
    assert sorted(p.name for p in unit.parent.iterdir()) == sorted(names)


def forge(unit, **changes):
    """A lock file of this very process, somewhat changed."""
    unit.parent.mkdir(parents=True, exist_ok=True)
    owner = {**lock._identity(), "pid": os.getppid(), "start": process_start(os.getppid())}
    unit.write_text(json.dumps({**owner, **changes}))


def ended_pid():
    with python("") as process:
        process.wait()
        return process.pid


def test_a_lock_says_who_holds_it_and_goes_away(unit):
    with try_lock(unit) as held:
        owner = json.loads(unit.read_text())
        assert {owner["host"], owner["boot"]} == {socket.gethostname(), boot_id()}
        assert owner["pid"] == os.getpid() and owner["start"] == process_start(os.getpid())
        held.check()
        assert try_lock(unit) is None
        only(unit, "stage.lock")
    only(unit)
    with pytest.raises(LockLost):
        held.check()


def test_releasing_twice_harms_nobody(unit):
    first = try_lock(unit)
    first.release()
    first.release()
    second = try_lock(unit)
    first.release()
    second.check()
    assert second.token in lock._Heartbeat._held  # its heart still beats
    second.release()
    assert second.token not in lock._Heartbeat._held


def test_exactly_one_of_several_processes_wins_every_time(tmp_path):
    rounds = 12
    with python(RACE) as a, python(RACE) as b, python(RACE) as c, python(RACE) as d:
        racers = (a, b, c, d)
        assert all(p.stdout.readline() == "here\n" for p in racers)
        for k in range(rounds):
            unit = tmp_path / f"{k}.lock"
            if k % 2:  # every other time there is a dead owner's lock to take over
                forge(unit, pid=999_999_999)
            at = time.time() + 0.05
            for process in racers:
                process.stdin.write(f"{unit} {at}\n")
                process.stdin.flush()
            answers = sorted(p.stdout.readline().strip() for p in racers)
            assert answers == ["no", "no", "no", "won"], k
    only(tmp_path / "any", *(f"{k}.lock" for k in range(rounds)))


def test_threads_of_one_process_exclude_each_other(unit):
    won = []
    threads = [threading.Thread(target=lambda: won.append(try_lock(unit))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (held,) = filter(None, won)
    held.release()
    only(unit)


def test_not_taken_while_its_holder_lives_and_taken_once_it_was_killed(unit):
    log = []
    with holder(unit) as process:
        watch = LockWatch(unit)
        assert watch.try_lock(log.append) is None
        process.send_signal(signal.SIGKILL)
        while process_start(process.pid) and not lock._zombie(process.pid):
            time.sleep(0.01)
        held = watch.try_lock(log.append)  # before its parent has looked: it is a zombie
        assert held is not None
        (line,) = log
        assert f"pid {process.pid}" in line and socket.gethostname() in line
    held.check()
    only(unit, "stage.lock")
    held.release()


def test_a_stopped_holder_keeps_its_lock_until_its_heart_stood_still(unit, monkeypatch):
    monkeypatch.setattr(lock, "STALE_S", 0.8)
    with holder(unit, beat=0.1) as process:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:  # it beats: nobody takes it
            assert try_lock(unit) is None
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        while (held := try_lock(unit)) is None:  # a new look every time, as a new job makes it
            time.sleep(0.05)
            assert time.monotonic() - start < 5
        assert time.monotonic() - start > 0.6
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        held.check()  # the old holder has woken up and left it alone
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait()
    held.check()
    held.release()
    only(unit)


def test_the_old_writer_s_guarded_write_raises_and_leaves_no_file(unit, monkeypatch):
    old = try_lock(unit)
    target = unit.with_name("result.bin")
    write_bytes(target, b"first", old.check)
    monkeypatch.setattr(lock, "STALE_S", -1)
    new = try_lock(unit)
    assert new is not None
    for path in (target, unit.with_name("other.bin")):
        with pytest.raises(LockLost, match=r"stage\.lock was taken over by another process"):
            write_bytes(path, b"late", old.check)
    assert target.read_bytes() == b"first"
    only(unit, "stage.lock", "result.bin")
    old.release()
    new.check()
    write_bytes(target, b"second", new.check)
    new.release()


def test_a_pid_that_was_used_again(unit):
    forge(unit)
    assert try_lock(unit) is None
    forge(unit, start="1")
    with try_lock(unit):
        only(unit, "stage.lock")


def test_a_pid_that_is_gone(unit):
    forge(unit, pid=ended_pid(), start="1")
    with try_lock(unit):
        pass
    only(unit)


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": "another"},
        {"host": "another"},
        {"boot": ""},
        {"pid": "7"},
        {"pid": None},
        {"pid": -1},
    ],
)
def test_for_other_machines_and_boots_only_the_heartbeat_decides(unit, monkeypatch, changes):
    forge(unit, **{"pid": ended_pid(), "start": "1", **changes})
    assert try_lock(unit) is None and try_lock(unit) is None
    monkeypatch.setattr(lock, "STALE_S", 0.1)
    time.sleep(0.15)
    os.utime(unit)
    assert try_lock(unit) is None  # somebody touched it
    time.sleep(0.15)
    with try_lock(unit):
        pass


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", '"x"', "7", "{}", '{"token": "../../x"}'])
def test_a_corrupt_lock_is_taken_over_by_its_age(unit, monkeypatch, text):
    unit.parent.mkdir()
    unit.write_text(text)
    assert try_lock(unit) is None
    monkeypatch.setattr(lock, "STALE_S", 0.05)
    time.sleep(0.1)
    with try_lock(unit) as held:
        held.check()
        only(unit, "stage.lock")
    only(unit)


def test_a_lock_that_became_corrupt_is_lost(unit):
    held = try_lock(unit)
    unit.write_text("{")
    with pytest.raises(LockLost):
        held.check()
    held.release()
    assert unit.exists()


def test_the_marker_of_a_process_that_died_in_a_takeover_goes_away(unit, monkeypatch):
    forge(unit, pid=ended_pid(), start="1", token="0" * 16)
    marker = unit.with_name(".stage.lock.after-" + "0" * 16)
    marker.touch()
    assert try_lock(unit) is None and marker.exists()
    os.utime(marker, (time.time() - 500,) * 2)
    assert try_lock(unit) is None and not marker.exists()
    with try_lock(unit):
        only(unit, "stage.lock")


def test_a_marker_that_vanishes_meanwhile_is_no_error(unit, monkeypatch):
    forge(unit, pid=ended_pid(), start="1")
    real = os.open

    def opened(path, *words, **more):
        if ".after-" in str(path):
            raise FileExistsError(errno.EEXIST, "there was one", str(path))
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", opened)
    assert try_lock(unit) is None


def test_somebody_who_was_faster_is_left_alone(unit):
    forge(unit, pid=ended_pid(), start="1")
    stale = json.loads(unit.read_text())
    first = lock._take_over(unit, stale)
    assert lock._take_over(unit, stale) is None
    first.check()
    first.release()
    only(unit)


def test_disks_without_hard_links(unit, monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    with try_lock(unit) as held:
        held.check()
        assert try_lock(unit) is None
        only(unit, "stage.lock")
    only(unit)


def test_a_full_disk_leaves_no_file(unit, monkeypatch):
    def write(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    forge(unit, pid=ended_pid(), start="1")
    other = unit.with_name("free.lock")
    monkeypatch.setattr(lock.Path, "write_text", write)
    for path in (unit, other):
        with pytest.raises(Unwritable, match="disk is full"):
            try_lock(path)
    only(unit, "stage.lock")


def test_the_heart_beats_for_all_and_only_for_what_is_held(tmp_path):
    units = [tmp_path / f"{k}.lock" for k in range(3)]
    held = [try_lock(u) for u in units]
    for u in units:
        os.utime(u, (1, 1))
    held[1].release()
    forge(units[1])
    os.utime(units[1], (1, 1))
    lock._Heartbeat.touch_all()
    assert [u.stat().st_mtime > 1 for u in units] == [True, False, True]
    for k in (0, 2):
        held[k].release()


def test_a_hiccup_of_the_disk_does_not_stop_the_heart(unit, monkeypatch):
    held = try_lock(unit)
    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "hiccup")))
        lock._Heartbeat.touch_all()
    os.utime(unit, (1, 1))
    lock._Heartbeat.touch_all()
    assert unit.stat().st_mtime > 1
    held.release()


def test_waiting_ends_when_the_other_has_done_it(unit):
    made = []
    with holder(unit) as process:
        thread = threading.Timer(0.3, lambda: made.append(1))
        thread.start()
        assert lock_or_wait(unit, lambda: bool(made), poll_s=0.02) is None
        thread.join()
        process.kill()
        process.wait()
        made.clear()
        got = lock_or_wait(unit, lambda: bool(made), poll_s=0.02)
        got.check()
        got.release()


def test_what_was_done_between_look_and_lock_is_not_done_again(unit):
    answers = iter([False, True])
    assert lock_or_wait(unit, lambda: next(answers)) is None
    only(unit)


def test_another_process_gets_other_units_only(unit):
    held = try_lock(unit)
    child = subprocess.run(
        [sys.executable, "-c", RACE],
        text=True,
        capture_output=True,
        input=f"{unit} 0\n{unit.with_name('mine.lock')} 0\n",
        check=True,
    )
    assert child.stdout.split() == ["here", "no", "won"]
    held.check()
    held.release()
