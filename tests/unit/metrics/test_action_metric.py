"""`action` over a made-up network: what it fits, what it keeps, what its fingerprint holds."""

import dataclasses
import json

import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.api.optional import CachesFeatures, FitsOnTraining
from vpbench.api.protocols import Metric
from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.metrics.action import probe_metric as module
from vpbench.metrics.action import probe_store
from vpbench.metrics.action.probe_metric import Action

T, SIZE, CLASSES = 10, 8, ("left", "right", "still")
TASK = TaskInfo("toy", SIZE, T, 1, None, 3, CLASSES, 0, ())


class Net:
    """Mean change of the left and of the right half, as two of four features."""

    name, dim, batch, min_frames = "net", 4, 4, 9
    clips = 0

    def __call__(self, clips, names=None):
        Net.clips += len(clips)
        x = clips.astype(np.float64)
        change = np.abs(np.diff(x, axis=1)).mean(axis=(1, 2, 4))
        halves = np.stack([change[:, :4].mean(1), change[:, 4:].mean(1)], 1)
        rest = np.stack([x.mean(axis=(1, 2, 3, 4)), x.std(axis=(1, 2, 3, 4))], 1)
        return np.concatenate([halves, rest], 1).astype(np.float32)

    def fingerprint(self):
        return {"weights": "abc", "version": 7}


def clip(label, seed):
    rng = np.random.default_rng([label, seed])
    frames = np.broadcast_to(rng.integers(60, 200, (1, SIZE, SIZE, 3)), (T, SIZE, SIZE, 3)).copy()
    if label < 2:
        side = slice(0, 4) if label == 0 else slice(4, 8)
        frames[:, :, side] += rng.integers(-50, 50, frames[:, :, side].shape)
    return frames.astype(np.uint8)


def info(name, label):
    return ClipInfo(name, T, SIZE, SIZE, label)


class Training:
    key = "one"

    def __init__(self, labels=(0, 1, 2) * 6):
        self.clips = [info(f"train/{k}", label) for k, label in enumerate(labels)]
        self.reads = 0

    def read(self, i):
        self.reads += 1
        label = self.clips[i].label
        return clip(0 if label is None else label, i + 100)


@dataclasses.dataclass
class Context:
    root: object
    training: object = None
    recompute: bool = False
    device: str = "cpu"
    workers: int = 1

    def weights(self, name):
        return self.root / name

    def cache(self, kind, key):
        (self.root / kind / key).mkdir(parents=True, exist_ok=True)
        return self.root / kind / key


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    net = Net()
    monkeypatch.setattr(module, "open_extractor", lambda recipe, dtype, ctx: net)
    monkeypatch.setattr(module, "shipped_features", lambda: [])
    monkeypatch.setattr(probe_store, "SHIPPED", tmp_path / "shipped")
    Net.clips = 0
    return Context(tmp_path, Training())


def feed(metric, numbers, samples=1):
    for k in numbers:
        wanted, shown = k % 3, (k % 3 if k < 6 else (k + 1) % 3)
        fake = np.stack([clip(shown, 1000 + k + 50 * s) for s in range(samples)])
        metric.update(fake, None, info(f"c{k}", wanted))
    return metric


def test_the_share_of_clips_that_show_what_was_asked_for(ctx):
    metric = Action(TASK, {}, ctx)
    assert isinstance(metric, Metric)
    assert isinstance(metric, CachesFeatures) and isinstance(metric, FitsOnTraining)
    score = feed(metric, range(8)).result()
    assert (score.value, score.n) == (6 / 8, 8)
    assert score.per_clip == {f"c{k}": float(k < 6) for k in range(8)}
    found = score.recognition
    assert found is not None and found.classes == CLASSES and found.streams == {}
    for name, rows in found.softmax.items():
        (row,) = rows
        assert sum(row) == pytest.approx(1)
        assert (int(np.argmax(row)) == found.label[name]) == bool(score.per_clip[name])


def test_any_order_and_any_parts_give_the_same_bits(ctx):
    whole = feed(Action(TASK, {}, ctx), range(8), 2).result()
    first = feed(Action(TASK, {}, ctx), (7, 2, 4), 2)
    first.merge(feed(Action(TASK, {}, ctx), (0, 1, 3, 6, 5), 2))
    assert first.result() == whole
    assert whole.samples["c7"] == [0.0, 0.0]


def test_a_probe_is_fitted_once_and_found_again(ctx):
    feed(Action(TASK, {}, ctx), range(3)).result()
    assert ctx.training.reads == 18
    feed(Action(TASK, {}, ctx), range(3, 6)).result()
    assert ctx.training.reads == 18
    ctx.recompute = True
    feed(Action(TASK, {}, ctx), range(3)).result()
    assert ctx.training.reads == 36


def test_parts_of_the_training_clips_are_prepared_side_by_side(ctx):
    seen = []
    for part in ((0, 2), (1, 2)):
        Action(TASK, {}, ctx).prepare_training(part, lambda done, total: seen.append((done, total)))
    assert seen == [(k, 9) for k in range(1, 10)] * 2
    made = Net.clips
    metric = feed(Action(TASK, {}, ctx), range(3))
    metric.result()
    assert Net.clips - made <= 4  # one batch of predictions, none of training clips
    Action(TASK, {}, ctx).prepare_training((0, 1), lambda *_: seen.append(None))
    assert None not in seen  # the probe is there


def test_a_shipped_probe_needs_no_training_clip(ctx, monkeypatch):
    metric = Action(TASK, {}, ctx)
    expected = feed(metric, range(6)).result()
    data = probe_store.probe_bytes({metric.probe_key(T): metric.probe(T)})
    probe_store.SHIPPED.mkdir()
    (probe_store.SHIPPED / "toy.npz").write_bytes(data)
    import hashlib

    monkeypatch.setattr(probe_store, "PINS", {"toy.npz": hashlib.sha256(data).hexdigest()})
    fresh = Context(ctx.root / "fresh", Training())
    assert feed(Action(TASK, {}, fresh), range(6)).result() == expected
    assert fresh.training.reads == 0


def test_the_fingerprint_holds_the_training_clips_the_features_and_the_classes(ctx):
    def of(task=TASK, **changes):
        return json.dumps(dict(Action(task, {}, dataclasses.replace(ctx, **changes)).fingerprint()))

    other = Training()
    other.key = "two"
    names = dataclasses.replace(TASK, class_names=("a", "b", "c"))
    assert of() == of(device="cuda")
    assert len({of(), of(training=other), of(names)}) == 3
    assert json.loads(of())["features_weights"] == "abc"
    one = Action(TASK, {}, ctx)
    assert one.probe_key(T) != one.probe_key(9)


@pytest.mark.parametrize(
    ("changes", "task", "words"),
    [
        ({"training": None}, TASK, "vpbench run"),
        ({"training": Training(())}, TASK, "no|none"),
        ({"training": Training((0, 1, 0, 1))}, TASK, "'still' has none"),
        ({"training": Training((0, 1, 2, None))}, TASK, "with a class"),
        ({}, dataclasses.replace(TASK, n_classes=0, class_names=()), "dataset with classes"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(ctx, changes, task, words):
    with pytest.raises(UsageError, match=words):
        Action(task, {}, dataclasses.replace(ctx, **changes))


def test_wrong_clips_are_refused(ctx):
    metric, good = feed(Action(TASK, {}, ctx), range(1)), clip(0, 1)[None]
    for fake, label, error in (
        (good.astype(np.float32), 0, BadData),
        (good[0], 0, BadData),
        (good[:, :8], 0, UsageError),
        (good, None, UsageError),
        (good, 3, UsageError),
        (None, 0, UsageError),
    ):
        with pytest.raises(error):
            metric.update(fake, None, info("new", label))
    with pytest.raises(BadData, match="real"):
        metric.update(good[:, :9], clip(0, 1), info("new", 0))
    with pytest.raises(UsageError, match="twice"):
        metric.update(good, None, info("c0", 0))
    with pytest.raises(UsageError, match="twice"):
        metric.merge(feed(Action(TASK, {}, ctx), range(1)))
    assert metric.result().n == 1
    assert Action(TASK, {}, ctx).result().reason == "no clips"
