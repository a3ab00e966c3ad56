"""Bounds between rows are judged over the same clips, by the whole interval."""

import sys
from pathlib import Path

import numpy as np
import pytest

from vpbench.core.samples import set_sample

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def bounds(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import released_bounds

    yield released_bounds
    sys.modules.pop("released_bounds")


def row(pseudo):
    """A set metric whose jackknife pseudo-values are these: leaving one out is their other mean."""
    n = len(pseudo)
    left = (pseudo.sum() - pseudo) / (n - 1)
    names = [f"clip {k:03}" for k in range(n)]
    return set_sample([float(pseudo.mean())], [dict(zip(names, left.tolist(), strict=True))])


@pytest.mark.parametrize("factor", [1.0, 0.7])
@pytest.mark.parametrize("n", [9, 90])
def test_a_part_of_a_row_is_taken_off_clip_by_clip(bounds, factor, n):
    """Against the paired t-interval of scipy on a - factor * b."""
    from scipy import stats

    rng = np.random.default_rng(n)
    other = rng.normal(1000, 200, n)
    mine = factor * other + rng.normal(-20, 30, n)
    found = bounds.judged(
        bounds.Bound("mine", "other", factor), {"mine": row(mine), "other": row(other)}
    )
    want = stats.ttest_rel(mine, factor * other)
    ends = want.confidence_interval(0.95)
    assert found.value == pytest.approx((mine - factor * other).mean(), rel=1e-9)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert found.n == n and found.met == (ends.high < 0)


@pytest.mark.parametrize(("shift", "met"), [(-60, True), (-1, False), (60, False)])
def test_a_bound_is_met_only_by_the_whole_interval(bounds, shift, met):
    rng = np.random.default_rng(1)
    other = rng.normal(1000, 200, 50)
    samples = {"a": row(other + shift + rng.normal(0, 40, 50)), "b": row(other)}
    verdict = bounds.judged(bounds.Bound("a", "b"), samples)
    assert verdict.met is met and ("NOT MET" in verdict.line()) is not met


def test_a_missing_row_leaves_a_bound_open(bounds):
    verdict = bounds.judged(bounds.Bound("a", "b"), {"b": row(np.arange(9.0))})
    assert verdict.met is None and "no finished run of a" in verdict.line()


def test_every_row_that_is_held_to_a_bound_is_there(bounds):
    from vpbench.core.names import MethodRef
    from vpbench.core.registry import build
    from vpbench.core.resolve import resolve

    registry = build()
    for bound in bounds.BOUNDS:
        for name in (bound.row, bound.other):  # as tables write it, or it would never be found
            assert resolve(MethodRef.parse(name), registry, 64).name == name
