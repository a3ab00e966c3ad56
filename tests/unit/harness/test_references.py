"""Reference rows against independent restatements."""

from decimal import Decimal

import numpy as np
import pytest
from scipy import ndimage

from tests.conftest import write_clips
from tests.e2e.helpers import folder
from vpbench.api.types import Conditioning
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import user_paths
from vpbench.core.plan import make_plan
from vpbench.core.registry import build
from vpbench.core.resolve import resolve
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.references.trivial import Linear, blur, gaussian
from vpbench.harness.training.loading import make_method


@pytest.fixture
def task_data(tmp_path):
    write_clips(tmp_path / "clips", (("train", 12), ("val", 2), ("test", 8)))
    return open_task_data(
        TaskRef(dataset=folder(tmp_path / "clips", conditioning=3)), build(), user_paths()
    )


def ask(name, task_data, seeds=None):
    method = resolve(MethodRef.parse(name), build(), 16)
    instance = make_method(method, task_data.task.info, build(), {})
    if hasattr(instance, "bind"):
        instance.bind(task_data)
    items = task_data.task.test
    given = task_data.conditioning(items, method)
    seeds = task_data.seeds(items, 0, 2) if seeds is None else seeds
    if method.capabilities.oracle:
        future = np.stack([task_data.targets(i) for i in items])
        return instance.predict(given, future, 8, seeds), items
    return instance.predict(given, 8, seeds), items


def test_shapes(task_data):
    for name in (
        "real",
        "real-other",
        "nearest-train",
        "class-random",
        "real-shuffled",
        "copy-last",
        "linear",
        "blur-copy",
        "noise",
    ):
        frames, _ = ask(name, task_data)
        assert frames.shape == (8, 2, 8, 16, 16, 3) and frames.dtype == np.uint8, name


def test_real_shuffled_shows_every_true_frame_once_in_the_order_of_the_seed(task_data):
    seeds = np.array([[1, 2], [1, 3]] * 4, np.int64)
    frames, items = ask("real-shuffled", task_data, seeds)
    again, _ = ask("real-shuffled", task_data, seeds)
    assert np.array_equal(frames, again)
    assert not np.array_equal(frames[0, 0], frames[0, 1])
    true = np.stack([task_data.targets(i) for i in items])
    for clip, rows in zip(true, frames, strict=True):
        for row in rows:
            assert sorted(f.tobytes() for f in row) == sorted(f.tobytes() for f in clip)
    order = [
        [next(k for k in range(8) if (true[i, k] == f).all()) for f in frames[i, 0]] for i in (0, 1)
    ]
    assert order[0] == order[1] != list(range(8))


def test_copy_last_repeats_frame_t0(task_data):
    frames, items = ask("copy-last", task_data)
    for row, item in zip(frames, items, strict=True):
        assert (row == task_data.given(item)[-1]).all()
        assert item.given == (0, 1, 2)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("horizon", [1, 16])
def test_linear_is_the_slope_of_a_least_squares_line_from_the_last_frame(n, horizon):
    rng = np.random.default_rng(n)
    frames = rng.integers(0, 256, (3, n, 4, 5, 3), np.uint8)
    frames[0] = 70 + 3 * np.arange(n)[:, None, None, None]  # a trend without an error
    frames[1] = frames[1, :1]  # and none at all
    given = Conditioning(frames, None, None, None, ("a", "b", "c"))
    made = Linear(None, {}, {}).predict(given, horizon, np.zeros((3, 2), np.int64))
    assert made.shape == (3, 2, horizon, 4, 5, 3) and made.dtype == np.uint8
    flat = frames.reshape(3, n, -1).transpose(1, 0, 2).reshape(n, -1).astype(float)
    slope = np.polyfit(np.arange(n), flat, 1)[0].reshape(3, 4, 5, 3)
    exact = frames[:, -1, None] + np.arange(1, horizon + 1)[:, None, None, None] * slope[:, None]
    assert np.abs(made[:, 0] - np.clip(exact, 0, 255)).max() <= 0.5 + 1e-6
    assert np.array_equal(made[:, 0], made[:, 1])
    trend = 70 + 3 * (n - 1 + np.arange(1, horizon + 1))
    assert (made[0, 0] == trend[:, None, None, None]).all()
    assert (made[1, 0] == frames[1, -1]).all()


def test_linear_needs_two_frames(tmp_path):
    write_clips(tmp_path / "clips")
    one = TaskRef(dataset=folder(tmp_path / "clips", conditioning=1))
    task = open_task_data(one, build(), user_paths()).task
    plan = make_plan([], RunOptions(), task, build(), tmp_path / "runs")
    assert [(r.name, r.requested) for r in plan.refused] == [("linear", False)]
    assert plan.refused[0].reasons == ("needs 2 conditioning frames, but the task gives 1",)


@pytest.mark.parametrize("sigma", ["0.25", "1", "2", "3.7"])
@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (5, 7), (64, 64)])
def test_blur_is_a_gaussian(sigma, shape):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, *shape, 3), np.uint8)
    wanted = ndimage.gaussian_filter(
        frames.astype(float),
        (0, float(sigma), float(sigma), 0),
        mode="nearest",
        radius=(0, len(gaussian(Decimal(sigma))) // 2, len(gaussian(Decimal(sigma))) // 2, 0),
    )
    assert np.abs(blur(frames, Decimal(sigma)) - wanted).max() <= 0.51
    assert gaussian(Decimal(sigma)).sum() == 1 << 16


def test_blur_keeps_constants_and_is_integer(task_data):
    flat = np.full((1, 9, 9, 3), 77, np.uint8)
    assert (blur(flat, Decimal(2)) == 77).all()
    assert gaussian(Decimal(1)).dtype == np.int64


def test_noise_is_uniform_and_follows_the_seed(task_data):
    seeds = np.array([[1, 2], [1, 3]] * 4, np.int64)
    frames, _ = ask("noise", task_data, seeds)
    assert np.array_equal(frames[0, 0], frames[1, 0]) and not np.array_equal(
        frames[0, 1], frames[1, 1]
    )
    counts = np.bincount(frames[:2].reshape(-1), minlength=256)
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert 150 < chi2 < 380  # 255 degrees of freedom
    raw = np.random.PCG64(1).random_raw(4).astype("<u8").tobytes()
    assert frames[0, 0].tobytes()[:32] == raw


def test_real_other_uses_each_training_clip_once_and_keeps_the_class(task_data):
    frames, items = ask("real-other", task_data)
    train = {task_data.targets(i).tobytes(): i for i in task_data.task.items["train"]}
    used = [train[row[0].tobytes()] for row in frames]
    assert len({i.id for i in used}) == 8
    assert [i.clip.label for i in used] == [i.clip.label for i in items]


def test_class_random_follows_seed_and_class(task_data):
    frames, items = ask("class-random", task_data)
    train = {task_data.targets(i).tobytes(): i for i in task_data.task.items["train"]}
    for row, item in zip(frames, items, strict=True):
        for sample in row:
            assert train[sample.tobytes()].clip.label == item.clip.label
    assert not np.array_equal(frames[:, 0], frames[:, 1])


def test_nearest_train_is_the_nearest_by_brute_force(task_data):
    frames, items = ask("nearest-train", task_data)
    train = task_data.task.items["train"]
    for row, item in zip(frames, items, strict=True):
        own = task_data.given(item)[-1].astype(int)
        far = [((task_data.given(t)[-1].astype(int) - own) ** 2).sum() for t in train]
        assert np.array_equal(row[0], task_data.targets(train[int(np.argmin(far))]))


def test_nearest_train_breaks_ties_by_id(tmp_path):
    write_clips(tmp_path / "clips", (("train", 6), ("test", 2)))
    same = np.load(tmp_path / "clips" / "train" / "right" / "clip00.npz")["frames"]
    for k, split in enumerate(("train", "train", "test")):
        other = same.copy()
        other[1:] = k
        np.savez(tmp_path / "clips" / split / "right" / f"tie{k}.npz", frames=other)
    task_data = open_task_data(TaskRef(dataset=folder(tmp_path / "clips")), build(), user_paths())
    frames, items = ask("nearest-train", task_data)
    where = [i.id for i in items].index("test/right/tie2")
    first = min(
        i.id
        for i in task_data.task.items["train"]
        if i.id.startswith("train/right/clip00") or "tie" in i.id
    )
    (wanted,) = (i for i in task_data.task.items["train"] if i.id == first)
    assert np.array_equal(frames[where, 0], task_data.targets(wanted))
