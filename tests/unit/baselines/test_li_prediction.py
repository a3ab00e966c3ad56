"""Predictions, parameters and the oracle of `li`, and what it says of itself."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from tests.unit.baselines.li_toys import (
    GIVEN,
    HORIZON,
    SEEDS,
    SIZE,
    SMOKE,
    TASK,
    Clips,
    fitted,
    given,
)
from vpbench.api import (
    Conditioning,
    Corrupt,
    TaskInfo,
    UsageError,
)
from vpbench_baselines.li import method as method_module
from vpbench_baselines.li import training
from vpbench_baselines.li.method import Li
from vpbench_baselines.li.params import PARAMS, PRESETS, STAGES
from vpbench_baselines.li.refiner import warp
from vpbench_baselines.li.settings import Settings
from vpbench_baselines.li.spec import DEVIATIONS, SPEC


def test_memory_and_disk_hold_the_same_weights_and_no_posterior(tmp_path):
    method, _ = fitted(tmp_path, steps=2)
    method.save("flow", tmp_path / "flow-saved")
    method.save("refiner", tmp_path / "refiner-saved")
    other = Li(TASK, SMOKE, {})
    for stage in ("flow", "refiner"):
        other.load(stage, tmp_path / f"{stage}-saved", "cpu")
    for name, value in method.generator.state_dict().items():
        assert torch.equal(value, other.generator.state_dict()[name]), name
    other.save("flow", tmp_path / "again")
    for path in (tmp_path / "flow-saved").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    stored = (tmp_path / "flow-saved" / "tensors.safetensors").stat().st_size
    assert stored < 2.5 * sum(v.numel() for v in method.generator.state_dict().values()) + 20_000


def test_weights_of_other_sizes_are_refused_with_a_sentence(tmp_path):
    Li(TASK, SMOKE, {}).save("flow", tmp_path / "saved")
    with pytest.raises(Corrupt, match="other settings"):
        Li(TASK, {**SMOKE, "latent": 9}, {}).load("flow", tmp_path / "saved", "cpu")


@pytest.fixture(scope="module")
def method():
    return Li(TASK, SMOKE, {})


def test_prediction_is_the_rollout_of_the_flows_of_the_last_given_frame(method):
    video = method.predict(given(3), 16, SEEDS)
    assert video.shape == (2, 2, 16, SIZE, SIZE, 3) and video.dtype == np.uint8
    assert np.array_equal(video, method.predict(given(3), 16, SEEDS))
    found = method.intermediates(given(3), 16, SEEDS)
    assert np.array_equal(found["final"], video)
    assert found["flow"].shape == (2, 2, 16, SIZE, SIZE, 2)
    assert np.abs(found["flow"]).max() <= method.settings.bound(SIZE)
    assert not np.array_equal(video[:, 0], video[:, 1])
    last = Conditioning(given(3).frames[:, -1:], None, None, None, ("a", "b"))
    assert np.array_equal(method.predict(last, 16, SEEDS), video)


def test_after_sixteen_frames_it_starts_again_from_its_own_last_one(method):
    long = method.predict(given(), 21, SEEDS)
    assert np.array_equal(long[:, :, :16], method.predict(given(), 16, SEEDS))
    assert np.array_equal(long[:, :, :18], method.predict(given(), 18, SEEDS))
    flow = method.intermediates(given(), 32, SEEDS)["flow"]
    assert not np.array_equal(flow[:, :, :5], flow[:, :, 16:21])


def test_a_task_that_is_longer_marks_its_rows_as_chained(tmp_path):
    task = TaskInfo("toy", SIZE, 20, 1, None, 0, (), 0, ())
    _, ctx = fitted(tmp_path, clips=Clips(frames=22), task=task, steps=1)
    assert "chained" in ctx.notes.notes


def test_a_clip_is_predicted_the_same_in_any_batch_within_the_declared_bound(method):
    four = method.predict(given(batch=4), 16, np.arange(8).reshape(4, 2))
    for k in range(4):
        one = given(batch=4).frames[k : k + 1]
        alone = method.predict(
            Conditioning(one, None, None, None, ("x",)), 16, np.arange(8).reshape(4, 2)[k : k + 1]
        )
        apart = np.abs(alone.astype(int) - four[k : k + 1]).max()
        assert apart <= SPEC.capabilities.batch_bound


def test_presets_name_known_parameters_and_stages_all_of_them():
    assert set(SPEC.params) == set(Settings.__dataclass_fields__)
    assert all(set(p) <= set(PARAMS) for p in PRESETS.values())
    assert {p for s in STAGES for p in s.params or ()} == set(PARAMS) - {
        "refiner",
        "recursion",
        "oracle",
    }


def test_what_is_fetched_depends_on_what_is_chosen():
    known = {w.name: dict(w.when) for w in SPEC.weights}
    assert all(set(when) <= set(PARAMS) and when for when in known.values())
    assert [n for n, when in known.items() if when == {"teacher": "spynet"}] == [
        f"spynet-{k}" for k in range(1, 6)
    ]


def test_the_documentation_lists_every_deviation():
    text = " ".join((Path(__file__).parents[3] / "docs" / "baselines.md").read_text().split())
    assert all(d in text for d in DEVIATIONS)
    assert "reimplementation" in SPEC.summary


def test_without_the_refiner_frames_are_the_warp_and_nothing_else():
    with_it, without = Li(TASK, SMOKE, {}), Li(TASK, {**SMOKE, "refiner": "off"}, {})
    found = without.intermediates(given(), 18, SEEDS)
    wanted = with_it.intermediates(given(), 18, SEEDS)
    np.testing.assert_array_equal(found["flow"][:, :, :16], wanted["flow"][:, :, :16])
    frame = torch.from_numpy(given().frames[:, -1] / 255.0).float().movedim(-1, 1)
    for t in range(16):
        frame = warp(frame, torch.from_numpy(found["flow"][:, 0, t]).movedim(-1, 1))
        drawn = (frame.clamp(0, 1) * 255).round().movedim(1, -1).numpy()
        assert np.abs(found["final"][:, 0, t].astype(float) - drawn).max() <= 1
    # a later piece goes on from the last warped frame
    assert np.array_equal(found["final"], without.predict(given(), 18, SEEDS))
    assert not np.array_equal(found["final"], wanted["final"])


@pytest.mark.parametrize("path", [None, "/somewhere"])
def test_the_oracle_leaves_the_environment_alone(monkeypatch, path):
    """OpenCV, when it is imported, does not."""

    def teacher(name, weights, device):
        monkeypatch.setenv("LD_LIBRARY_PATH", "changed")
        return training.make_teacher(name, weights, device)

    if path is None:
        monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    else:
        monkeypatch.setenv("LD_LIBRARY_PATH", path)
    monkeypatch.setattr(method_module, "make_teacher", teacher)
    Li(TASK, {**SMOKE, "oracle": "on"}, {})._teacher()
    assert os.environ.get("LD_LIBRARY_PATH") == path


@pytest.mark.parametrize("refiner", ["on", "off"])
def test_the_oracle_draws_along_the_true_flow(refiner):
    oracle = Li(TASK, {**SMOKE, "oracle": "on", "refiner": refiner}, {})
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE) for k in range(2)])
    known = Conditioning(clips[:, :GIVEN], None, None, None, ("a", "b"))
    future = clips[:, GIVEN : GIVEN + HORIZON]
    video = oracle.predict(known, future, HORIZON, SEEDS)
    assert video.shape == (2, 2, HORIZON, SIZE, SIZE, 3) and np.array_equal(*video.swapaxes(0, 1))
    flow = oracle.intermediates(known, future, HORIZON, SEEDS)["flow"]
    teacher = training.make_teacher("dis", lambda name: Path(name))
    whole = clips[:, GIVEN - 1 : GIVEN + HORIZON]
    for b in range(2):
        wanted = np.moveaxis(teacher.between(whole[b, 1:], whole[b, :-1]), 1, -1)
        np.testing.assert_array_equal(flow[b, 0], wanted)
    if refiner == "off":  # at first, before errors add up
        error = np.abs(video[:, 0, :3].astype(float) - future[:, :3]).mean()
        still = np.abs(clips[:, GIVEN - 1 : GIVEN].astype(float) - future[:, :3]).mean()
        assert error < still


def test_true_flow_needs_a_teacher_that_can_be_asked_while_predicting():
    with pytest.raises(UsageError, match="oracle=on"):
        Li(TASK, {**SMOKE, "oracle": "on", "teacher": "raft-small"}, {})
