"""Small data and a context for the stages of ours."""

import json
import math

import numpy as np

from tests.conftest import moving_square
from vpbench.api import Batch, Clip, Pair, TaskInfo
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.kit import to_arrays
from vpbench_keypoints.detector import KeypointDetector
from vpbench_keypoints.method import KeypointMethod
from vpbench_keypoints.motion import KeypointMotion
from vpbench_keypoints.spec import PARAMS, PRESETS
from vpbench_keypoints.translator import KeypointTranslator

SIZE, HORIZON, FRAMES = 16, 5, 12


TASK = TaskInfo("toy", SIZE, HORIZON, 1, None, 2, ("right", "down"), 2, ("left", "right"))


TINY = {
    **PARAMS,
    **PRESETS["smoke"],
    "n_keypoints": 3,
    "detector_width": 2,
    "translator_width": 2,
    "detector_decoder": 8,
    "translator_decoder": 8,
    "image_discriminator": 2,
    "image_discriminator_depth": 2,
    "motion_hidden": 6,
    "steps": 5,
    "motion_steps": 5,
}


class View:
    """Clips of moving squares, or paths of points, as the harness shows them; `joints` if asked."""

    def __init__(self, labels=True, joints=False, val=4):
        self.clips = {
            "train": [moving_square(k, k % 2, FRAMES, SIZE) for k in range(8)],
            "val": [moving_square(90 + k, k % 2, FRAMES, SIZE) for k in range(val)],
        }
        self.labels, self.joints = labels, joints

    def len(self, split):
        return len(self.clips[split])

    def length(self, split, i):
        return FRAMES

    def label(self, split, i):
        return i % 2 if self.labels else None

    def read(self, split, i, frames):
        return self.clips[split][i][list(frames)]

    def pose(self, split, i, frames):
        return self.path(i, frames, 2) if self.joints else None

    def path(self, i, frames, count):
        """Points that start at a place of their own and move right or down."""
        start = np.random.default_rng(i).uniform(-0.5, 0.0, (count, 2))
        move = np.array([[0.05, 0.0], [0.0, 0.05]])[i % 2] * np.asarray(frames)[:, None]
        flat = start[None] + move[:, None]
        return np.concatenate([flat, np.ones_like(flat[..., :1])], -1).astype(np.float32)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        k = start_step
        while True:
            rng = np.random.default_rng([k, len(stream)])
            index = rng.integers(0, self.len(split), batch)
            times = []
            for _ in index:
                if isinstance(window, Pair):
                    a = int(rng.integers(0, FRAMES - window.max_gap))
                    times.append([a, a + int(rng.integers(window.min_gap, window.max_gap + 1))])
                else:
                    assert isinstance(window, Clip)
                    a = int(rng.integers(0, FRAMES - window.length + 1))
                    times.append(list(range(a, a + window.length)))
            pairs = list(zip(index.tolist(), times, strict=True))
            yield Batch(
                np.stack([self.read(split, i, t) for i, t in pairs]),
                np.stack([self.path(i, t, 2) for i, t in pairs]) if self.joints else None,
                index % 2 if self.labels else None,
                index,
                np.array(times),
                np.stack([self.path(i, t, TINY["n_keypoints"]) for i, t in pairs]),
            )
            k += 1


class Context(StageContext):
    stop_after = math.inf

    @property
    def should_stop(self):
        return self._step >= self.stop_after


def method(task=TASK, **more):
    params = {**TINY, **more}
    parts = {
        "detector": KeypointDetector,
        "motion": KeypointMotion,
        "translator": KeypointTranslator,
    }
    return KeypointMethod(task, params, {k: cls(task, params, None) for k, cls in parts.items()})


def fit(folder, stage, made=None, data=None, trains=None, stop_after=math.inf, **more):
    made = made or method(**more)
    trains = trains or KeypointMethod.trains[stage]
    ctx = Context(
        TASK,
        trains,
        "cpu",
        1,
        5,
        StageDir(folder),
        f"ours:{stage}",
        folder,
        lambda event: None,
        made.slots,
    )
    ctx.stop_after = stop_after
    made.fit(stage, data or View(), ctx)
    return made, ctx


def weights(made, *slots):
    arrays, _ = to_arrays({s: made.slots[s].net.state_dict() for s in slots})
    return {k: v.tobytes() for k, v in arrays.items()}


def logged(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
