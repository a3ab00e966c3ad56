"""A made-up network of features, and clips to score with it."""

import numpy as np
import pytest

from vpbench.api.errors import MissingWeights
from vpbench.api.types import ClipInfo
from vpbench.metrics import video as module
from vpbench.metrics.video import Fvd, Kvd

KINDS = pytest.mark.parametrize("kind", [Fvd, Kvd])


class Net:
    name, dim, batch, min_frames = "net", 5, 4, 9
    built = 0

    def __init__(self, path, recipe, dtype):
        self.settings = {
            "weights": "abc",
            "recipe": recipe,
            "dtype": dtype,
            "eps": 1e-3,
            "version": 7,
        }

    def __call__(self, clips, names=None):
        Net.built += 1
        flat = clips[:, :9, :4, :4].reshape(len(clips), -1).astype(np.float64)
        matrix = np.random.default_rng(0).normal(size=(flat.shape[1], 5)) / 100
        return (flat[:, None] @ matrix)[:, 0].astype(np.float32)

    def fingerprint(self):
        return self.settings


class Context:
    device, workers, recompute = "cpu", 1, False

    def __init__(self, root, missing=False):
        self.root, self.missing = root, missing

    def weights(self, name):
        if self.missing:
            raise MissingWeights(f"{name} weights are not here")
        return self.root / name

    def cache(self, kind, key):
        return self.root / kind / key


def made_up_features(folder, monkeypatch):
    """A context in which features come from `Net`, and none are shipped."""
    monkeypatch.setattr(
        module,
        "open_extractor",
        lambda recipe, dtype, ctx: Net(ctx.weights("i3d"), recipe, dtype),
    )
    monkeypatch.setattr(module, "SHIPPED", folder / "shipped")
    Net.built = 0
    return Context(folder)


def info(name, group=""):
    return ClipInfo(name, 16, 8, 8, None, group=group)


def frames(seed, t=9, samples=None):
    shape = (t, 8, 8, 3) if samples is None else (samples, t, 8, 8, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fill(metric, n, samples=1, groups=None, order=None):
    for k in order or range(n):
        group = groups[k] if groups else ""
        metric.update(frames(k + 1000, samples=samples), frames(k), info(f"c{k}", group))
    return metric


def rows(kind, ctx, n, samples=1):
    """Features [S,n,5] and [n,5] in the order of the clips' names."""
    net, order = Net(None, "", ""), sorted(range(n), key=lambda k: f"c{k}")
    fake = [
        [net(frames(k + 1000, samples=samples)[s : s + 1])[0] for k in order]
        for s in range(samples)
    ]
    return np.array(fake), np.array([net(frames(k)[None])[0] for k in order])
