"""Training `wichers`: which gradient reaches what, the loop, the acceptance checks."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import moving_square
from vpbench.api import (
    Batch,
    Conditioning,
    Corrupt,
    MethodFailed,
    Refused,
    TaskInfo,
    UsageError,
)
from vpbench.core.names import MethodRef
from vpbench.core.plan import row_kind
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.kit import seeded
from vpbench_baselines.common import batches, gradients, notes
from vpbench_baselines.wichers import training, validation
from vpbench_baselines.wichers.method import Wichers
from vpbench_baselines.wichers.params import PARAMS, PRESETS, STAGES
from vpbench_baselines.wichers.settings import Networks, Settings
from vpbench_baselines.wichers.spec import DEVIATIONS, SPEC

SIZE, GIVEN, HORIZON = 32, 3, 6
TASK = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 0, (), 0, ())
SMOKE = {**PARAMS, **PRESETS["smoke"]}


class Clips:
    """A `TrainView` of moving squares; batch k depends on k alone."""

    def __init__(self, clips=6, size=SIZE):
        self.clips = [moving_square(k, k % 2, 14, size) for k in range(clips)]

    def len(self, split):
        return len(self.clips)

    def length(self, split, i):
        return len(self.clips[i])

    def read(self, split, i, frames):
        return self.clips[i][list(frames)]

    def label(self, split, i):
        return None

    def pose(self, split, i, frames):
        return None

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        k = start_step
        while True:
            index = [(k * batch + j) % len(self.clips) for j in range(batch)]
            frames = np.stack([self.clips[i][: window.length] for i in index])
            times = np.tile(np.arange(window.length), (batch, 1))
            yield Batch(frames, None, None, np.array(index), times)
            k += 1


def context(folder, stage="epva", seed=5):
    return StageContext(
        TASK, (), "cpu", 1, seed, StageDir(folder), f"wichers:{stage}", folder, lambda e: None
    )


@pytest.fixture
def networks():
    with seeded(1):
        return Networks(Settings.of(SMOKE), SIZE, 0)


def coded(networks, counted=3):
    clips = torch.rand(2, GIVEN + HORIZON, 3, SIZE, SIZE)
    times = torch.tensor(training.chosen_times(GIVEN + HORIZON, counted))
    return training.encode(networks, clips, GIVEN, times, True)


def touched(module):
    return [
        name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().any()
    ]


def test_the_latent_loss_reaches_encoder_and_predictor_and_not_the_decoder(networks):
    batch = coded(networks)
    training.latent_loss(batch, training.rollout(networks, batch, True)).backward()
    assert touched(networks.encoder) and touched(networks.predictor)
    assert not touched(networks.decoder)


def test_the_latent_loss_reaches_the_encoder_through_its_target_alone(networks):
    """No stop-gradient on true encodings: also those that are only compared with."""
    batch = coded(networks, 0)
    predicted = training.rollout(networks, batch, True).detach()
    training.latent_loss(batch, predicted).backward()
    assert touched(networks.encoder) and not touched(networks.predictor)


def test_the_image_loss_of_the_first_stage_reaches_encoder_and_decoder_alone(networks):
    batch = coded(networks)
    training.image_loss(networks, batch, batch.true).backward()
    assert touched(networks.encoder) and touched(networks.decoder)
    assert not touched(networks.predictor)


def test_losses_over_all_frames_are_the_mean_squared_errors(networks):
    batch = coded(networks, 0)
    predicted = training.rollout(networks, batch, True)
    codes = networks.encoder(batch.frames, True)
    wanted = (predicted - codes[:, 1:]).square().mean()
    torch.testing.assert_close(training.latent_loss(batch, predicted), wanted)
    drawn = networks.decoder(batch.frames[:, 0], codes[:, 0], codes[:, 1:])
    wanted = (drawn - batch.frames[:, 1:]).square().mean()
    torch.testing.assert_close(training.image_loss(networks, batch, batch.true), wanted)


def test_frames_that_count_are_distinct_never_the_first_and_equally_likely():
    with seeded(0):
        drawn = [training.chosen_times(8, 3) for _ in range(2000)]
    assert all(len(set(t)) == 3 and min(t) >= 1 and max(t) <= 7 for t in drawn)
    share = np.bincount(np.concatenate(drawn), minlength=8)[1:] / 2000
    assert np.abs(share - 3 / 7).max() < 0.05
    assert training.chosen_times(8, 0) == training.chosen_times(8, 99) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("step", "share"), [(0, 1 / (1 + math.exp(10))), (100, 0.5), (10_000, 1)])
def test_the_latent_weight_is_a_delayed_sigmoid(step, share):
    assert math.isclose(training.latent_weight(step, 0.1, 100), 0.1 * share, rel_tol=1e-9)


def test_the_original_schedule_starts_at_the_published_weight():
    """4.5e-6 at step 0 with a delay of 20000 steps and a weight of 0.1."""
    assert math.isclose(training.latent_weight(0, 0.1, 20_000), 4.54e-6, rel_tol=1e-3)


def test_gradients_are_shortened_one_by_one():
    long, short = torch.tensor([3.0, 4.0]), torch.tensor([0.003, 0.004])
    gradients.clip_each([long, short, None], 0.01)
    torch.testing.assert_close(long, torch.tensor([0.006, 0.008]))
    torch.testing.assert_close(short, torch.tensor([0.003, 0.004]))


def test_a_rate_may_rise_first():
    s = Settings.of({**SMOKE, "steps": 100, "warm": 10, "decay": 0.5})
    found = [training.rate_factor(k, s) for k in (0, 4, 9, 10, 50, 75, 99)]
    assert found == pytest.approx([0.1, 0.5, 1, 1, 1, 0.5, 0.02])
    assert training.rate_factor(0, Settings.of({**SMOKE, "decay": 0.0})) == 1


def test_first_encodings_are_centred_on_training_frames(tmp_path):
    clips, settings = Clips(16), Settings.of({**SMOKE, "centred": True})
    with seeded(1):
        networks = Networks(settings, SIZE, 0)
    trainer = training.Trainer(settings, networks, clips, context(tmp_path))
    frames = trainer._frames(next(clips.batches("train", settings.window(TASK), 16)))
    before = networks.encoder(frames).detach()
    trainer._centre()
    after = networks.encoder(frames).detach()
    assert after.mean((0, 1)).abs().max() < 1e-5 < before.mean((0, 1)).abs().max()
    torch.testing.assert_close(after, before - before.mean((0, 1)))


def test_the_second_stage_updates_each_network_by_its_own_loss_alone():
    """With its own rate at 0 the decoder stands still although the critic sees its features."""
    settings = Settings.of({**SMOKE, "rate_decoder": 0.0})
    with seeded(1):
        networks = Networks(settings, SIZE, settings.noise)
        critic = training.make_critic(settings, SIZE)
    sides = training.Sides(networks, critic, settings, GIVEN)
    length = GIVEN + HORIZON
    inputs = {
        "frames": torch.rand(2, length, 3, SIZE, SIZE),
        "action": torch.zeros(2, 0),
        "noise": torch.randn(2, length - 1, settings.noise),
    }

    def changed(act):
        before = {k: v.clone() for k, v in networks.state_dict().items()}
        judged = {k: v.clone() for k, v in critic.state_dict().items()}
        act()
        now = networks.state_dict()
        parts = {k.partition(".")[0] for k in before if not torch.equal(before[k], now[k])}
        if any(not torch.equal(judged[k], v) for k, v in critic.state_dict().items()):
            parts.add("critic")
        return parts

    times = torch.tensor(training.chosen_times(length, settings.counted))
    assert changed(lambda: sides.update_critic(share=torch.rand(2), **inputs)) == {"critic"}
    assert changed(lambda: sides.update_networks(times=times, **inputs)) == {
        "encoder",
        "predictor",
    }


def fitted(folder, stages=("epva",), clips=None, **changed):
    method = Wichers(TASK, {**SMOKE, **changed}, {})
    contexts = []
    for stage in stages:
        contexts.append(context(folder / stage, stage))
        method.fit(stage, clips or Clips(), contexts[-1])
    return method, contexts


def given(n=GIVEN, batch=2):
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE)[:n] for k in range(batch)])
    return Conditioning(clips, None, None, None, tuple("ab"[:batch]))


SEEDS = np.array([[1, 2], [3, 4]], np.int64)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_only_frames_after_the_given_ones_are_returned(n):
    """What the predictor says of given frames is dropped: the first frame is that of t0 + 1."""
    method = Wichers(TASK, {**SMOKE, "variant": "epva"}, {})
    video = method.predict(given(n), 4, SEEDS)
    assert video.shape == (2, 2, 4, SIZE, SIZE, 3)
    with torch.inference_mode():
        frames = torch.from_numpy(given(n).frames / 255).float().permute(0, 1, 4, 2, 3)
        codes = method.networks.encoder(frames, True)
        rolled = method.networks.predictor(codes, n + 3, None, True)
        wanted = method.networks.decoder(frames[:, 0], codes[:, 0], rolled[:, n - 1 :])
    wanted = (wanted.clamp(0, 1) * 255).round().permute(0, 1, 3, 4, 2).numpy()
    assert np.abs(video[:, 0].astype(float) - wanted).max() <= 1


def test_a_longer_horizon_begins_with_the_shorter_one_and_seeds_count():
    method = Wichers(TASK, SMOKE, {})
    with torch.no_grad():
        method.networks.predictor.shake.weight.normal_(generator=torch.Generator().manual_seed(0))
    short, long = (method.predict(given(), t, SEEDS) for t in (5, 19))
    assert np.abs(long[:, :, :5].astype(int) - short).max() <= 1
    swapped = method.predict(given(), 5, SEEDS[:, ::-1])
    assert np.array_equal(swapped, short[:, ::-1])
    assert not np.array_equal(short[:, 0], short[:, 1])


def test_memory_and_disk_hold_the_same_weights(tmp_path):
    method, _ = fitted(tmp_path, ("epva", "adversarial"))
    method.save("adversarial", tmp_path / "saved")
    other = Wichers(TASK, SMOKE, {})
    other.load("adversarial", tmp_path / "saved", "cpu")
    for name, value in method.networks.state_dict().items():
        assert torch.equal(value, other.networks.state_dict()[name]), name
        assert value.ndim < 2 or torch.equal(value, value.half().float()), name
    assert np.array_equal(method.predict(given(), 4, SEEDS), other.predict(given(), 4, SEEDS))
    other.save("adversarial", tmp_path / "again")
    names = [p.name for p in (tmp_path / "saved").iterdir()]
    for name in names:
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_weights_of_other_sizes_are_refused_with_a_sentence(tmp_path):
    method, _ = fitted(tmp_path, steps=1)
    method.save("epva", tmp_path / "saved")
    other = Wichers(TASK, {**SMOKE, "encoding": 9}, {})
    with pytest.raises(Corrupt, match="other settings"):
        other.load("epva", tmp_path / "saved", "cpu")
    with pytest.raises(Corrupt, match=r"lacks predictor\.shake"):
        Wichers(TASK, SMOKE, {}).load("adversarial", tmp_path / "saved", "cpu")


@pytest.mark.parametrize("variant", ["epva", "e2e"])
def test_a_stage_learns_and_logs_the_collapse_alarm(tmp_path, variant):
    _, (ctx,) = fitted(tmp_path, (variant,), steps=60, rate=3e-3)
    lines = [json.loads(x) for x in (ctx.stage.path / "train.jsonl").read_text().splitlines()]
    train = [x for x in lines if "image" in x]
    assert train[-1]["image"] < 0.5 * train[0]["image"]
    assert all(x["spread"] > 0 and x["spread_predicted"] > 0 for x in train)
    last = lines[-1]
    assert last["val_change"] > 0 and last["val_change_ratio"] >= 0
    checks = {g.name: g for g in ctx.notes.checks.values()}
    assert len(checks) == (5 if variant == "epva" else 1)
    assert any("frame change" in name for name in checks)
    assert len(list((ctx.stage.path / "pictures").glob("*.png"))) == 6


def test_a_still_prediction_sets_off_the_alarm(tmp_path):
    method, (ctx,) = fitted(tmp_path, steps=1)
    with torch.no_grad():  # encoder and predictor agree on a constant
        method.networks.encoder.leave.weight.zero_()
        method.networks.encoder.leave.bias.fill_(1.0)
        method.networks.predictor.leave.weight.zero_()
        method.networks.predictor.leave.bias.fill_(1.0)
    validation.validate("epva", method.settings, method.networks, Clips(), ctx)
    failed = [g.name for g in ctx.notes.checks.values() if not g.passed]
    assert sum("collapse alarm" in name for name in failed) == 3
    assert any("decoder" in name for name in failed)


class Repeating:
    """A predictor that gives the last given encoding again and again."""

    noise = 0

    def __call__(self, given, steps, noise, unit, action):
        return given[:, -1:].expand(-1, steps, -1)


class Lossless(torch.nn.Module):
    """Encodes a frame as its pixels and draws it from them."""

    predictor = Repeating()

    def encoder(self, frames, unit):
        return frames.flatten(2)

    def decoder(self, frame, code, codes):
        return codes.unflatten(2, frame.shape[1:])


def test_figures_of_networks_whose_figures_are_known(tmp_path):
    """A lossless decoder under a predictor that repeats the last encoding is copy-last."""
    ctx = context(tmp_path)
    validation.validate("epva", Settings.of(SMOKE), Lossless(), Clips(), ctx)
    line = json.loads((tmp_path / "train.jsonl").read_text().splitlines()[-1])
    assert line["val_decoder"] < 1e-12 and line["val_decoder_gain"] > 50
    assert line["val_latent_ratio"] == 1.0
    assert math.isclose(line["val_predicted"], line["val_copy"], rel_tol=1e-6)
    assert line["val_spread_predicted"] < 1e-6 and line["val_change_predicted"] == 0
    clips = [c[: GIVEN + HORIZON].astype(float) / 255 for c in Clips().clips]
    change = np.mean([np.abs(np.diff(c[GIVEN:], axis=0)).mean() for c in clips])
    copied = np.mean([((c[GIVEN:] - c[GIVEN - 1]) ** 2).mean() for c in clips])
    assert math.isclose(line["val_change"], change, rel_tol=1e-5)
    assert math.isclose(line["val_copy"], copied, rel_tol=1e-5)


def test_without_validation_clips_the_row_says_so(tmp_path):
    class Empty(Clips):
        def len(self, split):
            return 0 if split == "val" else super().len(split)

    _, (ctx,) = fitted(tmp_path, clips=Empty(), steps=1)
    assert not ctx.notes.checks
    assert any("acceptance checks not measured" in m for m in ctx.notes.notes)


def test_nan_stops_with_a_sentence_that_names_step_and_figure(tmp_path):
    with pytest.raises(MethodFailed, match=r"epva stopped at step \d+ of 20: .*= (nan|inf)"):
        fitted(tmp_path, rate=1e30)


@pytest.mark.parametrize("stage", ["epva", "adversarial"])
@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupted_stage_goes_on_to_the_same_weights(tmp_path, stage, at):
    steps = {"steps": 4, "adversarial_steps": 4, "latent_delay": 2}
    aids = {"centred": True, "warm": 3, "decoder_init": "identity", "precision": "bf16"}

    def run(folder, stop_at=None):
        method = Wichers(TASK, {**SMOKE, **steps, **aids}, {})
        ctx = context(folder, stage)
        if stop_at is not None:
            ctx = Stopping(**{**vars(ctx), "stop_at": stop_at})
        method.fit(stage, Clips(), ctx)
        return method.networks.state_dict()

    straight = run(tmp_path / "straight")
    run(tmp_path / "broken", at)
    again = run(tmp_path / "broken")
    assert all(torch.equal(straight[k], again[k]) for k in straight)


class Stopping(StageContext):
    """Asks to stop after some steps."""

    def __init__(self, stop_at, **fields):
        super().__init__(**{k: v for k, v in fields.items() if not k.startswith("_")})
        self.stop_at = stop_at

    @property
    def should_stop(self):
        return self._step >= self.stop_at


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    def weights_of(folder, seed):
        method = Wichers(TASK, {**SMOKE, "steps": 2}, {})
        method.fit("epva", Clips(), context(tmp_path / folder, seed=seed))
        return method.networks.encoder.leave.weight.detach().clone()

    one, same, other = weights_of("a", 1), weights_of("b", 1), weights_of("c", 2)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_stage_says_which_preset_it_belongs_to():
    epva = next(s for s in STAGES if s.name == "epva").params
    for name, preset in PRESETS.items():
        params = {**PARAMS, **preset}
        assert notes.preset_of(params, PARAMS, PRESETS) == name
        changed = {**params, "critic_steps": 9}
        assert notes.preset_of(changed, PARAMS, PRESETS) == notes.OWN
        assert notes.preset_of(changed, PARAMS, PRESETS, epva) == name  # not its parameter


@pytest.mark.parametrize(("n_max", "marked"), [(1, True), (2, False), (5, False)])
def test_a_task_with_one_given_frame_marks_the_row(tmp_path, n_max, marked):
    ctx = context(tmp_path)
    ctx.task = TaskInfo("toy", SIZE, HORIZON, n_max, None, 0, (), 0, ())
    notes.note_stage(ctx, "smoke", 5)
    assert ("adapted n=1" in ctx.notes.notes) is marked
    assert ctx.notes.not_comparable == ["preset smoke"]
    assert any("reimplementation" in m for m in ctx.notes.notes)


def test_presets_name_known_parameters_and_stages_all_of_them():
    assert set(SPEC.params) == set(Settings.__dataclass_fields__)
    assert all(set(p) <= set(PARAMS) for p in PRESETS.values())
    named = {p for s in STAGES for p in s.params or ()}
    assert named == set(PARAMS) - {"variant", "oracle"}


def test_the_documentation_lists_every_deviation():
    text = " ".join((Path(__file__).parents[3] / "docs" / "baselines.md").read_text().split())
    assert all(d in text for d in DEVIATIONS)
    assert "reimplementation" in SPEC.summary


# labels, true encodings, the critic's lead, the predictor's gradient -----------------------------

LABELLED = TaskInfo("toy", SIZE, HORIZON, GIVEN, None, 3, ("a", "b", "c"), 0, ())


def labelled(label, batch=2):
    return Conditioning(given().frames, label, None, None, ("a", "b"))


def test_the_label_stands_in_the_action_slot():
    on = Settings.of({**SMOKE, "label": "on", "action_slot": 0})
    assert on.slot(3) == 3 and Settings.of({**SMOKE, "action_slot": 5}).slot(3) == 5
    assert Settings.of({**SMOKE, "label": "on", "action_slot": 5}).slot(3) == 5
    wide = Settings.of({**SMOKE, "label": "on", "action_slot": 5})
    found = wide.actions(torch.tensor([2, 0]), 2, 3)
    assert found.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    off = Settings.of({**SMOKE, "action_slot": 5}).actions(torch.tensor([2, 0]), 2, 3)
    assert not off.any() and off.shape == (2, 5)


def test_another_label_is_another_future_and_without_one_it_refuses():
    method = Wichers(LABELLED, {**SMOKE, "variant": "epva", "label": "on"}, {})
    with torch.no_grad():
        method.networks.predictor.enter.weight.normal_(generator=torch.Generator().manual_seed(0))
    one, two = (method.predict(labelled(np.array(k)), 4, SEEDS) for k in ([0, 1], [0, 2]))
    assert np.array_equal(one[0], two[0]) and not np.array_equal(one[1], two[1])
    with pytest.raises(Refused, match="label"):
        method.predict(labelled(None), 4, SEEDS)
    without = Wichers(LABELLED, {**SMOKE, "variant": "epva"}, {})
    plain = [without.predict(labelled(k), 4, SEEDS) for k in (None, np.array([0, 1]))]
    assert np.array_equal(*plain)


def test_a_stage_is_trained_with_labels(tmp_path):
    class Classes(Clips):
        def batches(self, *words, **more):
            for made in super().batches(*words, **more):
                yield replace(made, label=made.index % 3)

    ctx = context(tmp_path)
    ctx.task = LABELLED
    method = Wichers(LABELLED, {**SMOKE, "label": "on", "variant": "epva"}, {})
    before = method._networks(5, 0).predictor.enter.weight[:, -3:].clone()
    method.fit("epva", Classes(), ctx)
    after = method.networks.predictor.enter.weight[:, -3:]
    assert ((before - after).abs() > 1e-3).any(0).all()  # of all three classes


def test_the_oracle_draws_true_encodings():
    oracle = Wichers(TASK, {**SMOKE, "oracle": "on"}, {})
    clips = np.stack([moving_square(90 + k, k % 2, 14, SIZE) for k in range(2)])
    future = clips[:, GIVEN : GIVEN + 10]
    video = oracle.predict(given(), future, 10, SEEDS)
    assert video.shape == (2, 2, 10, SIZE, SIZE, 3) and np.array_equal(video[:, 0], video[:, 1])
    with torch.inference_mode():
        to = lambda x: torch.from_numpy(x / 255).float().movedim(-1, -3)  # noqa: E731
        networks = oracle.networks
        first = to(clips[:, 0])
        codes = networks.encoder(to(future), True)
        wanted = networks.decoder(first, networks.encoder(first[:, None], True)[:, 0], codes)
    wanted = (wanted.clamp(0, 1) * 255).round().movedim(2, -1).numpy()
    assert np.abs(video[:, 0].astype(float) - wanted).max() <= 1
    assert type(Wichers(TASK, SMOKE, {})) is Wichers


def moved(folder, stop_at, **changed):
    """Which networks a second stage has changed after some steps, and what it logged."""
    method = Wichers(TASK, {**SMOKE, "adversarial_steps": 6, **changed}, {})
    ctx = Stopping(**{**vars(context(folder, "adversarial")), "stop_at": stop_at})
    method._begin("adversarial", ctx)
    before = {k: v.clone() for k, v in method.networks.state_dict().items()}
    training.Trainer(method.settings, method.networks, Clips(), ctx).adversarial()
    now = method.networks.state_dict()
    lines = [json.loads(x) for x in (folder / "train.jsonl").read_text().splitlines()]
    return {k.partition(".")[0] for k in before if not torch.equal(before[k], now[k])}, lines


def test_the_critic_learns_alone_in_its_lead(tmp_path):
    parts, lines = moved(tmp_path / "lead", 3, critic_lead=0.5)
    assert parts == set()
    assert all("critic" in x and "gap" not in x for x in lines)
    assert lines[0]["penalty"] != lines[-1]["penalty"]
    parts, lines = moved(tmp_path / "after", 4, critic_lead=0.5)
    assert parts == {"encoder", "predictor", "decoder"} and "gap" in lines[-1]
    for name in ("critic_lead", "latent_part"):
        for wrong in (-0.1, 1.0):
            with pytest.raises(UsageError, match=name):
                Settings.of({**SMOKE, name: wrong})


def test_parts_of_the_steps_follow_their_number():
    """A shorter or longer training of the same preset keeps its shape."""
    for steps in (1, 40, 1000):
        part = {"latent_part": 0.4, "critic_lead": 0.1}
        s = Settings.of({**SMOKE, "steps": steps, "adversarial_steps": steps, **part})
        assert s.delay == max(1, 0.4 * steps) and s.lead == steps // 10 < steps
    assert Settings.of({**SMOKE, "latent_delay": 7}).delay == 7


@pytest.mark.parametrize("weight", [1e-12, 1e-6, 1.0])
def test_the_predictor_learns_however_little_its_loss_weighs(tmp_path, weight):
    """Adam adds 1e-8 to the length of a gradient: below that a weighted one moves nothing."""

    def weights_of(folder, **changed):
        method = Wichers(TASK, {**SMOKE, "steps": 1, "rate": 1e-3, "clip": 1e9, **changed}, {})
        first = {k: v.clone() for k, v in method._networks(5, 0).predictor.state_dict().items()}
        ctx = context(tmp_path / folder)
        method._begin("epva", ctx)
        training.Trainer(method.settings, method.networks, Clips(), ctx).epva()
        last = method.networks.predictor.state_dict()
        return float((last["bottom.gates.weight"] - first["bottom.gates.weight"]).abs().mean())

    alpha = {"latent_weight": weight, "latent_delay": 1}  # 4.5e-5 of it in the first step
    apart = weights_of("apart", latent_for="encoder", **alpha)
    both = weights_of("both", latent_for="both", **alpha)
    assert apart > 0.5e-3
    if weight == 1e-12:
        assert both < 0.1 * apart
    again = weights_of("again", latent_for="encoder", latent_weight=1.0, latent_delay=1)
    assert math.isclose(apart, again, rel_tol=0.1)


def test_capabilities_follow_the_parameters():
    def found(text):
        method = resolve(MethodRef.parse(text), registry(), 64)
        return method.capabilities, row_kind(method), method.uses

    plain, kind, uses = found("wichers")
    assert (plain.label, plain.oracle, kind, uses) == ("no", False, "method", [])
    on, kind, uses = found("wichers[label=on]")
    assert (on.label, kind, uses) == ("required", "method", ["label"])
    oracle, kind, _ = found("wichers[oracle=on]")
    assert oracle.oracle and not oracle.stochastic and kind == "oracle"


@pytest.mark.parametrize("stage", ["epva", "adversarial"])
def test_stages_learn_from_clips_on_the_device_and_resume_to_the_same_weights(
    tmp_path, stage, monkeypatch
):
    """What a GPU does, on a CPU: batches drawn from clips in memory."""
    monkeypatch.setattr(batches, "resident", lambda device: True)
    made = []

    class Quiet(Clips):
        def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
            made.append((split, stream))
            return super().batches(split, window, batch, augment, start_step, stream)

    def run(folder, stop_at=99):
        steps = {"steps": 4, "adversarial_steps": 4, "latent_delay": 2, "critic_lead": 0.3}
        method = Wichers(TASK, {**SMOKE, **steps}, {})
        ctx = Stopping(**{**vars(context(folder, stage)), "stop_at": stop_at})
        method.fit(stage, Quiet(), ctx)
        return method.networks.state_dict()

    straight = run(tmp_path / "straight")
    assert ("train", "") not in made and ("train", "resident") in made
    run(tmp_path / "broken", 2)
    again = run(tmp_path / "broken")
    assert all(torch.equal(straight[k], again[k]) for k in straight)


def test_chosen_values_and_their_gradients_are_those_of_indexing():
    values = torch.randn(2, 7, 3, requires_grad=True)
    pull = torch.randn(2, 4, 3)
    places = torch.tensor([0, 2, 5, 6])
    found, wanted = training.chosen(values, places), values[:, places]
    assert torch.equal(found, wanted)
    slopes = [torch.autograd.grad((x * pull).sum(), values)[0] for x in (found, wanted)]
    assert torch.equal(*slopes)
    assert torch.equal(training.chosen(values, torch.arange(7)), values)
