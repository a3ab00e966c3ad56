"""Drawings are well-formed, and what they show stands where it should."""

import re
from xml.etree import ElementTree

import pytest

from vpbench.board.charts import Curve, Scale, chart, curve_classes, whisker, whisker_scale
from vpbench.board.provenance import read_curves, training_curves
from vpbench.board.shown_rows import Spread


def points(values):
    return [(float(t), Spread(v, (v - 0.5, v + 0.5), 9)) for t, v in enumerate(values, 1)]


def test_a_chart_is_xml_with_a_line_a_curve():
    curves = [Curve("<ours> & co", points([3, 2, 1])), Curve("null", points([2, 2, 2]), True)]
    drawn = ElementTree.fromstring(chart(curves, "frame", "PSNR <dB>"))
    groups = drawn.findall("g")
    assert [g.get("class") for g in groups] == ["curve c1", "curve ref r1"]
    assert groups[0].findtext("title") == "<ours> & co"
    assert [len(g.findall("path")) for g in groups] == [2, 1]  # bands for methods alone
    assert "PSNR <dB> against frame" in drawn.get("aria-label")
    heights = [float(y) for y in re.findall(r" ([\d.]+)", groups[0].findall("path")[1].get("d"))]
    assert heights == sorted(heights)  # falling values: down the page
    assert chart([Curve("none", [])], "x", "y") == ""


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([0.01, 10], ["0.01", "0.1", "1", "10"]), ([2, 50], ["2", "5", "10", "20", "50"])],
)
def test_logarithmic_ticks(values, ticks):
    drawn = ElementTree.fromstring(chart([Curve("a", points(values))], "x", "y", log=True))
    shown = [t.text for t in drawn.findall("text") if t.get("class") == "left"]
    assert set(shown) <= set(ticks) and len(shown) >= 2


def test_many_curves_are_told_apart():
    names = curve_classes([Curve(str(k), []) for k in range(20)])
    assert len(set(names[:16])) == 16


@pytest.mark.parametrize("values", [[5.0], [1e-9, 2e-9], [-3.0, 0.0, 1e6]])
def test_whiskers_lie_on_their_scale(values):
    scale = whisker_scale(values)
    for value in values:
        drawn = ElementTree.fromstring(whisker(value, (value, value), scale, values[0]))
        assert 0 <= float(drawn.find("circle").get("cx")) <= 96
    far = ElementTree.fromstring(whisker(scale.high * 9 + 9, None, scale))
    assert far.find("circle") is None and far.find("path") is not None  # an arrow


def test_ticks_are_round_and_within():
    assert Scale(0, 10, 0, 100).ticks() == [0, 2, 4, 6, 8, 10]
    assert Scale(-0.3, 0.4, 0, 1).ticks() == pytest.approx([-0.2, 0, 0.2, 0.4])


def test_training_curves_of_what_was_logged(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(
        '{"step": 1, "loss": 9.0, "<b>": 1}\n{"step": 2, "loss": null}\nnonsense\n[3]\n'
        '{"step": 3, "loss": 2, "val_loss": 4.5}\n{"step": 4, "loss": NaN}\n{"loss": 7}\n'
        '{"step": 5, "val_loss": 4.0, "done": true}\n'
    )
    assert read_curves(path) == {
        "loss": [(1.0, 9.0), (3.0, 2.0)],
        "<b>": [(1.0, 1.0)],
        "val_loss": [(3.0, 4.5), (5.0, 4.0)],
    }
    drawn = training_curves(path)
    assert drawn.count('<svg class="chart"') == 2 and "validation" in drawn and "<b>" not in drawn
    assert training_curves(tmp_path / "missing") == ""
