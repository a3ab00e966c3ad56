"""Event logs: written by a worker, read by whoever waits for it."""

import json

import pytest

from vpbench.harness.jobs import events
from vpbench.harness.jobs.events import EventLog, EventTail


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return now


def test_events_are_logged_with_their_time_and_passed_on(tmp_path):
    seen = []
    path = tmp_path / "deep" / "job.jsonl"
    log = EventLog(path, seen.append)
    log({"event": "start", "job": "é"})
    log({"event": "end", "status": "done"})
    assert seen == [{"event": "start", "job": "é"}, {"event": "end", "status": "done"}]
    assert [{k: v for k, v in e.items() if k != "time"} for e in lines(path)] == seen
    assert all(e["time"] > 1e9 for e in lines(path))


def test_progress_is_passed_on_and_not_logged(tmp_path):
    seen = []
    log = EventLog(tmp_path / "job.jsonl", seen.append)
    for done in range(3):
        log({"event": "progress", "done": done})
    assert len(seen) == 3 and not (tmp_path / "job.jsonl").exists()


def test_progress_that_nobody_passes_on_is_logged_now_and_then(tmp_path, clock):
    log = EventLog(tmp_path / "job.jsonl", lambda event: None, progress=True)
    for done in range(10):
        log({"event": "progress", "done": done})
        clock[0] += 0.5
    assert [e["done"] for e in lines(tmp_path / "job.jsonl")] == [0, 4, 8]
    log({"event": "note", "text": "x"})  # anything else is not held back
    assert lines(tmp_path / "job.jsonl")[-1]["text"] == "x"


def test_a_tail_gives_each_event_once(tmp_path):
    path = tmp_path / "job.jsonl"
    tail = EventTail(path)
    assert tail.new() == []  # the job has not begun
    path.write_text('{"event": "a"}\n{"event": "b"}\n')
    assert tail.new() == [{"event": "a"}, {"event": "b"}]
    assert tail.new() == []
    with path.open("a") as stream:
        stream.write('{"event": "c"}\n')
    assert tail.new() == [{"event": "c"}]


def test_half_a_line_is_left_for_the_next_look(tmp_path):
    """Whatever the place of the cut, even inside a character."""
    path = tmp_path / "job.jsonl"
    data = '{"event": "a", "text": "é"}\n{"event": "b"}\n'.encode()
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        tail = EventTail(path)
        first = tail.new()
        path.write_bytes(data)
        assert [e["event"] for e in first + tail.new()] == ["a", "b"], cut
        assert len(first) == data[:cut].count(b"\n")


def test_a_line_that_a_kill_has_cut_short_is_passed_over(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(b'{"event": "a"}\n{"event": "b", "te{"event": "start"}\n{"event": "end"}\n')
    assert [e["event"] for e in EventTail(path).new()] == ["a", "end"]


def test_a_log_and_its_tail_agree(tmp_path):
    path = tmp_path / "job.jsonl"
    log, tail = EventLog(path, lambda event: None), EventTail(path)
    got = []
    for k in range(5):
        log({"event": "note", "text": f"line {k}\nand more"})
        got += tail.new()
    assert [e["text"] for e in got] == [f"line {k}\nand more" for k in range(5)]
