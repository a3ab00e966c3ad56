"""Moving squares and small networks for tests of `wichers`."""

import numpy as np

from tests.conftest import moving_square
from vpbench.api import (
    Batch,
    Conditioning,
    TaskInfo,
)
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench_baselines.wichers.method import Wichers
from vpbench_baselines.wichers.params import PARAMS, PRESETS

SIZE, GIVEN, HORIZON = 32, 3, 6
TASK = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 0, (), 0, ())
SMOKE = {**PARAMS, **PRESETS["smoke"]}


class Clips:
    """A `TrainView` of moving squares; batch k depends on k alone."""

    def __init__(self, clips=6, size=SIZE):
        self.clips = [moving_square(k, k % 2, 14, size) for k in range(clips)]

    def len(self, split):
        return len(self.clips)

    def length(self, split, i):
        return len(self.clips[i])

    def read(self, split, i, frames):
        return self.clips[i][list(frames)]

    def label(self, split, i):
        return None

    def pose(self, split, i, frames):
        return None

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        k = start_step
        while True:
            index = [(k * batch + j) % len(self.clips) for j in range(batch)]
            frames = np.stack([self.clips[i][: window.length] for i in index])
            times = np.tile(np.arange(window.length), (batch, 1))
            yield Batch(frames, None, None, np.array(index), times)
            k += 1


def context(folder, stage="epva", seed=5):
    return StageContext(
        TASK, (), "cpu", 1, seed, StageDir(folder), f"wichers:{stage}", folder, lambda e: None
    )


def fitted(folder, stages=("epva",), clips=None, **changed):
    method = Wichers(TASK, {**SMOKE, **changed}, {})
    contexts = []
    for stage in stages:
        contexts.append(context(folder / stage, stage))
        method.fit(stage, clips or Clips(), contexts[-1])
    return method, contexts


def given(n=GIVEN, batch=2):
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE)[:n] for k in range(batch)])
    return Conditioning(clips, None, None, None, tuple("ab"[:batch]))


SEEDS = np.array([[1, 2], [3, 4]], np.int64)
