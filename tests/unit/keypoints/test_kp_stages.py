"""Both stages of a training, in this process, on moving squares."""

import functools
import json
import math

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from vpbench.api import Batch, Clip, MethodFailed, Pair, Refused, TaskInfo
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.kit import PerceptualLoss, to_arrays, validation_due
from vpbench_keypoints import first_stage, second_stage, validation
from vpbench_keypoints.detector import KeypointDetector
from vpbench_keypoints.method import KeypointMethod
from vpbench_keypoints.motion import KeypointMotion
from vpbench_keypoints.networks import MotionNetwork
from vpbench_keypoints.spec import PARAMS, PRESETS
from vpbench_keypoints.translator import KeypointTranslator

SIZE, HORIZON, FRAMES = 16, 5, 12
TASK = TaskInfo("toy", SIZE, HORIZON, 1, None, 2, ("right", "down"), 2, ("left", "right"))
TINY = {
    **PARAMS,
    **PRESETS["smoke"],
    "n_keypoints": 3,
    "detector_width": 2,
    "translator_width": 2,
    "detector_decoder": 8,
    "translator_decoder": 8,
    "image_discriminator": 2,
    "image_discriminator_depth": 2,
    "motion_hidden": 6,
    "steps": 5,
    "motion_steps": 5,
}


class View:
    """Clips of moving squares, or paths of points, as the harness shows them; `joints` if asked."""

    def __init__(self, labels=True, joints=False, val=4):
        self.clips = {
            "train": [moving_square(k, k % 2, FRAMES, SIZE) for k in range(8)],
            "val": [moving_square(90 + k, k % 2, FRAMES, SIZE) for k in range(val)],
        }
        self.labels, self.joints = labels, joints

    def len(self, split):
        return len(self.clips[split])

    def length(self, split, i):
        return FRAMES

    def label(self, split, i):
        return i % 2 if self.labels else None

    def read(self, split, i, frames):
        return self.clips[split][i][list(frames)]

    def pose(self, split, i, frames):
        return self.path(i, frames, 2) if self.joints else None

    def path(self, i, frames, count):
        """Points that start at a place of their own and move right or down."""
        start = np.random.default_rng(i).uniform(-0.5, 0.0, (count, 2))
        move = np.array([[0.05, 0.0], [0.0, 0.05]])[i % 2] * np.asarray(frames)[:, None]
        flat = start[None] + move[:, None]
        return np.concatenate([flat, np.ones_like(flat[..., :1])], -1).astype(np.float32)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        k = start_step
        while True:
            rng = np.random.default_rng([k, len(stream)])
            index = rng.integers(0, self.len(split), batch)
            times = []
            for _ in index:
                if isinstance(window, Pair):
                    a = int(rng.integers(0, FRAMES - window.max_gap))
                    times.append([a, a + int(rng.integers(window.min_gap, window.max_gap + 1))])
                else:
                    assert isinstance(window, Clip)
                    a = int(rng.integers(0, FRAMES - window.length + 1))
                    times.append(list(range(a, a + window.length)))
            pairs = list(zip(index.tolist(), times, strict=True))
            yield Batch(
                np.stack([self.read(split, i, t) for i, t in pairs]),
                np.stack([self.path(i, t, 2) for i, t in pairs]) if self.joints else None,
                index % 2 if self.labels else None,
                index,
                np.array(times),
                np.stack([self.path(i, t, TINY["n_keypoints"]) for i, t in pairs]),
            )
            k += 1


class Context(StageContext):
    stop_after = math.inf

    @property
    def should_stop(self):
        return self._step >= self.stop_after


def method(task=TASK, **more):
    params = {**TINY, **more}
    parts = {
        "detector": KeypointDetector,
        "motion": KeypointMotion,
        "translator": KeypointTranslator,
    }
    return KeypointMethod(task, params, {k: cls(task, params, None) for k, cls in parts.items()})


def fit(folder, stage, made=None, data=None, trains=None, stop_after=math.inf, **more):
    made = made or method(**more)
    trains = trains or KeypointMethod.trains[stage]
    ctx = Context(
        TASK,
        trains,
        "cpu",
        1,
        5,
        StageDir(folder),
        f"ours:{stage}",
        folder,
        lambda event: None,
        made.slots,
    )
    ctx.stop_after = stop_after
    made.fit(stage, data or View(), ctx)
    return made, ctx


def often(monkeypatch, between):
    """Let validations be only so many steps apart."""
    for module in (first_stage, second_stage):
        monkeypatch.setattr(
            module, "validation_due", functools.partial(validation_due, between=between)
        )


def weights(made, *slots):
    arrays, _ = to_arrays({s: made.slots[s].net.state_dict() for s in slots})
    return {k: v.tobytes() for k, v in arrays.items()}


def logged(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


RESIDENT = {"augment": "light-resident", "motion_augment": "light-resident"}


@pytest.mark.parametrize("more", [{}, RESIDENT], ids=["read", "resident"])
@pytest.mark.parametrize("cut", [1, 4])
@pytest.mark.parametrize("stage", ["keypoints", "motion"])
def test_a_stopped_stage_goes_on_to_the_same_bytes(tmp_path, stage, cut, more, monkeypatch):
    often(monkeypatch, 2)  # the best weights are part of the state
    slots = KeypointMethod.trains[stage]
    whole, _ = fit(tmp_path / "whole", stage, **more)
    fit(tmp_path / "cut", stage, stop_after=cut, **more)
    assert (tmp_path / "cut" / "resume" / "state.npz").is_file()
    again, _ = fit(tmp_path / "cut", stage, **more)
    assert weights(again, *slots) == weights(whole, *slots)
    assert weights(again, *slots) != weights(method(), *slots)
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")


@pytest.mark.parametrize("stage", ["keypoints", "motion"])
def test_a_stage_trains_its_own_slots_and_no_others(tmp_path, stage):
    fresh = method()
    made, _ = fit(tmp_path, stage)
    for slot in made.slots:
        assert (weights(made, slot) != weights(fresh, slot)) == (slot in made.trains[stage])


def test_figures_of_the_first_stage(tmp_path):
    _, ctx = fit(tmp_path, "keypoints")
    rows = [r for r in logged(tmp_path) if "pixels" in r]
    assert [r["step"] for r in rows] == [1, 2, 3, 4, 5]
    for row in rows:
        wanted = {"step", "pixels", "equivariance", "mask"}
        if row["step"] > 2:  # from a quarter of five steps on
            wanted |= {"adversarial", "discriminator"}
        assert set(row) == wanted and all(v is not None for v in row.values())
        assert 0 < row["mask"] < 1
    (last,) = [r for r in logged(tmp_path) if "val_gain" in r]
    assert last["step"] == 5 and {"val_psnr", "val_changed"} < set(last)
    names = {p.name.partition("-")[0].partition(".")[0] for p in (tmp_path / "pictures").iterdir()}
    assert names == {"validation", "translation"}
    assert ctx.notes.not_comparable == ["a few training steps only"]


def test_the_best_weights_by_validation_are_kept(tmp_path, monkeypatch):
    often(monkeypatch, 1)
    made, ctx = fit(tmp_path, "keypoints", rate=0.05, steps=6)
    gains = [r["val_gain"] for r in logged(tmp_path) if "val_gain" in r]
    assert len(gains) == 6 and len(set(gains)) > 1
    frames, pose = validation.validation_frames(View(), ctx)
    translation = validation.Translation(made.slots["detector"], made.slots["translator"])
    for part in made.slots.values():
        part.eval()
    found = validation.measure(translation, frames, pose)
    assert found.gain == pytest.approx(max(gains), abs=1e-4)


def test_the_lowest_bound_of_the_motion_model_is_kept(tmp_path, monkeypatch):
    often(monkeypatch, 1)
    made, ctx = fit(tmp_path, "motion", motion_rate=0.1, motion_steps=6)
    rows = [r for r in logged(tmp_path) if "val_kl" in r]
    bounds = [r["val_path"] + r["val_kl"] for r in rows]
    assert len(bounds) == 6 and len(set(bounds)) > 1
    stage = second_stage.SecondStage.__new__(second_stage.SecondStage)
    stage.motion, stage.net, stage.data, stage.window = (
        made.slots["motion"],
        made.slots["motion"].net,
        View(),
        Clip(HORIZON + 1, "task", "random"),
    )
    stage.ctx = ctx
    paths, label = stage._validation_paths()
    from vpbench.kit import seeded

    with torch.no_grad(), seeded(0):
        fake, kl = stage._reconstruct(paths[:, 0], paths[:, 1:], label)
    found = 1000 * float((fake - paths[:, 1:]).abs().mean()) + float(kl)
    assert found == pytest.approx(min(bounds), rel=1e-5)


@pytest.mark.parametrize(
    ("stage", "more"), [("keypoints", {"rate": 1e30}), ("motion", {"motion_rate": 1e30})]
)
def test_a_loss_that_is_no_number_stops_the_training(tmp_path, stage, more):
    with pytest.raises(MethodFailed) as caught:
        fit(tmp_path, stage, **more)
    said = str(caught.value)
    assert f"ours:{stage} stopped at step" in said and "of 5:" in said
    assert "last good state is that of step" in said and len(caught.value.clips) in (4, 8)
    assert (tmp_path / "resume" / "state.npz").is_file()


@pytest.mark.parametrize(
    ("stage", "lower"),
    [
        ("keypoints", "batch or translator_decoder or detector_decoder"),
        ("motion", "motion_batch or motion_hidden"),
    ],
)
def test_no_memory_says_what_to_lower(tmp_path, stage, lower, monkeypatch):
    from vpbench_keypoints.first_stage import FirstStage

    cls = FirstStage if stage == "keypoints" else second_stage.SecondStage
    step, calls = cls._step, []

    def greedy(self, k, *words):
        calls.append((k, self.batch))
        if k == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return step(self, k, *words)

    monkeypatch.setattr(cls, "_step", greedy)
    with pytest.raises(MethodFailed) as caught:
        fit(tmp_path, stage)
    assert f"ours:{stage} ran out of memory at step 3" in str(caught.value)
    assert caught.value.fix.startswith(f"Lower {lower};")
    batch = TINY["batch"] if stage == "keypoints" else TINY["motion_batch"]
    assert calls == [(0, batch), (1, batch), (2, batch)]


class Corner:
    """A detector that somebody else wrote: no torch module, nothing to train."""

    def __init__(self):
        self.asked = []

    def detect(self, frames, pose):
        self.asked.append((frames.min() >= 0 and frames.max() <= 1, pose is not None))
        out = torch.ones(*frames.shape[:2], 3, 3)
        out[..., :2] = frames.mean((2, 3, 4))[..., None, None] - 0.5
        return out


@pytest.mark.parametrize("joints", [False, True])
def test_a_foreign_detector_is_used_as_it_is(tmp_path, joints):
    made = method()
    made.slots["detector"] = corner = Corner()
    before = weights(made, "translator")
    fit(tmp_path, "keypoints", made, View(joints=joints), ("translator",))
    assert weights(made, "translator") != before
    assert corner.asked and all(inside and posed == joints for inside, posed in corner.asked)
    assert not any("equivariance" in row for row in logged(tmp_path))


def test_a_foreign_detector_reads_its_clips(tmp_path):
    made = method(augment="light-resident")
    made.slots["detector"] = Corner()
    with pytest.raises(Refused, match="only where the detector of 'ours' is trained"):
        fit(tmp_path, "keypoints", made, View(), ("translator",))


def test_the_detector_alone_is_not_trained(tmp_path):
    with pytest.raises(Refused, match="together with its own translator"):
        fit(tmp_path, "keypoints", trains=("detector",))


@pytest.mark.parametrize(
    "more",
    [
        {"mask": False},
        {"reference_keypoints": False},
        {"skips": True},
        {"soft_argmax": "marginal", "temperature": 1.0},
        {"equivariance_weight": 0.0, "adversarial_weight": 0.0},
        {"precision": "bf16"},
        {"schedule": "exponential", "augment": "none", "pair_gap": "2-3", "wide_maps": 0.0},
    ],
    ids=lambda m: "-".join(m),
)
def test_every_switch_of_the_first_stage_trains(tmp_path, more):
    made, _ = fit(tmp_path, "keypoints", steps=2, **more)
    for part in ("detector", "translator"):
        for name, value in made.slots[part].net.state_dict().items():
            assert bool(value.isfinite().all()), name
    rows = [r for r in logged(tmp_path) if "pixels" in r]
    assert ("mask" in rows[0]) == more.get("mask", True)
    assert ("equivariance" in rows[0]) == (more.get("equivariance_weight", 1.0) > 0)


@pytest.mark.parametrize("more", [{"residual": True}, {"relu_heads": True}, {"label": False}])
def test_every_switch_of_the_second_stage_trains(tmp_path, more):
    made, _ = fit(tmp_path, "motion", motion_steps=2, **more)
    assert all(bool(v.isfinite().all()) for v in made.slots["motion"].net.state_dict().values())
    assert {"path", "kl", "adversarial", "discriminator"} < set(logged(tmp_path)[0])


def test_without_labels_and_validation_clips(tmp_path):
    task = TaskInfo("toy", SIZE, HORIZON, 1, None, 0, (), 0, ())
    data = View(labels=False, val=0)
    made = method(task)
    fit(tmp_path / "one", "keypoints", made, data)
    fit(tmp_path / "two", "motion", made, data)
    path = made.slots["motion"].rollout(torch.zeros(2, 1, 3, 3), None, 7, torch.tensor([1, 2]))
    assert path.shape == (2, 7, 3, 3)


def test_the_motion_model_learns_two_actions(tmp_path):
    """Points move right or down by the label: a path is told from its label and first pose."""
    more = {
        "motion_hidden": 24,
        "motion_steps": 150,
        "motion_rate": 0.01,
        "motion_latent": 2,
        "sequence_adversarial_weight": 0.1,
    }
    made, _ = fit(tmp_path, "motion", **more)
    view, index = View(), torch.arange(8)
    paths = torch.from_numpy(np.stack([view.path(i, range(HORIZON + 1), 3) for i in range(8)]))

    def paths_of(who, label):
        with torch.no_grad():
            return who.slots["motion"].rollout(paths[:, :1], label, HORIZON, index)

    found, wrong = paths_of(made, index % 2), paths_of(made, (index + 1) % 2)
    before = paths_of(method(**more), index % 2)
    errors = [float((path - paths[:, 1:])[..., :2].abs().mean()) for path in (before, found)]
    assert errors[1] < 0.6 * errors[0]
    # a path leads further along the axis of its label than with the other label
    moved = (found - wrong)[:, -1, :, :2].mean(1)
    sign = torch.where(index % 2 == 0, 1.0, -1.0)
    assert float((sign * (moved[:, 0] - moved[:, 1])).mean()) > 0.05


# -- figures of validation ------------------------------------------------------------------------


def test_checks_of_a_real_training(tmp_path, monkeypatch):
    monkeypatch.setattr(validation, "SMOKE_STEPS", 1)
    _, ctx = fit(tmp_path, "keypoints", data=View(joints=True))
    checks = {g["name"]: g for g in ctx.notes.json()["checks"]}
    assert len(checks) == 4
    assert checks["translation above copying"]["at_least"] == 5.0
    assert checks["L1 on changed pixels, part of copying's"]["at_most"] == 0.4
    assert checks["joint error, part of the mean pose's"]["at_most"] == 0.6
    assert checks["PCK@0.1 of joints read from keypoints"]["at_least"] == 0.7


@pytest.mark.parametrize(("collapsed", "units"), [(False, 4), (True, 0)])
def test_a_collapsed_posterior_is_an_alarm(tmp_path, monkeypatch, collapsed, units):
    monkeypatch.setattr(second_stage, "SMOKE_STEPS", 1)
    encode = MotionNetwork.encode

    def forced(self, path, first, label):
        mean, deviation = encode(self, path, first, label)
        wide = mean * 0 if collapsed else mean + 10 * path[:, -1, :1]
        return wide, deviation

    monkeypatch.setattr(MotionNetwork, "encode", forced)
    _, ctx = fit(tmp_path, "motion")
    (check,) = ctx.notes.json()["checks"]
    assert check["name"] == "active units of the latent" and check["at_least"] == 2
    assert check["value"] == units
    (row,) = [r for r in logged(tmp_path) if "val_active" in r]
    assert row["val_active"] == units


@pytest.mark.parametrize("what", ["copy", "truth", "half"])
def test_figures_of_known_translations(what):
    frames = torch.rand(5, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def translation(source, targets, pose):
        still = source[:, None].expand_as(targets)
        return {"final": {"copy": still, "truth": targets, "half": (still + targets) / 2}[what]}

    translation.perceptual = None
    found = validation.measure(translation, frames, None)
    error = (frames[:, :1] - frames[:, 1:]).double().square().mean((1, 2, 3, 4))
    copying = float((-10 * error.log10()).mean())
    assert found.copying == pytest.approx(copying, rel=1e-6)
    wanted = {"copy": (0.0, 1.0), "truth": (60 - copying, 0.0), "half": (20 * math.log10(2), 0.5)}
    assert found.gain == pytest.approx(wanted[what][0], abs=1e-4)
    assert found.changed == pytest.approx(wanted[what][1], abs=1e-5)
    assert found.distance is None and found.cost == -found.psnr


def test_the_perceptual_distance_chooses_where_there_is_one():
    frames = torch.rand(11, 3, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def translation(source, targets, pose):
        return {"final": targets * 0.5}

    translation.perceptual = lambda fake, real: (fake - real).abs().mean()
    found = validation.measure(translation, frames, None)
    assert found.distance == pytest.approx(float(frames[:, 1:].mean()) / 2, rel=1e-4)
    assert found.cost == found.distance
    assert callable(PerceptualLoss.calibrate)


def test_places_of_the_validation_window():
    class Asked:
        def __init__(self, given, horizon):
            self.task = TaskInfo("t", 16, horizon, given, None, 0, (), 0, ())

    for given, horizon in ((1, 16), (10, 16), (1, 1), (2, 3), (1, 40)):
        window, places = validation.window_of(Asked(given, horizon))
        assert window.length == given + horizon and places[0] == given - 1
        assert places[1:] == sorted(set(places[1:])) and places[-1] == given + horizon - 1
        assert len(places) == 1 + min(4, horizon) and places[1] > given - 1
