"""Figures, measurements and tables as text, pandas and HTML."""

import math
from html.parser import HTMLParser

import pytest

from tests.unit.render import test_tables as tables
from vpbench.api.errors import UnknownName
from vpbench.core.schema import score_json
from vpbench.python.results import Measurement, Score, Table

FVD = score_json(
    988.3,
    n=90,
    fingerprint="ab",
    se=96.2,
    ci95=(790.0, 1180.0),
    bias=273.0,
    corrected=715.3,
    corrected_se=109.0,
    corrected_ci95=(500.0, 930.0),
    floor=500.0,
    floor_n=45,
)


def test_a_score_reads_as_in_the_table():
    score = Score.parse("fvd", FVD, {"a": 900.0})
    assert str(score) == "988 ± 96 (n = 90, corrected 715)"
    assert float(score) == 988.3 and score.ci95 == (790.0, 1180.0) and score.floor_n == 45
    missing = Score.parse("ssim", score_json(None, n=0, fingerprint="", reason="too small"))
    assert str(missing) == "— (too small)" and math.isnan(float(missing))
    assert str(Score("psnr", 20.0, n=1)) == "20.00 (n = 1)"


def test_a_measurement_is_a_mapping_and_a_frame():
    score = Score.parse("fvd", FVD, {"a": 900.0, "b": None})
    made = Measurement({"fvd": score, "psnr": Score("psnr", 20.0, n=2, per_clip={"a": 19.0})}, 16)
    assert made["fvd"] is score and list(made) == ["fvd", "psnr"] and "ssim" not in made
    with pytest.raises(UnknownName, match="psnr"):
        made["psnrr"]
    frame = made.to_pandas()
    assert frame.loc["fvd", "corrected"] == 715.3 and frame.loc["psnr", "n"] == 2
    clips = made.to_pandas(per_clip=True)
    assert clips.loc["a", "psnr"] == 19.0 and math.isnan(clips.loc["b", "fvd"])
    assert "988 ± 96" in made._repr_html_()


class Balance(HTMLParser):
    """Collects texts; every tag must be closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_is_escaped_and_balanced():
    group = tables.group(tables.row("ours<b>"), tables.row("copy-last", "null"))
    page = Balance()
    page.feed(Table(tables.compare(group, differences=["a < b"])).to_html())
    assert not page.open and "a < b" in page.texts
    assert any("ours<b>" in text for text in page.texts)
    empty = Table(tables.compare())
    assert "Nothing to compare" in empty.to_html() and len(empty.to_pandas()) == 0


def test_a_table_is_a_frame_with_a_row_for_each_figure():
    group = tables.group(tables.row("ours"), tables.row("copy-last", "null"))
    table = Table(tables.compare(group))
    frame = table.to_pandas()
    wide = frame.pivot(index="method", columns="metric", values="value")
    for row in group["rows"]:
        for metric, score in row["scores"].items():
            assert wide.loc[row["method"], metric] == score["value"]
    assert table.json()["groups"] == [group] and "tabular" in table.to_latex()


def test_a_print_and_a_notebook_show_what_the_terminal_does():
    """References that say little only where they were asked for; `to_markdown` has everything."""
    group = tables.group(
        tables.row("ours", notes=["of little weight"]), tables.row("noise", "null")
    )
    content = tables.compare(group)
    plain, asked = Table(content), Table(content, ("ours", "noise"))
    assert "| ours" in str(plain) and "of little weight" not in str(plain)
    assert "of little weight" in plain.to_markdown() and "noise" in plain.to_markdown()
    for show in (str, Table._repr_html_):
        assert "noise" not in show(plain) and "noise" in show(asked)
