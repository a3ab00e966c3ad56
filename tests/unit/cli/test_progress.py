"""Progress: bars on a terminal, lines in a log; losses and the time left in both."""

import io

import pytest
from rich.console import Console

from vpbench.cli import bars, progress
from vpbench.core import lock


def event(done, total=3000, what="mine:keypoints", method="mine[motion=frozen]", **more):
    return {
        "event": "progress",
        "what": what,
        "method": method,
        "done": done,
        "total": total,
        **more,
    }


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when it is told to."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def log(clock, capsys, events):
    """What a log without a terminal shows; every event is (seconds since the start, event)."""
    with progress.Progress() as shown:
        assert not shown.interactive
        for seconds, one in events:
            clock.now = 1000.0 + seconds
            shown(one)
    return capsys.readouterr().err.splitlines()


def test_a_log_shows_the_last_losses_and_the_time_left_every_half_minute(clock, capsys):
    events = [(0, event(1)), (1, event(10, values={"loss": 1.23456, "L1": 0.5}))]
    events += [(k, event(10 * k + 1)) for k in range(2, 71)]
    assert log(clock, capsys, events) == [
        "mine[motion=frozen] mine:keypoints 61/3000 loss 1.235  L1 0.5 about 5 min left",
        "mine[motion=frozen] mine:keypoints 371/3000 loss 1.235  L1 0.5 about 4 min left",
        "mine[motion=frozen] mine:keypoints 681/3000 loss 1.235  L1 0.5 about 4 min left",
    ]


def test_after_a_resume_the_time_left_is_that_of_this_process(clock, capsys):
    events = [(0, event(2000)), (10, event(2100, values={"loss": 1.0}))]
    (line,) = log(clock, capsys, events)
    assert line.endswith("2100/3000 loss 1 about 90 s left".replace("90 s", "2 min"))


def test_a_log_without_a_total_or_losses_says_what_is_known(clock, capsys):
    events = [(0, event(1, None, "labels", "m")), (9, event(7, None, "labels", "m"))]
    assert log(clock, capsys, events) == ["m labels 7/?"]
    events = [(0, event(1, values={"loss": None})), (9, event(3000, values={"loss": None}))]
    assert log(clock, capsys, events) == ["mine[motion=frozen] mine:keypoints 3000/3000 loss nan"]


def test_downloads_are_told_in_megabytes(clock, capsys):
    events = [
        (0, event(0, 47_200_000, "fetch i3d", "m", unit="B")),
        (8, event(11_800_000, 47_200_000, "fetch i3d", "m", unit="B")),
    ]
    assert log(clock, capsys, events) == ["m fetch i3d 11.8/47.2 MB about 24 s left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 s"),
        (89, "about 89 s"),
        (100, "about 2 min"),
        (89 * 60, "about 89 min"),
        (12_000, "about 3 h 20 min"),
    ],
)
def test_times_as_people_say_them(seconds, text):
    assert bars.span(seconds) == text


def drawn(width, *tasks):
    """The bars as text."""
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    drawn = bars.bars(out)
    for fields, done, total in tasks:
        task = drawn.add_task("mine:keypoints", total=total, **fields)
        drawn.update(task, completed=done)
    out.print(drawn.get_renderable())
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


LOSSES = "loss 0.02421  L1 0.4  adversary 0.69  perceptual 9.2"


def test_a_bar_shows_whose_it_is_how_far_and_the_losses():
    fields = {"method": "mine[motion=frozen]", "values": LOSSES, "unit": ""}
    (line,) = drawn(160, (fields, 1500, 3000))
    assert line[2:].startswith("mine[motion=frozen] mine:keypoints")  # brackets are no markup
    assert "1500/3000" in line and line.endswith(LOSSES)


def test_a_narrow_terminal_cuts_the_losses_and_keeps_one_line_each():
    fields = {"method": "mine", "values": LOSSES, "unit": ""}
    other = {"method": "mine", "values": "", "unit": "B"}
    lines = drawn(80, (fields, 10, 3000), (other, 2_500_000, 5_000_000))
    assert len(lines) == 2 and all(len(line) <= 80 for line in lines)
    assert "loss 0.02" in lines[0] and lines[0].endswith("…")
    assert "2.5/5.0 MB" in lines[1]


def test_what_an_earlier_process_did_counts_in_no_rate(clock, capsys):
    events = [(0, event(1, resumed=True)), (0, event(2000, resumed=True)), (10, event(2100))]
    (line,) = log(clock, capsys, events)
    assert line.endswith("2100/3000 about 2 min left")  # 100 steps in 10 s


def test_a_silent_log_says_what_is_under_way(clock, capsys):
    with progress.Progress("planning") as shown:
        clock.now += 40
        shown._look()
        shown({"event": "jobs", "done": 3, "total": 12, "left": 300.0})
        shown(event(10))
        clock.now += 5
        shown._look()  # nothing: the last line is not old
        clock.now += 31
        shown._look()
    assert capsys.readouterr().err.splitlines() == [
        "planning ...",
        "3 of 12 jobs done, about 5 min left; mine[motion=frozen] mine:keypoints 10/3000",
    ]


def test_waits_and_control_characters(clock, capsys):
    with progress.Progress() as shown:
        shown({"event": "note", "text": "a\x1b[31mb"})
        lock._announce[0]("waiting for somebody")
    assert lock._announce == []
    assert capsys.readouterr().err.splitlines() == ["a\\x1b[31mb", "waiting for somebody"]
