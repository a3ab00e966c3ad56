"""Tables as Markdown, LaTeX and CSV: alignment, escaping, digits."""

import csv
import io
import json
import subprocess
import sys

import pytest

from tests.unit.render.table_toys import EVIL, compare, figure, group, row, table_notes
from vpbench.render import text
from vpbench.render.tables import CSV_FIELDS, to_csv, to_latex, to_markdown


def unescaped_markdown_cells(line):
    """Split a Markdown table line at its bare pipes."""
    return line.replace("\\|", "\0").strip("|").split("|")


def test_the_formats_need_no_array_library():
    code = (
        "import sys, vpbench.render.tables\n"
        "assert not {'numpy', 'pandas', 'torch', 'PIL', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_markdown_is_aligned_and_escaped():
    rows = [row("ours", uses=["label"]), row(EVIL), row("方法 naïve"), row("noise", "null")]
    lines = to_markdown(compare(group(*rows))).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({text.width(line) for line in table}) == 1
    assert {len(unescaped_markdown_cells(line)) for line in table} == {5}
    assert table[1].split("|")[1].strip().strip("-") == ""
    assert table[1].split("|")[2].strip().endswith("-:")
    assert table[3].split(" | ")[0].startswith("| a\\|b\\_c&amp;d%e\\#f\\*g&lt;h&gt;\\\\i$j{k}\\~l")
    assert set(table[5]) == {"|", " "}
    assert table[6].startswith("| *noise*")
    assert lines[0] == (
        "### puppets · test · n = 90 clips · given -&gt; 16 predicted frames · 1 sample"
    )


def test_markdown_keeps_code_and_lists_differences():
    got = to_markdown(
        compare(group(row("a", notes=["see `x_y *z*` or_not"])), differences=["n: 90 vs 80"])
    )
    assert "- a: see `x_y *z*` or\\_not" in got
    assert got.endswith("Not in one column:\n\n- n: 90 vs 80\n")


def balanced(tex):
    depth = 0
    for before, letter in zip(" " + tex[:-1], tex, strict=True):
        depth += (letter == "{") - (letter == "}") if before != "\\" else 0
        assert depth >= 0
    return depth == 0


def test_latex_is_escaped():
    of = group(row(EVIL), row("real", "ceiling"), rendered=True)
    got = to_latex(compare(of), columns=2)
    # The name has more than one line.
    name = "a\\textbar{}b\\_c\\&d\\%e\\#f{*}g\\textless{}h\\textgreater{}\\textbackslash{}i\\$j\\{k"
    assert f"{name} & 1 & 24.30" in got
    assert "\\quad \\}\\textasciitilde{}l\\textasciicircum{}m{[}" in got and "n=1{]}" in got
    assert "\\textasciigrave{}o & & & \\\\" in got
    assert "24.30$_{\\pm 0.12}$ & 152$_{\\pm 8}$ \\\\" in got
    assert "\\textcolor{gray}{same clips}" in got
    assert "method & given & PSNR $\\uparrow$ dB & FVD $\\downarrow$ \\\\" in got
    assert "\\label{tab:puppets-16}" in got and "\\caption{puppets, test, n = 90 clips" in got
    assert got.count("\\midrule") == 2
    assert got.isascii() and balanced(got)


def test_latex_marks_the_best_and_the_second():
    values = {"a": 20.0, "b": 22.0, "c": 21.0, "d": 19.0}
    rows = [row(name, scores={"psnr": figure(v, se=0.5)}) for name, v in values.items()]
    rows[3]["tied"] = ["psnr"]
    got = to_latex(compare(group(*rows, metrics=["psnr"])))
    assert "b & 1 & \\textbf{\\boldmath 22.0$_{\\pm 0.5}$}" in got
    assert "c & 1 & \\underline{21.0$_{\\pm 0.5}$}" in got
    assert "d & 1 & \\underline{19.0$_{\\pm 0.5}$}" in got
    assert "a & 1 & 20.0$_{\\pm 0.5}$ \\\\" in got


def test_latex_notes_and_columns():
    of = group(row("ours", notes=["only in all"], uses=["label"]))

    def tex(**how):
        return to_latex(compare(of), **how)

    assert "standard error" in tex() and "only in all" not in tex()
    assert "standard error" not in tex(notes="none") and "only in all" in tex(notes="all")
    assert tex(columns=1).count("\\toprule") == 2 and tex(columns=2).count("\\toprule") == 1
    wide = group(*(row("ours[a_long_parameter=1,another=2]") for _ in range(2)))
    wide["metrics"] |= {f"fvd@{k}": wide["metrics"]["fvd"] for k in range(9)}
    assert "\\begin{table*}" in to_latex(compare(wide), columns=11)
    auto = to_latex(compare(wide))
    assert "\\begin{table}" in auto and auto.count("\\toprule") > 2
    assert [auto.count(f"FVD@{k} $") for k in range(9)] == [1] * 9


def test_latex_minus_and_code():
    assert text.latex("-0.01 ± 0.07") == "$-$0.01 $\\pm$ 0.07"
    assert text.latex("copy-last") == "copy-last"
    assert text.latex_prose("run `vpbench run a_b --fit` now") == (
        "run \\texttt{vpbench run a\\_b -{}-fit} now"
    )


def test_csv_keeps_every_digit():
    value, low = 0.1 + 0.2, 1 / 3
    scores = {
        "psnr": figure(value, se=1e-17, ci95=(low, 1e300), n=89, reason="identical: 1 of 89 clips"),
        "fvd": figure(None, "fvd", reason='no, "not" here'),
    }
    out = to_csv(compare(group(row("ours", scores=scores, notes=["x", "y, z"]))))
    psnr, fvd = csv.DictReader(io.StringIO(out))
    assert tuple(psnr) == CSV_FIELDS
    assert [float(psnr[k]) for k in ("value", "se", "ci_low", "ci_high")] == [
        value,
        1e-17,
        low,
        1e300,
    ]
    assert (psnr["n"], psnr["notes"], psnr["fingerprint"]) == ("89", "x; y, z", "aa" * 8)
    assert (fvd["value"], fvd["se"], fvd["ci_low"]) == ("", "", "")
    assert fvd["reason"] == 'no, "not" here'


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"])
def test_csv_runs_no_formula(name):
    (line,) = csv.DictReader(io.StringIO(to_csv(compare(group(row(name), metrics=["psnr"])))))
    assert line["method"] == "'" + name.strip()
    negative = group(row("a", scores={"psnr": figure(-1.5)}), metrics=["psnr"])
    assert ",psnr,-1.5," in to_csv(compare(negative))


def test_csv_follows_the_order_of_the_table():
    out = to_csv(compare(group(row("noise", "null"), row("ours"), row("real", "ceiling"))))
    lines = list(csv.DictReader(io.StringIO(out)))
    assert [line["method"] for line in lines[::2]] == ["ours", "real", "noise"]
    assert [line["metric"] for line in lines] == ["psnr", "fvd"] * 3


def test_nothing_to_compare():
    assert to_markdown(compare()) == "Nothing to compare.\n"
    assert "Nothing to compare." in to_latex(compare())
    assert to_csv(compare()) == ",".join(CSV_FIELDS) + "\n"


def test_a_group_without_rows_or_metrics():
    assert table_notes(group()) == []
    markdown = to_markdown(compare(group()))
    assert markdown.splitlines()[2:] == [
        "| method | given | PSNR ↑ dB | FVD ↓ |",
        "| ------ | ----: | --------: | ----: |",
    ]
    assert "\\bottomrule" in to_latex(compare(group()))
    assert to_csv(compare(group(row("a"), metrics=[]))) == ",".join(CSV_FIELDS) + "\n"
    assert "| a" in to_markdown(compare(group(row("a"), metrics=[])))


def test_an_object_read_from_json_will_do():
    obj = compare(group(row("ours"), row("noise", "null")))
    for write in (to_markdown, to_latex, to_csv):
        assert write(json.loads(json.dumps(obj, allow_nan=False))) == write(obj)
