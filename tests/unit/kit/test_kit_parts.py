"""The components that come with vpbench, against results worked out by hand."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from vpbench.api import Batch, Refused, TaskInfo
from vpbench.core.discovery import PluginRef
from vpbench.core.registry import _problem
from vpbench.kit.parts.detector import Annotated
from vpbench.kit.parts.motion import ClassMean, ConstantVelocity, Frozen, NearestTrain
from vpbench.kit.parts.specs import ANNOTATED, BUILTIN

SEEDS = torch.zeros(2, dtype=torch.int64)


def task(horizon=3, n_max=2, joints=0):
    names = tuple(f"j{k}" for k in range(joints))
    return TaskInfo("t", 16, horizon, n_max, None, 2, ("a", "b"), joints, names)


def points(*places):
    """[1,n,K,3] from one list of (x, y) or (x, y, confidence) a frame."""
    full = [[(*p, 1.0)[:3] for p in frame] for frame in places]
    return torch.tensor([full], dtype=torch.float32)


def test_specs_are_light_and_their_factories_exist():
    code = (
        "import sys, vpbench.kit.parts.specs as s\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
        "import importlib\n"
        "for spec in s.BUILTIN:\n"
        "    module, _, name = spec.factory.partition(':')\n"
        "    assert getattr(importlib.import_module(module), name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    ref = PluginRef("", "", "vpbench.kit.parts.specs:BUILTIN", "builtin")
    assert [_problem(spec, ref) for spec in BUILTIN] == [""] * len(BUILTIN)
    assert [(s.slot, s.name) for s in BUILTIN] == [
        ("motion", "constant-velocity"),
        ("motion", "frozen"),
        ("motion", "nearest-train"),
        ("motion", "class-mean"),
        ("detector", "annotated"),
    ]


def test_frozen_repeats_the_last_keypoints():
    given = points([(0.1, 0.2), (0.3, 0.4, 0.5)], [(0.5, 0.6), (0.7, 0.8, 0.0)])
    made = Frozen(task(), {}, None).rollout(given, None, 3, SEEDS[:1])
    assert made.shape == (1, 3, 2, 3)
    assert (made == given[:, -1:]).all()


def test_constant_velocity_goes_on_with_the_last_step():
    given = points([(9.0, 9.0)], [(0.0, 0.0)], [(0.1, -0.2)])
    made = ConstantVelocity(task(), {}, None).rollout(given, None, 3, SEEDS[:1])
    expected = torch.tensor([(0.2, -0.4), (0.3, -0.6), (0.4, -0.8)])
    torch.testing.assert_close(made[0, :, 0, :2], expected)
    assert (made[..., 2] == 1).all()


def test_constant_velocity_stands_still_where_it_cannot_know():
    model = ConstantVelocity(task(), {}, None)
    one = points([(0.1, 0.2)])
    assert (model.rollout(one, None, 3, SEEDS[:1]) == one).all()
    for before, last in (((0.0, 0.0, 0.0), (0.5, 0.5)), ((0.0, 0.0), (0.5, 0.5, 0.0))):
        given = points([before], [last])
        assert (model.rollout(given, None, 3, SEEDS[:1]) == given[:, -1:]).all()


def test_motions_leave_what_they_are_given_alone():
    given = points([(0.1, 0.2)], [(0.3, 0.4)])
    kept = given.clone()
    for model in (Frozen, ConstantVelocity):
        model(task(), {}, None).rollout(given, None, 3, SEEDS[:1]).add_(1)
    assert torch.equal(given, kept)


class Clips:
    """A `KeypointView`: clips in a shuffled, endless order."""

    def __init__(self, clips, labels, order):
        self.clips, self.labels, self.order = clips, labels, order

    def len(self, split):
        return len(self.clips)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        assert (split, window.length, window.stride, window.start) == ("train", 5, "task", "task")
        while True:
            for i in self.order:
                label = None if self.labels is None else np.array([self.labels[i]])
                yield Batch(
                    np.zeros((1, 5, 0, 0, 3), np.uint8),
                    None,
                    label,
                    np.array([i]),
                    np.zeros((1, 5), np.int64),
                    self.clips[i][None],
                )


class Context:
    should_stop = False

    def __init__(self):
        self.task, self.steps = task(), 0

    def step(self, total=None):
        self.steps += 1
        return self.steps


def clip(start, move, k=2):
    """[5,K,3]: two given frames, three targets; from t0 on every point moves by `move` a frame."""
    places = np.ones((5, k, 3), np.float32)
    places[..., :2] = np.asarray(start, np.float32)
    places[1:, :, :2] += np.arange(4)[:, None, None] * np.asarray(move, np.float32)
    return places


A, B = [(0.0, 0.0), (0.2, 0.0)], [(0.0, 0.0), (0.0, 0.2)]


def fitted(clips, labels, order=None):
    model, ctx = NearestTrain(task(), {}, None), Context()
    model.fit(Clips(clips, labels, order or range(len(clips))[::-1]), ctx)
    assert ctx.steps == len(clips)
    return model


def test_nearest_train_adds_the_motion_of_the_nearest_shape():
    model = fitted([clip(A, (0.1, 0.0)), clip(B, (0.0, -0.1))], None)
    given = torch.stack([points(A)[0], points(B)[0]])
    given[..., :2] += 0.5  # where the figure stands does not matter
    made = model.rollout(given, None, 3, SEEDS)
    assert made.shape == (2, 3, 2, 3)
    torch.testing.assert_close(
        made[0, :, :, :2] - given[0, -1, :, :2],
        torch.tensor([0.1, 0.2, 0.3])[:, None, None] * torch.tensor([1.0, 0.0]).expand(1, 2, 2),
    )
    torch.testing.assert_close(made[1, -1, :, 1] - given[1, -1, :, 1], torch.full((2,), -0.3))


def test_nearest_train_keeps_to_the_class_where_it_can():
    model = fitted([clip(A, (0.1, 0.0)), clip(B, (0.0, -0.1))], [0, 1])
    given = torch.stack([points(A)[0]] * 3)
    made = model.rollout(given, torch.tensor([0, 1, 7]), 3, torch.zeros(3, dtype=torch.int64))
    moved = made[:, -1, 0, :2] - given[:, -1, 0, :2]
    expected = torch.tensor([[0.3, 0.0], [0.0, -0.3], [0.3, 0.0]])  # 7: no such clip, any will do
    torch.testing.assert_close(moved, expected)


def test_nearest_train_takes_the_first_of_equals_for_any_order():
    clips = [clip(A, (0.1 * k, 0.0)) for k in range(4)]
    for order in ([3, 1, 0, 2], [0, 1, 2, 3]):
        model = fitted(clips, None, order)
        assert (model.rollout(points(A), None, 3, SEEDS[:1])[..., 0] == points(A)[0, 0, :, 0]).all()


def test_nearest_train_ignores_points_that_are_missing():
    near, far = clip(A, (0.1, 0.0)), clip(A, (0.0, 0.1))
    near[1, 1] = (9.0, 9.0, 0.0)  # its second point is missing at t0 and never moves
    far[:, 1, 0] += 0.1
    model = fitted([near, far], None)
    made = model.rollout(points(A), None, 3, SEEDS[:1])
    torch.testing.assert_close(made[0, -1, :, :2], torch.tensor([[0.3, 0.0], [0.2, 0.0]]))
    gap = clip(A, (0.1, 0.0))
    gap[3, 0] = (7.0, 7.0, 0.0)  # out of sight for a frame: it stays where it was seen last
    made = fitted([gap], None).rollout(points(A), None, 3, SEEDS[:1])
    torch.testing.assert_close(made[0, :, 0, 0], torch.tensor([0.1, 0.1, 0.3]))
    lost = points([(0.1, 0.1, 0.0), (0.2, 0.2, 0.0)])
    assert torch.isfinite(model.rollout(lost, None, 3, SEEDS[:1])).all()


def test_nearest_train_stands_still_beyond_what_it_knows():
    untrained = NearestTrain(task(), {}, None).rollout(points(A), None, 3, SEEDS[:1])
    assert (untrained == points(A)).all()
    made = fitted([clip(A, (0.1, 0.0))], None).rollout(points(A), None, 5, SEEDS[:1])
    torch.testing.assert_close(made[0, :, 0, 0], torch.tensor([0.1, 0.2, 0.3, 0.3, 0.3]))


def test_nearest_train_comes_back_as_it_was_saved(tmp_path):
    model = fitted([clip(A, (0.1, 0.0)), clip(B, (0.0, -0.1))], [0, 1])
    model.save(tmp_path / "a")
    again = NearestTrain(task(), {}, None)
    again.load(tmp_path / "a", "cpu")
    label = torch.tensor([1])
    assert torch.equal(
        model.rollout(points(A), label, 3, SEEDS[:1]), again.rollout(points(A), label, 3, SEEDS[:1])
    )


def averaged(clips, labels, order=None, classes=3):
    ctx = Context()
    ctx.task = dataclasses.replace(task(), n_classes=classes)
    model = ClassMean(ctx.task, {}, None)
    model.fit(Clips(clips, labels, order or range(len(clips))[::-1]), ctx)
    return model


def test_class_mean_is_the_mean_displacement_of_a_class():
    rng = np.random.default_rng(1)
    clips = [
        np.concatenate([rng.uniform(-1, 1, (5, 3, 2)), np.ones((5, 3, 1))], -1).astype(np.float32)
        for _ in range(7)
    ]
    labels = [0, 2, 0, 2, 0, 0, 2]
    model = averaged(clips, labels)
    moved = np.stack(clips)[:, 2:, :, :2] - np.stack(clips)[:, 1:2, :, :2]
    given = torch.rand(4, 2, 3, 3)
    label = torch.tensor([0, 2, 1, 9])  # 1 has no clip, 9 is no class: the mean of all
    made = model.rollout(given, label, 3, torch.zeros(4, dtype=torch.int64))
    wanted = [moved[np.array(labels) == k].mean(0) for k in (0, 2)] + [moved.mean(0)] * 2
    for row in range(4):
        found = (made[row, ..., :2] - given[row, -1, :, :2]).numpy()
        np.testing.assert_allclose(found, wanted[row], atol=1e-5)
        assert torch.equal(made[row, ..., 2], given[row, -1:, :, 2].expand(3, -1))
    blank = model.rollout(given, None, 3, torch.zeros(4, dtype=torch.int64))
    np.testing.assert_allclose(
        (blank[0, ..., :2] - given[0, -1, :, :2]).numpy(), moved.mean(0), atol=1e-5
    )


def test_class_mean_stands_still_beyond_what_it_knows_and_without_training():
    untrained = ClassMean(task(), {}, None).rollout(points(A), None, 3, SEEDS[:1])
    assert (untrained == points(A)).all()
    model = averaged([clip(A, (0.1, 0.0)), clip(B, (0.3, 0.0))], None, classes=0)
    made = model.rollout(points(A), torch.tensor([0]), 5, SEEDS[:1])
    torch.testing.assert_close(made[0, :, 0, 0], torch.tensor([0.2, 0.4, 0.6, 0.6, 0.6]))


def test_class_mean_is_the_same_in_any_order_and_comes_back_as_it_was_saved(tmp_path):
    clips, labels = [clip(A, (0.1 * k, 0.01)) for k in range(5)], [0, 1, 1, 0, 1]
    one, two = averaged(clips, labels), averaged(clips, labels, [3, 0, 4, 2, 1])
    one.save(tmp_path / "a")
    two.save(tmp_path / "b")
    for name in ("tensors.safetensors", "state.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    again = ClassMean(dataclasses.replace(task(), n_classes=3), {}, None)
    again.load(tmp_path / "a", "cpu")
    label = torch.tensor([1])
    assert torch.equal(
        one.rollout(points(A), label, 3, SEEDS[:1]), again.rollout(points(A), label, 3, SEEDS[:1])
    )


def test_annotated_hands_on_the_joints():
    detector = Annotated(task(joints=2), {"n_keypoints": 2}, (2, "joints"))
    pose = points([(0.1, 0.2), (0.3, 0.4, 0.0)])
    made = detector.detect(torch.zeros(1, 1, 3, 4, 4), pose)
    assert made.tolist() == [[[[*pose[0, 0, 0].tolist()], [0.0, 0.0, 0.0]]]]


def test_annotated_refuses_what_it_cannot_do():
    with pytest.raises(Refused, match=r"has 2 joints, not 13.*detector.n_keypoints=2"):
        Annotated(task(joints=2), ANNOTATED.params, (13, "joints"))
    with pytest.raises(Refused, match="has 0 joints"):
        Annotated(task(), ANNOTATED.params, (13, "joints"))
    with pytest.raises(Refused, match="needs pose"):
        Annotated(task(joints=13), ANNOTATED.params, None).detect(torch.zeros(1, 1, 3, 4, 4), None)
    assert ANNOTATED.capabilities.pose == "required" and not ANNOTATED.capabilities.oracle
