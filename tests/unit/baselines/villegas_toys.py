"""Small data, a context and parts of Villegas et al. for tests."""

import json
import math

import numpy as np
import torch

from tests.conftest import moving_square
from vpbench.api import (
    Batch,
    Conditioning,
    Pair,
    TaskInfo,
)
from vpbench.core.rundir import StageDir
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.harness.training.context import StageContext
from vpbench.kit import to_arrays
from vpbench_baselines.villegas import params
from vpbench_baselines.villegas.detector import PoseDetector
from vpbench_baselines.villegas.motion import PoseMotion
from vpbench_baselines.villegas.translator import AnalogyTranslator

SIZE, GIVEN, HORIZON, FRAMES = 16, 3, 5, 14


BODY = JOINT_NAMES


def task(joints=BODY, given=GIVEN):
    return TaskInfo("toy", SIZE, HORIZON, given, None, 0, (), len(joints), joints)


PARTS = {
    "detector": (PoseDetector, params.DETECTOR, params.DETECTOR_PRESETS),
    "motion": (PoseMotion, params.MOTION, params.MOTION_PRESETS),
    "translator": (AnalogyTranslator, params.TRANSLATOR, params.TRANSLATOR_PRESETS),
}


def make(slot, info=None, **changed):
    cls, base, presets = PARTS[slot]
    info = info or task()
    values = {**base, **presets["smoke"], "steps": 5, **changed}
    if slot == "detector":
        values["n_keypoints"] = info.n_joints
    made = cls(info, values, None)
    if slot == "detector":  # as the harness says it of components
        made.space = (info.n_joints, "joints")
    return made


class View:
    """Moving squares with joints that move along, as the harness shows them; batch k is k's."""

    def __init__(self, joints=13, val=3, seen=0.8):
        self.clips = {
            "train": [moving_square(k, k % 2, FRAMES, SIZE) for k in range(6)],
            "val": [moving_square(90 + k, k % 2, FRAMES, SIZE) for k in range(val)],
        }
        self.joints, self.seen = joints, seen

    def len(self, split):
        return len(self.clips[split])

    def path(self, i, times):
        """Joints around a place that moves as the square does; some cannot be seen."""
        rng = np.random.default_rng(i)
        start = rng.uniform(-0.6, 0.2, (self.joints, 2))
        move = np.array([[0.06, 0.0], [0.0, 0.06]])[i % 2] * np.asarray(times)[:, None, None]
        there = np.repeat(rng.random((1, self.joints, 1)) < self.seen, len(times), 0)
        return np.concatenate([start + move, there], -1).astype(np.float32)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        k = start_step
        while True:
            rng = np.random.default_rng([k, len(stream)])
            index = (np.arange(batch) + k * batch) % self.len(split)
            times = []
            for _ in index:
                if isinstance(window, Pair):
                    gap = int(rng.integers(window.min_gap, window.max_gap + 1))
                    a = int(rng.integers(0, FRAMES - gap))
                    times.append([a, a + gap])
                else:
                    times.append(list(range(window.length)))
            rows = list(zip(index.tolist(), times, strict=True))
            paths = np.stack([self.path(i, t) for i, t in rows]) if self.joints else None
            frames = np.stack([self.clips[split][i][t] for i, t in rows])
            yield Batch(frames, paths, None, index, np.array(times), self.keypoints(frames, paths))
            k += 1

    def keypoints(self, frames, paths):
        """Of a labels stage: the joints, a little off, all of them seen."""
        if paths is None:
            return None
        noise = np.random.default_rng(0).normal(0, 0.01, (*paths.shape[:-1], 2))
        found = np.concatenate([paths[..., :2] + noise, np.ones_like(paths[..., :1])], -1)
        return found.astype(np.float32)


class Context(StageContext):
    stop_after = math.inf

    @property
    def should_stop(self):
        return self._step >= self.stop_after


def context(folder, slot, info=None, detector=None, seed=5, stop_after=math.inf):
    info = info or task()
    detector = detector or make("detector", info)
    ctx = Context(
        info,
        (slot,),
        "cpu",
        1,
        seed,
        StageDir(folder),
        f"villegas-{slot}:fit",
        folder,
        lambda event: None,
        {"detector": detector},
    )
    ctx.stop_after = stop_after
    return ctx


def fit(folder, slot, data=None, info=None, detector=None, seed=5, stop_after=math.inf, **changed):
    part = make(slot, info, **changed)
    ctx = context(folder, slot, info, detector, seed, stop_after)
    part.fit(data or View(), ctx)
    return part, ctx


SLOTS = tuple(PARTS)


def given(n=GIVEN):
    clips = np.stack([moving_square(50 + k, k % 2, n, SIZE) for k in range(2)])
    return Conditioning(clips, None, None, None, ("a", "b"))


def changed(networks, act):
    before = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in networks.items()}
    act()
    return {
        n
        for n, m in networks.items()
        if any(not torch.equal(before[n][k], v) for k, v in m.state_dict().items())
    }


class Corners:
    """A detector of four points that no joints are: the brightest pixel and three fixed ones."""

    space = (4, "unsupervised")

    def detect(self, frames, pose):
        assert pose is None
        grey = frames.mean(2).flatten(2).argmax(2)
        y, x = grey // frames.shape[-1], grey % frames.shape[-1]
        moving = torch.stack([x, y], -1) / (frames.shape[-1] - 1) * 2 - 1
        still = torch.tensor([[-0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]).expand(*moving.shape[:2], 3, 2)
        points = torch.cat([moving[:, :, None], still], 2)
        return torch.cat([points, torch.ones_like(points[..., :1])], -1)


def weights(part):
    arrays, _ = to_arrays(part.net.state_dict())
    return {k: v.tobytes() for k, v in arrays.items()}


def logged(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
