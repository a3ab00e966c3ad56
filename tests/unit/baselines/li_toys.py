"""Moving squares and small networks for tests of `li`."""

import json
from pathlib import Path

import numpy as np

from tests.conftest import moving_square
from vpbench.api import (
    BadData,
    Batch,
    Conditioning,
    TaskInfo,
)
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench_baselines.li.method import Li
from vpbench_baselines.li.params import PARAMS, PRESETS

SIZE, GIVEN, HORIZON = 32, 2, 6
TASK = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 0, (), 0, ())
SMOKE = {**PARAMS, **PRESETS["smoke"]}
SEEDS = np.array([[1, 2], [3, 4]], np.int64)


class Clips:
    """A `TrainView` of moving squares; batch k depends on k alone."""

    def __init__(self, clips=4, val=2, frames=10):
        self.clips = [moving_square(k, k % 2, frames, SIZE) for k in range(clips)]
        self.val, self.frames = val, frames

    def len(self, split):
        return self.val if split == "val" else len(self.clips)

    def length(self, split, i):
        return self.frames

    def label(self, split, i):
        return None

    def pose(self, split, i, frames):
        return None

    def read(self, split, i, frames):
        return self.clips[i][list(frames)]

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        if not self.len(split) or window.length > self.frames:
            raise BadData("none of the clips is long enough")
        k = start_step
        while True:
            index = [(k * batch + j) % self.len(split) for j in range(batch)]
            times = np.tile(np.arange(window.length), (batch, 1))
            frames = np.stack([self.clips[i][: window.length] for i in index])
            yield Batch(frames, None, None, np.array(index), times)
            k += 1


def context(folder, stage="flow", seed=5, task=TASK):
    cache = Path(folder).parent / "cache"
    return StageContext(
        task, (), "cpu", 1, seed, StageDir(folder), f"li:{stage}", cache, lambda e: None
    )


def fitted(folder, stage="flow", clips=None, task=TASK, **changed):
    method = Li(task, {**SMOKE, **changed}, {})
    ctx = context(folder / stage, stage, task=task)
    method.fit(stage, clips or Clips(), ctx)
    return method, ctx


def lines(ctx):
    return [json.loads(x) for x in (ctx.stage.path / "train.jsonl").read_text().splitlines()]


def given(n=GIVEN, batch=2):
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE)[:n] for k in range(batch)])
    return Conditioning(clips, None, None, None, tuple("abcd"[:batch]))
