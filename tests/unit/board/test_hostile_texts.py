"""What strangers write into an entry stays text in every output."""

import json

import pytest
from board_toys import plugins, rewrite

from vpbench.board.entry import read_entry
from vpbench.board.rows import runs_of_entry
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.harness.results.compare import compare
from vpbench.render.model import EVERYTHING
from vpbench.render.tables import to_csv, to_latex, to_markdown

TEXTS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    "-2+3",
    "<script>alert('x')</script>",
    '" onload="x" & more',
    "動きを予測する · Ж",
    "| a | b |",
    r"\input{/etc/passwd} $x$ %",
]


@pytest.fixture
def told(entry, tmp_path):
    """The comparison of an entry whose notes and parameters are hostile."""

    def change(body):
        body["method"]["notes"] = TEXTS
        body["method"]["name"] = 'mine[a="=cmd()",b=<script>]'
        body["notes"] = TEXTS

    rewrite(entry[1], change)
    runs = runs_of_entry(read_entry(entry[1]))
    nowhere = Paths(tmp_path / "nothing", tmp_path / "home", True)
    return compare([], RunOptions(), plugins(), nowhere, more=runs).json()


def test_no_cell_of_a_spreadsheet_is_a_formula(told):
    import csv
    import io

    cells = [cell for line in csv.reader(io.StringIO(to_csv(told))) for cell in line]
    numbers = {c for c in cells if c.lstrip("+-").replace(".", "").replace("e", "").isdigit()}
    assert not [c for c in cells if c[:1] in "=+-@\t\r" and c not in numbers and c]
    assert any("cmd" in cell for cell in cells)


def test_markdown_and_latex_show_and_do_not_obey(told):
    table = to_markdown(told, EVERYTHING)
    assert "<script>" not in table and "script" in table
    assert r"\input{" not in to_latex(told, EVERYTHING, "all")
    assert json.loads(json.dumps(told, allow_nan=False))
