"""Training batches depend on names and numbers only."""

import pickle

import numpy as np
import pytest

from tests.conftest import moving_square
from tests.e2e.helpers import folder
from vpbench.api import NO_AUGMENT, Augment, BadData, Clip, Pair, UsageError, WindowRule
from vpbench.api.types import ClipInfo
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.training.stage import train_view
from vpbench.harness.training.views import PointView, Sampler


@pytest.fixture
def task_data(clips):
    return open_task_data(TaskRef(dataset=folder(clips)), build(), user_paths())


def take(view, count, **more):
    found = view.batches("train", Clip(5, 2), 4, **more)
    return [next(found) for _ in range(count)]


def same(a, b):
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("frames", "index", "times"))


def test_batch_k_is_the_same_wherever_the_iteration_starts(task_data):
    view = train_view(task_data, (0, "owner", "stage"))
    first = take(view, 7)
    for k, batch in enumerate(take(view, 4, start_step=3), 3):
        assert same(batch, first[k])
    again = take(train_view(task_data, (0, "owner", "stage")), 7)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("base", [(1, "owner", "stage"), (0, "other", "stage"), (0, "owner", "b")])
def test_seed_owner_and_stage_change_the_batches(task_data, base):
    one, other = (
        take(train_view(task_data, (0, "owner", "stage")), 3),
        take(train_view(task_data, base), 3),
    )
    assert not all(same(a, b) for a, b in zip(one, other, strict=True))


def test_streams_are_independent(task_data):
    view = train_view(task_data, (0, "o", "s"))
    assert not all(
        same(a, b) for a, b in zip(take(view, 3), take(view, 3, stream="critic"), strict=True)
    )


def test_every_clip_comes_once_an_epoch(task_data):
    view = train_view(task_data, (0, "o", "s"))
    found = view.batches("train", Clip(5), 2)
    for _ in range(3):
        epoch = np.concatenate([next(found).index for _ in range(5)])
        assert sorted(epoch) == list(range(10))


def test_frames_labels_and_times_belong_together(task_data):
    view = train_view(task_data, (0, "o", "s"))
    for batch in take(view, 5):
        assert batch.frames.shape == (4, 5, 16, 16, 3) and batch.frames.dtype == np.uint8
        for row, index, times, label in zip(
            batch.frames, batch.index, batch.times, batch.label, strict=True
        ):
            clip = view.clips["train"][index]
            assert clip.label == label
            whole = task_data.dataset.read(clip, range(clip.frames))
            assert np.array_equal(row, whole[times])
            assert set(np.diff(times)) == {2}


def test_augmented_batches_resume_too(task_data):
    view = train_view(task_data, (0, "o", "s"))
    spec = Augment(flip=True, rotate_deg=10, crop=0.2, colour=0.3, filters=True)
    first = take(view, 4, augment=spec)
    assert all(
        same(a, b)
        for a, b in zip(take(view, 2, augment=spec, start_step=2), first[2:], strict=True)
    )
    assert not same(first[0], take(view, 1, augment=NO_AUGMENT)[0])


def test_views_survive_pickling_and_spawned_workers(task_data):
    import torch.utils.data as tud

    view = train_view(task_data, (0, "o", "s"))
    assert same(take(pickle.loads(pickle.dumps(view)), 1)[0], take(view, 1)[0])
    loader = tud.DataLoader(
        _Frames(view), batch_size=2, num_workers=1, multiprocessing_context="spawn"
    )
    frames = np.concatenate([b.numpy() for b in loader])
    assert np.array_equal(frames, np.stack([view.read("train", i, [0, 3]) for i in range(4)]))


class _Frames:
    def __init__(self, view):
        self.view = view

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return self.view.read("train", i, [0, 3])


def test_there_is_no_test_split_to_train_on(task_data):
    with pytest.raises(UsageError, match="train or val"):
        train_view(task_data, (0,)).read("test", 0, [0])


def sampler(lengths, **rule):
    infos = [ClipInfo(f"c{i}", n, 8, 8, None) for i, n in enumerate(lengths)]
    return Sampler(infos, WindowRule(**{"n_max": 1, "horizon": 7, **rule}), (0,))


def test_task_windows_take_the_short_clip_rule(task_data):
    whole = Clip(8, "task", "task")
    assert list(sampler([20, 7, 8]).usable(whole)) == [0, 2]
    assert list(sampler([20, 3, 8], short="loop").usable(whole)) == [0, 1, 2]
    assert sampler([3], short="loop").times(whole, 3, 0, 0) == [0, 1, 2, 0, 1, 2, 0, 1]
    assert sampler([20], gap="spread").times(whole, 17, 0, 0) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert sampler([5], short="double").times(whole, 5, 0, 0) == [0, 1, 1, 2, 2, 3, 3, 4]
    with pytest.raises(UsageError, match="longer than"):
        sampler([20]).times(Clip(9, "task", "task"), 20, 0, 0)


def test_random_windows_stay_inside_and_reach_both_ends():
    rng = np.random.default_rng(0)
    for length, stride, frames in ((5, 1, 9), (4, 3, 10), (4, 3, 12), (1, 1, 1)):
        s = sampler([frames])
        seen = [
            s.times(Clip(length, stride), frames, int(w), 0) for w in rng.integers(0, 2**62, 300)
        ]
        starts = {t[0] for t in seen}
        last = frames - 1 - (length - 1) * stride
        assert starts == set(range(last + 1))
        assert all(t[-1] < frames for t in seen)
    assert sampler([8]).times(Clip(4, 3), 9, 0, 0) is None


def test_pairs_keep_their_gaps():
    rng = np.random.default_rng(1)
    s = sampler([12])
    words = rng.integers(0, 2**62, (400, 2))
    pairs = np.array([s.times(Pair(2, 5), 12, int(a), int(b)) for a, b in words])
    assert set(np.diff(pairs, axis=1).ravel()) == {2, 3, 4, 5}
    assert pairs.min() == 0 and pairs.max() == 11
    wrapped = np.array([s.times(Pair(8, 11, wrap=True), 10, int(a), int(b)) for a, b in words])
    assert set((wrapped[:, 1] - wrapped[:, 0]) % 10) == {8, 9, 0, 1} and wrapped.max() == 9
    assert s.times(Pair(3, 5), 3, 0, 0) is None
    assert s.times(Pair(3, 5), 4, 9, 9) == [0, 3]


def test_clips_that_stay_too_short_are_counted(tmp_path, clips):
    np.savez(clips / "train" / "down" / "short.npz", frames=moving_square(5, 1, 3))
    task_data = open_task_data(TaskRef(dataset=folder(clips)), build(), user_paths())
    view = train_view(task_data, (0,))
    batch = next(view.batches("train", Clip(5), 11))
    assert list(view.skipped.values()) == [1]
    assert all(view.clips["train"][i].frames == 20 for i in batch.index)
    with pytest.raises(BadData, match="long enough"):
        next(view.batches("train", Clip(50), 1))


def test_keypoint_views_read_what_was_stored(task_data, tmp_path):
    from vpbench.harness.training.stage import training_clips

    rng = np.random.default_rng(0)
    infos = training_clips(task_data)
    stored = {}
    for split, rows in infos.items():
        for i, clip in enumerate(rows):
            stored[split, i] = rng.uniform(-1, 1, (clip.frames, 4, 3)).astype(np.float32)
            np.savez(tmp_path / f"{split}-{i:05d}.npz", keypoints=stored[split, i])
    view = PointView(task_data.clip_cache, infos, task_data.task.spec.window, (0,), folder=tmp_path)
    batch = next(view.batches("train", Clip(9, "task", "task"), 3))
    for points, i, times in zip(batch.keypoints, batch.index, batch.times, strict=True):
        assert np.array_equal(points, stored["train", int(i)][times])
    assert batch.frames.size == 0
    flipped = next(view.batches("train", Clip(9, "task", "task"), 8, augment=Augment(flip=True)))
    plain = next(view.batches("train", Clip(9, "task", "task"), 8))
    mirrored = [
        np.allclose(a[..., 0], -b[..., 0])
        for a, b in zip(flipped.keypoints, plain.keypoints, strict=True)
    ]
    assert 0 < sum(mirrored) < 8


def test_batches_of_keypoints_carry_the_joints_that_go_with_them(tmp_path):
    """Joints and keypoints move alike; joints with a side change sides in a mirror."""
    from vpbench.harness.training.stage import point_view, training_clips
    from vpbench.testing.clips import sample_task_data

    few = sample_task_data(2, 5, 64, tmp_path)
    for split, rows in training_clips(few).items():
        for i, clip in enumerate(rows):
            pose = few.clip_cache.pose(clip, range(clip.frames))
            np.savez(tmp_path / f"{split}-{i:05d}.npz", keypoints=pose)
    view = point_view(few, (0,), tmp_path)
    plain = next(view.batches("train", Clip(4), 6))
    assert np.array_equal(plain.pose, plain.keypoints)
    turned = next(view.batches("train", Clip(4), 6, augment=Augment(flip=True, rotate_deg=9.0)))
    order = np.arange(13)
    for left, right in view.pairs:
        order[[left, right]] = right, left
    assert len(view.pairs) == 6
    flipped = 0
    for joints, points in zip(turned.pose, turned.keypoints, strict=True):
        same, mirrored = (np.allclose(joints, p) for p in (points, points[:, order]))
        assert same != mirrored
        flipped += mirrored
    assert 0 < flipped < 6
    frames = next(train_view(few, (0,)).batches("train", Clip(4), 6))
    assert np.array_equal(frames.pose, plain.pose) and np.array_equal(frames.index, plain.index)
