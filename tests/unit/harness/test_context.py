"""What a stage keeps while it is fitted: its step, its log, and how long it has taken so far."""

import json

import numpy as np
import pytest

from vpbench.api import TaskInfo
from vpbench.core.progress import silent
from vpbench.core.rundir import StageDir
from vpbench.harness.training import context
from vpbench.harness.training.context import StageContext


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(context.time, "monotonic", lambda: Clock.now)
    return Clock


def begin(folder):
    """The context of one process."""
    info = TaskInfo("toy", 16, 4, 1, None, 0, (), 0, ())
    return StageContext(
        info,
        (),
        "cpu",
        1,
        0,
        StageDir(folder),
        "toy:all",
        folder / "home",
        silent,
        _begun=context.time.monotonic(),
    )


def test_seconds_of_all_processes_count_up_to_the_checkpoint_that_is_gone_on_from(tmp_path, clock):
    one = begin(tmp_path)
    assert one.resume() is None and one.earlier == 0
    for step in range(3):
        clock.now += 10
        one.step(9)
        one.log({"loss": 1.0 / (step + 1)})
    one.checkpoint({"w": np.arange(3.0)}, {"note": "x"})
    clock.now += 500
    one.step(9)
    one.log({"loss": 0.1})  # killed here: this step is lost, and its time with it

    two = begin(tmp_path)
    arrays, meta = two.resume()
    assert (two.earlier, meta) == (30.0, {"note": "x"})
    assert arrays["w"].tolist() == [0, 1, 2]
    assert [json.loads(x)["step"] for x in (tmp_path / "train.jsonl").read_text().splitlines()] == [
        1,
        2,
        3,
    ]
    clock.now += 7
    assert two.step() == 4
    two.checkpoint(arrays, meta)

    three = begin(tmp_path)
    three.resume()
    assert three.earlier == 37.0
