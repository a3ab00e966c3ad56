"""Where FVD and KVD have their features from: the network, the cache, what is shipped."""

import numpy as np
import pytest

from tests.unit.metrics.video_toys import KINDS, Context, Net, fill, frames, info, made_up_features
from vpbench.api.errors import BadData, MissingWeights, VpbenchError
from vpbench.metrics import video as module
from vpbench.metrics.features import FeatureExtractor, clip_hash, write_shipped
from vpbench.metrics.video import Fvd, Kvd
from vpbench.metrics.video_specs import FVD


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    return made_up_features(tmp_path, monkeypatch)


def test_network_runs_only_for_what_is_missing(ctx):
    first = fill(Fvd(None, {}, ctx), 6)
    first.fingerprint()
    score = first.result()
    assert Net.built == 3  # twelve clips in batches of four
    assert fill(Kvd(None, {}, ctx), 6).result().n == 6
    assert fill(Fvd(None, {}, ctx), 6).result() == score
    assert Net.built == 3


def test_two_metrics_side_by_side_share_the_work(ctx):
    both = Fvd(None, {}, ctx), Kvd(None, {}, ctx)
    for k in range(7):
        for metric in both:
            metric.update(frames(k + 1000, samples=1), frames(k), info(f"c{k}"))
    results = [metric.result() for metric in both]
    assert Net.built == 4  # fourteen clips in batches of four
    assert results == [fill(kind(None, {}, ctx), 7).result() for kind in (Fvd, Kvd)]


def test_shipped_features(ctx, monkeypatch):
    found = fill(Fvd(None, {}, ctx), 4).result()
    net = Net(None, "tf2018", "float32")
    made = {clip_hash(v): net(v[None])[0] for k in range(4) for v in (frames(k), frames(k + 1000))}
    pin = write_shipped(module.SHIPPED / "some.npz", net.fingerprint(), made)
    monkeypatch.setattr(module, "PINS", {"some.npz": pin})
    Net.built = 0
    own = Context(ctx.root / "fresh")
    assert fill(Fvd(None, {}, own), 4).result() == found
    assert Net.built == 0
    own.recompute = True
    assert fill(Fvd(None, {}, own), 4).result() == found
    assert Net.built == 2


@KINDS
def test_missing_weights_are_told_at_once(kind, ctx):
    with pytest.raises(MissingWeights, match="i3d weights are not here"):
        kind(None, {}, Context(ctx.root, missing=True))


def test_a_nan_names_the_clip(ctx, monkeypatch):
    normal = Net.__call__
    monkeypatch.setattr(
        Net,
        "__call__",
        lambda self, clips, names: normal(self, clips) / (clips.max((1, 2, 3, 4)) > 0)[:, None],
    )
    metric = fill(Fvd(None, {}, ctx), 1)
    with np.errstate(all="ignore"), pytest.raises(BadData, match="clip 'black'"):
        metric.update(np.zeros((1, 9, 8, 8, 3), np.uint8), frames(5), info("black"))
        metric.result()


def test_default_extractor_is_i3d(tmp_path):
    extract = pytest.importorskip("vpbench.metrics.i3d.extract")
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "i3d")
    made = module.open_extractor(FVD.params["recipe"], FVD.params["dtype"], Context(tmp_path))
    assert isinstance(made, extract.I3DFeatures) and isinstance(made, FeatureExtractor)
    assert made.fingerprint()["recipe"] == "tf2018"
    assert made.min_frames == FVD.min_frames
    with pytest.raises(VpbenchError):
        module.open_extractor("tf2018", "float8", Context(tmp_path))
