"""Acceptance checks, refusals and the spec of Villegas et al."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from villegas_toys import (
    GIVEN,
    HORIZON,
    PARTS,
    SLOTS,
    View,
    context,
    fit,
    make,
    task,
)

from vpbench.api import (
    Corrupt,
    MethodFailed,
    UnknownName,
    UsageError,
)
from vpbench.core.names import MethodRef
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench_baselines.villegas import spec

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
    assert ctx.notes.not_comparable == ["a few training steps only"]
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
