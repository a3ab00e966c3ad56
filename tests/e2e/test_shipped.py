"""The features that come with vpbench are those of the reference rows as they are made here."""

import numpy as np
import pytest

from tests.unit.metrics.weights_here import i3d_path
from vpbench.core.methods import resolve
from vpbench.core.places import places
from vpbench.core.registry import build
from vpbench.harness.bench import Place, open_bench
from vpbench.harness.loading import make_method
from vpbench.metrics.features import clip_hash
from vpbench.metrics.video import shipped_features


@pytest.mark.parametrize("name", ["real", "copy-last", "blur-copy", "noise"])
def test_every_reference_clip_has_its_feature(name, tmp_path):
    """Those that need no training clips; the others are covered by the collected number."""
    (shipped,) = shipped_features()
    registry = build()
    bench = open_bench(Place("puppets"), registry, places())
    method = resolve(name, registry, 64)
    instance = make_method(method, bench.task.info, registry, {})
    items = bench.task.test
    given, seeds = bench.conditioning(items, method), bench.seeds(items, 0, 1)
    if method.capabilities.oracle:
        future = np.stack([bench.targets(i) for i in items])
        frames = instance.predict(given, future, 16, seeds)
    else:
        frames = instance.predict(given, 16, seeds)
    missing = [
        i.id for i, f in zip(items, frames, strict=True) if clip_hash(f[0]) not in shipped.features
    ]
    assert missing == []


@pytest.mark.weights
def test_shipped_features_are_what_the_network_makes():
    """Another processor may differ in the last digits."""
    from vpbench.core.hashing import digest
    from vpbench.metrics.i3d.extract import I3DFeatures

    (shipped,) = shipped_features()
    network = I3DFeatures(i3d_path())
    assert digest(dict(network.fingerprint())) == shipped.extractor
    bench = open_bench(Place("puppets"), build(), places())
    for item in bench.task.test[:2]:
        frames = bench.targets(item)
        made = network(frames[None])[0]
        stored = shipped.features[clip_hash(frames)]
        assert np.linalg.norm(made - stored) <= 1e-4 * np.linalg.norm(stored)
