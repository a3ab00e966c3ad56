"""A small training and its context for tests of the training loop."""

import itertools
import math

import numpy as np
import torch
from torch import nn

from vpbench.api import TaskInfo
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.kit import Training, seeded, to_arrays, training_steps

TASK = TaskInfo("toy", 16, 4, 1, None, 0, (), 0, ())


class Context(StageContext):
    """The harness's own context, which is asked to stop after some step."""

    stop_after = math.inf

    @property
    def should_stop(self):
        return self._step >= self.stop_after


def context(folder, stop_after=math.inf, seed=5):
    ctx = Context(TASK, (), "cpu", 1, seed, StageDir(folder), "toy:all", folder, lambda e: None)
    ctx.stop_after = stop_after
    return ctx


class Toy:
    """A net with batch norm and Adam; randomness comes from torch, NumPy and the step's batch."""

    def __init__(self, steps=7, fail=None):
        with seeded(1):
            self.net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.adam = torch.optim.Adam(self.net.parameters(), 0.05)
        self.fail = fail or {}
        self.began, self.made, self.after, self.clips = [], [], [], [3, 0, 7]
        self.training = Training(
            "toy:all",
            {"net": self.net},
            {"adam": self.adam},
            steps,
            ("batch", "width"),
            {"best": None, "seen": []},
        )

    def batches(self, done):
        self.began.append(done)
        return itertools.count(done)

    def fit(self, ctx, ahead=0):
        """Train as a plugin does; whether all steps are made."""
        with self.training:
            for step, batch in training_steps(ctx, self.training, self.batches, ahead):
                assert batch == step
                done = self.training.log({"loss": self.step(step), "fine": 1.0}, self.clips)
                for call in self.after:
                    call(done)
        return self.training.finished

    def step(self, k):
        self.made.append(k)
        x = torch.randn(5, 3) + float(np.random.standard_normal()) + k
        loss = self.net(x).square().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        what = self.fail.get(k)
        if isinstance(what, Exception):
            raise what
        value = float(loss.detach()) if what is None else what
        self.training.extra["seen"] = [*self.training.extra["seen"], k]
        return value

    def state(self):
        """All that was learned, as bytes."""
        arrays, tree = to_arrays({**self.training.state(), "done": 0})
        return {k: v.tobytes() for k, v in arrays.items()}, tree


def stored(folder):
    return (folder / "resume" / "state.npz").is_file()


def straight(tmp_path, steps=7):
    toy = Toy(steps)
    assert toy.fit(context(tmp_path / "straight")) is True
    return toy
