"""Villegas et al. with labels, with true poses, and with clips on the device."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from villegas_toys import (
    BODY,
    FRAMES,
    GIVEN,
    HORIZON,
    SIZE,
    Corners,
    View,
    fit,
    logged,
    make,
    task,
    weights,
)

from tests.conftest import moving_square
from vpbench.api import Capabilities, Conditioning, Refused, TaskInfo, UsageError
from vpbench.core.names import MethodRef
from vpbench.core.plan import row_kind
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench_baselines.common import batches
from vpbench_baselines.villegas.method import Villegas


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
