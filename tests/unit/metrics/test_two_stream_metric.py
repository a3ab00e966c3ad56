"""`action-2s` with small recognisers: training, storing, publishing, scoring, refusals."""

import dataclasses
import json

import numpy as np
import pytest

from tests.unit.metrics.test_two_stream import SMALL, textured
from vpbench.api.errors import BadData, HashMismatch, Missing, UsageError
from vpbench.api.protocols import Metric
from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.metrics.action.two_stream import store
from vpbench.metrics.action.two_stream.files import Origin, install, publish, save_recogniser
from vpbench.metrics.action.two_stream.metric import ActionTwoStream
from vpbench.metrics.action.two_stream.recogniser import TwoStream, domain
from vpbench.metrics.action.two_stream.store import MissingRecogniser
from vpbench.metrics.action.two_stream.train import train_streams

pytestmark = pytest.mark.e2e

T, SIZE = 12, 32
TASK = TaskInfo("toy", SIZE, T, 1, None, 2, ("right", "down"), 0, ())


class Clips:
    """Squares that move to the right or down by 1 px a frame."""

    key = "toy"

    def __init__(self, name, count, seed=0):
        self.clips = [
            ClipInfo(f"{name}/{k}", T, SIZE, SIZE, k % 2, sha256=f"{name}{k}") for k in range(count)
        ]
        self.seed = seed

    def read(self, i):
        return moving(self.clips[i].label, self.seed + i)


def moving(label, seed):
    """A textured square that moves over a still ground; what all pixels do alike is taken out."""
    ground = textured([(0, 0)], SIZE, seed=seed)
    square = textured([(0, 0)], 12, seed=seed + 10_000)[0]
    frames = np.repeat(ground, T, axis=0)
    for t in range(T):
        top, left = (10, 4 + t) if label == 0 else (4 + t, 10)
        frames[t, top : top + 12, left : left + 12] = square
    return frames


@dataclasses.dataclass
class Context:
    root: object
    training: object
    recompute: bool = False
    device: str = "cpu"
    workers: int = 1

    def weights(self, name):
        raise AssertionError(f"{name} is not needed")

    def cache(self, kind, key):
        (self.root / kind / key).mkdir(parents=True, exist_ok=True)
        return self.root / kind / key


TRAIN = Clips("train", 32)


@pytest.fixture(scope="module")
def trained():
    settings = dataclasses.replace(
        SMALL,
        steps=1,
        temporal_steps=160,
        batch=8,
        temporal_rate=0.05,
        temporal_dropout=0.0,
        validations=3,
    )
    seen = []
    made = train_streams(
        TRAIN, Clips("val", 6, seed=50), 2, settings, lambda *event: seen.append(event[:3]), seed=1
    )
    assert seen[:32] == [("optical flow", k, 32) for k in range(1, 33)]
    assert ("temporal stream", 160, 160) in seen
    return made, settings


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    return Context(tmp_path / "cache", TRAIN)


@pytest.fixture
def made(trained, ctx):
    networks, settings = trained
    return save(ctx, networks, settings)


def save(ctx, networks, settings, name="cpu"):
    origin = Origin(dataset="toy", preset=name, seed=1, device="cpu")
    return save_recogniser(ctx.root, TASK, TRAIN.clips, 6, networks, settings, origin)


def feed(metric, labels=(0, 1, 0, 1, 1, 0), shown=None):
    for k, label in enumerate(labels):
        fake = moving(label if shown is None else shown[k], 900 + k)[None]
        metric.update(fake, None, ClipInfo(f"test/{k}", T, SIZE, SIZE, label, sha256=f"t{k}"))
    return metric


def test_motion_is_recognised_by_the_temporal_stream(made, ctx):
    assert made.record["accuracy"]["temporal"] == 1.0
    metric = ActionTwoStream(TASK, {}, ctx)
    assert isinstance(metric, Metric)
    score = feed(metric).result()
    found = score.recognition
    assert found is not None and set(found.streams) == {"spatial", "temporal"}
    right = 0
    for k, label in enumerate((0, 1, 0, 1, 1, 0)):
        rows = {s: np.array(found.streams[s][f"test/{k}"][0]) for s in found.streams}
        right += int(rows["temporal"].argmax()) == label
        fused = found.softmax[f"test/{k}"][0]
        assert fused == pytest.approx((rows["spatial"] + rows["temporal"]) / 2)
        assert sum(fused) == pytest.approx(1)
    assert right == 6
    swapped = feed(ActionTwoStream(TASK, {}, ctx), shown=(1, 0, 1, 0, 0, 1)).result()
    assert swapped.value < score.value


def test_any_order_and_any_parts_give_the_same_bits(made, ctx):
    whole = feed(ActionTwoStream(TASK, {}, ctx)).result()
    parts = [ActionTwoStream(TASK, {}, ctx) for _ in range(2)]
    for k, label in reversed([*enumerate((0, 1, 0, 1, 1, 0))]):
        info = ClipInfo(f"test/{k}", T, SIZE, SIZE, label, sha256=f"t{k}")
        parts[k % 2].update(moving(label, 900 + k)[None], None, info)
    parts[1].merge(parts[0])
    assert parts[1].result() == whole


def test_without_a_recogniser_the_command_that_trains_one_is_named(ctx):
    with pytest.raises(MissingRecogniser, match="vpbench recogniser train --dataset toy"):
        ActionTwoStream(TASK, {}, ctx)
    with pytest.raises(UsageError, match="vpbench run"):
        ActionTwoStream(TASK, {}, dataclasses.replace(ctx, training=None))


def test_a_recogniser_of_other_clips_classes_or_sizes_is_none(made, ctx):
    other = Clips("train", 12)
    other.clips[3] = dataclasses.replace(other.clips[3], sha256="changed")
    for task, training in (
        (TASK, other),
        (dataclasses.replace(TASK, class_names=("left", "down")), TRAIN),
        (dataclasses.replace(TASK, size=64), TRAIN),
    ):
        assert domain(task, training.clips) != domain(TASK, TRAIN.clips)
        with pytest.raises(MissingRecogniser):
            ActionTwoStream(task, {}, dataclasses.replace(ctx, training=training))
    with pytest.raises(MissingRecogniser, match="--preset paper"):
        ActionTwoStream(TASK, {"recipe": "paper"}, ctx)


@pytest.mark.parametrize(
    "clip", [{"id": "train/3"}, {"id": "x", "sha256": "train3"}, {"id": "train/3#1"}]
)
def test_a_test_clip_that_was_trained_on_is_refused(made, ctx, clip):
    info = ClipInfo(**{"frames": T, "height": SIZE, "width": SIZE, "label": 1, **clip})
    metric = feed(ActionTwoStream(TASK, {}, ctx))
    metric.update(moving(1, 3)[None], None, info)
    score = metric.result()
    assert score.value is None and "was trained on the test clip" in score.reason
    merged = feed(ActionTwoStream(TASK, {}, ctx), ())
    merged.merge(metric)
    assert merged.result() == score


def test_fewer_than_eleven_frames_are_refused(made, ctx):
    metric = ActionTwoStream(TASK, {}, ctx)
    with pytest.raises(UsageError, match="at least 11 frames"):
        metric.update(moving(0, 1)[None, :10], None, ClipInfo("a", T, SIZE, SIZE, 0))


def test_another_recogniser_is_another_fingerprint_and_the_newest_counts(made, trained, ctx):
    first = ActionTwoStream(TASK, {}, ctx).fingerprint()
    assert json.loads(json.dumps(dict(first)))["recogniser"] == made.record["weights"]
    networks, settings = trained
    with_noise = dataclasses.replace(networks, networks={**networks.networks})
    for value in with_noise.networks["spatial"].state_dict().values():
        if value.is_floating_point():
            value += 0.25
    second = save(ctx, with_noise, settings)
    assert second.record["name"] != made.record["name"]
    assert ActionTwoStream(TASK, {}, ctx).fingerprint()["recogniser"] == second.record["weights"]
    for value in with_noise.networks["spatial"].state_dict().values():
        if value.is_floating_point():
            value -= 0.25


def test_published_and_installed_it_is_the_same(made, ctx, tmp_path):
    entry = publish(made, tmp_path / "out")
    assert publish(made, tmp_path / "again").read_bytes() == entry.read_bytes()
    other = tmp_path / "other"
    again = install(entry, other)
    assert again.record == made.record
    here = dataclasses.replace(ctx, root=other)
    assert (
        feed(ActionTwoStream(TASK, {}, here)).result()
        == feed(ActionTwoStream(TASK, {}, ctx)).result()
    )


def test_changed_files_are_refused(made, ctx, tmp_path):
    entry = publish(made, tmp_path / "out")
    (zipped,) = (tmp_path / "out").glob("*.zip")
    data = bytearray(zipped.read_bytes())
    data[len(data) // 2] ^= 1
    zipped.write_bytes(data)
    with pytest.raises(HashMismatch, match="pins"):
        install(entry, tmp_path / "other")
    zipped.unlink()
    with pytest.raises(Missing, match="beside its entry"):
        install(entry, tmp_path / "other")
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(BadData):
        install(tmp_path / "bad.json", tmp_path / "other")
    with pytest.raises(UsageError, match="https"):
        publish(made, tmp_path / "out", "http://example.org/x.zip")
    weights = made.folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(HashMismatch):
        TwoStream.read(made.folder)
    with pytest.raises(HashMismatch):
        ActionTwoStream(TASK, {}, ctx)


def test_a_shipped_one_is_pinned_and_serves_where_there_is_no_other(made, ctx, monkeypatch):
    made.folder.rename(store.SHIPPED / made.folder.name) if store.SHIPPED.mkdir() is None else None
    monkeypatch.setattr(store, "PINS", {made.folder.name: made.record["sha256"]})
    assert ActionTwoStream(TASK, {}, ctx).fingerprint()["recogniser"] == made.record["weights"]
    monkeypatch.setattr(store, "PINS", {})
    with pytest.raises(HashMismatch, match="shipped"):
        ActionTwoStream(TASK, {}, ctx)
