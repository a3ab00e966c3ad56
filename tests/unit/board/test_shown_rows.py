"""Values of rows by class."""

import pytest

from vpbench.board.shown_rows import per_class

ENDS = {10: (0.7225, 1.0), 9: (0.5958, 0.9821), 1: (0.0179, 0.4042), 0: (0.0, 0.2775)}
"""Wilson's 95 % of so many of ten, as published tables have them."""


def of_tens(rights, clusters=None):
    """A score of recognised clips: ten of each class, the first of them right."""
    per_clip = {f"{c}/{k}": float(k < n) for c, n in enumerate(rights) for k in range(10)}
    alone = {name: f"clip:{name}" for name in per_clip}
    found = {"classes": [], "label": {}, "softmax": {}, "streams": {}}
    return {"per_clip": per_clip, "clusters": clusters or alone, "recognition": found}


def by_class(*records):
    labels = {name: name.partition("/")[0] for name in records[0]["per_clip"]}
    return per_class(records, labels, sorted(set(labels.values())))


def test_shares_of_independent_clips_have_wilsons_interval():
    record = of_tens(ENDS)
    for repeated in ([record], [record, record]):  # a second seed that says the same
        found = by_class(*repeated)
        assert [(s.mean, s.n) for s in found] == [(n / 10, 10) for n in ENDS]
        for spread, ends in zip(found, ENDS.values(), strict=True):
            assert spread.ends == pytest.approx(ends, abs=5e-5)
    other = {k: v for k, v in record.items() if k != "recognition"}
    assert by_class(other)[1].ends[1] > 1  # any other metric: Student's t


def test_shares_of_groups_stay_within_their_range():
    """Twenty clips in ten groups. All right is ten of ten by Wilson. With one clip wrong, the
    expanded tail of ten groups, 0.9 %, draws its group four times: P(Bin(10, 0.1) >= 4) = 1.3 %,
    P(>= 5) = 0.2 %.
    """
    groups = {f"0/{k}": f"group:{k // 2}" for k in range(20)}
    for wrong, low in ((0, 0.7225), (1, 0.8)):
        per_clip = {name: float(k >= wrong) for k, name in enumerate(groups)}
        record = of_tens([10]) | {"per_clip": per_clip, "clusters": groups}
        (found,) = by_class(record)
        assert found.ends == pytest.approx((low, 1.0), abs=5e-5)
    few = {name: f"group:{k // 3}" for k, name in enumerate(groups)}
    (found,) = by_class(of_tens([10]) | {"per_clip": dict.fromkeys(groups, 1.0), "clusters": few})
    assert (found.mean, found.ends, found.n) == (1.0, None, 20)
