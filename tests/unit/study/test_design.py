"""Balance is exact, for every size; checks stand where they should."""

from collections import Counter

import pytest

from vpbench.api.errors import UsageError
from vpbench.study.design import Plan, make_sheets, slot_orders


def spread(orders, k):
    """Largest less smallest number of times that a method stands in a slot."""
    counts = Counter((slot, m) for order in orders for slot, m in enumerate(order))
    values = [counts[slot, m] for slot in range(k) for m in range(k)]
    return max(values) - min(values)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("raters", [1, 2, 3, 5, 8, 11])
@pytest.mark.parametrize("clips", [1, 2, 3, 6, 7, 10])
def test_balance(k, raters, clips):
    table = slot_orders(Plan(clips, k, raters, 0, 0, seed=raters))
    assert all(sorted(order) == list(range(k)) for row in table for order in row)
    assert all(spread(row, k) <= 1 for row in table)
    assert all(spread([row[c] for row in table], k) <= 1 for c in range(clips))
    total = spread([order for row in table for order in row], k)
    assert total <= 1 and (total == 0) == ((raters * clips) % k == 0)


def test_exact_where_it_can_be():
    table = slot_orders(Plan(70, 4, 16, 0, 0))
    assert all(spread([row[c] for row in table], 4) == 0 for c in range(70))


def test_a_clip_goes_through_all_orders():
    table = slot_orders(Plan(6, 4, 24, 0, 0))
    for clip in range(6):
        assert len({row[clip] for row in table}) == 24
    table = slot_orders(Plan(6, 3, 12, 0, 0))
    for clip in range(6):
        assert set(Counter(row[clip] for row in table).values()) == {2}


def test_random_orders_are_as_frequent_as_chance_has_it():
    table = slot_orders(Plan(100, 3, 60, 0, 0, balanced=False))
    counts = Counter(order for row in table for order in row)
    chi2 = sum((counts[o] - 1000) ** 2 / 1000 for o in counts)
    assert len(counts) == 6 and chi2 < 20.5  # 99.9 % of chi-squared with 5 degrees


def test_seed():
    plan = Plan(12, 4, 5, 1, 2)
    assert make_sheets(plan) == make_sheets(plan)
    assert make_sheets(plan) != make_sheets(Plan(12, 4, 5, 1, 2, seed=1))


@pytest.mark.parametrize(
    "size", [(1, 2, 1, 1, 1), (12, 4, 5, 1, 1), (70, 4, 15, 5, 5), (31, 3, 7, 3, 2)]
)
def test_sheets(size):
    plan = Plan(*size)
    sheets = make_sheets(plan)
    assert len(sheets) == plan.raters
    orders = slot_orders(plan)
    for number, sheet in enumerate(sheets):
        clips = [t for t in sheet if t.kind == "clip"]
        assert sorted(t.clip for t in clips) == list(range(plan.clips))
        assert all(t.order == orders[number][t.clip] for t in clips)
        gold = [k for k, t in enumerate(sheet) if t.kind == "gold"]
        assert [sheet[k].clip for k in gold] != [] and 0 not in gold
        assert sorted(sheet[k].clip for k in gold) == list(range(plan.gold))
        repeats = [(k, t) for k, t in enumerate(sheet) if t.kind == "repeat"]
        assert len(repeats) == plan.repeats
        for place, trial in repeats:
            first = sheet[trial.repeats]
            assert first.kind == "clip" and trial.repeats < place and first.clip == trial.clip
            assert all(a != b for a, b in zip(first.order, trial.order, strict=True))
    if plan.raters > 1 and plan.clips > 6:
        assert len({tuple(t.clip for t in s if t.kind == "clip") for s in sheets}) == plan.raters


@pytest.mark.parametrize(
    "plan", [Plan(3, 1, 1, 0, 0), Plan(3, 7, 1, 0, 0), Plan(3, 4, 0, 0, 0), Plan(3, 4, 1, 0, 4)]
)
def test_refused(plan):
    with pytest.raises(UsageError):
        make_sheets(plan)
