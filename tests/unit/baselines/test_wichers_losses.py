"""Losses and schedules of `wichers`: which gradient reaches what, and when."""

import json
import math

import numpy as np
import pytest
import torch

from tests.unit.baselines.stopping import Stopping
from tests.unit.baselines.wichers_toys import (
    GIVEN,
    HORIZON,
    SIZE,
    SMOKE,
    TASK,
    Clips,
    context,
)
from vpbench.api import (
    UsageError,
)
from vpbench.kit import seeded
from vpbench_baselines.common import gradients
from vpbench_baselines.wichers import training
from vpbench_baselines.wichers.method import Wichers
from vpbench_baselines.wichers.settings import Networks, Settings


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


def test_chosen_values_and_their_gradients_are_those_of_indexing():
    values = torch.randn(2, 7, 3, requires_grad=True)
    pull = torch.randn(2, 4, 3)
    places = torch.tensor([0, 2, 5, 6])
    found, wanted = training.chosen(values, places), values[:, places]
    assert torch.equal(found, wanted)
    slopes = [torch.autograd.grad((x * pull).sum(), values)[0] for x in (found, wanted)]
    assert torch.equal(*slopes)
    assert torch.equal(training.chosen(values, torch.arange(7)), values)
