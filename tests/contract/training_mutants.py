"""A good method that is trained, and for every check of training one that only it catches."""

import time

import numpy as np

from tests.contract.method_mutants import Roll
from tests.contract.mutant_kit import registering, rolled
from vpbench.api import Capabilities as C
from vpbench.api import StageSpec

MUTANTS = {}
"""Name -> the one check that fails; None for good methods."""

method = registering(globals(), MUTANTS)


@method("learned", None, C(trainable=True, max_horizon=9), stages=(StageSpec("fit"),))
class Learned(Roll):
    """Learns a shift and a grey level by a momentum, so that forgetting any of it shows."""

    start = 0.0

    def __init__(self, task, params, slots):
        super().__init__(task, params, slots)
        self.level, self.speed = self.start, 0.0

    def fit(self, stage, data, ctx):
        from vpbench.api import Pair

        stored = ctx.resume()
        done = 0 if stored is None else self.restore(*stored)
        while done < 200 and not self.stop(ctx):
            batch = next(data.batches("train", Pair(1, 3), 2, start_step=done))
            self.speed = 0.5 * self.speed + float(batch.frames.mean()) / 4
            self.level += self.speed
            done = ctx.step(200)
            ctx.log({"loss": self.loss()})
        ctx.checkpoint({"level": np.array(self.level), "speed": np.array(self.speed)}, {"k": done})

    def stop(self, ctx):
        return ctx.should_stop

    def loss(self):
        return self.level

    def restore(self, arrays, meta):
        self.level, self.speed = float(arrays["level"]), float(arrays["speed"])
        return meta["k"]

    def save(self, stage, folder):
        (folder / "level.txt").write_text(repr(self.level))

    def load(self, stage, folder, device):
        self.level = float((folder / "level.txt").read_text())

    def predict(self, given, horizon, seeds):
        moved = super().predict(given, horizon, seeds)
        return (moved + np.uint8(int(self.level) % 251)).astype(np.uint8)


# -- training ---------------------------------------------------------------------------------

LEARNED = {"capabilities": C(trainable=True), "stages": (StageSpec("fit"),)}


@method("fit-raises", "fit", **LEARNED)
class FitRaises(Learned):
    def loss(self):
        raise ValueError("no loss")


@method("fit-nan", "fit-logs", **LEARNED)
class FitNan(Learned):
    def loss(self):
        return float("nan")


@method("fit-silent", "fit-logs", **LEARNED)
class FitSilent(Learned):
    def fit(self, stage, data, ctx):
        ctx.step(1)
        self.level = 3.0


@method("fit-on-and-on", "fit-stops", **LEARNED)
class FitOnAndOn(Learned):
    def stop(self, ctx):
        return False


@method("forgets", "save-load", **LEARNED)
class Forgets(Learned):
    def load(self, stage, folder, device):
        self.level = 0.0


@method("dated", "save-deterministic", **LEARNED)
class Dated(Learned):
    def save(self, stage, folder):
        super().save(stage, folder)
        (folder / "when.txt").write_text(str(time.time_ns()))


@method("forgets-speed", "resume", **LEARNED)
class ForgetsSpeed(Learned):
    def restore(self, arrays, meta):
        self.level = float(arrays["level"])
        return meta["k"]


FAINT = {
    "capabilities": C(trainable=True, stochastic=True, label="optional"),
    "stages": (StageSpec("fit"),),
}


@method("good-faint", None, **FAINT)
class Faint(Learned):
    """Hardly trained: its keypoints move, its pictures do not show it yet."""

    moves = seeded = labelled = True

    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 0)

    def intermediates(self, given, horizon, seeds):
        """One keypoint, on given and predicted frames."""
        points = np.ones((*seeds.shape, given.frames.shape[1] + horizon, 1, 3), np.float32)
        points[..., 0] *= 1e-4 * np.arange(points.shape[2])[:, None] if self.moves else 0.0
        points[..., 1] *= 1e-4 * (seeds[..., None, None] % 97) if self.seeded else 0.0
        if self.labelled and given.label is not None:
            points[..., 1] += 1e-4 * given.label[:, None, None, None]
        return {"keypoints": points}


@method("faint-and-still", "moves", **FAINT)
class FaintAndStill(Faint):
    moves = False


@method("faint-and-sure", "seeds", **FAINT)
class FaintAndSure(Faint):
    seeded = False


@method("faint-and-deaf", "label-used", **FAINT)
class FaintAndDeaf(Faint):
    labelled = False
