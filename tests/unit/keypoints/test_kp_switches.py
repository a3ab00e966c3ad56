"""Foreign detectors, switches and figures of validation of ours."""

import math

import numpy as np
import pytest
import torch
from kp_toys import (
    HORIZON,
    SIZE,
    View,
    fit,
    logged,
    method,
    weights,
)

from vpbench.api import Refused, TaskInfo
from vpbench.kit import PerceptualLoss
from vpbench_keypoints import second_stage, validation
from vpbench_keypoints.networks import MotionNetwork


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


@pytest.mark.e2e
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
