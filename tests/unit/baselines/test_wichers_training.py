"""Training `wichers`: the loop, the acceptance checks, interruptions."""

import json
import math

import numpy as np
import pytest
import torch

from tests.unit.baselines.stopping import Stopping
from tests.unit.baselines.wichers_toys import (
    GIVEN,
    HORIZON,
    SMOKE,
    TASK,
    Clips,
    context,
    fitted,
)
from vpbench.api import (
    MethodFailed,
)
from vpbench_baselines.common import batches
from vpbench_baselines.wichers import validation
from vpbench_baselines.wichers.method import Wichers
from vpbench_baselines.wichers.settings import Settings


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
    assert ctx.notes.not_comparable == ["a few training steps only"]


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


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    def weights_of(folder, seed):
        method = Wichers(TASK, {**SMOKE, "steps": 2}, {})
        method.fit("epva", Clips(), context(tmp_path / folder, seed=seed))
        return method.networks.encoder.leave.weight.detach().clone()

    one, same, other = weights_of("a", 1), weights_of("b", 1), weights_of("c", 2)
    assert torch.equal(one, same) and not torch.equal(one, other)


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
