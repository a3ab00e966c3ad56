"""Training the stages of ours."""

import functools

import pytest
import torch
from kp_toys import (
    HORIZON,
    TINY,
    View,
    fit,
    logged,
    method,
    weights,
)

from vpbench.api import BadData, Clip, MethodFailed
from vpbench.kit import validation_due
from vpbench_keypoints import first_stage, second_stage, validation
from vpbench_keypoints.method import KeypointMethod
from vpbench_keypoints.schedule import NOT_MEASURED


def often(monkeypatch, between):
    """Let validations be only so many steps apart."""
    for module in (first_stage, second_stage):
        monkeypatch.setattr(
            module, "validation_due", functools.partial(validation_due, between=between)
        )


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


class Unvalidated(View):
    """No validation clip, or none that is long enough; training clips may be trained on only."""

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        assert stream != "validation" or split == "val"
        if split == "val":
            raise BadData("no clip is long enough")
        return super().batches(split, window, batch, augment, start_step, stream)


@pytest.mark.e2e
@pytest.mark.parametrize("val", [0, 4])
@pytest.mark.parametrize("stage", ["keypoints", "motion"])
def test_without_validation_clips_the_last_weights_are_kept_unchecked(
    tmp_path, stage, val, monkeypatch
):
    rates = {
        "rate": 0.05,
        "motion_rate": 10.0,
        "motion_steps": 3,
    }  # at which the last weights are not the best
    last, _ = fit(tmp_path / "last", stage, **rates)  # the only validation is at the end
    often(monkeypatch, 1)
    for module in (validation, second_stage):
        monkeypatch.setattr(module, "SMOKE_STEPS", 1)
    best, checked = fit(tmp_path / "best", stage, **rates)
    made, ctx = fit(tmp_path / "none", stage, data=Unvalidated(val=val), **rates)
    slots = KeypointMethod.trains[stage]
    assert weights(made, *slots) == weights(last, *slots) != weights(best, *slots)
    assert checked.notes.checks and not ctx.notes.checks
    assert ctx.notes.notes == [NOT_MEASURED] and checked.notes.notes == []
    assert not any("val_" in name for row in logged(tmp_path / "none") for name in row)


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
