"""A process that waits says for whom and since when."""

import json
import os
import time

import pytest

from vpbench.core import lock
from vpbench.core.lock import LockWatch


def test_a_wait_is_told_after_a_moment_and_every_half_minute(tmp_path, monkeypatch):
    now, said = [1e9], []
    monkeypatch.setattr(lock.time, "time", lambda: now[0])
    lock.announce_waits(said.append)
    unit = tmp_path / "stage.lock"
    unit.write_text(json.dumps({"host": "far", "pid": 7, "time": 1e9 - 60}))
    watch = LockWatch(unit)
    for _ in range(80):
        assert watch.try_lock() is None
        now[0] += 1
    lock.announce_waits(None)
    assert len(said) == 3  # after 2, 32 and 62 s
    begun, since = (time.strftime("%H:%M:%S", time.localtime(t)) for t in (1e9 - 60, 1e9))
    who = "process 7 on far"
    assert said[0] == f"waiting since {since} for {who}, which began at {begun} ({unit})"
    assert lock.describe_wait(unit, {}, 1e9).endswith(f"process ? on an unknown machine ({unit})")


@pytest.mark.parametrize(
    ("changed", "told"),
    [({}, False), ({"parent": 2**22 + 1}, True), ({"host": "far"}, True), ({"boot": "x"}, True)],
)
def test_a_wait_for_another_worker_of_the_same_command_is_not_told(
    changed, told, tmp_path, monkeypatch
):
    """The progress of the command shows both of them."""
    now, said = [1e9], []
    unit = tmp_path / "00010.lock"
    sibling = {**lock._identity(), "pid": os.getppid(), "start": "", **changed}
    unit.write_text(json.dumps(sibling))
    monkeypatch.setattr(lock.time, "time", lambda: now[0])
    lock.announce_waits(said.append)
    for _ in range(9):
        assert LockWatch(unit).try_lock() is None
        now[0] += 1
    lock.announce_waits(None)
    assert bool(said) is told
