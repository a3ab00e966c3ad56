"""`latent-flow`: codec, transformer and sampler, both trainings, prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from vpbench.api import BadData, Batch, Conditioning, Corrupt, MethodFailed, TaskInfo, UsageError
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench_baselines.common.windows import Windows
from vpbench_baselines.latent_flow.method import LatentFlow
from vpbench_baselines.latent_flow.networks import Codec, FlowNet, integrate
from vpbench_baselines.latent_flow.spec import PARAMS, PRESETS, SPEC, STAGES

SIZE, GIVEN, HORIZON = 32, 2, 6
TASK = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 2, ("right", "down"), 0, ())
SMOKE = {**PARAMS, **PRESETS["smoke"]}
SEEDS = np.array([[1, 2], [3, 4], [5, 6]], np.int64)


@pytest.fixture(autouse=True)
def same_numbers():
    """What a test draws without saying how is the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Clips:
    """A `TrainView` of moving squares; batch k depends on k alone."""

    def __init__(self, clips=4, val=2, frames=10, labelled=True):
        self.clips = [moving_square(k, k % 2, frames, SIZE) for k in range(clips)]
        self.val, self.frames, self.labelled = val, frames, labelled

    def len(self, split):
        return self.val if split == "val" else len(self.clips)

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        if not self.len(split) or window.length > self.frames:
            raise BadData("none of the clips is long enough")
        k = start_step
        while True:
            index = np.array([(k * batch + j) % self.len(split) for j in range(batch)])
            times = np.tile(np.arange(window.length), (batch, 1))
            frames = np.stack([self.clips[i][: window.length] for i in index])
            yield Batch(frames, None, index % 2 if self.labelled else None, index, times)
            k += 1


def context(folder, stage="codec", seed=5, task=TASK):
    cache = Path(folder).parent / "cache"
    label = f"latent-flow:{stage}"
    return StageContext(task, (), "cpu", 1, seed, StageDir(folder), label, cache, lambda e: None)


def fitted(folder, stage="codec", clips=None, task=TASK, **changed):
    method = LatentFlow(task, {**SMOKE, **changed}, {})
    ctx = context(folder / stage, stage, task=task)
    method.fit(stage, clips or Clips(), ctx)
    return method, ctx


def lines(ctx):
    return [json.loads(x) for x in (ctx.stage.path / "train.jsonl").read_text().splitlines()]


def alive(task=TASK, **changed):
    """A method whose transformer says something without a training."""
    method = LatentFlow(task, {**SMOKE, **changed}, {})
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for weight in [*method.flow.parameters(), *method.codec.parameters()]:
            weight.add_(0.1 * torch.randn_like(weight))
    return method


def given(n=GIVEN, batch=3, label=True):
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE)[:n] for k in range(batch)])
    labels = np.arange(batch, dtype=np.int64) % 2 if label else None
    return Conditioning(clips, labels, None, None, tuple("abcdef"[:batch]))


# networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "times", "height", "width"), [(1, 1, 32, 32), (3, 5, 40, 48)])
def test_codes_have_an_eighth_of_the_size_and_frames_come_back(batch, times, height, width):
    codec = Codec(4, 3)
    first, frames = torch.rand(batch, 3, height, width), torch.rand(batch, times, 3, height, width)
    codes = codec.encode(first, frames)
    assert codes.shape == (batch, times, 3, height // 8, width // 8)
    drawn = codec.decode(first, codes)
    assert drawn.shape == frames.shape
    part = 1 / (1 + np.e)  # at first so much grey lies over the first frame
    wanted = (1 - part) * first[:, None] + part / 2
    assert (drawn - wanted).abs().max() < 0.1


def test_each_frame_is_coded_and_drawn_by_itself():
    codec = Codec(4, 3).eval()
    first, frames = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 3, 32, 32)
    codes = codec.encode(first, frames)
    drawn = codec.decode(first, codes)
    for b in range(2):
        for t in range(3):
            alone = codec.encode(first[b : b + 1], frames[b : b + 1, t : t + 1])
            torch.testing.assert_close(alone[0, 0], codes[b, t])
            again = codec.decode(first[b : b + 1], alone)
            torch.testing.assert_close(again[0, 0], drawn[b, t])


def test_codes_have_mean_0_and_variance_1_over_training_frames_and_ask_no_batch_afterwards():
    codec, first, frames = Codec(4, 3), torch.rand(4, 3, 32, 32), torch.rand(4, 2, 3, 32, 32)
    for _ in range(60):
        codes = codec.encode(first, frames)
    torch.testing.assert_close(codes.mean((0, 1, 3, 4)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(codes.std((0, 1, 3, 4)), torch.ones(3), atol=0.02, rtol=0)
    found = codec.eval().encode(first, frames)
    torch.testing.assert_close(found, codes, atol=0.05, rtol=0)
    torch.testing.assert_close(codec.encode(first[:1], frames[:1, 1:])[0, 0], found[0, 1])


@pytest.mark.parametrize(("tube", "times"), [(1, 3), (2, 4), (3, 3)])
def test_tokens_of_several_frames_come_apart_where_they_were_put_together(tube, times):
    """With places, attention and the rest silenced, the two outer layers are each token's own."""
    net = FlowNet(2, 3, 4, 32, 1, tube, 0.0).eval()
    codes = torch.randn(2, times, 2, 4, 5)
    time, seen = torch.rand(2), torch.zeros(2, 32, 4, 5)
    with torch.no_grad():
        net.sample.weight.zero_()
        net.place.weight.zero_(), net.place.bias.zero_(), net.enter.bias.zero_()
        net.leave.weight.copy_(torch.linalg.pinv(net.enter.weight))
        out = net(codes, time, seen, torch.tensor([0, 3]))
        tokens = codes.unflatten(1, (-1, tube)).permute(0, 1, 4, 5, 2, 3).flatten(4)
        inside = tokens @ net.enter.weight.T
        mean, spread = inside.mean(-1, keepdim=True), inside.var(-1, keepdim=True, correction=0)
        wanted = (inside - mean) / (spread + 1e-5).sqrt() @ net.leave.weight.T
    wanted = wanted.unflatten(4, (tube, 2)).permute(0, 1, 4, 5, 2, 3).reshape(codes.shape)
    torch.testing.assert_close(out, wanted)


def test_the_velocity_of_each_place_and_frame_depends_on_all_others_and_on_what_is_known():
    net = alive().flow
    codes = torch.randn(1, 6, 4, 4, 4, requires_grad=True)
    seen = net.see(torch.rand(1, 3, 32, 32)).detach().requires_grad_()
    time = torch.tensor([0.3], requires_grad=True)
    one = net(codes, time, seen, torch.tensor([0]))
    found = torch.autograd.grad(one[0, 0, 0, 0, 0], (codes, seen, time))
    assert (found[0].abs().amax((0, 2)) > 0).all() and (found[1].abs().amax((0, 1)) > 0).all()
    assert found[2] != 0
    assert not torch.equal(one, net(codes, time, seen, torch.tensor([1])))


def test_batches_do_not_mix():
    net = alive().flow
    codes, image, time = torch.randn(3, 6, 4, 4, 4), torch.rand(3, 3, 32, 32), torch.rand(3)
    label = torch.tensor([0, 1, 2])
    whole = net(codes, time, net.see(image), label)
    for k in range(3):
        part = slice(k, k + 1)
        alone = net(codes[part], time[part], net.see(image[part]), label[part])
        torch.testing.assert_close(alone[0], whole[k])


# the sampler -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_heuns_rule_on_a_linear_field_is_its_closed_form(steps):
    """dx/dt = a x: each step multiplies by 1 + ah + (ah)^2 / 2."""
    x, a = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), -1.3
    drawn = integrate(lambda y, t: a * y, x, steps)
    step = a / steps
    torch.testing.assert_close(drawn, x * (1 + step + step**2 / 2) ** steps)


def test_heuns_rule_is_exact_where_the_velocity_is_linear_in_time_and_of_second_order_elsewhere():
    x = torch.zeros(2, dtype=torch.float64)
    torch.testing.assert_close(integrate(lambda y, t: torch.full_like(y, 3 - 2 * t), x, 3), x + 2)
    errors = [
        abs(float(integrate(lambda y, t: y * t, x[:1] + 1, n)) - np.exp(0.5)) for n in (8, 16, 32)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_the_true_velocity_has_no_loss_and_carries_any_noise_to_the_data():
    """From x at time t the straight way to the data is (data - x) / (1 - t)."""
    codes = torch.randn(5, 2, 3, 4, 4)

    class Straight:
        def see(self, first):
            return first

        def __call__(self, x, time, seen, label):
            return (codes - x) / (1 - time)[:, None, None, None, None]

    class Still(Straight):
        def __call__(self, x, time, seen, label):
            return torch.zeros_like(x)

    loss = FlowNet.losses(Straight(), torch.zeros(5), codes, torch.zeros(5))["velocity"]
    assert float(loss) < 1e-6  # but for rounding
    still = FlowNet.losses(Still(), torch.zeros(5), codes, torch.zeros(5))["velocity"]
    assert float(still) == pytest.approx(float(codes.square().mean()) + 1, rel=0.35)


@pytest.mark.parametrize(
    ("horizon", "tube", "frames"), [(16, 2, 16), (6, 4, 8), (1, 2, 2), (40, 4, 16), (40, 3, 18)]
)
def test_frames_drawn_at_once(horizon, tube, frames):
    task = TaskInfo("toy", SIZE, horizon, 1, None, 2, ("a", "b"), 0, ())
    assert LatentFlow(task, {**SMOKE, "tube": tube}, {}).length == frames


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


class Stopping(StageContext):
    """Asks to stop after some steps."""

    def __init__(self, stop_at, **fields):
        super().__init__(**{k: v for k, v in fields.items() if not k.startswith("_")})
        self.stop_at = stop_at

    @property
    def should_stop(self):
        return self._step >= self.stop_at


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
