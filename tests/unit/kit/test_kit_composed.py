"""A method composed of a detector, a motion model and a translator."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from vpbench.api import (
    Capabilities,
    Conditioning,
    Corrupt,
    HasIntermediates,
    Method,
    MethodFailed,
    Refused,
    TaskInfo,
    Trainable,
    UnknownName,
    UsageError,
)
from vpbench.kit import ComposedMethod, load_state, normal, save_state

torch.set_num_threads(1)

TASK = TaskInfo("toy", 8, 4, 2, None, 3, ("a", "b", "c"), 5, tuple("vwxyz"))
K = 2


class Stored(nn.Module):
    """A component with one number to learn."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.norm = nn.BatchNorm1d(1)

    def save(self, folder):
        save_state(folder, self.state_dict())

    def load(self, folder, device):
        self.load_state_dict(load_state(folder, device))


class Corner(Stored):
    """Keypoint k at the mean of colour k; remembers what it was shown."""

    def detect(self, frames, pose):
        assert torch.is_inference_mode_enabled() and not self.norm.training
        self.seen = frames, pose
        mean = frames[:, :, :K].mean((-2, -1)) * self.gain
        return torch.stack([mean, -mean, torch.ones_like(mean)], -1)


class Drift(Stored):
    """Adds noise that grows with time, and the label."""

    def rollout(self, keypoints, label, horizon, seeds):
        assert seeds.dtype == torch.int64
        self.label = label
        step = normal(seeds, (1, K, 3)) * 0.01
        time = torch.arange(1, horizon + 1).reshape(1, -1, 1, 1)
        shift = 0 if label is None else label.reshape(-1, 1, 1, 1) * 0.1
        return keypoints[:, -1:] + self.gain * (step * time + shift)


class Shift(Stored):
    """Brightens the frame by how far the first point has moved."""

    def render(self, frame, source, target):
        moved = (target - source[:, None])[:, :, 0, 0].reshape(*target.shape[:2], 1, 1, 1)
        return frame[:, None] + moved * self.gain

    def intermediates(self, frame, source, target):
        coarse = self.render(frame, source, target)
        return {"coarse": coarse, "mask": coarse[:, :, :1], "flow": coarse[:, :, :2], "x": target}


class Toy(ComposedMethod):
    trains: ClassVar = {"image": ("detector", "translator"), "motion": ("motion",)}

    def fit(self, stage, data, ctx):
        self.begin(stage, ctx)


def given(b=3, n=2, seed=0, label=True, pose=True):
    rng = np.random.default_rng(seed)
    frames = rng.integers(60, 200, (b, n, 8, 8, 3), dtype=np.uint8)
    frames.flags.writeable = False
    names = tuple(f"c{i}" for i in range(b))
    joints = rng.random((b, n, 5, 3), np.float32)
    labels = np.arange(b, dtype=np.int64)
    return Conditioning(frames, labels if label else None, joints if pose else None, None, names)


def make(cls=Toy, **other):
    slots = {"detector": Corner(), "motion": Drift(), "translator": Shift()} | other
    return cls(TASK, {"x": 1}, slots)


SEEDS = np.array([[1, 2], [3, 1], [5, 6]], np.int64)


def test_it_is_a_method_and_needs_only_fit():
    assert all(isinstance(make(), kind) for kind in (Method, HasIntermediates, Trainable))
    assert not isinstance(make(ComposedMethod), Trainable)


def test_prediction_is_what_the_parts_say():
    scene, method = given(), make()
    out = method.predict(scene, 4, SEEDS)
    assert out.shape == (3, 2, 4, 8, 8, 3) and out.dtype == np.uint8
    for b in range(3):
        for s in range(2):
            step = normal([int(SEEDS[b, s])], (K, 3))[0, 0, 0].item() * 0.01
            for t in range(4):
                exact = scene.frames[b, -1] / 255.0 + step * (t + 1) + b * 0.1
                wanted = np.floor(np.clip(exact, 0, 1) * 255 + 0.5)
                assert np.abs(out[b, s, t] - wanted).max() <= 1
    frames, pose = method.slots["detector"].seen
    assert frames.shape == (3, 2, 3, 8, 8) and pose is None
    assert method.slots["motion"].label.tolist() == [0, 1, 2]


def test_a_sample_depends_on_its_own_seed_and_clip_only():
    scene, method = given(), make()
    out = method.predict(scene, 4, SEEDS)
    assert np.array_equal(out, method.predict(scene, 4, SEEDS))
    assert np.array_equal(out[:, 1:], method.predict(scene, 4, SEEDS[:, 1:]))
    assert not np.array_equal(out[:, 0], out[:, 1])
    one = Conditioning(scene.frames[1:2], scene.label[1:2], None, None, ("x",))
    assert np.array_equal(out[1:2], method.predict(one, 4, SEEDS[1:2]))


def test_modes_gradients_and_global_randomness_are_left_alone():
    method = make()
    method.slots["motion"].eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    method.predict(given(), 2, SEEDS)
    assert torch.equal(before, torch.get_rng_state())
    assert method.slots["detector"].norm.training and method.slots["translator"].training
    assert not method.slots["motion"].norm.training
    assert not torch.is_inference_mode_enabled()


class PosedCorner(Corner):
    capabilities = Capabilities(pose="required", label="no", trainable=True)


class Unlabelled(Drift):
    capabilities = Capabilities(label="training", trainable=True)


class Labelled(Drift):
    capabilities = Capabilities(label="required", trainable=True)


def test_pose_and_label_go_only_where_they_are_asked_for():
    method = make(detector=PosedCorner(), motion=Unlabelled())
    scene = given()
    method.predict(scene, 2, SEEDS)
    assert np.array_equal(method.slots["detector"].seen[1].numpy(), scene.pose)
    assert method.slots["motion"].label is None
    make().predict(given(label=False), 2, SEEDS)
    with pytest.raises(Refused, match="PosedCorner needs a pose"):
        method.predict(given(pose=False), 2, SEEDS)
    with pytest.raises(Refused, match="Labelled needs a label"):
        make(motion=Labelled()).predict(given(label=False), 2, SEEDS)


def test_layers_show_the_way():
    scene, method = given(), make()
    intermediates = method.intermediates(scene, 4, SEEDS)
    assert np.array_equal(intermediates["final"], method.predict(scene, 4, SEEDS))
    assert intermediates["keypoints"].shape == (3, 2, 2 + 4, K, 3)
    assert intermediates["keypoints"].dtype == np.float32
    means = scene.frames[..., :K].mean((2, 3)) / 255.0
    assert np.allclose(intermediates["keypoints"][:, 0, :2, :, 0], means, atol=1e-5)
    assert np.array_equal(
        intermediates["keypoints"][:, 0, :2], intermediates["keypoints"][:, 1, :2]
    )
    assert np.array_equal(intermediates["coarse"], intermediates["final"])
    assert np.array_equal(intermediates["mask"], intermediates["coarse"][..., :1].repeat(3, -1))
    assert (
        intermediates["flow"].shape == (3, 2, 4, 8, 8, 2)
        and intermediates["flow"].dtype == np.float32
    )
    assert np.array_equal(intermediates["x"], intermediates["keypoints"][:, :, 2:])


class Mute(Stored):
    def render(self, frame, source, target):
        return frame[:, None].expand(-1, target.shape[1], -1, -1, -1)


def test_layers_without_any_from_the_translator():
    assert set(make(translator=Mute()).intermediates(given(), 2, SEEDS)) == {"keypoints", "final"}


@pytest.mark.parametrize("slot", ["detector", "motion", "translator"])
def test_an_empty_slot_is_refused_by_name(slot):
    slots = {"detector": Corner(), "motion": Drift(), "translator": Shift()}
    del slots[slot]
    with pytest.raises(Refused, match=f"Toy has no {slot}"):
        Toy(TASK, {}, slots)
    with pytest.raises(UsageError, match=f"Mute|Stored in the slot '{slot}'"):
        Toy(TASK, {}, {**slots, slot: Stored()})


class WrongShape(Drift):
    def rollout(self, keypoints, label, horizon, seeds):
        return keypoints


class Nan(Mute):
    def render(self, frame, source, target):
        return super().render(frame, source, target) * float("nan")


def test_nonsense_from_a_component_is_named():
    with pytest.raises(MethodFailed, match=r"WrongShape.*'motion' returned \[3, 2, 2, 3\]"):
        make(motion=WrongShape()).predict(given(), 4, SEEDS)
    with pytest.raises(MethodFailed, match="NaN"):
        make(translator=Nan()).predict(given(), 4, SEEDS)
    with pytest.raises(UsageError, match=r"\[B,S\]"):
        make().predict(given(), 4, SEEDS[:2])
    with pytest.raises(UsageError, match=r"\[B,S\]"):
        make().predict(given(), 4, SEEDS[:, :0])


def test_a_stage_saves_what_it_trains_and_loads_what_is_there(tmp_path):
    method = make()
    for k, part in enumerate(method.slots.values()):
        part.gain.data.fill_(2.0 + k)
    for stage in ("image", "motion"):
        method.save(stage, tmp_path / stage)
    assert sorted(p.name for p in (tmp_path / "image").iterdir()) == ["detector", "translator"]
    assert [p.name for p in (tmp_path / "motion").iterdir()] == ["motion"]
    fresh = make()
    fresh.load("image", tmp_path / "image", "cpu")
    assert [p.gain.item() for p in fresh.slots.values()] == [2.0, 1.0, 4.0]
    fresh.load("motion", tmp_path / "motion", "cpu")
    scene = given()
    assert np.array_equal(fresh.predict(scene, 3, SEEDS), method.predict(scene, 3, SEEDS))
    assert not np.array_equal(make().predict(scene, 3, SEEDS), method.predict(scene, 3, SEEDS))


def test_frozen_slots_are_left_out(tmp_path):
    method = make()
    ctx = SimpleNamespace(trains=("translator",), device="cpu")
    method.fit("image", None, ctx)
    assert list(method.begin("image", ctx)) == ["translator"]
    method.save("image", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["translator"]
    make().load("image", tmp_path, "cpu")


class Still:
    """A motion model with nothing to learn."""

    capabilities = Capabilities()

    def rollout(self, keypoints, label, horizon, seeds):
        return keypoints[:, -1:].expand(-1, horizon, -1, -1)

    def save(self, folder):
        raise AssertionError("there is nothing to save")

    load = save


class Bare:
    def rollout(self, keypoints, label, horizon, seeds):
        return keypoints[:, -1:].expand(-1, horizon, -1, -1)


@pytest.mark.parametrize("motion", [Still, Bare])
def test_without_trains_every_stage_saves_all_that_can_be_trained(motion, tmp_path):
    method = make(ComposedMethod, motion=motion())
    method.save("all", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detector", "translator"]
    make(ComposedMethod, motion=motion()).load("all", tmp_path, "cpu")
    assert method.predict(given(), 4, SEEDS).shape == (3, 2, 4, 8, 8, 3)


def test_wrong_stages_and_empty_folders(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean motion"):
        make().save("moton", tmp_path)
    with pytest.raises(Corrupt, match="none of detector, translator"):
        make().load("image", tmp_path, "cpu")
    with pytest.raises(UsageError, match="cannot be saved"):
        make(motion=Bare()).save("motion", tmp_path)


class Wrapped(Bare):
    """Holds its module as an attribute."""

    def __init__(self):
        self.net = nn.Linear(1, 1)


def test_components_move_to_the_device_and_their_inputs_follow():
    method = make(motion=Wrapped())
    method._move("meta")
    assert all(p.device.type == "meta" for p in method.slots["detector"].parameters())
    assert method.slots["motion"].net.weight.device.type == "meta"
    seen = method._on("motion", torch.zeros(1), None)
    assert seen[0].device.type == "meta" and seen[1] is None


def test_parts_on_different_devices_work_together():
    class Far(nn.Module):
        """Lies on the meta device, where there are shapes and no numbers."""

        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1, device="meta"))

        def detect(self, frames, pose):
            assert frames.device.type == "meta"
            return torch.zeros(*frames.shape[:2], K, 3)  # comes back on the CPU

    assert make(detector=Far()).predict(given(), 4, SEEDS).shape == (3, 2, 4, 8, 8, 3)
