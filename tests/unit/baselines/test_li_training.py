"""Training `li`: the loop, the acceptance checks, interruptions, clips on the device."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.baselines.li_toys import HORIZON, SIZE, SMOKE, TASK, Clips, context, fitted, lines
from tests.unit.baselines.stopping import Stopping
from vpbench.api import (
    Clip,
    MethodFailed,
)
from vpbench.kit import generator as seeded_generator
from vpbench_baselines.common.batches import ResidentClips
from vpbench_baselines.li import flows, training, validation
from vpbench_baselines.li.flows import FlowStore
from vpbench_baselines.li.method import Li
from vpbench_baselines.li.refiner import warp
from vpbench_baselines.li.settings import Settings


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
    assert ctx.notes.not_comparable == ["a few training steps only"]


@pytest.mark.parametrize(("stage", "rate"), [("flow", "rate"), ("refiner", "refiner_rate")])
def test_nan_stops_with_a_sentence_that_names_step_and_figure(tmp_path, stage, rate):
    with pytest.raises(MethodFailed, match=rf"li:{stage} stopped at step \d+ of 12: .*= (nan|inf)"):
        fitted(tmp_path, stage, **{rate: 1e30})


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


def test_the_flow_of_validation_clips_begins_at_the_last_given_frame(tmp_path):
    ctx = context(tmp_path / "flow")
    store = FlowStore(Clips(), training.make_teacher("dis", ctx.weights), tmp_path / "c")
    seen = dict(validation.flow_clips(store, ctx, 9))
    assert sorted(seen) == [0, 1]
    assert np.array_equal(seen[1].frames[0], Clips().clips[1][1:8])
    assert seen[1].flows.shape[1] == HORIZON


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
