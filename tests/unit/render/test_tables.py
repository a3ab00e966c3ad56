"""Tables from compare objects: rounding, order, notes."""

import math

import pytest

from tests.unit.render.table_toys import (
    PRINT,
    compare,
    figure,
    group,
    legend,
    names,
    row,
    table_notes,
)
from vpbench.api.errors import Incomparable
from vpbench.core.schema import score_json
from vpbench.render.model import View, shown_groups, table_model
from vpbench.render.tables import to_markdown
from vpbench.render.text import column_title, format_score

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
