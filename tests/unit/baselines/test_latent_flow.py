"""`latent-flow`: both trainings, prediction, parameters."""

import numpy as np
import pytest
import torch

from tests.unit.baselines.latent_flow_toys import (
    HORIZON,
    SEEDS,
    SIZE,
    SMOKE,
    TASK,
    Clips,
    alive,
    context,
    fitted,
    given,
    lines,
)
from tests.unit.baselines.stopping import Stopping
from vpbench.api import Conditioning, Corrupt, MethodFailed, TaskInfo, UsageError
from vpbench_baselines.common.windows import Windows
from vpbench_baselines.latent_flow.method import LatentFlow
from vpbench_baselines.latent_flow.spec import PARAMS, PRESETS, SPEC, STAGES

pytestmark = pytest.mark.usefixtures("same_numbers")

# training ----------------------------------------------------------------------------------------


class Lights(Clips):
    """A light over a dark wall that is elsewhere in each frame."""

    def __init__(self):
        super().__init__(8, 4, 10)
        rng = np.random.default_rng(0)
        self.clips = [np.full((10, SIZE, SIZE, 3), 40, np.uint8) for _ in range(8)]
        for clip in self.clips:
            for frame, (y, x) in zip(clip, rng.integers(0, SIZE - 10, (10, 2)), strict=True):
                frame[y : y + 10, x : x + 10] = 220


def test_the_codec_learns_what_changes(tmp_path):
    changed = {"codec_steps": 200, "codec_batch": 4, "rate": 3e-3, "width": 8, "pool": 2}
    method, ctx = fitted(tmp_path, clips=Lights(), **changed)
    found = lines(ctx)
    assert found[-1]["val_gain"] > 3
    (check,) = ctx.notes.checks.values()
    assert check.name.startswith("frames drawn from their codes") and check.at_least == 3
    assert check.passed
    scores = [x["val_score"] for x in found if "val_score" in x]
    assert len(scores) == 4 and scores == sorted(scores, reverse=True)
    assert len(list((ctx.stage.path / "pictures").glob("*.png"))) == 4
    assert not method.codec.training


def test_the_transformer_learns(tmp_path):
    method, ctx = fitted(tmp_path, "flow", steps=60, rate=5e-3, batch=8)
    found = lines(ctx)
    loss = [x["velocity"] for x in found if "velocity" in x]
    assert np.mean(loss[-10:]) < 0.8 * np.mean(loss[:5])
    assert {c.name for c in ctx.notes.checks.values()} == {
        "frame change of samples over that of real clips",
        "difference of two samples over that of real futures from their first frame",
    }
    assert "own end-to-end reference, preset own settings" in ctx.notes.notes
    assert "chained" not in ctx.notes.notes
    assert found[-1]["val_spread"] > 0
    assert not method.flow.training


@pytest.mark.parametrize("train", [True, False])
def test_a_step_stays_on_its_device(train):
    """On torch's device without memory: a tensor that went elsewhere could not come back."""
    method = LatentFlow(TASK, SMOKE, {})
    codec, flow = method.codec.to("meta"), method.flow.to("meta")
    frames = torch.empty(3, 1 + HORIZON, SIZE, SIZE, 3, dtype=torch.uint8, device="meta")
    windows = Windows(frames, torch.empty(3, dtype=torch.int64, device="meta"), [0, 1, 2])
    codec.train(train), flow.train(train)
    losses = {**method._codec_losses(codec, windows), **method._flow_losses(flow, windows)}
    assert {x.device.type for x in losses.values()} == {"meta"} and len(losses) == 4


@pytest.mark.parametrize("stage", ["codec", "flow"])
@pytest.mark.parametrize("pool", [0, 2])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, stage, pool):
    def stored(folder, seed):
        method = LatentFlow(TASK, {**SMOKE, "pool": pool}, {})
        method.fit(stage, Clips(), context(tmp_path / folder / stage, stage, seed))
        method.save(stage, tmp_path / folder / "saved")
        files = sorted((tmp_path / folder / "saved").iterdir())
        return [f.read_bytes() for f in files]

    one, same, other = stored("a", 1), stored("b", 1), stored("c", 2)
    assert one == same and one != other


@pytest.mark.parametrize("stage", ["codec", "flow"])
@pytest.mark.parametrize("pool", [0, 2])
def test_an_interrupted_stage_goes_on_to_the_same_weights(tmp_path, stage, pool):
    def run(folder, stop_at=None):
        params = {**SMOKE, "steps": 5, "codec_steps": 5, "pool": pool}
        method = LatentFlow(TASK, params, {})
        ctx = context(tmp_path / folder / stage, stage)
        if stop_at is not None:
            ctx = Stopping(**{**vars(ctx), "stop_at": stop_at})
        method.fit(stage, Clips(), ctx)
        return (method.codec if stage == "codec" else method.flow).state_dict()

    straight = run("straight")
    run("broken", 2)
    again = run("broken")
    assert all(torch.equal(straight[k], again[k]) for k in straight)


def test_memory_and_disk_hold_the_same_weights(tmp_path):
    method, _ = fitted(tmp_path)
    for stage in ("codec", "flow"):
        method.save(stage, tmp_path / f"{stage}-saved")
    other = LatentFlow(TASK, SMOKE, {})
    for stage in ("codec", "flow"):
        other.load(stage, tmp_path / f"{stage}-saved", "cpu")
    for name, value in method.codec.state_dict().items():
        assert torch.equal(value, other.codec.state_dict()[name]), name
    with pytest.raises(Corrupt, match="other settings"):
        LatentFlow(TASK, {**SMOKE, "latent": 9}, {}).load("codec", tmp_path / "codec-saved", "cpu")


def test_a_bundle_of_preset_gpu_is_small():
    method = LatentFlow(TaskInfo("t", 64, 16, 1, None, 9, ("a",) * 9, 0, ()), PARAMS, {})
    numbers = sum(w.numel() for net in (method.codec, method.flow) for w in net.parameters())
    assert 2 * numbers < 11.5e6


@pytest.mark.parametrize("stage", ["codec", "flow"])
def test_without_validation_clips_the_row_says_so(tmp_path, stage):
    _, ctx = fitted(tmp_path, stage, Clips(val=0), steps=2, codec_steps=2)
    assert not ctx.notes.checks
    assert any("acceptance checks not measured" in m for m in ctx.notes.notes)
    assert ctx.notes.not_comparable == ["a few training steps only"]


@pytest.mark.parametrize(("stage", "rate"), [("codec", "rate"), ("flow", "rate")])
def test_nan_stops_with_a_sentence_that_names_step_and_figure(tmp_path, stage, rate):
    with pytest.raises(MethodFailed, match=rf"latent-flow:{stage} stopped at step \d+ of 12: .*= "):
        fitted(tmp_path, stage, **{rate: 1e30})


def test_a_horizon_that_is_odd_or_long_or_without_labels_trains_too(tmp_path):
    odd = TaskInfo("toy", SIZE, 5, 1, None, 0, (), 0, ())
    method, ctx = fitted(tmp_path / "odd", "flow", Clips(labelled=False), odd, steps=2)
    assert method.length == 6 and "chained" not in ctx.notes.notes
    assert method.predict(given(label=False), 5, SEEDS).shape == (3, 2, 5, SIZE, SIZE, 3)
    long = TaskInfo("toy", SIZE, 18, 1, None, 2, ("a", "b"), 0, ())
    _, ctx = fitted(tmp_path / "long", "flow", Clips(frames=20), long, steps=2)
    assert "chained" in ctx.notes.notes


# prediction --------------------------------------------------------------------------------------


def test_each_clip_and_sample_follows_from_its_own_seed_whatever_else_is_asked(tmp_path):
    method = alive()
    video = method.predict(given(), HORIZON, SEEDS)
    assert video.shape == (3, 2, HORIZON, SIZE, SIZE, 3) and video.dtype == np.uint8
    for b in (2, 0, 1):
        for s in (1, 0):
            one = given()
            alone = Conditioning(one.frames[b : b + 1], one.label[b : b + 1], None, None, ("x",))
            seeds = SEEDS[b : b + 1, s : s + 1]
            assert np.array_equal(method.predict(alone, HORIZON, seeds)[0, 0], video[b, s])
    assert not np.array_equal(video[:, 0], video[:, 1])
    last = Conditioning(given().frames[:, -1:], given().label, None, None, ("a", "b", "c"))
    assert np.array_equal(method.predict(last, HORIZON, SEEDS), video)


def test_a_label_changes_the_prediction_where_it_is_used():
    turned = Conditioning(given().frames, 1 - given().label, None, None, ("a", "b", "c"))
    method, blind = alive(), alive(label="off")
    seen = method.predict(given(), HORIZON, SEEDS)
    assert not np.array_equal(seen, method.predict(turned, HORIZON, SEEDS))
    without = method.predict(given(label=False), HORIZON, SEEDS)
    assert not np.array_equal(seen, without)
    assert np.array_equal(
        blind.predict(given(), HORIZON, SEEDS), blind.predict(turned, HORIZON, SEEDS)
    )
    assert SPEC.overrides["label=off"] == {"label": "no"}


def test_guidance_goes_from_no_label_over_the_label_beyond_it():
    """0 is the prediction without a label, 1 the plain one."""
    plain = alive().predict(given(), HORIZON, SEEDS)
    none = alive(guidance=0.0).predict(given(), HORIZON, SEEDS)
    assert np.array_equal(none, alive().predict(given(label=False), HORIZON, SEEDS))
    nearly = alive(guidance=1.0 + 1e-6).predict(given(), HORIZON, SEEDS)
    assert np.abs(nearly.astype(int) - plain).max() <= 1
    assert not np.array_equal(alive(guidance=3.0).predict(given(), HORIZON, SEEDS), plain)


def test_longer_futures_begin_as_shorter_ones_and_go_on_from_the_last_frame():
    method = alive()
    long = method.predict(given(), 15, SEEDS)
    assert np.array_equal(long[:, :, :HORIZON], method.predict(given(), HORIZON, SEEDS))
    assert np.array_equal(long[:, :, :11], method.predict(given(), 11, SEEDS))
    assert np.array_equal(long[:, :, :3], method.predict(given(), 3, SEEDS))
    assert not np.array_equal(long[:, :, :6], long[:, :, 6:12])


# what it says of itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tube": 0}, "tube=0 must be at least 1"),
        ({"label": "maybe"}, "label"),
        ({"hidden": 48}, "hidden must be a multiple of 32"),
        ({"hidden": 0}, "hidden=0 must be at least 32"),
        ({"dropout": 1.0}, "dropout below 1"),
        ({"pool": -1}, "pool=-1 must be at least 0"),
    ],
)
def test_values_that_cannot_be_are_refused_with_a_sentence(wrong, said):
    with pytest.raises(UsageError, match=said):
        LatentFlow(TASK, {**SMOKE, **wrong}, {})


def test_presets_name_known_parameters_and_sampling_needs_no_training():
    assert all(set(p) <= set(PARAMS) for p in PRESETS.values())
    trained = {p for s in STAGES for p in s.params or ()}
    assert set(PARAMS) - trained == {"sampler_steps", "guidance"}
    assert set(STAGES[0].params) < set(STAGES[1].params)
    assert not set(STAGES[0].params) & {"label", "hidden", "steps"}
