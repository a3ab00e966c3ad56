"""A process that waits says for whom and since when."""

import json
import time

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
