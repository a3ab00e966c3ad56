"""Claims of a whole table against statsmodels, closed forms and tables of equal methods."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from vpbench.core.samples import Difference, clip_sample, difference, set_sample
from vpbench.core.simultaneous import judge_nulls, judge_pairs, judge_table
from vpbench.core.stats import ranks_of


def rng(seed=0):
    return np.random.default_rng(seed)


def clips(*rows):
    return clip_sample([{f"{k:03}": v for k, v in enumerate(row)} for row in rows])


def at(t, df=89, se=2.0):
    """A difference of t standard errors."""
    return Difference(t * se, se, float(df), 90)


def all_of(items, value):
    return dict.fromkeys(items, value)


def test_holm_of_both_sides_agrees_with_statsmodels():
    t = rng(1).normal(0, 2.5, 48)
    tests = judge_nulls({k: at(v) for k, v in enumerate(t)}, all_of(range(48), "up"))
    p = [*scipy_stats.t.sf(t, 89), *scipy_stats.t.cdf(t, 89)]
    rejected, adjusted, _, _ = multipletests(p, 0.05, "holm")
    for k, test in tests.items():
        wanted = "better" if rejected[k] else "worse" if rejected[48 + k] else "not better"
        assert test.claim == wanted
        assert test.p == pytest.approx(min(adjusted[k], adjusted[48 + k]))
    assert {t.claim for t in tests.values()} == {"better", "not better", "worse"}


def test_holm_of_pairs_agrees_with_statsmodels():
    t = rng(2).normal(0, 2.5, 24)
    tests = judge_pairs({k: at(v) for k, v in enumerate(t)}, all_of(range(24), "up"))
    rejected, adjusted, _, _ = multipletests(2 * scipy_stats.t.sf(abs(t), 89), 0.05, "holm")
    for k, test in tests.items():
        assert test.better == (np.sign(t[k]) if rejected[k] else 0)
        assert test.p == pytest.approx(adjusted[k])
    assert {t.better for t in tests.values()} == {-1, 0, 1}


@pytest.mark.parametrize(("direction", "sign"), [("up", 1), ("down", -1)])
def test_a_row_that_is_worse_than_a_null_is_marked_as_worse(direction, sign):
    def claim(t):
        return judge_nulls({0: at(t)}, {0: direction})[0].claim

    assert claim(sign * 2.74) == "better"
    assert claim(-sign * 2.74) == "worse"
    assert claim(sign * 1.0) == claim(-sign * 1.0) == claim(0.0) == "not better"


def test_one_comparison_is_judged_at_the_level_of_each_side():
    """Two one-sided tests are one family: 5 % of tables in all, 2.5 % a side."""
    edge = scipy_stats.t.isf(0.025, 89)
    assert judge_nulls({0: at(edge + 1e-6)}, {0: "up"})[0].claim == "better"
    assert judge_nulls({0: at(edge - 1e-6)}, {0: "up"})[0].claim == "not better"
    assert judge_pairs({0: at(edge + 1e-6)}, {0: "up"})[0].better == 1
    assert judge_pairs({0: at(edge - 1e-6)}, {0: "up"})[0].better == 0


def test_more_comparisons_make_each_claim_harder():
    alone, many = at(2.5), {k: at(2.5 if k == 0 else 0.1) for k in range(12)}
    assert judge_nulls({0: alone}, {0: "up"})[0].claim == "better"
    assert judge_nulls(many, all_of(many, "up"))[0].claim == "not better"
    assert judge_pairs({0: alone}, {0: "up"})[0].better == 1
    assert judge_pairs(many, all_of(many, "up"))[0].better == 0


def test_what_has_no_error_is_claimed_nowhere_and_counts_nowhere():
    few = Difference(1.0, n=3, reason="3 independent groups of clips, 8 are needed")
    differences = {"few": few, "sure": at(2.2)}
    tests = judge_nulls(differences, all_of(differences, "up"))
    assert (tests["few"].claim, tests["few"].p) == (None, None)
    assert tests["sure"].claim == "better"
    pairs = judge_pairs(differences, all_of(differences, "up"))
    assert (pairs["few"].better, pairs["few"].p) == (0, None)
    assert judge_nulls({}, {}) == {} == judge_pairs({}, {})


def test_equal_rows_are_neither_better_nor_worse():
    same = difference(clips(np.arange(9.0)), clips(np.arange(9.0)))
    assert judge_nulls({0: same}, {0: "up"})[0].claim == "not better"
    assert judge_pairs({0: same}, {0: "down"})[0].better == 0


def test_ranks():
    assert ranks_of(3, lambda i, j: 1) == ["1", "2", "3"]
    assert ranks_of(3, lambda i, j: -1) == ["3", "2", "1"]
    assert ranks_of(3, lambda i, j: 0) == ["1–3"] * 3
    assert ranks_of(3, lambda i, j: {(0, 2): 1}.get((i, j), 0)) == ["1–2", "1–3", "2–3"]
    assert ranks_of(1, lambda i, j: 1) == ["1"]
    assert ranks_of(0, lambda i, j: 1) == []


# Whole tables.


def table(methods, nulls, metrics, n=90, seed=0, shift=(), fits=1):
    """Samples of equal rows: the clips of a metric are as hard for all, the rest is noise."""
    draw = rng(seed)
    samples = {}
    for metric in range(metrics):
        hard = draw.normal(0, 1, n)
        for row in range(methods + nulls):
            level = shift[row] if row < len(shift) else 0.0
            samples[row, metric] = clips(
                *(level + hard + 0.7 * draw.normal(0, 1, n) for _ in range(fits))
            )
    return samples


def judged(samples, metrics, methods=4, nulls=3):
    rows = range(methods)
    return judge_table(
        samples, ["up"] * metrics, rows, range(methods, methods + nulls), [list(rows)]
    )


def test_a_table_counts_its_comparisons():
    tests = judged(table(4, 3, 4), 4)
    assert (tests.n_nulls, tests.n_pairs) == (48, 24)
    assert len(tests.ranks) == 16


def test_clear_differences_give_clear_ranks():
    samples = table(3, 1, 2, shift=(5.0, 9.0, 1.0, 1.0))
    tests = judge_table(samples, ["up", "down"], [0, 1, 2], [3], [[2, 0, 1]])
    assert [tests.ranks[row, 0] for row in range(3)] == ["2", "1", "3"]
    assert [tests.ranks[row, 1] for row in range(3)] == ["2", "3", "1"]
    assert tests.nulls[1, 3, 0].claim == "better"
    assert tests.nulls[1, 3, 1].claim == "worse"
    assert tests.nulls[2, 3, 0].claim == "not better"


def test_rows_of_different_pools_are_not_ranked_with_each_other():
    samples = table(4, 0, 1, shift=(1.0, 2.0, 3.0, 4.0))
    tests = judge_table(samples, ["up"], [], [], [[0, 1], [2, 3]])
    assert [tests.ranks[row, 0] for row in range(4)] == ["2", "1", "2", "1"]
    assert tests.n_pairs == 2
    assert judge_table(samples, ["up"], [], [], [[0], []]).ranks == {}


def test_a_row_without_a_value_is_left_out():
    samples = table(3, 1, 2)
    del samples[1, 0]
    tests = judge_table(samples, ["up", "up"], [0, 1, 2], [3], [[0, 1, 2]])
    assert (1, 0) not in tests.ranks and (1, 1) in tests.ranks
    assert (tests.n_nulls, tests.n_pairs) == (5, 4)


def test_ranks_need_every_pair_of_a_metric():
    """A set metric over other clips cannot be compared, so nothing is ranked by it."""
    samples = table(3, 0, 1, shift=(1.0, 5.0, 9.0))
    left = [{f"{k}": 5.0 + k % 3 for k in range(n)} for n in (20, 21)]
    samples[2, 0] = set_sample([5.0], [left[0]])
    samples[1, 0] = set_sample([9.0], [left[1]])
    tests = judge_table(samples, ["up"], [], [], [[0, 1, 2]])
    assert tests.ranks == {}
    assert all(not test.better for test in tests.pairs.values() if test.p is None)


def test_ranks_rest_on_corrected_figures():
    """Two rows of one population, one with twice the bias: plain values differ, these do not."""
    spread = rng(3).normal(0, 3, 90)

    def biased(bias, noise):
        value = 500.0 + bias
        left = {f"{k:03}": value + bias / 89 + (spread[k] + noise[k]) / 89 for k in range(90)}
        return set_sample([value], [left])

    noise = rng(4).normal(0, 1, (2, 90))
    samples = {
        (0, 0): biased(270.0, noise[0] - noise[0].mean()),
        (1, 0): biased(130.0, noise[1] - noise[1].mean()),
    }
    test = judge_table(samples, ["down"], [], [], [[0, 1]])
    assert test.pairs[0, 1, 0].difference.estimate == pytest.approx(0.0, abs=1e-6)
    assert test.ranks == {(0, 0): "1–2", (1, 0): "1–2"}


def test_tables_of_equal_methods_seldom_hold_a_false_claim():
    """77 % of such tables do where each comparison is taken for itself."""
    marks = ranks = alone = 0
    for seed in range(150):
        tests = judged(table(4, 3, 4, n=40, seed=seed), 4)
        marks += any(t.claim != "not better" for t in tests.nulls.values())
        ranks += any(rank != "1–4" for rank in tests.ranks.values())
        alone += any(t.difference.p_apart() < 0.05 for t in tests.nulls.values())
    assert marks / 150 <= 0.08
    assert ranks / 150 <= 0.08
    assert alone / 150 > 0.5
