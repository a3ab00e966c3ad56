"""LaTeX tables compile in one column of a two-column paper, and nothing sticks out."""

import re
import shutil
import subprocess

import pytest

from tests.unit.render.table_toys import EVIL, compare, group, row
from tests.unit.render.test_terminal import COMPARISONS
from vpbench.render.model import View
from vpbench.render.tables import to_latex

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed"),
]

PAPER = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs,xcolor}
\begin{document}
Before. %s
After.
\end{document}
"""

TABLES = {**COMPARISONS, "evil names": group(row(EVIL, notes=[EVIL]), row("b"))}
ALL = {name: compare(of) for name, of in TABLES.items()}
ALL["apart"] = compare(*list(TABLES.values())[:2], differences=["fvd#1 and fvd#2 differ in n: 9"])


@pytest.mark.parametrize("notes", ["none", "short", "all"])
def test_nothing_is_wider_than_a_column(tmp_path, notes):
    """All comparisons in one paper: each a table of its own."""
    tables = [to_latex(obj, View(), notes) for obj in ALL.values()]
    log = compiled(tmp_path, "\n".join(tables))
    assert not re.findall(r"Overfull \\hbox .*", log)


def test_metrics_side_by_side_become_a_table_over_both_columns(tmp_path):
    text = to_latex(ALL["four metrics"], columns=4)
    assert "\\begin{table*}" in text
    assert "Overfull \\hbox" not in compiled(tmp_path, text)


def compiled(tmp_path, tables):
    """The log of pdflatex."""
    (tmp_path / "paper.tex").write_text(PAPER % tables)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return (tmp_path / "paper.log").read_text(errors="replace")
