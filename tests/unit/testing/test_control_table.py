"""The test of paired differences against scipy, and what the table of controls says."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.api.specs import MetricSpec
from vpbench.core import schema
from vpbench.core.tasks import Item
from vpbench.harness.scoring.controlled import OTHER_HALF, SAME, _halves
from vpbench.harness.scoring.measure_workers import Scored
from vpbench.harness.scoring.score import Wanted
from vpbench.render.controls import control_lines, control_markdown
from vpbench.testing.control_table import ControlReport, _rows, sign_flip_p


def names(n):
    return [f"c{k}" for k in range(n)]


def by_scipy(values):
    return scipy_stats.permutation_test(
        (np.array(values), np.zeros(len(values))),
        lambda a, b: (a - b).mean(),
        permutation_type="samples",
        n_resamples=9999,
        rng=0,
    ).pvalue


@pytest.mark.parametrize(("n", "shift"), [(2, 0.6), (7, 0.0), (13, 0.6), (14, 0.0), (40, 0.3)])
def test_signs_against_scipy(n, shift):
    values = (np.random.default_rng(n).normal(size=n) + shift).tolist()
    exact = n <= 13
    assert sign_flip_p(values, names(n)) == pytest.approx(
        by_scipy(values), abs=1e-12 if exact else 0.02
    )


def test_signs_of_clusters_and_of_nothing():
    assert sign_flip_p([1.0] * 6, names(6)) == 2 / 2**6
    assert sign_flip_p([1.0] * 6, ["a", "a", "b", "b", "c", "c"]) == 2 / 2**3
    assert sign_flip_p([3.0], ["a"]) == 1.0
    assert sign_flip_p([0.0] * 30, names(30)) == 1.0
    # McNemar: 5 wrong and none better is 2 / 2^5, whatever the ties.
    assert sign_flip_p([-1.0] * 5 + [0.0] * 4, names(9)) == 2 / 2**5
    for values, clusters in (([], []), ([1.0], ["a", "b"]), ([float("nan")] * 2, names(2))):
        with pytest.raises(ValueError):
            sign_flip_p(values, clusters)


def test_signs_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(1)
    draws = [sign_flip_p(rng.normal(size=9).tolist(), names(9)) for _ in range(300)]
    # Exact p-values of 9 clips are multiples of 1/256; spread each over its step.
    spread = [p - rng.uniform() / 256 for p in draws]
    assert scipy_stats.kstest(spread, "uniform").pvalue > 0.01


def wanted(kind, direction):
    spec = MetricSpec("m", "vpbench.x:Y", "s", kind=kind, direction=direction, unit="", version=1)
    return Wanted(spec, "")


def scored(value, *, corrected=None, p=None, per_clip=None, kind="set"):
    json = schema.score_json(value, n=9, fingerprint="", p=p, corrected=corrected, bias=None)
    return Scored(json, kind, per_clip or {})


def test_rows_of_a_set_metric_are_compared_by_corrected_values():
    scores = {
        OTHER_HALF: scored(500.0, corrected=100.0, p=0.4),
        "frozen": scored(400.0, corrected=300.0, p=0.001),
        "reversed": scored(90.0, corrected=80.0, p=0.03),
        "noise": scored(None),
    }
    rows = {row.control: row for row in _rows(wanted("set", "down"), scores, {})}
    assert [rows[k].worse for k in scores] == [None, True, False, None]
    # Holm over three tests: 3 x .001, 2 x .03, .4.
    assert [rows[k].p_holm for k in scores] == [
        pytest.approx(0.4),
        pytest.approx(0.003),
        pytest.approx(0.06),
        None,
    ]
    assert [rows[k].told for k in scores] == [False, True, False, None]
    table = ControlReport("puppets", 9, 16, {"m": list(rows.values())}).json("m")
    text = control_lines(table, "m", of_clips=False)
    assert (
        "m tells 1 of 2 controls from real clips (p < 0.05, adjusted for 3 tests); not reversed"
        in text
    )
    assert control_markdown([("m", table)])[2] == (
        "| `m` | 100.000 (p=.40) | **300.000 (p=.001)** | 80.000 (p=.030) | — |"
    )


def test_rows_of_a_clip_metric_are_compared_with_the_clips_themselves():
    per_clip = {f"c{k}": 40.0 for k in range(9)}
    scores = {
        SAME: scored(40.0, per_clip=per_clip, kind="clip"),
        OTHER_HALF: scored(None, kind="clip"),
        "frozen": scored(20.0, per_clip={k: 20.0 + n for n, k in enumerate(per_clip)}),
        "codec": scored(40.0, per_clip=per_clip),
        "noise": scored(None, per_clip={**per_clip, "c3": None}),
    }
    clusters = {name: f"clip:{name}" for name in per_clip}
    rows = _rows(wanted("clip", "up"), scores, clusters)
    assert [row.control for row in rows] == ["frozen", "codec", "noise"]
    assert [row.p for row in rows] == [2 / 2**9, 1.0, None]
    assert [row.worse for row in rows] == [True, False, None]


def test_halves_share_no_group_and_are_equal():
    class Clip:
        def __init__(self, k):
            self.id, self.group = f"{k}", f"{k % 6}"

    items = [Item(f"{k}", Clip(k), (), ()) for k in range(24)]
    one, two = _halves(items)
    assert len(one) == len(two) == 12 and not one.keys() & two.keys()
    assert not {i.cluster for i in one.values()} & {i.cluster for i in two.values()}
    assert _halves(items[::-1])[0].keys() == one.keys()
