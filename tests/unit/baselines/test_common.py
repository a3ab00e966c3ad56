"""What the baselines share: batches drawn on a device, steps, figures, clipped gradients."""

import math

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from vpbench.api import Augment, Batch, Clip, Pair, TaskInfo
from vpbench.kit import Training, seeded, to_tensor
from vpbench.media.augment import Warp, recolour
from vpbench_baselines.common import batches, figures, gradients, graphs, optimisers

SIZE = 24
BODY = ("head", "left_hand", "right_hand", "tail")
TASK = TaskInfo("toy", SIZE, 4, 2, None, 2, ("a", "b"), 4, BODY)


class Ctx:
    task, device, seed = TASK, "cpu", 3


class Clips:
    """Clips of many lengths; every second frame of the longer ones is the task's."""

    def __init__(self, lengths=(5, 9, 14, 20), joints=True):
        self.clips = [moving_square(k, k % 2, n, SIZE) for k, n in enumerate(lengths)]
        self.joints = joints

    def len(self, split):
        return len(self.clips)

    def length(self, split, i):
        return len(self.clips[i])

    def label(self, split, i):
        return i % 2

    def read(self, split, i, frames):
        return self.clips[i][list(frames)]

    def pose(self, split, i, frames):
        rng = np.random.default_rng(i)
        start = rng.uniform(-0.5, 0.5, (1, 4, 2)) + 0.01 * np.array(frames)[:, None, None]
        sure = np.ones((len(frames), 4, 1))
        return np.concatenate([start, sure], -1).astype(np.float32) if self.joints else None

    def stride(self, i):
        return 2 if len(self.clips[i]) > 12 else 1

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        def fits(i):
            if isinstance(window, Pair):
                return len(self.clips[i]) > window.min_gap
            return len(self.clips[i]) > (window.length - 1) * self.stride(i)

        usable = [i for i in range(len(self.clips)) if fits(i)]
        k = start_step
        while True:
            i = usable[k % len(usable)]
            if isinstance(window, Pair):
                times = np.array([[0, window.min_gap]])
            else:
                times = self.stride(i) * np.arange(window.length)[None]
            frames = self.read(split, i, times[0])[None]
            yield Batch(frames, None, None, np.array([i]), times)
            k += 1


def resident(window, **more):
    found = batches.ResidentClips.of(Clips(**more), Ctx, window)
    assert found is not None
    return found


def test_a_batch_is_a_window_of_the_clips_that_it_names():
    clips, view = resident(Clip(6, stride="task")), Clips()
    assert clips.index.tolist() == [1, 2, 3]  # the first is too short
    seen = set()
    for seed in range(40):
        with seeded(seed):
            made = clips.batch(5)
        for row, i in enumerate(made.index.tolist()):
            pose = view.pose("train", i, range(view.length("train", i)))
            place = np.abs(pose[:, 0, 0] - float(made.pose[row, 0, 0, 0])).argmin()
            times = place + view.stride(i) * np.arange(6)
            frames = to_tensor(view.read("train", i, times))
            torch.testing.assert_close(made.frames[row], frames)
            np.testing.assert_allclose(made.pose[row].numpy(), pose[times], atol=1e-6)
            assert int(made.label[row]) == i % 2
            seen.add((i, int(place)))
    # every clip, every place in it
    assert seen == {(1, k) for k in range(4)} | {(2, k) for k in range(4)} | {
        (3, k) for k in range(10)
    }


def test_pairs_are_as_far_apart_as_asked_and_stay_in_the_clip():
    clips = resident(Pair(2, 6))
    assert len(clips.index) == 4
    with seeded(0):
        times = [(c, clips._times(torch.tensor([c]))[0].tolist()) for c in [0, 1, 2, 3] * 300]
    gaps = {c: {b - a for k, (a, b) in times if k == c} for c in range(4)}
    assert gaps == {0: {2, 3, 4}, 1: {2, 3, 4, 5, 6}, 2: {2, 3, 4, 5, 6}, 3: {2, 3, 4, 5, 6}}
    for c, length in enumerate((5, 9, 14, 20)):
        mine = [t for k, t in times if k == c]
        assert min(a for a, _ in mine) == 0 and max(b for _, b in mine) == length - 1


def test_a_batch_depends_on_the_seed_alone():
    clips, augment = resident(Clip(3)), Augment(True, 8.0, 0.2, 0.3)
    made = []
    for seed in (1, 1, 2):
        with seeded(seed):
            made.append(clips.batch(3, augment))
    assert torch.equal(made[0].frames, made[1].frames) and torch.equal(made[0].pose, made[1].pose)
    assert not torch.equal(made[0].frames, made[2].frames)


def test_what_belongs_to_frames_goes_with_them():
    view = Clips()
    extra = {i: np.arange(view.length("train", i))[:, None] + 100 * i for i in range(4)}
    gaps = []

    def extra_of(clip, gap):
        gaps.append(gap)
        return extra[clip]

    clips = batches.ResidentClips.of(view, Ctx, Clip(4, stride="task"), extra_of)
    assert gaps == [1, 1, 2, 2]
    with seeded(4):
        made = clips.batch(6)
    for row, i in enumerate(made.index.tolist()):
        times = made.extra[row, :, 0] - 100 * i
        assert torch.equal(times.diff(), torch.full((3,), view.stride(i)))
        torch.testing.assert_close(
            made.frames[row], to_tensor(view.read("train", i, times.tolist()))
        )


def test_clips_that_are_repeated_or_too_many_are_left_to_the_harness(monkeypatch):
    class Looping(Clips):
        def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
            for made in super().batches(split, window, batch, augment, start_step, stream):
                made.times[0, -1] = 0
                yield made

    assert batches.ResidentClips.of(Looping(), Ctx, Clip(6, stride="task")) is None
    monkeypatch.setattr(batches, "MOST_BYTES", 10)
    assert batches.ResidentClips.of(Clips(), Ctx, Clip(6, stride="task")) is None


def drawn(sign, angle, scale, shift, gains):
    one = [torch.tensor([v], dtype=torch.float32) for v in (sign, angle, scale)]
    return batches.Changes(*one, torch.tensor([shift]).float(), torch.tensor([gains]).float())


@pytest.mark.parametrize("size", [(24, 24), (17, 17)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("angle", [0.0, 0.3, -0.7])
def test_changes_are_those_of_the_harness(size, sign, angle):
    """The same warp and colours as OpenCV and NumPy make, to a level or two."""
    rng = np.random.default_rng(5)
    coarse = rng.uniform(40, 200, (2, 3, 6, 6)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), size, mode="bicubic")
    frames = smooth.clamp(0, 255).round().byte().movedim(1, -1).numpy()
    points = np.concatenate([rng.uniform(-1, 1, (2, 4, 2)), np.ones((2, 4, 1))], -1)
    points = points.astype(np.float32)
    scale, shift, gains = 0.8, (0.15, -0.1), (1.1, 0.8, 1.3)
    warp = Warp(*size, sign < 0, angle, scale, shift)
    wanted = recolour(warp.frames(frames), *gains)
    changes = drawn(sign, angle, scale, shift, gains)
    found = changes.frames(to_tensor(frames)[None])[0].movedim(1, -1).numpy() * 255
    apart = np.abs(found - wanted)
    assert apart.mean() < 0.6 and apart.max() < 5
    pairs = batches.mirror_pairs(TASK)
    assert pairs == ((1, 2),)
    moved = changes.points(torch.from_numpy(points)[None], pairs)[0].numpy()
    np.testing.assert_allclose(moved, warp.points(points, pairs), atol=1e-5)


def test_draws_span_what_the_augmentation_allows():
    augment = Augment(True, 10.0, 0.2, 0.3)
    changes = batches.Changes.drawn(torch.rand(4000, 8), augment)
    assert set(changes.sign.tolist()) == {-1.0, 1.0}
    assert math.isclose(float(changes.angle.max()), math.radians(10), rel_tol=0.02)
    assert 0.8 <= float(changes.scale.min()) < 0.81 and float(changes.scale.max()) <= 1
    inside = changes.shift.abs().max(1).values + changes.scale
    assert float(inside.max()) <= 1 + 1e-6
    assert 0.7 <= float(changes.gains.min()) < 0.71 and 1.29 < float(changes.gains.max()) <= 1.3
    none = batches.Changes.drawn(torch.rand(9, 8), Augment(colour=0.1))
    assert torch.equal(none.sign, torch.ones(9)) and torch.equal(none.scale, torch.ones(9))


def test_a_step_on_a_cpu_is_the_plain_function():
    calls = []

    def step(a):
        calls.append(a)
        return {"twice": 2 * a}

    graphed = graphs.GraphedStep(step, "cpu")
    for k in range(5):
        assert float(graphed(a=torch.tensor(float(k)))["twice"]) == 2 * k
    assert len(calls) == 5 and graphed.refused == ""


def test_figures_come_back_as_numbers_in_their_order():
    training = Training("t:t", {}, {}, 10)
    found = figures.read({"b": torch.tensor(2.5), "a": 1.0, "c": torch.ones(1)}, training)
    assert list(found.items()) == [("b", 2.5), ("a", 1.0), ("c", 1.0)]
    assert figures.read({}, training) == {}


@pytest.mark.parametrize(
    ("steps", "done", "wanted"), [(10, 3, True), (1000, 0, True), (1000, 3, False), (1000, 4, True)]
)
def test_figures_are_due_where_they_are_logged(steps, done, wanted):
    training = Training("t:t", {}, {}, steps)
    training.done = done
    assert figures.due(training) is wanted


def test_both_ways_of_clipping_agree(monkeypatch):
    """The many-tensor kernels that a GPU uses, forced on a CPU."""

    class Away(torch.Tensor):
        is_cuda = True

    plain = [torch.randn(4, 3), torch.zeros(2), torch.full((5,), 1e-4)]
    many = [g.clone().as_subclass(Away) for g in plain]
    gradients.clip_each([*plain, None], 0.01)
    gradients.clip_each([None, *many][1:], 0.01)
    for one, other in zip(plain, many, strict=True):
        torch.testing.assert_close(one, other.as_subclass(torch.Tensor))


def test_a_rate_is_set_in_place_where_it_is_a_tensor():
    weight = torch.nn.Parameter(torch.ones(2))
    plain = optimisers.adam([weight], 0.1, "cpu")
    optimisers.set_rate(plain, 0.2)
    assert plain.param_groups[0]["lr"] == 0.2
    rate = torch.tensor(0.1)
    plain.param_groups[0]["lr"] = rate
    optimisers.set_rate(plain, 0.3)
    assert plain.param_groups[0]["lr"] is rate and float(rate) == pytest.approx(0.3)
