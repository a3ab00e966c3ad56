"""Proportions of recognised clips against closed forms, statsmodels and published figures."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from vpbench.core import recognition as rc
from vpbench.core.samples import clip_sample, difference
from vpbench.core.signs import sign_tail


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(62, 90, 58.72, 77.51), (0, 10, 0, 27.75), (10, 10, 72.25, 100), (50, 100, 40.38, 59.62)],
)
def test_wilson_of_a_share(k, n, low, high):
    found = rc.proportion([1.0] * k + [0.0] * (n - k), [f"clip:{i}" for i in range(n)])
    assert found is not None and (found.low, found.high) == (
        pytest.approx(low / 100, abs=6e-5),
        pytest.approx(high / 100, abs=6e-5),
    )
    theirs = proportion_confint(k, n, method="wilson")
    assert (found.low, found.high) == pytest.approx(theirs, abs=1e-12)
    assert (found.mean, found.se) == (k / n, math.sqrt(k / n * (1 - k / n) / n))


@pytest.mark.parametrize(
    ("values", "clusters"),
    [([], []), ([0.5, 1.0], ["", ""]), ([1.0, 0.0], ["group:a", "group:a"])],
)
def test_trials_that_are_not_independent_have_no_wilson_interval(values, clusters):
    assert rc.proportion(values, clusters) is None


def test_confusion_and_shares_follow_the_most_probable_class():
    label = {"a": 0, "b": 1, "c": 1}
    softmax = {
        "a": [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]],  # the first of equals
        "b": [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]],
        "c": [[0.4, 0.3, 0.3], [0.0, 0.4, 0.6]],
    }
    assert rc.confusion(softmax, label, 3) == [[1, 0, 1], [1, 2, 1], [0, 0, 0]]
    assert rc.correct(softmax, label) == {"a": 0.5, "b": 1.0, "c": 0.0}
    record = {"classes": ["x", "y", "z"], "label": label, "softmax": softmax, "streams": {}}
    assert rc.follows({"a": 0.5, "b": 1.0, "c": 0.0}, record)
    for changed in ({"a": 0.5, "b": 1.0, "c": 1.0}, {"a": 0.5, "b": 1.0}, {**label, "c": None}):
        assert not rc.follows(changed, record)


def test_mcnemar_of_all_pairs_agrees_with_statsmodels():
    rng = np.random.default_rng(3)
    rows = {
        name: {f"{k}": float(v) for k, v in enumerate(rng.random(60) < p)}
        for name, p in (("a", 0.9), ("b", 0.6), ("c", 0.2), ("d", 0.55))
    }
    rows["b"]["missing elsewhere"] = 1.0
    pairs = rc.mcnemar_pairs(rows)
    assert [(p["a"], p["b"]) for p in pairs] == [*zip("aaabbc", "bcdcdd", strict=True)]
    expected = []
    for pair in pairs:
        one, other = (np.array([rows[pair[s]][str(k)] for k in range(60)]) for s in ("a", "b"))
        table = [[int((one * other).sum()), int((one * (1 - other)).sum())], [0, 0]]
        table[1] = [int(((1 - one) * other).sum()), int(((1 - one) * (1 - other)).sum())]
        assert (pair["n"], pair["only_a"], pair["only_b"]) == (60, table[0][1], table[1][0])
        assert pair["p"] == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
        expected.append(pair["p"])
    adjusted = multipletests(expected, method="holm")[1]
    assert [p["p_holm"] for p in pairs] == pytest.approx(list(adjusted), rel=1e-12)


def test_shares_of_samples_have_no_mcnemar_test_and_are_in_no_family():
    rows = {"a": {"1": 1.0, "2": 0.0}, "b": {"1": 0.5, "2": 0.0}, "c": {"1": 0.0, "2": 0.0}}
    by_name = {(p["a"], p["b"]): p for p in rc.mcnemar_pairs(rows)}
    assert by_name["a", "b"]["p"] is None and by_name["a", "b"]["p_holm"] is None
    assert by_name["a", "c"]["p"] == by_name["a", "c"]["p_holm"] == 1.0
    assert rc.mcnemar_pairs({"a": {"1": 1.0}, "b": {"2": 1.0}})[0]["n"] == 0


def groups_of(right, groups, size=8):
    """`size` clips of each of some groups, all right or all wrong, and the group of each."""
    names = {f"{g}/{k}": f"group:{g}" for g in range(groups) for k in range(size)}
    return {clip: float(int(clip.partition("/")[0]) < right) for clip in names}, names


def test_clips_of_one_group_are_no_independent_trials():
    """24 : 0 of 96 clips, but 3 : 0 of 12 people: t is sqrt(11/3) with 11 degrees of freedom."""
    (a, clusters), (b, _) = groups_of(8, 12), groups_of(5, 12)
    (pair,) = rc.mcnemar_pairs({"a": a, "b": b}, clusters)
    # Student's t in closed form (Abramowitz & Stegun 26.7.3); atan(t / sqrt(df)) is 30 degrees.
    terms = [1, 2 / 3, 8 / 15, 16 / 35, 128 / 315]
    inside = sum(c * 0.75**k for k, c in enumerate(terms)) * math.sqrt(0.75)
    expected = 1 - 2 / math.pi * (math.pi / 6 + inside / 2)
    assert (pair["test"], pair["only_a"], pair["only_b"], pair["n"]) == ("groups", 24, 0, 96)
    assert pair["p"] == pair["p_holm"] == pytest.approx(expected, rel=1e-9)
    some = {clip: v for clip, v in a.items() if clip.endswith("/0")}  # one clip of each person
    (pair,) = rc.mcnemar_pairs({"a": some, "b": b}, clusters)
    assert (pair["test"], pair["n"], pair["p"]) == ("mcnemar", 12, 2 * 0.5**3)
    (a, clusters), (b, _) = groups_of(7, 7), groups_of(0, 7)
    (pair,) = rc.mcnemar_pairs({"a": a, "b": b}, clusters)
    assert (pair["test"], pair["p"], pair["p_holm"]) == (None, None, None)
    assert pair["reason"] == "7 independent groups of clips, 8 are needed"


@pytest.mark.parametrize(("b", "c", "p"), [(5, 0, 0.0625), (6, 0, 0.03125), (15, 10, 0.424356)])
def test_rows_that_are_right_or_wrong_are_compared_exactly(b, c, p):
    """The p-values of a table's claims are those of McNemar's test, one- and two-sided."""
    same = 20
    a = clip_sample([{str(k): float(k < b + same) for k in range(b + c + same)}])
    other = clip_sample([{str(k): float(k >= b) for k in range(b + c + same)}])
    assert a is not None and other is not None
    found = difference(a, other)
    assert found.split == (b, c) and found.p_apart() == pytest.approx(p, abs=5e-7)
    for got, side in ((found.p_above(), "greater"), (found.p_below(), "less")):
        assert got == pytest.approx(scipy_stats.binomtest(b, b + c, alternative=side).pvalue)
    assert difference(other, a).p_above() == found.p_below()


def test_other_rows_are_compared_by_students_t():
    binary = {str(k): float(k % 2) for k in range(12)}
    shares = {**binary, "3": 0.5}
    for fits, clusters in (([shares], {}), ([binary] * 3, {}), ([binary], {"1": "g", "2": "g"})):
        a, b = clip_sample(fits, clusters), clip_sample([dict.fromkeys(binary, 1.0)], clusters)
        assert a is not None and b is not None and difference(a, b).split is None


def test_sign_test_edges():
    assert sign_tail(0, 0) == 1 and sign_tail(3, 0) == 1 / 8 and sign_tail(0, 3) == 1
    assert sign_tail(60, 1) == 62 / 2**61
