"""Metrics over time: means and errors against closed forms, and what is left out."""

import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from vpbench.api.errors import MissingData, UsageError
from vpbench.harness.figures.curves import curves_figure
from vpbench.harness.results.curves import curves_json, mean_and_error
from vpbench.harness.results.ranking import Column, Row
from vpbench.render.curves import Curve, CurvePlot, curve_rows, lay_out_curves, shown_frames


@dataclass
class Run:
    """What `Row.fits` looks at."""

    inputs: dict
    scores: dict


def record(per_frame, clusters=None, fp8="00000000"):
    names = {name: f"clip:{name}" for name in per_frame}
    return {"per_frame": per_frame, "clusters": clusters or names, "fp8": fp8}


def row(*records, name="mine"):
    runs = [Run({"fit_seed": k, "seed": 0}, {("psnr", 2): r}) for k, r in enumerate(records)]
    return Row(name, runs)


COLUMNS = {"psnr": Column("psnr", "00000000", {}, "up", "dB", "clip")}


@pytest.mark.parametrize("n", [8, 31])
def test_the_error_of_single_clips_is_the_usual_one(n):
    values = np.random.default_rng(n).normal(20, 3, n)
    mean, error = mean_and_error(values.tolist(), [str(k) for k in range(n)])
    assert mean == pytest.approx(values.mean(), rel=1e-12)
    assert error == pytest.approx(values.std(ddof=1) / math.sqrt(n), rel=1e-12)


def test_equal_clips_of_a_cluster_count_once():
    values = np.random.default_rng(0).normal(size=9)
    once = mean_and_error(values.tolist(), [str(k) for k in range(9)])
    thrice = mean_and_error(np.repeat(values, 3).tolist(), [str(k // 3) for k in range(27)])
    assert thrice == pytest.approx(once, rel=1e-12)


def test_few_clusters_have_a_mean_and_no_error():
    assert mean_and_error([1.0, 3.0, 5.0], ["a", "b", "b"]) == (3.0, None)


def test_runs_are_averaged_and_clips_that_lack_a_frame_are_left_out():
    first = record({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [9.0, None]})
    second = record({"a": [3.0, 2.0], "b": [5.0, 0.0], "c": [9.0, 9.0]})
    (curve,) = curves_json([row(first, second)], 2, COLUMNS)["psnr"]
    wanted = {"method": "mine", "row": "mine", "n": 2, "values": [3.0, 2.0], "se": [None, None]}
    assert curve == wanted


@pytest.mark.parametrize("empty", [{}, {"a": [None, None]}])
def test_a_metric_without_values_a_frame_has_no_curve(empty):
    assert curves_json([row(record(empty))], 2, COLUMNS) == {}
    assert curves_json([Row("mine", [])], 2, COLUMNS) == {}


@pytest.mark.parametrize("frames", [1, 2, 8, 9, 16, 31, 100])
def test_tables_show_the_first_frame_and_the_last_and_not_too_many(frames):
    shown = shown_frames(frames)
    assert shown[0] == 1 and shown[-1] == frames and len(shown) <= 9
    assert all(a < b for a, b in itertools.pairwise(shown))


def test_a_table_has_a_row_a_method_and_digits_by_their_errors():
    curves = [
        {"method": "noise", "row": "a", "n": 90, "values": [20.123] * 4, "se": [0.2] * 4},
        {"method": "noise", "row": "b", "n": 90, "values": [1.0, 2.0, 3.0, 4.0], "se": [None] * 4},
    ]
    head, a, b = curve_rows(curves, "psnr")
    assert head == ["frame", "1", "2", "3", "4"]
    assert a == ["a", *["20.12"] * 4] and b == ["b", "1.00", "2.00", "3.00", "4.00"]


@pytest.mark.parametrize("frames", [1, 2, 16])
@pytest.mark.parametrize("methods", [1, 9, 30])
def test_lines_stay_within_the_picture_and_names_apart(frames, methods):
    rng = np.random.default_rng(methods)
    curves = [
        Curve(f"method-{k}", rng.normal(20, 3, frames).tolist(), [0.3] * frames)
        for k in range(methods)
    ]
    plan = lay_out_curves(CurvePlot("psnr over time", curves, "dB"))
    for dot in plan.dots:
        assert 0 < dot.x < plan.width and 0 < dot.y < plan.height
    names = sorted(t.y for t in plan.texts if t.text.startswith("method-"))
    assert len(names) == methods and max(names) < plan.height
    assert all(b - a >= 17 for a, b in itertools.pairwise(names))
    assert len(plan.dots) == methods * frames


def test_equal_values_have_a_scale_too():
    plan = lay_out_curves(CurvePlot("t", [Curve("a", [0.0, 0.0], [None, 0.0])], ""))
    assert all(math.isfinite(dot.y) for dot in plan.dots)


def test_a_metric_of_whole_clips_is_not_to_be_scored_again_for_a_figure():
    task = SimpleNamespace(id="toy", horizon=8)
    group = {"task": {"id": "toy"}, "frames": 8, "metrics": {"fvd#0a1b2c3d": {}}, "curves": {}}
    with pytest.raises(UsageError, match="fvd has no value for each frame"):
        curves_figure([group], "fvd", task)
    with pytest.raises(MissingData, match="vpbench score METHOD --metrics psnr"):
        curves_figure([group], "psnr", task)
