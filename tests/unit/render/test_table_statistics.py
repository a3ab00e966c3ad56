"""What tables say of bias, nulls and ranks, and how they fit a terminal."""

import pytest

from tests.unit.render.table_toys import compare, figure, group, legend, row, table_notes
from vpbench.render.model import table_model
from vpbench.render.tables import to_csv, to_latex, to_markdown
from vpbench.render.text import format_p, short_p


def fvd(value, se, bias, n=90, **more):
    return figure(
        value, "fvd", n=n, se=se, bias=bias, corrected=value - bias, corrected_se=se, **more
    )


def null(metric, claim, difference=118.0, se=43.0, name="copy-last", reason=None):
    return {
        "metric": metric,
        "null": name,
        "difference": difference,
        "se": se,
        "ci95": None if se is None else [difference - 2 * se, difference + 2 * se],
        "p": None if claim is None else 0.01,
        "claim": claim,
        "reason": reason,
    }


def one(method, score, kind="method", **more):
    return row(method, kind, scores={"fvd": score}, **more)


def notes(*rows, metrics=("fvd",)):
    return table_notes(group(*rows, metrics=metrics))


OURS, PLAIN = one("ours", fvd(988.0, 96.0, 273.5)), one("plain", fvd(1772.3, 138.2, 301.8))
OTHER = one("real-other", fvd(499.7, 35.1, 402.1), "floor")


def test_the_value_is_printed_plain_and_its_bias_below():
    (cell,) = (r.cells[2] for r in table_model(group(OURS, metrics=["fvd"])).rows)
    assert cell.marked == "988 ± 96"
    assert (
        "FVD without the bias of few clips, by which rows are compared: ours 714 (bias 274)"
        in notes(one("ours", fvd(988.0, 96.0, 273.6)))
    )


def test_what_two_sets_of_real_clips_give_comes_from_their_row():
    line = "FVD: two sets of real clips give about {} at n = {}, 0 with many"
    assert line.format(500, 90) in notes(OURS, OTHER)
    assert line.format(880, 45) in notes(OURS, one("x", fvd(876.0, 60.0, 700.0, n=45), "floor"))
    assert line.format(1200, 30) in notes(OURS, one("x", fvd(1234.0, 60.0, 700.0, n=30), "floor"))
    assert not any("two sets" in n for n in notes(OURS))


@pytest.mark.parametrize(("n", "said"), [(59, True), (60, False), (90, False)])
def test_few_clips_make_the_correction_unreliable(n, said):
    got = notes(one("ours", fvd(988.0, 96.0, 273.0, n=n), n=n))
    line = f"FVD is unreliable at n = {n} < 60: the bias estimate finds half of it"
    assert (line in got) == said
    own = fvd(988.0, 96.0, 273.0, n=n, reason=f"n = {n} < 60: unreliable: it finds half of it")
    assert line not in notes(one("ours", own, n=n))


def test_a_metric_without_bias_has_no_line_about_it():
    for score in (fvd(988.0, 96.0, -4.0), fvd(988.0, 96.0, 0.0), figure(988.0, "fvd", se=96.0)):
        assert not any("bias" in n for n in notes(one("ours", score), OTHER | {"scores": {}}))


def test_the_best_figure_is_the_best_without_bias():
    """Plain values say otherwise."""
    rows = (one("a", fvd(1000.0, 9.0, 300.0)), one("b", fvd(950.0, 9.0, 200.0)))
    nulls = one("copy-last", fvd(100.0, 9.0, 50.0), "null")
    limited = one("c", fvd(10.0, 9.0, 5.0), not_comparable=["--limit 8"])

    def bold(*shown):
        model = table_model(group(*shown, metrics=["fvd"]))
        return [r.source["method"] for r in model.rows if r.cells[2].bold]

    assert bold(*rows, nulls, limited) == ["a"]
    assert bold(rows[0], nulls) == []
    up = [row(m, scores={"psnr": figure(v)}) for m, v in (("x", 20.0), ("y", 21.0), ("z", None))]
    model = table_model(group(*up, metrics=["psnr"]))
    assert [r.cells[2].bold for r in model.rows] == [False, True, False]


def test_marks_stand_behind_the_figure():
    rows = [
        one(
            "worse",
            fvd(1.0, 0.5, 0.0),
            nulls=[null("fvd", "better", -9.0, name="noise"), null("fvd", "worse")],
        ),
        one("tie", fvd(1.0, 0.5, 0.0), nulls=[null("fvd", "not better"), null("psnr", "worse")]),
        one("better", fvd(1.0, 0.5, 0.0), nulls=[null("fvd", "better")]),
        one("unknown", fvd(1.0, 0.5, 0.0), nulls=[null("fvd", None, se=None, reason="few")]),
    ]
    model = table_model(group(*rows, metrics=["fvd"]))
    assert [r.cells[2].mark for r in model.rows] == ["▼", "≈", "", ""]
    assert model.rows[0].cells[2].marked == "1.0 ± 0.5 ▼"
    assert (
        "≈ not shown to beat a trivial baseline, ▼ worse than one (48 comparisons together, "
        "Holm: a false one in at most 5 % of tables)"
    ) in [note.text for note in model.notes]
    obj = compare(group(*rows, metrics=["fvd"]))
    assert "1.0 ± 0.5 ▼" in to_markdown(obj)
    assert "$_{\\pm 0.5}$}$^{\\bigtriangledown}$" in to_latex(obj) and to_latex(obj).isascii()
    assert "≈ not shown to beat, ▼ worse than a trivial baseline (95 %)" in legend(obj["groups"][0])


def test_marks_need_no_note():
    marked = one(
        "li", fvd(2.0, 1.0, 0.0), nulls=[null("fvd", "worse")], notes=["worse than copy-last (fvd)"]
    )
    assert not any(text.startswith("li: ") for text in notes(marked))
    other = one("li", fvd(2.0, 1.0, 0.0), nulls=[], notes=["worse than expected"])
    assert notes(other)[0] == "li: worse than expected"


def test_the_nearest_null_is_named_with_its_own_error():
    wichers = one(
        "wichers",
        fvd(2149.0, 141.0, 212.0),
        nulls=[
            null("fvd", "better", -3159.0, 82.0, "noise"),
            null("fvd", "worse", 118.2, 43.2),
            null("fvd", "better", -214.0, 50.0, "blur-copy"),
            null("psnr", "better", 0.1, 0.01, "noise"),
        ],
    )
    li = one(
        "li",
        fvd(2077.0, 112.0, 269.0),
        nulls=[
            null("fvd", "not better", -13.0, 70.0, "blur-copy"),
            null("fvd", "worse", 400.0, 60.0),
        ],
    )
    assert (
        "FVD less that of the nearest trivial baseline, over the same clips: wichers +118 ± 43 "
        "(copy-last) ▼, li -13 ± 70 (blur-copy) ≈ and +400 ± 60 (copy-last) ▼"
    ) in notes(wichers, li)


def test_the_error_of_a_row_is_not_that_of_a_difference():
    assert notes(OURS)[0] == (
        "± is one standard error; the ± of two rows is not the ± of their difference"
    )


def test_too_few_clips_for_any_comparison_say_so():
    few = "5 independent groups of clips, 8 are needed"
    got = notes(one("ours", fvd(9.0, None, 1.0), nulls=[null("fvd", None, 1.0, None, reason=few)]))
    assert f"no comparison with trivial baselines: {few}" in got
    assert not any("▼" in n for n in got)


def test_real_clips_have_a_p_value_in_place_of_an_error():
    rows = [
        one(kind, figure(6.7, "fvd", se=12.0, p=0.21), kind)
        for kind in ("floor", "reference", "ceiling", "null", "method")
    ]
    model = table_model(group(*rows, metrics=["fvd"]))
    shown = {r.source["kind"]: r.cells[2].figure for r in model.rows}
    assert shown == {
        "ceiling": "—",
        "floor": "7 p=.21",
        "reference": "7 p=.21",
        "null": "7 ± 12",
        "method": "7 ± 12",
    }
    assert any(note.text.startswith("p: ") for note in model.notes)
    assert format_p(0.00012) == "p < 0.001"
    assert [format_p(p) for p in (0.04321, 0.1, 1.0)] == ["p = 0.043", "p = 0.10", "p = 1.00"]
    assert [short_p(p) for p in (0.00012, 0.04321, 0.1, 1.0)] == [
        "p<.001",
        "p=.043",
        "p=.10",
        "p=1.00",
    ]


def test_csv_has_bias_and_rank():
    import csv
    import io

    obj = compare(group(one("a", fvd(1000.5, 9.0, 300.25, rank="1–2")), metrics=["fvd"]))
    (line,) = csv.DictReader(io.StringIO(to_csv(obj)))
    assert (line["bias"], line["corrected"], line["corrected_se"]) == ("300.25", "700.25", "9.0")
    assert (line["rank"], line["p"]) == ("1–2", "")
