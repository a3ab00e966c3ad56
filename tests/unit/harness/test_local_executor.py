"""Slots of the local executor, with jobs that are no jobs: they fail at once, in order."""

import time

from vpbench.harness.jobs.executors.local import LocalExecutor, LocalHandle, Slots


def finish(executor, handles, seconds=60):
    end = time.monotonic() + seconds
    while not all(h.done() for h in handles):
        executor.poll(0.2)
        assert time.monotonic() < end


def test_a_job_file_that_is_not_there_fails_in_one_sentence(tmp_path):
    with LocalExecutor(Slots(1)) as executor:
        handle = executor.submit(tmp_path / "none.json")
        finish(executor, [handle])
    assert handle.status == "failed" and handle.code == 2
    assert "there is no job file" in str(handle.error())


def test_slots_bound_what_runs_at_once_and_workers_are_used_again(tmp_path, monkeypatch):
    most = 0
    with LocalExecutor(Slots(2, 0, 4.0)) as executor:
        pids = set()
        handles = [executor.submit(tmp_path / f"{k}.json") for k in range(6)]
        end = time.monotonic() + 60
        while not all(h.done() for h in handles):
            most = max(most, sum(h.status == "running" for h in handles))
            pids |= {w.process.pid for w in executor._workers}
            executor.poll(0.1)
            assert time.monotonic() < end
    assert most <= 2 and len(pids) <= 2


def test_memory_and_gpus_are_slots_too():
    executor = LocalExecutor(Slots(8, 1, 4.0))
    running = LocalHandle(None, 1, 1, 3.0, status="running")
    executor._workers = [type("W", (), {"handle": running})()]
    assert not executor._fits(LocalHandle(None, 1, 1, 0.5))
    assert not executor._fits(LocalHandle(None, 1, 0, 2.0))
    assert executor._fits(LocalHandle(None, 7, 0, 1.0))
    assert not executor._fits(LocalHandle(None, 8, 0, 1.0))


def test_a_greedy_job_runs_alone_instead_of_never(tmp_path):
    with LocalExecutor(Slots(1, 0, 1.0)) as executor:
        handle = executor.submit(tmp_path / "none.json", cpus=64, gpus=8, memory_gib=1000)
        finish(executor, [handle])
    assert handle.status == "failed"


def test_cancelled_jobs_never_start(tmp_path):
    with LocalExecutor(Slots(1)) as executor:
        handles = [executor.submit(tmp_path / f"{k}.json") for k in range(3)]
        handles[2].cancel()
        finish(executor, handles)
    assert [h.status for h in handles] == ["failed", "failed", "cancelled"]
