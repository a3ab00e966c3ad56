"""Good methods, and for every check a method that only this check catches. Numpy only."""

import contextlib
import os
import random
import socket
import time
from pathlib import Path

import numpy as np

from tests.contract.mutant_kit import registering, rolled
from vpbench.api import Capabilities as C
from vpbench.api import Refused

MUTANTS = {}
"""Name -> the one check that fails; None for good methods."""


method = registering(globals(), MUTANTS)


# -- good ones --------------------------------------------------------------------------------


@method("roll", None)
class Roll:
    def __init__(self, task, params, slots):
        self.task, self.params = task, params

    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 1)


@method("chance", None, C(stochastic=True, conditioning_frames=(1, 3)))
class Chance(Roll):
    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 1 + s % 5)


@method("labelled", None, C(label="required"))
class Labelled(Roll):
    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 1 + int(given.label[b]))


@method("posed", None, C(pose="required", size_multiple=3, min_size=33))
class Posed(Roll):
    def predict(self, given, horizon, seeds):
        if given.pose is None:
            raise Refused("posed needs a pose.")
        return rolled(given, horizon, seeds, lambda b, s: 1 + int(given.pose[b, 0, 0, 0] > 0))


# -- spec and factory -------------------------------------------------------------------------


@method("no-summary", "spec-valid", summary=" ")
class NoSummary(Roll):
    pass


@method("strange-preset", "spec-valid", default_preset=((None, "nothing"),))
class StrangePreset(Roll):
    pass


@method("signature", "factory")
class Signature(Roll):
    def predict(self, frames, horizon):
        return None


@method("init", "factory")
class Init(Roll):
    def __init__(self, task, params, slots):
        raise RuntimeError("no")


@method("import-in-factory", "factory", factory="no_such_package.method:Nothing")
class ImportInFactory(Roll):
    pass


# -- outputs ----------------------------------------------------------------------------------


@method("downloads", "network")
class Downloads(Roll):
    def predict(self, given, horizon, seeds):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
        return super().predict(given, horizon, seeds)


@method("phones-home", "network")
class PhonesHome(Roll):
    def predict(self, given, horizon, seeds):
        with contextlib.suppress(OSError):
            socket.getaddrinfo("example.org", 80)
        return super().predict(given, horizon, seeds)


@method("raises", "answers")
class Raises(Roll):
    def predict(self, given, horizon, seeds):
        raise ValueError("on purpose")


@method("hangs", "answers")
class Hangs(Roll):
    def predict(self, given, horizon, seeds):
        time.sleep(1000)


@method("exits", "answers")
class Exits(Roll):
    def predict(self, given, horizon, seeds):
        os._exit(3)


@method("nan", "finite")
class Nan(Roll):
    def predict(self, given, horizon, seeds):
        return np.full((*seeds.shape, horizon, *given.frames.shape[2:]), np.nan, np.float32)


@method("float", "dtype")
class Float(Roll):
    def predict(self, given, horizon, seeds):
        return super().predict(given, horizon, seeds).astype(np.float32) / 255


@method("no-samples-axis", "shape")
class NoSamplesAxis(Roll):
    def predict(self, given, horizon, seeds):
        return super().predict(given, horizon, seeds)[:, 0]


@method("one-short", "horizon")
class OneShort(Roll):
    def predict(self, given, horizon, seeds):
        return super().predict(given, horizon, seeds)[:, :, : max(1, horizon - 1)]


@method("still", "moves")
class Still(Roll):
    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 0)


@method("one-size", "sizes")
class OneSize(Roll):
    def predict(self, given, horizon, seeds):
        return super().predict(given, horizon, seeds)[:, :, :, :32, :32]


@method("two-given", "given-frames", C(conditioning_frames=(1, 2)))
class TwoGiven(Roll):
    def predict(self, given, horizon, seeds):
        assert given.frames[:, 1].size
        return super().predict(given, horizon, seeds)


@method("eight-at-most", "horizon-limit", C(max_horizon=12))
class EightAtMost(Roll):
    def predict(self, given, horizon, seeds):
        return super().predict(given, min(horizon, 8), seeds)


# -- behaviour --------------------------------------------------------------------------------


@method("counts-calls", "same-seed")
class CountsCalls(Roll):
    calls = 0

    def predict(self, given, horizon, seeds):
        self.calls += 1
        return rolled(given, horizon, seeds, lambda b, s: self.calls)


@method("unseeded", "same-seed", C(stochastic=True))
class Unseeded(Roll):
    def predict(self, given, horizon, seeds):
        rng = np.random.default_rng()
        return rolled(given, horizon, seeds, lambda b, s: int(rng.integers(1, 30)))


@method("ignores-seed", "seeds", C(stochastic=True))
class IgnoresSeed(Roll):
    pass


@method("secretly-random", "seeds")
class SecretlyRandom(Chance):
    pass


@method("first-seed", "samples", C(stochastic=True))
class FirstSeed(Chance):
    def predict(self, given, horizon, seeds):
        return super().predict(given, horizon, seeds[:, :1].repeat(seeds.shape[1], 1))


@method("batch-mean", "batch-size")
class BatchMean(Roll):
    def predict(self, given, horizon, seeds):
        return super().predict(given, horizon, seeds) + np.uint8(given.frames.mean() * 8 % 251)


@method("batch-place", "batch-order")
class BatchPlace(Roll):
    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 1 + b)


@method("deaf", "label-used", C(label="optional"))
class Deaf(Roll):
    pass


@method("eavesdrops", "label-ignored")
class Eavesdrops(Roll):
    def predict(self, given, horizon, seeds):
        label = np.zeros(len(given), int) if given.label is None else given.label
        return rolled(given, horizon, seeds, lambda b, s: 1 + int(label[b]))


@method("guesses-pose", "pose-refusal", C(pose="required"))
class GuessesPose(Roll):
    pass


@method("trips-over-pose", "pose-refusal", C(pose="required"))
class TripsOverPose(Posed):
    def predict(self, given, horizon, seeds):
        return rolled(given, horizon, seeds, lambda b, s: 1 + int(given.pose[b, 0, 0, 0] > 0))


@method("reads-clips", "future-probe")
class ReadsClips(Roll):
    """Looks around for files whose first frames are the given ones."""

    def predict(self, given, horizon, seeds):
        out = super().predict(given, horizon, seeds)
        for path in sorted(Path.cwd().parent.rglob("clips/test/*.npz")):
            frames = np.load(path)["frames"]
            for b, own in enumerate(given.frames[:, -1]):
                hits = [t for t, f in enumerate(frames[:-horizon]) if np.array_equal(f, own)]
                if hits:
                    out[b] = frames[hits[0] + 1 : hits[0] + 1 + horizon]
        return out


# -- the machine and the process --------------------------------------------------------------


@method("litters", "writes")
class Litters(Roll):
    def predict(self, given, horizon, seeds):
        Path("~/.litter").expanduser().write_text("here")
        return super().predict(given, horizon, seeds)


@method("seeds-numpy", "globals")
class SeedsNumpy(Roll):
    def predict(self, given, horizon, seeds):
        np.random.seed(int(seeds[0, 0]) % 2**32)
        return super().predict(given, horizon, seeds)


@method("draws-random", "globals")
class DrawsRandom(Roll):
    def predict(self, given, horizon, seeds):
        random.random()
        return super().predict(given, horizon, seeds)


@method("changes-folder", "globals")
class ChangesFolder(Roll):
    def predict(self, given, horizon, seeds):
        os.chdir("/")
        return super().predict(given, horizon, seeds)


@method("sets-environment", "globals")
class SetsEnvironment(Roll):
    def predict(self, given, horizon, seeds):
        os.environ["CUDA_VISIBLE_DEVICES"] = "7"
        return super().predict(given, horizon, seeds)


@method("all-pairs", "memory")
class AllPairs(Roll):
    def predict(self, given, horizon, seeds):
        pairs = np.ones((len(given), len(given), 8 << 20), np.uint8)  # 8 MiB a pair
        assert pairs.all()
        return super().predict(given, horizon, seeds)


# -- declared failures ------------------------------------------------------------------------


@method("declared-still", None, expected_failures={"moves": "it is meant to stand still"})
class DeclaredStill(Still):
    pass


@method("declared-in-vain", "moves", expected_failures={"moves": "it moves after all"})
class DeclaredInVain(Roll):
    pass
