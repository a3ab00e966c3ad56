"""A good metric, and for every check a metric that only this check catches."""

import math

import numpy as np

from tests.plugins.texture import Texture
from vpbench.api import BadData, Floor, MetricSpec, Score, UsageError

MUTANTS = {}


def metric(name, catches, direction="down", kind="clip", **more):
    def add(cls):
        globals()[f"SPEC_{name}"] = cls.spec = MetricSpec(
            name, f"{__file__}:{cls.__name__}", "a mutant", kind, direction, "", 1, **more
        )
        MUTANTS[name] = catches
        return cls

    return add


@metric("good-error", None, params={"border": 0})
class Good:
    def __init__(self, task, params, ctx):
        self.params, self.seen = dict(params), {}

    def update(self, fake, real, clip):
        self.check(fake, real)
        self.seen[clip.id] = self.value(fake, real)

    def check(self, fake, real):
        if fake is None or real is None:
            raise UsageError("both sides are needed.")
        if fake.dtype != np.uint8 or fake.ndim != 5 or fake.shape[1:] != real.shape:
            raise BadData("no video.")

    def value(self, fake, real):
        return float(np.abs(fake.astype(int) - real).mean())

    def merge(self, other):
        self.seen |= other.seen

    def result(self):
        values = [self.seen[k] for k in sorted(self.seen)]
        return Score(math.fsum(values) / len(values), len(values), dict(sorted(self.seen.items())))

    def fingerprint(self):
        return {"metric": "error", **self.params}


@metric("no-merge", "methods")
class NoMerge(Good):
    merge = None


@metric("not-a-number", "result")
class NotANumber(Good):
    def value(self, fake, real):
        return float("nan")


@metric("first-clip-counts", "order")
class FirstClipCounts(Good):
    def result(self):
        weights = [1 / (k + 1) for k in range(len(self.seen))]
        value = sum(w * v for w, v in zip(weights, self.seen.values(), strict=True))
        return Score(value, len(self.seen))


@metric("mean-of-means", "merge")
class MeanOfMeans(Good):
    parts = None

    def merge(self, other):
        self.parts = (super().result().value + other.result().value) / 2
        self.seen |= other.seen

    def result(self):
        score = super().result()
        return score if self.parts is None else Score(self.parts, score.n, score.per_clip)


@metric("upside-down", "optimum", "up")
class UpsideDown(Good):
    pass


@metric("blind", "monotone")
class Blind(Good):
    def value(self, fake, real):
        return float((fake != real).any())


@metric("forgetful", "fingerprint", params={"border": 0})
class Forgetful(Good):
    def fingerprint(self):
        return {"metric": "error"}


@metric("no-json", "fingerprint")
class NoJson(Good):
    def fingerprint(self):
        return {"weights": np.zeros(3)}


@metric("takes-anything", "refuses")
class TakesAnything(Good):
    def check(self, fake, real):
        pass

    def value(self, fake, real):
        if fake is None or fake.shape[-4:] != real.shape:
            return 1.0
        return float(np.nan_to_num(super().value(np.nan_to_num(fake), real)))


def set_metric(name, catches):
    return metric(name, catches, kind="set", min_clips=2)


@set_metric("good-set", None)
class GoodSet(Texture):
    """Its floor and its cache are in `Texture`."""


@set_metric("pairs-only", "sides")
class PairsOnly(GoodSet):
    def update(self, fake, real, clip):
        if fake is None or real is None:
            raise UsageError("both sides are needed.")
        super().update(fake, real, clip)


@set_metric("equal-sets-only", "sides")
class EqualSetsOnly(GoodSet):
    def result(self):
        if len(self.fake) != len(self.real):
            raise UsageError("as many real as predicted clips are needed.")
        return super().result()


@set_metric("values-of-clips", "left-out")
class ValuesOfClips(GoodSet):
    def result(self):
        score = super().result()
        own = {k: abs(float(np.mean(self.fake[k]) - self.real[k])) for k in sorted(self.fake)}
        return Score(score.value, score.n, own)


@set_metric("half-left-out", "left-out")
class HalfLeftOut(GoodSet):
    def result(self):
        score = super().result()
        return Score(score.value, score.n, dict(list(score.per_clip.items())[::2]))


@set_metric("bare-floor", "offers")
class BareFloor(GoodSet):
    def real_floor(self):
        return 0.5


@set_metric("endless-floor", "offers")
class EndlessFloor(GoodSet):
    def real_floor(self):
        return Floor(math.inf, 2)


@set_metric("other-after-flush", "offers")
class OtherAfterFlush(GoodSet):
    def flush(self):
        self.real = {k: v + 1 for k, v in self.real.items()}
