"""Training `li`: what each loss is and reaches, the loop, the acceptance checks, prediction."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from vpbench.api import (
    BadData,
    Batch,
    Clip,
    Conditioning,
    Corrupt,
    MethodFailed,
    TaskInfo,
    UsageError,
)
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.kit import generator as seeded_generator
from vpbench_baselines.common.batches import ResidentClips
from vpbench_baselines.li import flows, training, validation
from vpbench_baselines.li import method as method_module
from vpbench_baselines.li.flows import FlowStore
from vpbench_baselines.li.method import Li
from vpbench_baselines.li.params import PARAMS, PRESETS, STAGES
from vpbench_baselines.li.refiner import warp
from vpbench_baselines.li.settings import Settings
from vpbench_baselines.li.spec import DEVIATIONS, SPEC

SIZE, GIVEN, HORIZON = 32, 2, 6
TASK = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 0, (), 0, ())
SMOKE = {**PARAMS, **PRESETS["smoke"]}
SEEDS = np.array([[1, 2], [3, 4]], np.int64)


class Clips:
    """A `TrainView` of moving squares; batch k depends on k alone."""

    def __init__(self, clips=4, val=2, frames=10):
        self.clips = [moving_square(k, k % 2, frames, SIZE) for k in range(clips)]
        self.val, self.frames = val, frames

    def len(self, split):
        return self.val if split == "val" else len(self.clips)

    def length(self, split, i):
        return self.frames

    def label(self, split, i):
        return None

    def pose(self, split, i, frames):
        return None

    def read(self, split, i, frames):
        return self.clips[i][list(frames)]

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        if not self.len(split) or window.length > self.frames:
            raise BadData("none of the clips is long enough")
        k = start_step
        while True:
            index = [(k * batch + j) % self.len(split) for j in range(batch)]
            times = np.tile(np.arange(window.length), (batch, 1))
            frames = np.stack([self.clips[i][: window.length] for i in index])
            yield Batch(frames, None, None, np.array(index), times)
            k += 1


def context(folder, stage="flow", seed=5, task=TASK):
    cache = Path(folder).parent / "cache"
    return StageContext(
        task, (), "cpu", 1, seed, StageDir(folder), f"li:{stage}", cache, lambda e: None
    )


def fitted(folder, stage="flow", clips=None, task=TASK, **changed):
    method = Li(task, {**SMOKE, **changed}, {})
    ctx = context(folder / stage, stage, task=task)
    method.fit(stage, clips or Clips(), ctx)
    return method, ctx


def lines(ctx):
    return [json.loads(x) for x in (ctx.stage.path / "train.jsonl").read_text().splitlines()]


def given(n=GIVEN, batch=2):
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE)[:n] for k in range(batch)])
    return Conditioning(clips, None, None, None, tuple("abcd"[:batch]))


# losses ------------------------------------------------------------------------------------------


def test_the_faithful_loss_is_a_mean_beside_a_sum():
    """One nat of a single clip costs kl_weight pixels of mean error, however many clips."""
    divergence = torch.full((4, 5), 0.5)
    assert float(training.reduced(divergence, "sum")) == 10
    assert float(training.reduced(divergence, "mean")) == 0.5
    assert PARAMS["kl_reduction"] == "sum" and PARAMS["kl_weight"] == 0.1
    drawn, flows = torch.zeros(2, 16, 2, 4, 4), torch.full((2, 16, 2, 4, 4), -3.0)
    assert float(training.flow_loss(drawn, flows)) == 3


def test_moving_places_count_more():
    flows = torch.zeros(1, 2, 2, 1, 4)
    flows[0, 0, 1, 0, 3] = -0.6  # more than a tenth of the bound, in y alone
    flows[0, 1, 0, 0, 0] = 0.4
    weight = training.moving(flows, 5.0, 4.0)
    assert weight is not None and weight.shape == (1, 2, 1, 1, 4)
    assert weight.flatten().tolist() == [1, 1, 1, 5, 1, 1, 1, 1]
    drawn = torch.zeros(1, 16, 2, 1, 4)
    assert float(training.flow_loss(drawn, flows, weight)) == pytest.approx((5 * 0.6 + 0.4) / 24)
    assert training.moving(flows, 5.0, 0.0) is None and PARAMS["moving_weight"] == 0


def test_flow_after_the_end_of_a_short_horizon_does_not_count():
    flows = torch.ones(2, 6, 2, 4, 4)
    whole = training.filled(flows)
    assert whole.shape[1] == 16 and torch.equal(whole[:, :6], flows) and not whole[:, 6:].any()
    drawn = whole.clone()
    drawn[:, 6:] = 7
    assert float(training.flow_loss(drawn, flows)) == 0


def test_a_mirrored_clip_has_mirrored_flow():
    """Warping commutes with mirroring."""
    g = seeded_generator(0)
    frames, flows = torch.rand(2, 2, 3, 8, 8, generator=g), torch.randn(2, 1, 2, 8, 8, generator=g)
    turned, flow = training.mirrored(frames, flows, torch.tensor([True, False]))
    moved, mirrored = warp(frames[:, 0], flows[:, 0]), warp(turned[:, 0], flow[:, 0])
    torch.testing.assert_close(mirrored[0], moved[0].flip(-1))
    assert torch.equal(mirrored[1], moved[1])


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 1), ("mean", 1 / 16)])
def test_the_switch_of_the_kl_reaches_the_training(tmp_path, reduction, factor):
    """With the KL alone to learn from (its weight huge) the first loss tells which it was."""
    told = []

    class Watched(training.Trainer):
        def _run(self, made, source, rate, decay, loss_of, noise=0):
            batch = next(source[0](0))
            with torch.random.fork_rng():
                torch.manual_seed(0)
                loss, figures = loss_of(*self._clips(batch), torch.randn(2, noise))
            told.append((float(loss.detach() - figures["flow"]), float(figures["kl"])))
            return False

    settings = Settings.of({**SMOKE, "kl_reduction": reduction, "kl_weight": 1.0, "flip": False})
    ctx = context(tmp_path / "flow")
    store = training.open_store(settings, Clips(), ctx)
    Watched(settings, store, ctx).flow(*training.new_flow_model(settings, SIZE, 0))
    ((loss, kl),) = told
    assert loss == pytest.approx(kl * 2 * factor, rel=1e-4)  # two clips; 2 x 8 numbers in all


# training ----------------------------------------------------------------------------------------


def test_the_flow_model_learns_and_its_record_names_the_teacher(tmp_path):
    _, ctx = fitted(tmp_path, steps=40, rate=3e-3)
    found = lines(ctx)
    train = [x for x in found if "kl" in x]
    assert train[-1]["flow"] < 0.5 * train[0]["flow"]
    assert all(x["kl"] >= 0 and x["zero_flow"] > 0 and x["saturated"] >= 0 for x in train)
    last = found[-1]
    assert 0 <= last["val_active_units"] <= SMOKE["latent"] and last["val_kl"] >= 0
    marks = ctx.notes.notes
    assert any(m.startswith("flow teacher dis medium") and "beyond 2.5 px" in m for m in marks)
    assert any(m.startswith("reimplementation") for m in marks)
    assert "chained" not in marks
    checks = [g.name for g in ctx.notes.checks.values()]
    assert checks == ["error of drawn flow over that of zero flow"]
    assert len(list((ctx.stage.path / "pictures").glob("*.png"))) == 2


def test_the_refiner_learns(tmp_path):
    _, ctx = fitted(tmp_path, "refiner", refiner_steps=40, refiner_rate=3e-3)
    found = lines(ctx)
    train = [x["colour"] for x in found if "colour" in x]
    assert np.mean(train[-5:]) < 0.5 * np.mean(train[:3])
    (check,) = ctx.notes.checks.values()
    assert check.name == validation.REFINER_CHECK and check.at_least == 0
    last = found[-1]
    assert check.value == pytest.approx(last["val_gain"] - last["val_gain_warp"])
    assert last["val_gain_warp"] > 0


def test_a_code_that_says_nothing_sets_off_the_alarm(tmp_path):
    method, ctx = fitted(tmp_path, steps=1)
    _, posterior = training.new_flow_model(method.settings, SIZE, 0)
    store = training.open_store(method.settings, Clips(), ctx)

    def alarms():
        ctx.notes.notes.clear()
        validation.validate_flow(method.settings, method.generator, posterior, store, ctx)
        return [m for m in ctx.notes.notes if m.startswith("collapse alarm")]

    with torch.no_grad():
        for head in (posterior.mean, posterior.log_variance):
            head.weight.zero_()
            head.bias.zero_()
    assert "0 nats a clip, 0 of 8 numbers active" in alarms()[0]
    with torch.no_grad():  # one number that differs from clip to clip
        posterior.mean.weight[3].normal_(std=100, generator=seeded_generator(0))
    assert not alarms() and lines(ctx)[-1]["val_active_units"] == 1


class Silent(torch.nn.Module):
    """Draws no flow at all."""

    def forward(self, image, z):
        return torch.zeros(len(z), 16, 2, *image.shape[2:])


def test_figures_of_zero_flow_are_known(tmp_path):
    ctx = context(tmp_path / "flow")
    settings = Settings.of(SMOKE)
    store = training.open_store(settings, Clips(), ctx)
    _, posterior = training.new_flow_model(settings, SIZE, 0)
    validation.validate_flow(settings, Silent(), posterior, store, ctx)
    last = lines(ctx)[-1]
    assert last["val_flow_ratio"] == last["val_flow_ratio_prior"] == 1
    assert last["val_spread"] == last["val_drawn"] == 0
    flows = [store.between("val", k, np.arange(1, 8)) for k in range(2)]  # from t0 = 1 on
    assert last["val_zero"] == pytest.approx(np.abs(flows).mean(), rel=1e-5)


class Warping(torch.nn.Module):
    """Redraws nothing."""

    def rollout(self, frame, flows):
        frames = []
        for flow in flows.unbind(1):
            frame = warp(frame, flow)
            frames.append(frame)
        return torch.stack(frames, 1)


def test_figures_of_a_mere_warp_are_known(tmp_path):
    ctx = context(tmp_path / "refiner", "refiner")
    settings = Settings.of(SMOKE)
    store = training.open_store(settings, Clips(), ctx)
    validation.validate_refiner(settings, Warping(), store, ctx)
    last = lines(ctx)[-1]
    assert last["val_gain"] == pytest.approx(last["val_gain_warp"])
    clips = [c[1:].astype(float) / 255 for c in Clips().clips[:2]]
    copied = np.mean([-10 * np.log10(((c[6] - c[0]) ** 2).mean()) for c in clips])
    assert last["val_copy_last"] == pytest.approx(copied, rel=1e-5)


@pytest.mark.parametrize("stage", ["flow", "refiner"])
def test_without_validation_clips_the_row_says_so(tmp_path, stage):
    _, ctx = fitted(tmp_path, stage, Clips(val=0), steps=1, refiner_steps=1)
    assert not ctx.notes.checks
    assert any("acceptance checks not measured" in m for m in ctx.notes.notes)


@pytest.mark.parametrize(("stage", "rate"), [("flow", "rate"), ("refiner", "refiner_rate")])
def test_nan_stops_with_a_sentence_that_names_step_and_figure(tmp_path, stage, rate):
    with pytest.raises(MethodFailed, match=rf"li:{stage} stopped at step \d+ of 12: .*= (nan|inf)"):
        fitted(tmp_path, stage, **{rate: 1e30})


class Stopping(StageContext):
    """Asks to stop after some steps."""

    def __init__(self, stop_at, **fields):
        super().__init__(**{k: v for k, v in fields.items() if not k.startswith("_")})
        self.stop_at = stop_at

    @property
    def should_stop(self):
        return self._step >= self.stop_at


@pytest.mark.parametrize("stage", ["flow", "refiner"])
def test_an_interrupted_stage_goes_on_to_the_same_weights(tmp_path, stage):
    def run(folder, stop_at=None):
        method = Li(TASK, {**SMOKE, "steps": 4, "refiner_steps": 4}, {})
        ctx = context(tmp_path / folder / stage, stage)
        if stop_at is not None:
            ctx = Stopping(**{**vars(ctx), "stop_at": stop_at})
        method.fit(stage, Clips(), ctx)
        return (method.generator if stage == "flow" else method.refiner).state_dict()

    straight = run("straight")
    run("broken", 2)
    again = run("broken")
    assert all(torch.equal(straight[k], again[k]) for k in straight)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    def weights_of(folder, seed):
        method = Li(TASK, {**SMOKE, "steps": 2}, {})
        method.fit("flow", Clips(), context(tmp_path / folder / "flow", seed=seed))
        return method.generator.image[0].weight.detach().clone()

    one, same, other = weights_of("a", 1), weights_of("b", 1), weights_of("c", 2)
    assert torch.equal(one, same) and not torch.equal(one, other)


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


# prediction --------------------------------------------------------------------------------------


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


def test_the_flow_of_validation_clips_begins_at_the_last_given_frame(tmp_path):
    ctx = context(tmp_path / "flow")
    store = FlowStore(Clips(), training.make_teacher("dis", ctx.weights), tmp_path / "c")
    seen = dict(validation.flow_clips(store, ctx, 9))
    assert sorted(seen) == [0, 1]
    assert np.array_equal(seen[1].frames[0], Clips().clips[1][1:8])
    assert seen[1].flows.shape[1] == HORIZON


# what it says of itself --------------------------------------------------------------------------


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


# the second network's gate, its absence, and true flow -------------------------------------------


class Shifted(Warping):
    """A refiner that is a known number of grey levels off the warp, towards the truth or away."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def rollout(self, frame, flows):
        return super().rollout(frame, flows) + self.by


@pytest.mark.parametrize(("by", "passes"), [(0.0, True), (0.05, False), (-0.2, False)])
def test_the_refiner_has_to_be_at_least_as_good_as_its_own_warp(tmp_path, by, passes):
    """Copy-last is no measure of it: a poor refiner beats it where things move."""
    ctx = context(tmp_path / "refiner", "refiner")
    settings = Settings.of(SMOKE)
    store = training.open_store(settings, Clips(), ctx)
    validation.validate_refiner(settings, Shifted(by), store, ctx)
    (check,) = ctx.notes.checks.values()
    assert check.passed is passes
    last = lines(ctx)[-1]
    assert check.value == pytest.approx(last["val_gain"] - last["val_gain_warp"], abs=1e-6)


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


def test_flow_is_unzipped_once(tmp_path, monkeypatch):
    clips = Clips()
    teacher = training.make_teacher("dis", lambda name: Path(name))
    first = FlowStore(clips, teacher, tmp_path / "c").between("train", 0, np.arange(6))
    store, reads = FlowStore(clips, teacher, tmp_path / "c"), []
    read = flows._read
    monkeypatch.setattr(flows, "_read", lambda path: reads.append(path) or read(path))
    for _ in range(3):
        np.testing.assert_array_equal(store.between("train", 0, np.arange(6)), first)
    assert len(reads) == 1
    # what does not fit is read each time, and is the same
    monkeypatch.setattr(flows, "_MOST_BYTES", 0)
    small = FlowStore(clips, teacher, tmp_path / "c")
    for _ in range(2):
        np.testing.assert_array_equal(small.between("train", 0, np.arange(6)), first)
    assert len(reads) == 3


@pytest.mark.parametrize("ends", [False, True])
def test_batches_drawn_on_a_device_have_the_flow_between_their_frames(tmp_path, ends):
    ctx = context(tmp_path / "flow")
    settings = Settings.of({**SMOKE, "flip": False})
    store = training.open_store(settings, Clips(), ctx)
    window = Clip(4, stride="task")

    def flow_of(clip, stride):
        return store.whole("train", clip, stride * (3 if ends else 1))

    clips = ResidentClips.of(store.data, ctx, window, flow_of)
    made = next(training._drawn(clips, 3, (0, 3) if ends else None))
    frames, flow = training.Trainer(settings, store, ctx)._clips(made)
    assert frames.shape[1] == (2 if ends else 4) and flow.shape[1] == frames.shape[1] - 1
    for row, i in enumerate(made.index.tolist()):
        whole = store.data.clips[i]
        shown = (frames[row] * 255).round().byte().movedim(1, -1).numpy()
        (place,) = [t for t in range(7) if np.array_equal(whole[t], shown[0])]
        times = np.array([place, place + 3]) if ends else place + np.arange(4)
        assert np.array_equal(whole[times], shown)
        np.testing.assert_array_equal(flow[row].numpy(), store.between("train", i, times))


@pytest.mark.parametrize("stage", ["flow", "refiner"])
def test_stages_learn_from_clips_on_the_device(tmp_path, stage, monkeypatch):
    """What a GPU does, on a CPU."""
    monkeypatch.setattr(training, "resident", lambda device: True)
    steps = {"steps": 30, "refiner_steps": 30, "rate": 3e-3, "refiner_rate": 3e-3}
    _, ctx = fitted(tmp_path, stage, **steps)
    name = "flow" if stage == "flow" else "colour"
    found = [x[name] for x in lines(ctx) if name in x]
    assert np.mean(found[-5:]) < 0.7 * np.mean(found[:3])
