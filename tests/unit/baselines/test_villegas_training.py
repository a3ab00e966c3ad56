"""Training the parts of `villegas`: which gradient reaches what, the loop, acceptance checks."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from vpbench.api import (
    BadData,
    Batch,
    Capabilities,
    Conditioning,
    Corrupt,
    MethodFailed,
    Pair,
    Refused,
    TaskInfo,
    UnknownName,
    UsageError,
)
from vpbench.core.names import MethodRef
from vpbench.core.plan import row_kind
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.kit import to_arrays
from vpbench_baselines.common import batches
from vpbench_baselines.villegas import params, spec
from vpbench_baselines.villegas.detector import PoseDetector
from vpbench_baselines.villegas.method import Villegas
from vpbench_baselines.villegas.motion import PoseMotion
from vpbench_baselines.villegas.training import GeneratorTraining
from vpbench_baselines.villegas.translator import AnalogyTranslator

SIZE, GIVEN, HORIZON, FRAMES = 16, 3, 5, 14
BODY = (
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)


def task(joints=BODY, given=GIVEN):
    return TaskInfo("toy", SIZE, HORIZON, given, None, 0, (), len(joints), joints)


PARTS = {
    "detector": (PoseDetector, params.DETECTOR, params.DETECTOR_PRESETS),
    "motion": (PoseMotion, params.MOTION, params.MOTION_PRESETS),
    "translator": (AnalogyTranslator, params.TRANSLATOR, params.TRANSLATOR_PRESETS),
}


def make(slot, info=None, **changed):
    cls, base, presets = PARTS[slot]
    info = info or task()
    values = {**base, **presets["smoke"], "steps": 5, **changed}
    if slot == "detector":
        values["n_keypoints"] = info.n_joints
    made = cls(info, values, None)
    if slot == "detector":  # as the harness says it of components
        made.space = (info.n_joints, "joints")
    return made


class Corners:
    """A detector of four points that no joints are: the brightest pixel and three fixed ones."""

    space = (4, "unsupervised")

    def detect(self, frames, pose):
        assert pose is None
        grey = frames.mean(2).flatten(2).argmax(2)
        y, x = grey // frames.shape[-1], grey % frames.shape[-1]
        moving = torch.stack([x, y], -1) / (frames.shape[-1] - 1) * 2 - 1
        still = torch.tensor([[-0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]).expand(*moving.shape[:2], 3, 2)
        points = torch.cat([moving[:, :, None], still], 2)
        return torch.cat([points, torch.ones_like(points[..., :1])], -1)


class View:
    """Moving squares with joints that move along, as the harness shows them; batch k is k's."""

    def __init__(self, joints=13, val=3, seen=0.8):
        self.clips = {
            "train": [moving_square(k, k % 2, FRAMES, SIZE) for k in range(6)],
            "val": [moving_square(90 + k, k % 2, FRAMES, SIZE) for k in range(val)],
        }
        self.joints, self.seen = joints, seen

    def len(self, split):
        return len(self.clips[split])

    def path(self, i, times):
        """Joints around a place that moves as the square does; some cannot be seen."""
        rng = np.random.default_rng(i)
        start = rng.uniform(-0.6, 0.2, (self.joints, 2))
        move = np.array([[0.06, 0.0], [0.0, 0.06]])[i % 2] * np.asarray(times)[:, None, None]
        there = np.repeat(rng.random((1, self.joints, 1)) < self.seen, len(times), 0)
        return np.concatenate([start + move, there], -1).astype(np.float32)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        k = start_step
        while True:
            rng = np.random.default_rng([k, len(stream)])
            index = (np.arange(batch) + k * batch) % self.len(split)
            times = []
            for _ in index:
                if isinstance(window, Pair):
                    gap = int(rng.integers(window.min_gap, window.max_gap + 1))
                    a = int(rng.integers(0, FRAMES - gap))
                    times.append([a, a + gap])
                else:
                    times.append(list(range(window.length)))
            rows = list(zip(index.tolist(), times, strict=True))
            paths = np.stack([self.path(i, t) for i, t in rows]) if self.joints else None
            frames = np.stack([self.clips[split][i][t] for i, t in rows])
            yield Batch(frames, paths, None, index, np.array(times), self.keypoints(frames, paths))
            k += 1

    def keypoints(self, frames, paths):
        """Of a labels stage: the joints, a little off, all of them seen."""
        if paths is None:
            return None
        noise = np.random.default_rng(0).normal(0, 0.01, (*paths.shape[:-1], 2))
        found = np.concatenate([paths[..., :2] + noise, np.ones_like(paths[..., :1])], -1)
        return found.astype(np.float32)


class Context(StageContext):
    stop_after = math.inf

    @property
    def should_stop(self):
        return self._step >= self.stop_after


def context(folder, slot, info=None, detector=None, seed=5, stop_after=math.inf):
    info = info or task()
    detector = detector or make("detector", info)
    ctx = Context(
        info,
        (slot,),
        "cpu",
        1,
        seed,
        StageDir(folder),
        f"villegas-{slot}:fit",
        folder,
        lambda event: None,
        {"detector": detector},
    )
    ctx.stop_after = stop_after
    return ctx


def fit(folder, slot, data=None, info=None, detector=None, seed=5, stop_after=math.inf, **changed):
    part = make(slot, info, **changed)
    ctx = context(folder, slot, info, detector, seed, stop_after)
    part.fit(data or View(), ctx)
    return part, ctx


def weights(part):
    arrays, _ = to_arrays(part.net.state_dict())
    return {k: v.tobytes() for k, v in arrays.items()}


def logged(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


SLOTS = tuple(PARTS)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path, slot):
    whole, _ = fit(tmp_path / "whole", slot)
    fit(tmp_path / "cut", slot, stop_after=3)
    assert (tmp_path / "cut" / "resume" / "state.npz").is_file()
    again, _ = fit(tmp_path / "cut", slot)
    assert weights(again) == weights(whole)
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")
    other, _ = fit(tmp_path / "other", slot, seed=6)
    assert weights(other) != weights(whole)


@pytest.mark.parametrize("cut", [1, 4])
def test_a_regressor_of_its_own_is_part_of_the_state(tmp_path, cut):
    """With a foreign detector the first steps teach the network of the pose features."""
    whole, _ = fit(tmp_path / "whole", "translator", detector=Corners(), regressor_steps=3)
    rows = logged(tmp_path / "whole")
    assert [("regressor" in r, "pixels" in r) for r in rows if "val_gain" not in r] == [
        *[(True, False)] * 3,
        *[(False, True)] * 5,
    ]
    more = {"detector": Corners(), "regressor_steps": 3}
    fit(tmp_path / "cut", "translator", stop_after=cut, **more)
    again, _ = fit(tmp_path / "cut", "translator", **more)
    assert weights(again) == weights(whole)


def test_memory_and_disk_hold_the_same_weights_and_predict_the_same(tmp_path):
    trained = {slot: fit(tmp_path / slot, slot)[0] for slot in SLOTS}
    again = {slot: make(slot) for slot in SLOTS}
    for slot, part in trained.items():
        part.save(tmp_path / "saved" / slot)
        again[slot].load(tmp_path / "saved" / slot, "cpu")
        again[slot].save(tmp_path / "twice" / slot)
        for file in (tmp_path / "saved" / slot).iterdir():
            assert file.read_bytes() == (tmp_path / "twice" / slot / file.name).read_bytes()
        assert weights(part) == weights(again[slot])
        for value in part.net.state_dict().values():
            assert value.ndim < 2 or torch.equal(value, value.half().float())
    seeds = np.zeros((2, 1), np.int64)
    one, two = (
        Villegas(task(), {}, parts).predict(given(), 7, seeds) for parts in (trained, again)
    )
    assert one.shape == (2, 1, 7, SIZE, SIZE, 3) and np.array_equal(one, two)


def given(n=GIVEN):
    clips = np.stack([moving_square(50 + k, k % 2, n, SIZE) for k in range(2)])
    return Conditioning(clips, None, None, None, ("a", "b"))


def test_every_frame_is_drawn_from_the_last_given_one_alone(tmp_path):
    """Frame t is the same whatever frames are asked for beside it, and none feeds the next."""
    part, _ = fit(tmp_path, "translator")
    part.eval()
    with torch.inference_mode():
        frame, points = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 40, 13, 3) * 2 - 1
        points[..., 2] = 1
        whole = part.render(frame, points[:, 0], points[:, 1:])
        alone = part.render(frame, points[:, 0], points[:, [30]])
        torch.testing.assert_close(whole[:, 29], alone[:, 0])
        backwards = part.render(frame, points[:, 0], points[:, 1:].flip(1))
        torch.testing.assert_close(backwards.flip(1), whole)
        assert float(whole.min()) >= 0 and float(whole.max()) <= 1


def test_the_motion_model_looks_at_ten_frames_and_hides_what_it_cannot_see(tmp_path):
    part, _ = fit(tmp_path, "motion")
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(-1, 1, (2, 14, 13, 3)).astype(np.float32))
    points[..., 2] = 1
    points[:, -1, 4, 2] = 0
    seeds = torch.zeros(2, dtype=torch.int64)
    with torch.inference_mode():
        found = part.rollout(points, None, 6, seeds)
        torch.testing.assert_close(part.rollout(points[:, -10:], None, 6, seeds), found)
        points[:, -1, 4, :2] = 7.0  # out of sight: its place is not used
        torch.testing.assert_close(part.rollout(points, None, 6, seeds), found)
    assert found.shape == (2, 6, 13, 3) and not found[:, :, 4, 2].any()
    assert found[..., :2].abs().max() <= 1


# -- poses -----------------------------------------------------------------------------------------


def test_joints_are_drawn_as_48_maps_and_other_points_as_one_each(tmp_path):
    limbs, _ = fit(tmp_path / "a", "translator", stop_after=1)
    assert limbs.limbs and limbs.net.pose[0].in_channels == 48
    points, _ = fit(tmp_path / "b", "translator", detector=Corners(), stop_after=3)
    assert not points.limbs and points.net.pose[0].in_channels == 4
    names = tuple(f"joint {k}" for k in range(13))
    nameless, _ = fit(tmp_path / "c", "translator", info=task(names), stop_after=1)
    assert not nameless.limbs and nameless.net.pose[0].in_channels == 13


def test_a_foreign_detector_needs_no_joints(tmp_path):
    part, ctx = fit(tmp_path / "t", "translator", View(joints=0), task(()), Corners())
    assert part.net.pose[0].in_channels == 4 and ctx.notes.checks

    class Points(View):
        def keypoints(self, frames, paths):
            return self.path(0, range(frames.shape[1]))[None, :, :4].repeat(len(frames), 0)

        def batches(self, *words, **more):
            for b in super().batches(*words, **more):
                yield Batch(b.frames, None, None, b.index, b.times, b.keypoints)

    motion, _ = fit(tmp_path / "m", "motion", Points(), task(()), Corners())
    assert motion.net.enter.in_features == 8


@pytest.mark.parametrize("slot", SLOTS)
def test_clips_without_joints_are_an_error_that_says_so(tmp_path, slot):
    class Bare(View):
        def batches(self, *words, **more):
            for b in super().batches(*words, **more):
                yield Batch(b.frames, None, None, b.index, b.times, b.keypoints)

    with pytest.raises(BadData, match="joints"):
        fit(tmp_path, slot, Bare())


def test_the_motion_model_learns_from_true_joints_not_from_what_was_found(tmp_path):
    class Wrong(View):
        def keypoints(self, frames, paths):
            return np.random.default_rng(9).uniform(-1, 1, paths.shape).astype(np.float32)

    one, _ = fit(tmp_path / "a", "motion")
    two, _ = fit(tmp_path / "b", "motion", Wrong())
    assert weights(one) == weights(two)


# -- losses and the two networks -------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path):
    part = make("translator", adversarial_start=0.0)
    made = GeneratorTraining(part, View(), context(tmp_path, "translator"))
    made.run()
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(4, 2, 3, SIZE, SIZE, generator=rng) * 2 - 1
    poses = torch.from_numpy(np.stack([View().path(k, [0, 5]) for k in range(4)]))
    return made, images, poses


def changed(networks, act):
    before = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in networks.items()}
    act()
    return {
        n
        for n, m in networks.items()
        if any(not torch.equal(before[n][k], v) for k, v in m.state_dict().items())
    }


@pytest.mark.parametrize(
    ("moves", "wanted"),
    [
        ({"generator": True, "discriminator": True}, {"generator", "discriminator"}),
        ({"generator": False, "discriminator": True}, {"discriminator"}),
        ({"generator": True, "discriminator": False}, {"generator"}),
    ],
)
def test_each_network_is_updated_alone_and_the_regressor_stays(trained, moves, wanted):
    made, images, poses = trained
    made.training.extra["moves"] = dict(moves)
    networks = {
        "generator": made.net,
        "discriminator": made.discriminator,
        "regressor": made.regressor,
    }
    assert changed(networks, lambda: made._step(0, images, poses)) == wanted


def test_the_wrong_pose_is_a_pair_that_the_discriminator_sees(trained):
    """Its third pair is the reference frame under the pose of the wanted one."""
    made, images, poses = trained
    seen = []
    look = type(made.discriminator).forward

    def spy(image, maps):
        seen.append((image.detach().clone(), maps.detach().clone()))
        return look(made.discriminator, image, maps)

    made.discriminator.forward = spy
    figures = made._step(0, images, poses)
    wanted = made.drawer.maps(poses[:, 1])
    assert len(seen) == 4 and all(torch.equal(maps, wanted) for _, maps in seen)
    assert torch.equal(seen[0][0], images[:, 1]) and torch.equal(seen[2][0], images[:, 0])
    torch.testing.assert_close(seen[1][0], seen[3][0])  # what was drawn, for both networks
    assert {"pixels", "pose", "adversarial", "judged_real", "judged_fake"} <= set(figures)


def test_the_pose_loss_reaches_the_frame_and_not_the_regressor(trained):
    made, images, _ = trained
    fake = images[:, 0].clone().requires_grad_()
    made._pose_features()(fake, images[:, 1]).backward()
    assert fake.grad.abs().sum() > 0
    assert all(w.grad is None for w in made.regressor.parameters())
    assert not made.regressor.training


def test_the_discriminator_begins_where_it_is_told_to(tmp_path):
    fit(tmp_path, "translator", adversarial_start=0.6)
    rows = [r for r in logged(tmp_path) if "pixels" in r]
    assert ["adversarial" in r for r in rows] == [False, False, False, True, True]


# -- acceptance checks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slot", "check", "pictures"),
    [
        ("detector", "joint error of the detector", {"joints"}),
        ("motion", "pose LSTM over that of repeating", {f"poses-{k}" for k in range(3)}),
        ("translator", "true future poses over copy-last", {f"validation-{k}" for k in range(3)}),
    ],
)
def test_a_few_steps_miss_the_check_and_the_row_says_so(tmp_path, slot, check, pictures):
    _, ctx = fit(tmp_path, slot)
    (found,) = ctx.notes.checks.values()
    assert check in found.name and not found.passed
    notes = " ".join(ctx.notes.notes)
    assert "reimplementation" in notes and "own settings" in notes
    assert {p.stem for p in (tmp_path / "pictures").glob("*.png")} == pictures


def test_the_check_of_the_generator_is_psnr_over_copy_last(tmp_path):
    """A generator that is handed the answer passes, copy-last itself has a gain of 0."""
    from vpbench_baselines.villegas.poses import Poses
    from vpbench_baselines.villegas.validation import check_generator

    clips = [v.astype(np.float64) / 255 for v in View().clips["val"]]

    class Answer(torch.nn.Module):
        def __init__(self, share):
            super().__init__()
            self.share, self.k, self.task = share, 0, task()

        def render(self, frame, source, target):
            order = self.k // 2
            self.k += 1
            real = torch.from_numpy(clips[order][GIVEN : GIVEN + HORIZON]).float().movedim(-1, 1)
            return (self.share * real + (1 - self.share) * frame)[None]

    for share, gain in ((0.0, 0.0), (0.5, 20 * math.log10(2)), (0.9, 20.0)):
        ctx = context(tmp_path / str(share), "translator")
        check_generator(Answer(share), Poses(make("detector"), task(), "cpu"), View(), ctx)
        (found,) = ctx.notes.checks.values()
        assert math.isclose(found.value, gain, abs_tol=0.01) and found.passed == (gain >= 3)


def test_the_check_of_the_lstm_is_one_for_repeating_the_last_pose(tmp_path):
    part, ctx = fit(tmp_path, "motion", stop_after=1)

    class Still:
        def __call__(self, numbers, horizon, classes):
            return numbers[:, -1:].expand(-1, horizon, -1)

    object.__setattr__(part, "net", None)
    part.__dict__["_modules"].pop("net", None)
    part.__dict__["net"] = Still()

    class Exact(View):
        def keypoints(self, frames, paths):
            return paths

    part._check(Exact(), True, ctx)
    (found,) = ctx.notes.checks.values()
    assert math.isclose(found.value, 1.0, rel_tol=1e-5) and not found.passed


@pytest.mark.parametrize("slot", SLOTS)
def test_without_validation_clips_the_row_says_so(tmp_path, slot):
    _, ctx = fit(tmp_path, slot, View(val=0))
    assert not ctx.notes.checks and any("not measured" in m for m in ctx.notes.notes)


class Broken(View):
    """A joint that is there, at no place."""

    def path(self, i, times):
        found = super().path(i, times)
        found[:, 0] = np.nan, np.nan, 1
        return found


@pytest.mark.parametrize(
    ("slot", "data", "rate"),
    [("detector", View, 1e30), ("motion", Broken, 1e-3), ("translator", View, 1e30)],
)
def test_nan_stops_with_a_sentence(tmp_path, slot, data, rate):
    with pytest.raises(MethodFailed, match=rf"villegas-{slot}:fit stopped at step \d+ of \d+"):
        fit(tmp_path, slot, data(), rate=rate, steps=40)


def test_one_given_frame_is_a_note(tmp_path):
    _, one = fit(tmp_path / "a", "motion", info=task(given=1))
    assert "adapted n=1" in one.notes.notes
    _, three = fit(tmp_path / "b", "motion")
    assert "adapted n=1" not in three.notes.notes


@pytest.mark.parametrize("slot", SLOTS)
def test_weights_of_another_part_are_refused(tmp_path, slot):
    part, _ = fit(tmp_path / "a", slot, stop_after=1)
    part.save(tmp_path / "saved")
    other = make(SLOTS[(SLOTS.index(slot) + 1) % 3])
    with pytest.raises(Corrupt):
        other.load(tmp_path / "saved", "cpu")


@pytest.mark.parametrize(
    ("slot", "changed_", "error"),
    [
        ("translator", {"init": "he"}, UnknownName),
        ("translator", {"batch": 1}, UsageError),
        ("motion", {"hidden": 0}, UsageError),
        ("detector", {"width": 0}, UsageError),
    ],
)
def test_parameters_that_cannot_be_are_named(slot, changed_, error):
    with pytest.raises(error, match=next(iter(changed_))):
        make(slot, **changed_)


# -- the spec --------------------------------------------------------------------------------------


def test_what_each_row_needs():
    known = registry()

    def needs(name):
        return resolve(MethodRef.parse(name), known, 64).capabilities

    assert needs("villegas").pose == "training" and needs("villegas").label == "no"
    assert needs("villegas").conditioning_frames == (1, 10) and not needs("villegas").stochastic
    assert needs("villegas[detector=annotated]").pose == "required"
    annotated = MethodRef.parse("villegas[detector=annotated]")
    assert resolve(annotated, known, 64).uses == ["pose"]
    assert needs("villegas[detector=ours-detector]").pose == "no"


def test_a_preset_holds_for_all_parts():
    for preset in ("paper", "cpu", "gpu", "smoke"):
        method = resolve(MethodRef("villegas", {"preset": preset}), registry(), 64)
        for slot, (_, base, presets) in PARTS.items():
            assert dict(method.slots[slot].params) == {**base, **presets[preset]}
    assert all(set(p) <= set(base) for _, base, presets in PARTS.values() for p in presets.values())


def test_the_documentation_lists_every_deviation():
    text = " ".join((Path(__file__).parents[3] / "docs" / "baselines.md").read_text().split())
    assert all(d in text for d in spec.DEVIATIONS)
    assert "reimplementation" in spec.SPEC.summary


# labels, true poses, clips on the device ---------------------------------------------------------


def labelled_task():
    return TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 3, ("a", "b", "c"), len(BODY), BODY)


def test_a_lstm_with_labels_is_as_much_wider_and_follows_them():
    plain, fed = make("motion", labelled_task()), make("motion", labelled_task(), label="on")
    hidden = fed.params["hidden"]
    counts = [sum(p.numel() for p in part.reset(13, 0).parameters()) for part in (plain, fed)]
    assert counts[1] - counts[0] == 4 * hidden * 3
    points = torch.cat([torch.rand(2, GIVEN, 13, 2) - 0.5, torch.ones(2, GIVEN, 13, 1)], -1)
    seeds = torch.zeros(2)
    one, two = (fed.rollout(points, torch.tensor(k), HORIZON, seeds) for k in ([0, 1], [0, 2]))
    assert torch.equal(one[0], two[0]) and not torch.equal(one[1], two[1])
    without = [plain.rollout(points, k, HORIZON, seeds) for k in (None, torch.tensor([0, 1]))]
    assert torch.equal(*without)
    with pytest.raises(Refused, match="label"):
        fed.rollout(points, None, HORIZON, seeds)


def test_a_lstm_learns_what_only_the_label_tells(tmp_path):
    """Two ways to go on from the same pose: with labels each, without the mean of both."""

    class Forked(View):
        def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
            for made in super().batches(split, window, batch, augment, start_step, stream):
                label = np.asarray(made.index) % 2
                pose = np.zeros((*made.times.shape, 13, 3), np.float32)
                pose[..., 2] = 1
                pose[:, GIVEN:, :, 0] = (label * 1.0 - 0.5)[:, None, None]
                yield replace(made, pose=pose, keypoints=pose, label=label)

    def error(label):
        more = {"label": label, "steps": 150, "rate": 1e-2, "hidden": 12}
        part, _ = fit(tmp_path / label, "motion", Forked(), labelled_task(), **more)
        return logged(tmp_path / label)[-1]["val_joint_error"], part

    (with_it, part), (without, _) = error("on"), error("off")
    assert with_it < 0.1 < 0.3 < without
    part.save(tmp_path / "saved")
    other = make("motion", labelled_task(), label="on", hidden=12)
    other.load(tmp_path / "saved", "cpu")
    assert weights(other) == weights(part)


def test_capabilities_and_stages_follow_the_label():
    def found(text):
        return resolve(MethodRef.parse(text), registry(), 64)

    plain, on = found("villegas"), found("villegas[label=on]")
    assert plain.capabilities.label == "no" and plain.uses == ["pose (training)"]
    assert on.capabilities.label == "required" and "label" in on.uses
    assert on.slots["motion"].params["label"] == "on" and str(on.ref) == "villegas[label=on]"
    assert on.slots["translator"].identity() == plain.slots["translator"].identity()
    oracle = found("villegas[oracle=on]")
    assert row_kind(oracle) == "oracle" and row_kind(plain) == "method"


class Brightest(Corners):
    capabilities = Capabilities()


def composed(detector, **params):
    slots = {"detector": detector, "motion": make("motion"), "translator": make("translator")}
    return Villegas(task(), {"label": "off", "oracle": "off", **params}, slots)


def test_the_oracle_draws_the_poses_of_the_true_future():
    oracle = composed(Brightest(), oracle="on")
    clips = np.stack([moving_square(90 + k, k % 2, FRAMES, SIZE) for k in range(2)])
    known = Conditioning(clips[:, :GIVEN], None, None, None, ("a", "b"))
    future = clips[:, GIVEN : GIVEN + 6]
    oracle.slots["translator"].reset(4, False, 3)
    seeds = np.zeros((2, 3), np.int64)
    found = oracle.intermediates(known, future, 6, seeds)
    assert found["final"].shape == (2, 3, 6, SIZE, SIZE, 3)
    assert np.array_equal(found["final"], oracle.predict(known, future, 6, seeds))
    frames = torch.from_numpy(clips[:, GIVEN - 1 : GIVEN + 6] / 255).float().movedim(-1, 2)
    np.testing.assert_array_equal(found["keypoints"][:, 0], Corners().detect(frames, None).numpy())
    assert type(composed(Brightest())) is Villegas
    with pytest.raises(UsageError, match="oracle"):
        composed(Brightest(), oracle="maybe")


def test_the_oracle_refuses_a_detector_that_only_hands_on_poses():
    class Given(Corners):
        capabilities = Capabilities(pose="required")

    oracle = composed(Given(), oracle="on")
    clips = moving_square(0, 0, FRAMES, SIZE)[None]
    pose = np.zeros((1, GIVEN, 4, 3), np.float32)
    known = Conditioning(clips[:, :GIVEN], None, pose, None, ("a",))
    with pytest.raises(UsageError, match="finds poses"):
        oracle.predict(known, clips[:, GIVEN:], 2, np.zeros((1, 1), np.int64))


@pytest.mark.parametrize("slot", ["detector", "translator"])
def test_parts_learn_from_clips_on_the_device(tmp_path, slot, monkeypatch):
    """What a GPU does, on a CPU."""
    monkeypatch.setattr(batches, "resident", lambda device: True)

    class Readable(View):
        def length(self, split, i):
            return FRAMES

        def read(self, split, i, frames):
            return self.clips[split][i][list(frames)]

        def pose(self, split, i, frames):
            return self.path(i, list(frames))

        def label(self, split, i):
            return None

    more = {"steps": 6, "regressor_steps": 0} if slot == "translator" else {"steps": 6}
    whole, _ = fit(tmp_path / "whole", slot, Readable(), **more)
    fit(tmp_path / "cut", slot, Readable(), stop_after=3, **more)
    again, _ = fit(tmp_path / "cut", slot, Readable(), **more)
    assert weights(again) == weights(whole)
    name = "loss" if slot == "detector" else "pixels"
    assert all(np.isfinite(line[name]) for line in logged(tmp_path / "whole") if name in line)
