"""Learning rates, ramps, validations, precisions and windows that trainings share."""

import math
from itertools import pairwise

import pytest
import torch

from vpbench.api import Pair, UnknownName, UsageError
from vpbench.kit import (
    autocast,
    linear_decay,
    named_precision,
    pair_window,
    ramp,
    rate_factor,
    require_at_least,
    require_one_of,
    set_rate,
    validation_due,
    warm_up,
)


def test_a_constant_rate():
    assert rate_factor("constant", 7, 10) == rate_factor("constant", 0, 0) == 1


def test_the_published_rate_of_the_keypoint_method_falls_without_jumps():
    assert 1e-4 * rate_factor("exponential", 10_000, 500_000) == pytest.approx(1e-4 * 0.95**0.5)
    assert rate_factor("exponential", 0, 1) == 1.0
    assert rate_factor("exponential", 500_000, 500_000) == pytest.approx(0.277, abs=1e-3)
    at = [rate_factor("exponential", k, 1) for k in (19_999, 20_000, 20_001)]
    assert at[0] > at[1] > at[2] and at[0] - at[2] < 1e-5


def test_a_short_rate_rises_and_ends_near_zero():
    rates = [rate_factor("cosine", k, 1000) for k in range(1000)]
    top = max(rates)
    assert rates[0] == pytest.approx(1 / 50) and 0.98 < top <= 1.0 and rates.index(top) < 60
    assert rates[500] == pytest.approx(0.5, abs=1e-9)
    tail = rates[rates.index(top) :]
    assert all(a >= b for a, b in pairwise(tail))
    assert rates[-1] == 0.002
    assert rate_factor("cosine", 0, 0) > 0
    with pytest.raises(UnknownName, match="linear"):
        rate_factor("linear", 0, 10)
    with pytest.raises(UnknownName, match="cosine"):
        rate_factor("cosin", 0, 1)


def test_a_warm_up_reaches_one():
    assert [warm_up(k, 4) for k in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warm_up(0, 0) == warm_up(0, 1) == 1


def test_rates_fall_in_a_line_at_the_end():
    assert [linear_decay(k, 10, 0.5) for k in (0, 5, 6, 9)] == [1, 1, 0.8, 0.2]
    assert linear_decay(9, 10, 0) == 1


def test_an_adversary_is_brought_in_slowly():
    values = [ramp(k, 1000, 0.6) for k in range(1001)]
    assert not any(values[:601]) and values[650] == pytest.approx(0.5)
    assert values[701:] == [1.0] * 300
    # from the start means from the first step on, whatever the length (eq. 4 has no ramp)
    assert [ramp(k, 500_000, 0.0) for k in (0, 1, 49_999, 500_000)] == [1.0] * 4
    assert ramp(0, 100, 0.01) == 0.0 and 0 < ramp(2, 100, 0.01) < 1
    assert ramp(5, 8, 0.25) == 1.0  # the preset of a few steps reaches it


def test_one_rate_for_all_parameters():
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimiser = torch.optim.SGD([{"params": [w]} for w in weights], 1.0)
    set_rate(optimiser, 0.25)
    for w in weights:
        w.grad = torch.ones(2)
    optimiser.step()
    assert all(torch.equal(w.detach(), torch.full((2,), -0.25)) for w in weights)
    assert math.isclose(optimiser.param_groups[1]["lr"], 0.25)


def test_validations_are_spread_over_a_training():
    due = [k for k in range(1, 1601) if validation_due(k, 1600)]
    assert due == list(range(100, 1601, 100))
    assert [k for k in range(1, 121) if validation_due(k, 120)] == [50, 100, 120]
    assert [k for k in range(1, 121) if validation_due(k, 120, at_end=False)] == [50, 100]
    assert [k for k in range(1, 9) if validation_due(k, 8, count=4, between=1)] == [2, 4, 6, 8]


def test_precisions():
    assert named_precision("bf16") == torch.bfloat16
    assert named_precision("fp32") == torch.float32
    with pytest.raises(UnknownName, match="fp8"):
        named_precision("fp8")
    a = torch.ones(4, 4)
    with autocast("cpu", torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), torch.float32):
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "longest", "wanted"),
    [
        ("8-11", 32, Pair(8, 11)),
        ("1-16", 8, Pair(1, 8)),
        ("8-11", 5, Pair(5, 5)),
        ("3-3", 1, Pair(1, 1)),
        ("2-3", 0, Pair(1, 1)),
        ("1-29", None, Pair(1, 29)),
        ("8-11-wrap", 32, Pair(8, 11, wrap=True)),
        ("1-16-wrap", 5, Pair(1, 5, wrap=True)),
    ],
)
def test_pairs_are_no_further_apart_than_the_longest(text, longest, wanted):
    assert pair_window(text, longest) == wanted


@pytest.mark.parametrize(
    "text", ["", "3", "8", "11-8", "0-3", "5-2", "a-b", "-1-3", "1-2-3", "-wrap", "1-2-wrap-wrap"]
)
def test_a_wrong_range_is_named(text):
    with pytest.raises(UsageError, match="pair_gap"):
        pair_window(text, 16)


def test_bounds_of_parameters():
    params = {"width": 4, "rate": 0.1, "init": "he", "text": "x"}
    require_at_least(params, {"width": 4, "rate": 0.0})
    require_one_of(params, {"init": ("he", "xavier")})
    with pytest.raises(UsageError, match="width=4 must be at least 5"):
        require_at_least(params, {"width": 5})
    with pytest.raises(UsageError, match="text=x must be at least 1"):
        require_at_least(params, {"text": 1})
    with pytest.raises(UsageError, match="init='he' must be one of a, b"):
        require_one_of(params, {"init": ("a", "b")})
