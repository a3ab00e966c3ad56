"""A good metric, and for every check a metric that only this check catches."""

import math

import numpy as np

from vpbench.api import BadData, MetricSpec, Score, UsageError

MUTANTS = {}


def metric(name, catches, direction="down", **more):
    def add(cls):
        globals()[f"SPEC_{name}"] = cls.spec = MetricSpec(
            name, f"{__file__}:{cls.__name__}", "a mutant", "clip", direction, "", 1, **more
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
