"""What changes in the course of a training."""

import math
from itertools import pairwise

import pytest
import torch

from vpbench.api import Pair, UnknownName, UsageError
from vpbench_keypoints import schedule
from vpbench_keypoints.spec import PRESETS
from vpbench_keypoints.translator import map_sharpness


def test_the_published_rate_falls_without_jumps():
    assert 1e-4 * schedule.rate_factor("paper", 10_000, 500_000) == pytest.approx(1e-4 * 0.95**0.5)
    assert schedule.rate_factor("paper", 0, 1) == 1.0
    assert schedule.rate_factor("paper", 500_000, 500_000) == pytest.approx(0.277, abs=1e-3)
    at = [schedule.rate_factor("paper", k, 1) for k in (19_999, 20_000, 20_001)]
    assert at[0] > at[1] > at[2] and at[0] - at[2] < 1e-5


def test_a_short_rate_rises_and_ends_near_zero():
    rates = [schedule.rate_factor("cosine", k, 1000) for k in range(1000)]
    top = max(rates)
    assert rates[0] == pytest.approx(1 / 50) and 0.98 < top <= 1.0 and rates.index(top) < 60
    assert rates[500] == pytest.approx(0.5, abs=1e-9)
    tail = rates[rates.index(top) :]
    assert all(a >= b for a, b in pairwise(tail))
    assert rates[-1] == 0.002
    assert schedule.rate_factor("cosine", 0, 0) > 0
    with pytest.raises(UnknownName, match="linear"):
        schedule.rate_factor("linear", 0, 10)


def test_the_adversary_is_brought_in_slowly():
    values = [schedule.ramp(k, 1000, 0.6) for k in range(1001)]
    assert not any(values[:601]) and values[650] == pytest.approx(0.5)
    assert values[701:] == [1.0] * 300
    assert schedule.ramp(0, 100, 0.0) == 0.0 and schedule.ramp(1, 100, 0.0) > 0
    assert schedule.ramp(5, 8, 0.25) == 1.0  # the preset of a few steps reaches it


def test_gaussians_begin_wide():
    values = [schedule.sharpness_at(k, 1000, 10.0, 0.4) for k in range(1001)]
    assert values[0] == pytest.approx(4.3) and values[200] == pytest.approx((4.3 + 10) / 2)
    assert set(values[400:]) == {10.0}
    assert schedule.sharpness_at(0, 1000, 10.0, 0.0) == 10.0


def test_maps_keep_the_width_of_a_bump_in_cells():
    assert map_sharpness(128) == pytest.approx(14.3)
    assert map_sharpness(64) == pytest.approx(6.92, abs=0.005)
    for size in (64, 72, 128):  # cells lie 2 / (n - 1) apart
        cell = 2 / (size // 4 - 1)
        assert map_sharpness(size) * cell == pytest.approx(14.3 * 2 / 31)


@pytest.mark.parametrize(
    ("text", "horizon", "wanted"),
    [
        ("8-11", 32, Pair(8, 11)),
        ("1-16", 8, Pair(1, 8)),
        ("8-11", 5, Pair(5, 5)),
        ("3-3", 1, Pair(1, 1)),
    ],
)
def test_pairs_lie_no_further_apart_than_the_horizon(text, horizon, wanted):
    assert schedule.pair_window(text, horizon) == wanted


@pytest.mark.parametrize("text", ["", "8", "11-8", "0-3", "a-b", "-1-3", "1-2-3"])
def test_a_wrong_range_is_named(text):
    with pytest.raises(UsageError, match="pair_gap"):
        schedule.pair_window(text, 16)


def test_names_of_augmentations_and_types():
    assert schedule.named_precision("bf16") == torch.bfloat16
    for known, name in ((schedule.AUGMENTS, "heavy"), (schedule.MOTION_AUGMENTS, "heavy")):
        with pytest.raises(UnknownName, match="heavy"):
            schedule.named_augment(name, known)
    with pytest.raises(UnknownName, match="fp8"):
        schedule.named_precision("fp8")
    for preset in PRESETS.values():
        values = {"augment": "paper", "motion_augment": "paper", "precision": "fp32", **preset}
        schedule.named_augment(str(values["augment"]), schedule.AUGMENTS)
        schedule.named_augment(str(values["motion_augment"]), schedule.MOTION_AUGMENTS)
        schedule.named_precision(str(values["precision"]))


def test_the_published_augmentations():
    assert schedule.AUGMENTS["paper"].rotate_deg == 10 and schedule.AUGMENTS["paper"].flip
    assert schedule.AUGMENTS["paper"].filters
    assert schedule.MOTION_AUGMENTS["paper"].rotate_deg == 15
    assert schedule.MOTION_AUGMENTS["paper"].flip
    # left and right must not be mixed up in a short training
    assert not schedule.AUGMENTS["light"].flip and not schedule.MOTION_AUGMENTS["light"].flip


def test_one_rate_for_all_parameters():
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimiser = torch.optim.SGD([{"params": [w]} for w in weights], 1.0)
    schedule.set_rate(optimiser, 0.25)
    for w in weights:
        w.grad = torch.ones(2)
    optimiser.step()
    assert all(torch.equal(w.detach(), torch.full((2,), -0.25)) for w in weights)
    assert math.isclose(optimiser.param_groups[1]["lr"], 0.25)
