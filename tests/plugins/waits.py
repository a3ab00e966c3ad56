"""Plugins that take very long where they are told to, so that a test can interrupt them there."""

import os
import time

import numpy as np

from vpbench.api import (
    ClipInfo,
    DatasetSpec,
    MethodSpec,
    MetricSpec,
    Score,
    TaskSpec,
    WeightSpec,
    WindowRule,
)

HOURS = 3600.0


def pause(place):
    """Wait where WAIT_AT says; every other place is passed at once."""
    if os.environ.get("WAIT_AT") == place:
        time.sleep(HOURS)
    elif os.environ.get("WAIT_AT") == f"{place}-slowly":
        time.sleep(0.3)


pause("import")

METHOD = MethodSpec("waits", ":Waits", "the last frame, in its own time")
METRIC = MetricSpec(
    "waiting",
    ":Waiting",
    "the mean difference of grey levels",
    kind="clip",
    direction="down",
    unit="",
    version=1,
    default=False,
)
DATASET = DatasetSpec(
    "slow-clips", ":SlowClips", "noise", tasks=(TaskSpec("small", WindowRule(1, 8), 16),)
)
FETCHED = MetricSpec(
    "fetched",
    ":Waiting",
    "needs a file that never arrives",
    kind="clip",
    direction="down",
    unit="",
    version=1,
    default=False,
    weights=(
        WeightSpec(
            name="never-there",
            sources=(os.environ.get("WAIT_URL", "https://127.0.0.1:9/never.safetensors"),),
            sha256="0" * 64,
            licence="CC0-1.0",
            size=1000,
            format="safetensors",
            label="Never",
        ),
    ),
)


class Waits:
    def __init__(self, task, params, slots):
        pass

    def predict(self, given, horizon, seeds):
        pause("predict")
        last = given.frames[:, None, -1:]
        return np.broadcast_to(last, (*seeds.shape, horizon, *last.shape[3:])).copy()


class Waiting:
    def __init__(self, task, params, ctx):
        self.values = {}

    def fingerprint(self):
        return {}

    def update(self, fake, real, clip):
        pause("score")
        self.values[clip.id] = float(np.abs(fake.astype(float) - real).mean())

    def merge(self, other):
        self.values |= other.values

    def result(self):
        return Score(float(np.mean(list(self.values.values()))), len(self.values), self.values)


class SlowClips:
    spec = DATASET

    def __init__(self, options, root, cache):
        pass

    def prepare(self, root=None):
        pause("prepare")

    def verify(self, root=None):
        return []

    def splits(self):
        return ("train", "val", "test")

    def clips(self, split):
        names = [f"{split}{k}" for k in range(40)]
        return [ClipInfo(n, 12, 20, 24, 0, sha256=n, group=n) for n in names]

    def read(self, clip, indices):
        pause("read")
        rng = np.random.default_rng(sum(map(ord, clip.id)))
        return rng.integers(0, 255, (12, 20, 24, 3), np.uint8)[list(indices)]

    def pose(self, clip):
        return None

    def class_names(self):
        return ("a",)

    def joint_names(self):
        return ()
