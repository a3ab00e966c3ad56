"""Three methods with neutral names that differ from copy-last by next to nothing, and a bad one."""

import os

import numpy as np

from vpbench.api import MethodSpec, MetricSpec, Score

ALPHA = MethodSpec("alpha", f"{__file__}:Nearly", "nearly copy-last")
BETA = MethodSpec("beta", f"{__file__}:Nearly", "nearly copy-last")
GAMMA = MethodSpec("gamma", f"{__file__}:Nearly", "nearly copy-last")
BLACK = MethodSpec("black", f"{__file__}:Black", "black frames")
BRIGHT = MetricSpec(
    "brightness",
    f"{__file__}:Brightness",
    "mean grey level",
    "clip",
    "up",
    "",
    int(os.environ.get("BRIGHTNESS", "1")),
    default=False,
)


class Nearly:
    """copy-last, one grey level up or down by the clip's first pixel."""

    def __init__(self, task, params, slots):
        pass

    def predict(self, given, horizon, seeds):
        last = given.frames[:, -1]
        shift = np.where(last[:, :1, :1, :1] % 2, 1, -1)
        moved = np.clip(last.astype(int) + shift, 0, 255).astype(np.uint8)
        return np.repeat(moved[:, None], horizon, 1)[:, None].repeat(seeds.shape[1], 1)


class Black:
    def __init__(self, task, params, slots):
        pass

    def predict(self, given, horizon, seeds):
        return np.zeros((len(given), seeds.shape[1], horizon, *given.frames.shape[2:]), np.uint8)


class Brightness:
    spec = BRIGHT

    def __init__(self, task, params, ctx):
        self.seen = {}

    def update(self, fake, real, clip):
        self.seen[clip.id] = float(fake.mean())

    def merge(self, other):
        self.seen |= other.seen

    def result(self):
        return Score(
            float(np.mean([self.seen[k] for k in sorted(self.seen)])),
            len(self.seen),
            dict(sorted(self.seen.items())),
        )

    def fingerprint(self):
        return {}
