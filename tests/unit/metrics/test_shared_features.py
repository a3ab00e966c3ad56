"""Metrics of one context that use the same features hold them once, and say the same as alone."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.metrics.test_video_metrics import Net, info
from vpbench.api.errors import BadData
from vpbench.harness.training.context import ScoreContext
from vpbench.metrics import video as module
from vpbench.metrics.motion.metric import Motion, MotionMmd
from vpbench.metrics.video import Fvd, Kvd


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    def opened(recipe, dtype, ctx):
        return Net(tmp_path, recipe, dtype)

    monkeypatch.setattr(module, "open_extractor", opened)
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "shipped")
    Net.built = 0
    return ScoreContext("cpu", 1, tmp_path)


def fed(metrics, count=6):
    rng = np.random.default_rng(count)
    for k in range(count):
        real, fake = rng.integers(0, 256, (2, 9, 32, 32, 3), np.uint8)
        for metric in metrics:
            metric.update(fake[None], real, info(f"c{k}"))
    return [metric.result() for metric in metrics]


def test_two_distances_have_one_queue_and_their_own_figures(ctx, tmp_path):
    metrics = [kind(None, {}, replace(ctx, declared=())) for kind in (Fvd, Kvd)]
    assert metrics[0]._queue is metrics[1]._queue
    together = fed(metrics)
    assert Net.built == 3  # twelve clips, four at a time
    alone = [
        fed([kind(None, {}, ScoreContext("cpu", 1, tmp_path / kind.__name__))])[0]
        for kind in (Fvd, Kvd)
    ]
    assert together == alone


def test_what_is_not_shared(ctx, tmp_path):
    one = Fvd(None, {}, ctx)
    others = [
        Fvd(None, {"recipe": "styleganv"}, ctx),
        Fvd(None, {}, ScoreContext("cpu", 1, tmp_path)),
        Fvd(None, {}, replace(ctx, features=tmp_path / "other")),
        Fvd(None, {}, replace(ctx, recompute=True)),
    ]
    # These keep different parts of the same features.
    moving = [
        Motion(None, {}, ctx),
        Motion(None, {"recipe": "warp"}, ctx),
        MotionMmd(None, {}, ctx),
    ]
    queues = {id(metric._queue) for metric in (one, *others, *moving)}
    assert len(queues) == 8


def test_features_go_with_the_last_metric(ctx):
    metrics = [Fvd(None, {}, ctx), Kvd(None, {}, ctx)]
    fed(metrics)
    metrics.pop()
    gc.collect()
    assert len(ctx.queues) == 1 and metrics[0].result().n == 6
    metrics.clear()
    gc.collect()
    assert not ctx.queues


def test_shards_of_one_context_merge_to_what_one_instance_says(ctx):
    whole, *shards = (Fvd(None, {}, ctx) for _ in range(3))
    fed([whole])
    rng = np.random.default_rng(6)
    for k in range(6):
        real, fake = rng.integers(0, 256, (2, 9, 32, 32, 3), np.uint8)
        shards[k % 2].update(fake[None], real, info(f"c{k}"))
    shards[0].merge(shards[1])
    assert shards[0].result() == whole.result()


def test_a_clip_without_a_feature_fails_for_every_metric_that_has_it(ctx, monkeypatch):
    metrics = [Fvd(None, {}, ctx), Kvd(None, {}, ctx)]
    monkeypatch.setattr(Net, "__call__", lambda *_: np.full((4, 5), np.nan, np.float32))
    clips = np.random.default_rng(0).integers(0, 256, (3, 9, 32, 32, 3), np.uint8)
    for metric in metrics:
        metric.update(clips[:1], clips[1], info("a"))
    for metric in metrics:
        with pytest.raises(BadData, match="NaN or infinity for the clip 'a'"):
            metric.flush()
