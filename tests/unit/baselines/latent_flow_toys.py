"""Moving squares and small networks for tests of `latent-flow`."""

import json
from pathlib import Path

import numpy as np
import torch

from tests.conftest import moving_square
from vpbench.api import BadData, Batch, Conditioning, TaskInfo
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench_baselines.latent_flow.method import LatentFlow
from vpbench_baselines.latent_flow.spec import PARAMS, PRESETS

SIZE, GIVEN, HORIZON = 32, 2, 6
TASK = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 2, ("right", "down"), 0, ())
SMOKE = {**PARAMS, **PRESETS["smoke"]}
SEEDS = np.array([[1, 2], [3, 4], [5, 6]], np.int64)


class Clips:
    """A `TrainView` of moving squares; batch k depends on k alone."""

    def __init__(self, clips=4, val=2, frames=10, labelled=True):
        self.clips = [moving_square(k, k % 2, frames, SIZE) for k in range(clips)]
        self.val, self.frames, self.labelled = val, frames, labelled

    def len(self, split):
        return self.val if split == "val" else len(self.clips)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        if not self.len(split) or window.length > self.frames:
            raise BadData("none of the clips is long enough")
        k = start_step
        while True:
            index = np.array([(k * batch + j) % self.len(split) for j in range(batch)])
            times = np.tile(np.arange(window.length), (batch, 1))
            frames = np.stack([self.clips[i][: window.length] for i in index])
            yield Batch(frames, None, index % 2 if self.labelled else None, index, times)
            k += 1


def context(folder, stage="codec", seed=5, task=TASK):
    cache = Path(folder).parent / "cache"
    label = f"latent-flow:{stage}"
    return StageContext(task, (), "cpu", 1, seed, StageDir(folder), label, cache, lambda e: None)


def fitted(folder, stage="codec", clips=None, task=TASK, **changed):
    method = LatentFlow(task, {**SMOKE, **changed}, {})
    ctx = context(folder / stage, stage, task=task)
    method.fit(stage, clips or Clips(), ctx)
    return method, ctx


def lines(ctx):
    return [json.loads(x) for x in (ctx.stage.path / "train.jsonl").read_text().splitlines()]


def alive(task=TASK, **changed):
    """A method whose transformer says something without a training."""
    method = LatentFlow(task, {**SMOKE, **changed}, {})
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for weight in [*method.flow.parameters(), *method.codec.parameters()]:
            weight.add_(0.1 * torch.randn_like(weight))
    return method


def given(n=GIVEN, batch=3, label=True):
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE)[:n] for k in range(batch)])
    labels = np.arange(batch, dtype=np.int64) % 2 if label else None
    return Conditioning(clips, labels, None, None, tuple("abcdef"[:batch]))
