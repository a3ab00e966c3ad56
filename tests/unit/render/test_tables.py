"""Tables from compare objects: rounding, order, notes, escaping."""

import csv
import io
import json
import math
import subprocess
import sys

import pytest

from vpbench.api.errors import Incomparable
from vpbench.core.schema import COMPARE, score_json
from vpbench.render import text
from vpbench.render.tables import (
    CSV_FIELDS,
    column_title,
    format_score,
    table_model,
    table_notes,
    to_csv,
    to_latex,
    to_markdown,
)

PRINT = {"psnr": "aa" * 8, "fvd": "bb" * 8}


def figure(value, metric="psnr", n=90, **more):
    return score_json(value, n=n, fingerprint=PRINT[metric], **more)


def row(method, kind="method", **changes):
    values = {
        "method": method,
        "kind": kind,
        "conditioning_frames": 1,
        "uses": [],
        "n": 90,
        "samples": 1,
        "seeds": [0],
        "fit_seeds": [],
        "checkpoint": None,
        "nulls": [],
        "notes": [],
        "not_comparable": [],
        "scores": {"psnr": figure(24.3, se=0.12), "fvd": figure(152.3, "fvd", se=8.1)},
    }
    return {**values, **changes}


def group(*rows, metrics=("psnr", "fvd"), **task):
    units = {"psnr": ("up", "dB"), "fvd": ("down", "")}
    return {
        "task": {"id": "puppets", **task},
        "frames": 16,
        "metrics": {
            m: {"fingerprint": PRINT[m], "direction": units[m][0], "unit": units[m][1]}
            for m in metrics
        },
        "rows": list(rows),
        "comparisons": {"nulls": 48, "pairs": 24, "level": 0.05},
    }


def compare(*groups, differences=()):
    return {"schema": COMPARE, "groups": list(groups), "differences": list(differences)}


def names(model):
    return [r.source["method"] for r in model.rows]


def unescaped_markdown_cells(line):
    """Split a Markdown table line at its bare pipes."""
    return line.replace("\\|", "\0").strip("|").split("|")


def test_the_formats_need_no_array_library():
    code = (
        "import sys, vpbench.render.tables\n"
        "assert not {'numpy', 'pandas', 'torch', 'PIL', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Figures.


@pytest.mark.parametrize(
    ("value", "se", "wanted"),
    [
        (24.3111, 0.1234, "24.31 ± 0.12"),
        (24.3111, 0.354, "24.31 ± 0.35"),
        (24.3111, 0.355, "24.3 ± 0.4"),
        (24.3111, 0.96, "24.3 ± 1.0"),
        (24.3111, 0.0996, "24.31 ± 0.10"),
        (812.34, 8.13, "812 ± 8"),
        (812.34, 1.6, "812.3 ± 1.6"),
        (812.34, 97.0, "812 ± 97"),
        (-0.0131, 0.068, "-0.01 ± 0.07"),
        (-0.0001, 0.068, "0.00 ± 0.07"),
        (0.5, 1e-9, "0.500000 ± 0.000000"),
        (24.3111, None, "24.31"),
        (24.3111, 0.0, "24.31"),
        (-0.0001, None, "0.00"),
    ],
)
def test_figures_have_the_digits_that_their_error_warrants(value, se, wanted):
    assert format_score(figure(value, se=se), "psnr") == wanted


def test_usual_decimals_belong_to_the_metric():
    got = [format_score(figure(1.23456), m) for m in ("ssim", "fvd@styleganv", "fvd#12345678", "x")]
    assert got == ["1.2346", "1.2", "1.2", "1.235"]


def test_a_missing_figure_is_a_dash_with_its_reason():
    assert format_score(None, "psnr") == "—"
    assert format_score(figure(None), "psnr") == "—"
    assert format_score(figure(None, reason="not\nscored"), "psnr") == "— (not scored)"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_never_printed(bad):
    with pytest.raises(ValueError, match="not a number"):
        format_score(figure(bad), "psnr")
    with pytest.raises(ValueError, match="not a standard error"):
        format_score(figure(1.0, se=bad), "psnr")


def test_column_titles():
    assert column_title("psnr", "up", unit="dB") == "PSNR (dB) ↑"
    assert column_title("fvd@styleganv", "down") == "FVD@styleganv ↓"
    assert column_title("fvd", "down", "0123456789") == "FVD#01234567 ↓"
    assert column_title("fvd#89abcdef", "down", "0123456789") == "FVD#89abcdef ↓"
    assert column_title("action-2s", "") == "action-2s"


# The table.


def test_rows_are_ordered_by_what_they_are():
    model = table_model(
        group(
            row("noise", "null"),
            row("ours"),
            row("real-other", "floor"),
            row("paper", "reported"),
            row("nearest-train", "reference"),
            row("abc"),
            row("copy-last", "null"),
            row("real", "ceiling"),
            row("gt", "oracle"),
        )
    )
    assert names(model) == [
        "real",
        "real-other",
        "nearest-train",
        "ours",
        "paper",
        "abc",
        "gt",
        "noise",
        "copy-last",
    ]
    assert [r.dimmed for r in model.rows] == [True] * 3 + [False] * 4 + [True] * 2
    assert [k for k, r in enumerate(model.rows) if r.rule_above] == [3, 7]
    assert model.rows[6].cells[0].text == "gt (oracle)"
    assert model.title == "puppets, 16 frames"


def test_columns_that_say_nothing_are_left_out():
    def titles(*rows):
        return [c.title for c in table_model(group(*rows, metrics=["psnr"])).columns]

    assert titles(row("a"), row("b", n=None)) == ["method", "given", "PSNR (dB) ↑"]
    full = titles(row("a", uses=["label", "pose"]), row("b", n=89, samples=5))
    assert full == ["method", "given", "uses", "n", "S", "PSNR (dB) ↑"]


def test_reasons_and_notes_become_shared_notes():
    gone = figure(None, "fvd", reason="I3D weights are not here")
    scores = {"psnr": figure(24.0), "fvd": gone}
    model = table_model(
        group(
            row("a", notes=["chained"], scores=scores),
            row("b", notes=["chained", "adapted n=1"], scores=scores),
            row("c", scores={"psnr": figure(23.0, reason="identical: 3 of 90 clips")}),
        )
    )
    a, b, c = (r.cells for r in model.rows)
    assert [a[0].plain, b[0].plain, c[0].plain] == ["a [a]", "b [a,c]", "c"]
    assert [a[3].plain, b[3].plain, c[3].plain] == ["— [b]", "— [b]", "— [e]"]
    assert c[2].plain == "23.00 [d]"
    labelled = {n.label: n.text for n in model.notes if n.label}
    assert labelled == {
        "a": "chained: predicted in pieces, each from the end of the one before",
        "b": "I3D weights are not here",
        "c": "adapted n=1: a method for several given frames, retrained with one",
        "d": "identical: 3 of 90 clips",
        "e": "not scored",
    }
    assert table_notes(group(row("c", scores={})))[0] == "[a] not scored"


def test_a_method_that_never_ran_says_so_once():
    reason = "not run: `vpbench run li --dataset puppets`"
    scores = {m: score_json(None, n=0, fingerprint="", reason=reason) for m in PRINT}
    model = table_model(group(row("ours"), row("li", n=None, samples=None, scores=scores)))
    assert [c.plain for c in model.rows[1].cells] == ["li [a]", "1", "—", "—"]
    assert f"- <sup>a</sup> {reason}" in to_markdown(compare(group(row("li", scores=scores))))


def test_another_n_is_said_in_the_cell():
    scores = {"psnr": figure(24.0, n=79), "fvd": figure(150.0, "fvd")}
    model = table_model(group(row("a", scores=scores)))
    assert model.rows[0].cells[2].plain == "24.00 [a]"
    assert model.notes[0].plain == "[a] n = 79"


def test_ranks_are_shown():
    rows = [row(rank, scores={"psnr": figure(2.0, rank=rank)}) for rank in ("1–2", "3", "10")]
    model = table_model(group(*rows, metrics=["psnr"]))
    assert [r.cells[2].text for r in model.rows] == ["2.00 (1–2)", "2.00 (3)", "2.00 (10)"]
    assert (
        "(2–3) is a rank among rows of equal conditioning; a range is a tie (24 comparisons "
        "together, Holm: a false one in at most 5 % of tables)"
    ) in [note.text for note in model.notes]


def test_notes_of_the_whole_table():
    got = table_notes(
        group(
            row("ours", fit_seeds=[0], checkpoint="bundled"),
            row("copy-last", "null"),
            rendered=True,
        )
    )
    assert got == [
        "± is one standard error; the ± of two rows is not the ± of their difference",
        "n = 90 clips, 1 sample each",
        "one training run each: differences include training variance",
        "checkpoints: ours: bundled",
        "rendered figures: says nothing about photographic video",
        "fingerprints: psnr aaaaaaaa, fvd bbbbbbbb",
    ]


def test_training_variance_is_noted_for_methods_fitted_once():
    def noted(*rows):
        return [n for n in table_notes(group(*rows)) if "training variance" in n]

    one, three = row("one", fit_seeds=[0]), row("three", fit_seeds=[0, 1, 2])
    assert noted(row("untrained"), row("copy-last", "null", fit_seeds=[0])) == []
    assert noted(three) == []
    assert noted(one) == ["one training run each: differences include training variance"]
    assert noted(one, three) == [
        "one training run each (one): differences include training variance"
    ]
    assert noted(row("never", fit_seeds=[0], scores={})) == []
    two = row("two", fit_seeds=[0, 1])
    assert noted(two, one, three) == [
        "fewer than 3 training runs (two, one): differences include training variance"
    ]


def test_a_photographic_task_has_no_line_about_figures():
    assert not any("rendered" in note for note in table_notes(group(row("a"), rendered=False)))


def test_a_figure_of_another_fingerprint_is_refused():
    foreign = score_json(1.0, n=90, fingerprint="cc" * 8)
    with pytest.raises(Incomparable, match="psnr of a has the fingerprint cccccccc"):
        table_model(group(row("a", scores={"psnr": foreign})))
    reported = score_json(1.0, n=90, fingerprint="")
    assert table_model(group(row("a", "reported", scores={"psnr": reported})))


def test_many_notes_have_distinct_labels():
    rows = [row(f"m{k}", notes=[f"note {k}"]) for k in range(60)]
    labels = [n.label for n in table_model(group(*rows)).notes if n.label]
    assert len(set(labels)) == 60
    assert labels[25:28] == ["z", "aa", "ab"]


# Formats.

EVIL = "a|b_c&d%e#f*g<h>\\i$j{k}~l^m[n=1]\n`o"


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
    assert table[6].startswith("| *noise (null)*")
    assert lines[0] == "### puppets, 16 frames"


def test_markdown_keeps_code_and_lists_differences():
    got = to_markdown(
        compare(group(row("a", notes=["see `x_y *z*` or_not"])), differences=["n: 90 vs 80"])
    )
    assert "<sup>a</sup> see `x_y *z*` or\\_not" in got
    assert got.endswith("Not in one column:\n\n- n: 90 vs 80\n")


def test_latex_is_escaped():
    got = to_latex(compare(group(row(EVIL), row("real", "ceiling"), rendered=True)))
    assert (
        "a\\textbar{}b\\_c\\&d\\%e\\#f{*}g\\textless{}h\\textgreater{}\\textbackslash{}i\\$j\\{k\\}"
        "\\textasciitilde{}l\\textasciicircum{}m{[}n=1{]} \\textasciigrave{}o & 1 & "
        "24.30 $\\pm$ 0.12 & 152 $\\pm$ 8 \\\\" in got
    )
    assert "\\textcolor{gray}{real (same clips)}" in got
    assert "method & given & PSNR (dB) $\\uparrow$ & FVD $\\downarrow$ \\\\" in got
    assert got.count("\\midrule") == 2
    assert got.isascii()
    depth = 0
    for before, letter in zip(" " + got[:-1], got, strict=True):
        depth += (letter == "{") - (letter == "}") if before != "\\" else 0
        assert depth >= 0
    assert depth == 0


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
    assert [line["method"] for line in lines[::2]] == ["real", "ours", "noise"]
    assert [line["metric"] for line in lines] == ["psnr", "fvd"] * 3


def test_nothing_to_compare():
    assert to_markdown(compare()) == "Nothing to compare.\n"
    assert "Nothing to compare." in to_latex(compare())
    assert to_csv(compare()) == ",".join(CSV_FIELDS) + "\n"


def test_a_group_without_rows_or_metrics():
    assert table_notes(group()) == []
    markdown = to_markdown(compare(group()))
    assert markdown.splitlines()[2:] == [
        "| method | given | PSNR (dB) ↑ | FVD ↓ |",
        "| ------ | ----: | ----------: | ----: |",
    ]
    assert "\\bottomrule" in to_latex(compare(group()))
    assert to_csv(compare(group(row("a"), metrics=[]))) == ",".join(CSV_FIELDS) + "\n"
    assert "| a" in to_markdown(compare(group(row("a"), metrics=[])))


def test_an_object_read_from_json_will_do():
    obj = compare(group(row("ours"), row("noise", "null")))
    for write in (to_markdown, to_latex, to_csv):
        assert write(json.loads(json.dumps(obj, allow_nan=False))) == write(obj)
