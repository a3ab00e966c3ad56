"""Processes of stages: when they start, what becomes of those that fail or have no time left."""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
import stage_jobs
from stage_jobs import StageJob, Stages

from vpbench.core.rundir import StageDir

FAKE = """
import json, signal, sys, time
from pathlib import Path

job = json.loads(Path(sys.stdin.readline().strip()).read_text())
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
folder = Path(job["folder"])
folder.mkdir(parents=True, exist_ok=True)
with open(job["diary"], "a") as diary:
    diary.write(f"{job['key']} {time.time()}\\n")
steps = job["steps"]
for k in range(steps):
    print(json.dumps({"event": "progress", "done": k + 1, "total": steps}), flush=True)
    time.sleep(0.02)
    if stopped and not job["deaf"]:
        (folder / "state").write_text(str(k))
        print(json.dumps({"event": "end", "status": "failed", "reason": "it was stopped"}))
        sys.exit(0)
if job["fails"]:
    print("not JSON")
    print(json.dumps({"event": "end", "status": "failed", "reason": "no clips"}))
    sys.exit(0)
(folder / "stage.json").write_text("{}")
print(json.dumps({"event": "end", "status": "done"}))
"""


@pytest.fixture
def make(tmp_path):
    def job(key, needs=(), steps=3, fails=False, deaf=False, status="waiting"):
        folder = StageDir(tmp_path / "stages" / key)
        fields = {
            "key": key,
            "folder": str(folder.path),
            "diary": str(tmp_path / "diary"),
            "steps": steps,
            "fails": fails,
            "deaf": deaf,
        }

        def write(path):
            path.write_text(json.dumps(fields))
            return path

        spec = SimpleNamespace(threads=1, write=write)
        node = SimpleNamespace(key=key, label=f"m:{key}")
        return StageJob(
            SimpleNamespace(node=node, folder=folder), None, spec, frozenset(needs), status
        )

    return job


def run(tmp_path, jobs, slots=4, deadline=None, **more):
    worker = tmp_path / "worker.py"
    worker.write_text(FAKE)
    stages = Stages(jobs, slots, tmp_path / "logs", worker=(sys.executable, str(worker)), **more)
    stages.run(deadline)
    lines = (tmp_path / "diary").read_text().split("\n") if (tmp_path / "diary").exists() else []
    return [line.split()[0] for line in lines if line], {job.key: job.status for job in jobs}


def test_each_starts_after_those_it_needs(tmp_path, make):
    jobs = [make("c", "ab"), make("b", "a"), make("a")]
    order, status = run(tmp_path, jobs)
    assert order == ["a", "b", "c"] and set(status.values()) == {"done"}
    rates = [job.segments[3].rate for job in jobs]
    assert all(rate is not None and rate < 60 for rate in rates)


def test_the_longest_way_starts_first(tmp_path, make):
    jobs = [make("short"), make("long"), make("after", ["long"]), make("middle")]
    cost = {"short": 1.0, "long": 2.0, "after": 3.0, "middle": 4.0}
    order, _ = run(tmp_path, jobs, slots=1, cost=lambda job: cost[job.key])
    assert order == ["long", "middle", "after", "short"]


def test_what_is_there_is_not_made_again(tmp_path, make):
    order, status = run(tmp_path, [make("a", status="there"), make("b", "a")])
    assert order == ["b"] and status == {"a": "there", "b": "done"}


def test_a_failure_leaves_the_others(tmp_path, make):
    jobs = [make("a", fails=True), make("b", "a"), make("c", "b"), make("d")]
    order, status = run(tmp_path, jobs)
    assert status == {"a": "failed", "b": "incomplete", "c": "incomplete", "d": "done"}
    assert jobs[0].reason == "no clips" and jobs[1].reason == "waits for a"
    assert "b" not in order


def test_time_that_is_up_stops_what_runs_and_starts_nothing_more(tmp_path, make):
    jobs = [make("quick", steps=1), make("slow", steps=10_000), make("later", ["slow"])]
    begun = time.time()
    _, status = run(tmp_path, jobs, deadline=begun + 3.0)
    assert status == {"quick": "done", "slow": "incomplete", "later": "incomplete"}
    assert {jobs[1].reason, jobs[2].reason} == {"the time was up"}
    assert (tmp_path / "stages" / "slow" / "state").exists()
    assert jobs[1].process.poll() is not None


def test_one_that_does_not_listen_is_ended(tmp_path, make, monkeypatch):
    monkeypatch.setattr(stage_jobs, "GRACE_S", 0.5)
    jobs = [make("deaf", steps=10_000, deaf=True)]
    _, status = run(tmp_path, jobs, deadline=time.time() + 2.0)
    assert status == {"deaf": "incomplete"} and jobs[0].process.returncode == -9


def test_one_that_dies_without_a_word_has_failed(tmp_path, make):
    jobs = [make("a")]
    Stages(
        jobs, 1, tmp_path / "logs", worker=(sys.executable, "-c", "import os; os._exit(3)")
    ).run()
    assert jobs[0].status == "failed" and jobs[0].reason == "it ended with 3"
