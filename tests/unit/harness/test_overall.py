"""How much of a command is done, and how long the rest takes."""

import pytest

from vpbench.harness.jobs import overall
from vpbench.harness.jobs.overall import Overall


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(overall.time, "monotonic", lambda: Clock.now)
    return Clock


def start(count, parallel=1):
    events = []
    whole = Overall(events.append, parallel)
    for k in range(count):
        whole.plan_run(f"run{k}", "score")
    return whole, events


def do(whole, clock, job, key, seconds, total=None):
    whole.hear(job, key, {"event": "start"})
    clock.now += seconds
    whole.finish({"stage": "fit"}.get(job, job), key)


@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_time_left_is_that_of_the_steps_that_were_measured(clock, parallel):
    whole, events = start(4, parallel)
    assert whole.left() is None
    do(whole, clock, "predict", "run0", 10)
    do(whole, clock, "predict", "run1", 20)
    assert whole.left() is None  # nothing was scored yet
    do(whole, clock, "score", "run0", 4)
    assert whole.left() == pytest.approx((2 * 15 + 3 * 4) / parallel)
    whole.tell()
    assert events[-1] == {"event": "jobs", "done": 3, "total": 8, "left": whole.left()}


def test_steps_in_the_middle_count_by_their_share(clock):
    whole, _ = start(0)
    whole.plan("fit", "stage")
    whole.hear("stage", "stage", {"event": "start"})
    clock.now += 5  # reads data
    whole.hear("stage", "stage", {"event": "progress", "done": 400, "total": 1000})
    assert whole.left() is None  # it may have been resumed there
    clock.now += 10
    whole.hear("stage", "stage", {"event": "progress", "done": 500, "total": 1000})
    assert whole.left() == pytest.approx(50)


def test_what_was_done_before_does_not_count(clock):
    whole, events = start(2)
    whole.finish("predict", "run0")  # it was never begun here
    whole.drop_run("run1")
    whole.tell()
    assert (events[-1]["done"], events[-1]["total"]) == (0, 1)
    do(whole, clock, "score", "run0", 3)
    whole.drop_run("run0")  # done already: it stays
    whole.tell()
    assert (events[-1]["done"], events[-1]["total"], events[-1]["left"]) == (1, 1, 0.0)


def test_it_speaks_when_something_has_changed_or_after_some_seconds(clock):
    whole, events = start(1)
    for _ in range(50):
        whole.tell()
        clock.now += 0.5
    assert len(events) == 5
    silent, none = start(0)
    silent.tell()
    assert none == []
