"""The simulations of tests/simulations, reduced to seconds: a broken procedure fails here already.

Made-up populations take the place of I3D's features, and bounds are wider as draws are fewer; what
the uncorrected procedure does on the same draws is held to lie outside of them.
"""

import math

import numpy as np
import pytest

from tests.simulations import bias, class_matched, equal_tables, fits
from tests.simulations.all import DIFFERENTLY, EQUALLY
from tests.simulations.measured import (
    Measured,
    adjusted_mean_and_error,
    mean_and_error,
    rate,
    table,
)
from tests.simulations.plain import kvd_with_pairs
from tests.simulations.population import gaussian
from vpbench.metrics.frechet import frechet


@pytest.fixture(scope="module")
def populations():
    return gaussian()


@pytest.mark.parametrize("shared", [(1.0,), (0.0,), (0.4,)])
def test_drawn_clips_have_the_moments_of_their_population(populations, shared):
    population = populations["copy-last"]
    real, (fake,) = population.draw(np.random.default_rng(0), 6000, shared)
    assert frechet(fake, real) == pytest.approx(population.distance(), rel=0.05)
    assert frechet(fake, population.fake) < 0.05 * population.distance()
    assert frechet(real, population.real) < 0.05 * population.distance()
    assert populations["real"].distance() == pytest.approx(0, abs=1e-9)
    small, _ = population.draw(np.random.default_rng(1), 7)
    assert len(small) == 7


def test_the_bias_is_found(populations):
    plans = [bias.Plan(9, 100, 40, 0.35, 0.7), bias.Plan(24, 80, 30, 0.5, 0.85)]
    lines = bias.recovery(populations, plans)
    assert all(line.held for line in lines), table(lines)


@pytest.mark.parametrize("n", [7, 24])
@pytest.mark.parametrize("shared", [0.0, 0.6, 1.0])
def test_what_is_known_of_drawn_clips_is_right(populations, n, shared):
    rng = np.random.default_rng(n)
    drawn = [populations["copy-last"].draw(rng, n, (shared,)) for _ in range(800)]
    known = np.stack([populations["copy-last"].known(x, y, shared) for x, (y,) in drawn])
    errors = known.std(axis=0, ddof=1) / math.sqrt(len(known))
    assert np.all(np.abs(known.mean(axis=0)) < 4 * errors)


def test_an_adjusted_mean_loses_what_is_known():
    rng = np.random.default_rng(3)
    known = rng.normal(size=(400, 2))
    values = 5 + known @ [30.0, -20.0] + rng.normal(size=400)
    mean, error = adjusted_mean_and_error(values, known)
    assert abs(mean - 5) < 4 * error and error == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("shared, before", [((1.0, 0.0), 0.5), ((0.5, 0.5), 1.0)])
def test_equal_distances_are_rarely_told_apart(populations, shared, before):
    line = bias.differences(populations["blurred"], 24, 100, shared, (0.88, 1.0))
    assert line.held, table([line])
    assert line.before <= before


@pytest.mark.parametrize("shared", [EQUALLY, DIFFERENTLY])
def test_tables_of_equal_rows_claim_nothing(populations, shared):
    lines = equal_tables.false_claims(populations["blurred"], 24, 30, shared, most=0.2)
    assert all(line.held for line in lines), table(lines)
    assert all(line.before > 0.3 for line in lines), table(lines)


def test_real_clips_of_the_same_classes_are_no_distance_apart(populations):
    lines = class_matched.without_difference(populations["real"], 18, 120)
    assert all(line.held for line in lines), table(lines)
    assert lines[0].before < -0.5


def test_a_difference_is_seen(populations):
    assert class_matched.power(populations["blurred"], 24, 20).after > 0.5


def test_training_runs_are_not_mistaken_for_methods():
    lines = fits.false_differences((0.0, 0.1), 80, most=0.14)
    lines += fits.false_differences((1.0,), 300, most=0.085)
    assert all(line.held for line in lines), table(lines)
    assert lines[-1].before > 0.4


def test_lines_say_what_was_found():
    line = Measured("w", 100, None, 0.05, 0.02, high=0.06)
    assert line.held and line.cells() == ["w", "100", "—", "5.0 % ± 2.0 %", "≤ 6.0 %", "held"]
    missed = Measured("w", 10, 2.5, 1.25, 0.5, -1, 1, percent=False)
    assert not missed.held
    assert missed.cells()[2:] == ["2.5", "1.25 ± 0.5", "≥ -1, ≤ 1", "MISSED"]
    assert Measured("w", 10, 0.1, 0.9, 0.1).cells()[4:] == ["", ""]
    assert not Measured("w", 10, None, math.nan, 0.0, high=1.0).held
    assert rate([True, False, False, True])[0] == 0.5 and rate([False] * 4) == (
        0.0,
        pytest.approx(math.sqrt(0.125 * 0.875 / 4)),
    )
    assert mean_and_error([1.0, 3.0]) == (2.0, pytest.approx(1.0))


def test_the_plain_kernel_distance_against_loops():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))

    def by_loops(x, y):
        def k(a, b):
            return (a @ b / 3 + 1) ** 3

        n = len(x)
        inner = sum(k(s[i], s[j]) for s in (x, y) for i in range(n) for j in range(n) if i != j)
        return inner / n / (n - 1) - 2 * sum(k(a, b) for a in x for b in y) / n**2

    value, left = kvd_with_pairs(x, y)
    assert value == pytest.approx(by_loops(x, y), rel=1e-12)
    for i, v in enumerate(left.values()):
        keep = np.arange(5) != i
        assert v == pytest.approx(by_loops(x[keep], y[keep]), rel=1e-12)
