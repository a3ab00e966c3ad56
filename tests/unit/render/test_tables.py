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
from vpbench.render.model import View, shown_groups, table_model
from vpbench.render.notes import table_notes as notes_of
from vpbench.render.tables import CSV_FIELDS, to_csv, to_latex, to_markdown
from vpbench.render.text import column_title, format_score

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
        "missed": [],
        "doubts": [],
        "tied": [],
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
        "to_run": "",
    }


def compare(*groups, differences=()):
    return {"schema": COMPARE, "groups": list(groups), "differences": list(differences)}


def table_notes(of):
    return [note.plain for note in notes_of(of, of["rows"])]


def legend(of):
    return [line.text for line in table_model(of).legend]


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
    assert column_title("psnr", "up", unit="dB") == "PSNR ↑ dB"
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
        "ours",
        "paper",
        "abc",
        "gt",
        "real-other",
        "real",
        "nearest-train",
        "noise",
        "copy-last",
    ]
    assert [r.dimmed for r in model.rows] == [False] * 4 + [True] * 5
    assert [k for k, r in enumerate(model.rows) if r.rule_above] == [4]
    assert model.rows[3].cells[0].flags == ("o",)
    assert [r.cells[0].text for r in model.rows[4:]] == [
        "other real clips",
        "same clips",
        "nearest train clip",
        "noise",
        "copy last frame",
    ]


def test_the_line_above_says_what_was_measured():
    rows = [row("ours", fit_seeds=[0], checkpoint="bundled"), row("copy-last", "null")]
    got = table_model(group(*rows, size=64)).title
    assert got == (
        "puppets",
        "test",
        "n = 90 clips",
        "64x64 px",
        "given -> 16 predicted frames",
        "1 sample",
        "1 training run; no ranks",
    )
    rows[0]["fit_seeds"], rows[1]["n"], rows[1]["samples"] = [0, 1, 2], 89, 5
    got = table_model(group(*rows, subset="long", split_hash="ab")).title
    assert got == ("puppets", "subset long", "given -> 16 predicted frames", "3 training runs")


def test_few_references_are_shown_unless_asked_for():
    rows = [row("ours"), *(row(n, "null") for n in ("copy-last", "blur-copy", "noise"))]
    rows += [row("real", "ceiling")]

    def shown(view):
        model = table_model(group(*rows), view)
        return names(model), model.hidden

    assert shown(View()) == (["ours", "copy-last"], 3)
    assert shown(View(names=("noise",))) == (["ours", "copy-last", "noise"][:3], 2)
    assert len(shown(View(references="all"))[0]) == 5


def test_the_own_horizon_is_shown_and_other_tables_on_request():
    def of(frames, **task):
        return {**group(row("a"), **{"horizon": 32, **task}), "frames": frames}

    obj = compare(of(16), of(32), of(32, subset="long"), of(16, id="other", horizon=20))
    assert shown_groups(obj, View(all_groups=True)) == obj["groups"]
    assert shown_groups(obj, View()) == obj["groups"][1:]


def test_the_table_of_a_subset_is_short_below_that_of_all_clips():
    rows = [row("ours"), row("copy-last", "null"), row("real-other", "floor")]
    part = group(*rows, subset="long", split_hash="ab")
    short, whole = table_model(part, View()), table_model(part)
    assert (names(short), short.legend) == (["ours"], ())
    assert len(whole.rows) == 3 and whole.legend
    assert names(table_model(part, View(names=("copy-last",)))) == ["ours", "copy-last"]
    alone = group(row("copy-last", "null"), subset="long", split_hash="ab")
    assert names(table_model(alone, View())) == ["copy-last"]


def test_the_ceiling_against_itself_is_a_dash():
    scores = {"fvd": figure(-34.0, "fvd", p=1.0), "psnr": figure(107.0)}
    model = table_model(group(row("real", "ceiling", scores=scores)))
    assert [c.text for c in model.rows[0].cells[2:]] == ["107.00", "—"]


def test_columns_that_say_nothing_are_left_out():
    def titles(*rows):
        return [c.title for c in table_model(group(*rows, metrics=["psnr"])).columns]

    assert titles(row("a"), row("b", n=None)) == ["method", "given", "PSNR ↑ dB"]
    full = titles(row("a", uses=["label", "pose"]), row("b", n=89, samples=5))
    assert full == ["method", "given", "uses", "n", "samples", "PSNR ↑ dB"]
    missed = titles(row("a", missed=["ours:motion: joint error 0.9, at most 0.8"]), row("b"))
    assert missed == ["method", "given", "PSNR ↑ dB", "checks"]


def test_reasons_stand_below_the_table_once():
    gone = figure(None, "fvd", reason="I3D weights are not here")
    scores = {"psnr": figure(24.0), "fvd": gone}
    some = [row("a", scores=scores), row("b", scores=scores)]
    assert "— FVD: I3D weights are not here" in legend(group(*some))
    other = row("c", scores={"psnr": figure(23.0, reason="identical: 3 of 90 clips")})
    assert legend(group(*some, other))[:2] == [
        "— a, b FVD: I3D weights are not here",
        "— c FVD: not scored",
    ]
    assert [c.text for c in table_model(group(*some)).rows[0].cells] == ["a", "1", "24.00", "—"]
    assert table_notes(group(*some, other))[:4] == [
        "a: FVD: I3D weights are not here",
        "b: FVD: I3D weights are not here",
        "c: PSNR: identical: 3 of 90 clips",
        "c: FVD: not scored",
    ]


def test_letters_behind_names_are_explained():
    rows = [
        row("a", notes=["reimplementation (rewritten for vpbench), preset cpu", "chained"]),
        row("b", notes=["adapted n=1", "not comparable: --limit 8"], doubts=["code changed"]),
        row("c", notes=["a note", "trained on train+val"]),
    ]
    of = group(*rows)
    assert [r.cells[0].flags for r in table_model(of).rows] == [("r", "c"), ("a", "x", "?"), ("t",)]
    said = {line.flag: line.text for line in table_model(of).legend if line.flag}
    assert list(said) == ["r", "c", "a", "t", "x", "?"]
    assert said["r"] == "reimplementation, preset cpu"
    assert said["x"] == "not ranked: --limit 8"
    rows[2]["notes"] += ["reimplementation (rewritten for vpbench), preset gpu"]
    assert "reimplementation" in legend(of)


def test_a_method_that_never_ran_says_so_once():
    reason = "not run: `vpbench run li --dataset puppets`"
    scores = {m: score_json(None, n=0, fingerprint="", reason=reason) for m in PRINT}
    of = group(row("ours"), row("li", n=None, samples=None, scores=scores))
    of["to_run"] = "vpbench run li --dataset puppets"
    assert [c.text for c in table_model(of).rows[1].cells] == ["li", "1", "—", "—"]
    assert legend(of)[0] == "— not run: `vpbench run li --dataset puppets`"
    assert sum("not run" in text for text in legend(of)) == 1
    assert f"- li: {reason}" in to_markdown(compare(of))


def test_many_reasons_are_counted():
    failed = {m: score_json(None, n=0, fingerprint="", reason="") for m in PRINT}
    rows = [
        row(f"m{k}", scores={m: {**s, "reason": f"failed: {k}"} for m, s in failed.items()})
        for k in range(9)
    ]
    assert legend(group(*rows))[:4] == [
        "— m0: failed: 0",
        "— m1: failed: 1",
        "— m2: failed: 2",
        "— 6 more: --notes",
    ]


def test_another_n_is_noted():
    scores = {"psnr": figure(24.0, n=79), "fvd": figure(150.0, "fvd")}
    assert table_notes(group(row("a", scores=scores)))[0] == "a: PSNR: n = 79"


def test_ranks_are_shown():
    rows = [row(rank, scores={"psnr": figure(2.0, rank=rank)}) for rank in ("1–2", "3", "10")]
    model = table_model(group(*rows, metrics=["psnr"]))
    assert [r.cells[2].figure for r in model.rows] == ["2.00 (1–2)", "2.00 (3)", "2.00 (10)"]
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
        "one training run each: differences include training variance",
        "checkpoints: ours: bundled",
        "rendered figures: says nothing about photographic video",
        "names of references: copy last frame is copy-last",
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
    for of in (table_notes, legend):
        assert not any("rendered" in t.lower() for t in of(group(row("a"), rendered=False)))
        assert any("rendered" in t.lower() for t in of(group(row("a"), rendered=True)))


def test_a_figure_of_another_fingerprint_is_refused():
    foreign = score_json(1.0, n=90, fingerprint="cc" * 8)
    with pytest.raises(Incomparable, match="psnr of a has the fingerprint cccccccc"):
        table_model(group(row("a", scores={"psnr": foreign})))
    reported = score_json(1.0, n=90, fingerprint="")
    assert table_model(group(row("a", "reported", scores={"psnr": reported})))


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
