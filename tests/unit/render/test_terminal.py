"""Tables on terminals of any width: no digit is cut, no column is lost unsaid."""

import random
import re

import pytest

from tests.unit.render.table_toys import compare, group, legend, row
from vpbench.core.schema import score_json
from vpbench.render.model import View, table_model
from vpbench.render.tables import models, to_csv, to_markdown
from vpbench.render.terminal import MOST_LINES, break_name, draw_table, plain_lines
from vpbench.render.text import width
from vpbench.render.versus import versus_model

WIDTHS = range(50, 161)
POINTERS = ("27 notes: --notes", "paper: --format tex", "all references: --references all")
METRICS = {
    "fvd": ("down", "", 1500.0, 110.0),
    "kvd": ("down", "", 250.0, 35.0),
    "psnr": ("up", "dB", 19.0, 0.2),
    "ssim": ("up", "", 0.6, 0.004),
    "action": ("up", "%", 61.0, 5.0),
    "psnr@frames": ("up", "dB", 20.0, 0.25),
    "fvd@styleganv": ("down", "", 1490.0, 100.0),
}


def scores(of, metrics, kind, *, se=True):
    made = {}
    for name in metrics:
        _, _, centre, error = METRICS[name]
        value, error = centre * of.uniform(0.5, 1.5), error * of.uniform(0.3, 3)
        p = of.choice([0.0003, 0.014, 0.18, 1.0]) if kind in ("floor", "reference") else None
        sets = name.startswith(("fvd", "kvd"))
        made[name] = score_json(
            value,
            n=90,
            fingerprint=name,
            se=error if se else None,
            bias=error * 3 if sets else None,
            corrected=value - error * 3 if sets else None,
            p=p if sets else None,
        )
    return made


def made_group(seed, metrics=("fvd", "kvd", "psnr", "ssim"), names=("ours", "villegas"), **how):
    """A comparison as `compare` gives it, with figures drawn at random."""
    of = random.Random(seed)
    rows = []
    for name in names:
        null = {
            "metric": next(iter(metrics), ""),
            "null": "copy-last",
            "difference": 1.0,
            "se": 1.0,
        }
        null |= {"ci95": [0, 2], "p": 0.5, "reason": None}
        null["claim"] = of.choice(["better", "not better", "worse"])
        rows.append(
            row(
                name,
                scores=scores(of, metrics, "method", **how),
                uses=of.choice([["label"], ["pose (training)"], ["label", "pose (training)"]]),
                notes=[f"reimplementation, preset {of.choice('ab')}", "a note"],
                missed=["x: y 1, at most 0"] * of.randrange(5),
                doubts=of.choice([[], ["code changed since (a)"]]),
                tied=list(metrics[-1:]),
                nulls=[null] if how.get("se", True) else [],
                fit_seeds=[0],
                checkpoint="bundled",
            )
        )
    kinds = {"real-other": "floor", "nearest-train": "reference", "copy-last": "null"}
    kinds |= {"noise": "null", "real": "ceiling"}
    for name, kind in kinds.items():
        rows.append(row(name, kind, scores=scores(of, metrics, kind, **how)))
    made = group(*rows, metrics=(), size=64, horizon=16, rendered=True)
    made["metrics"] = {
        m: dict(zip(("direction", "unit"), METRICS[m], strict=False)) for m in metrics
    }
    for name, metric in made["metrics"].items():
        metric["fingerprint"] = name
    return made


def failing():
    made = made_group(3)
    lost = {
        m: score_json(None, n=0, fingerprint=m, reason="failed: out of memory") for m in METRICS
    }
    made["rows"].insert(1, row("li", scores=lost, n=None, samples=None))
    made["to_run"] = "vpbench run 'wichers[preset=smoke]' --dataset puppets --root /a/folder"
    return made


COMPARISONS = {
    "four metrics": made_group(0, names=("ours", "villegas", "wichers", "li")),
    "a metric": made_group(1, metrics=("ssim",)),
    "seven metrics": made_group(2, metrics=tuple(METRICS)),
    "long names": made_group(4, names=("ours[preset=gpu,motion=flow-matching,skips=on]", "a")),
    "no errors": made_group(5, se=False),
    "failures": failing(),
    "nothing": made_group(6, metrics=()),
    "versus": None,
}


def versus_group():
    made = made_group(7)
    pairs = [
        {
            "metric": metric,
            "method": of["method"],
            "row": of["row"],
            "kind": of["kind"],
            "difference": METRICS[metric][2] * 0.1 * (1 if k % 2 else -1),
            "se": METRICS[metric][3],
            "ci95": None,
            "p": 0.01,
            "claim": ("better", "not told apart", "worse")[k % 3],
            "detectable": METRICS[metric][3] * 2.8,
            "reason": None,
        }
        for k, of in enumerate(made["rows"][1:])
        for metric in made["metrics"]
    ]
    made["versus"] = {
        "method": "ours",
        "row": "ours",
        "comparisons": len(pairs),
        "level": 0.05,
        "pairs": pairs,
    }
    return made


COMPARISONS["versus"] = versus_group()


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("references", ["few", "all"])
def test_no_digit_is_cut_and_no_column_is_lost_unsaid_at_any_width(name, references):
    for model in models(compare(COMPARISONS[name]), View(references)):
        for columns in WIDTHS:
            lines = plain_lines(draw_table(model, columns, pointers=POINTERS))
            check_whole(model, lines, columns)


def check_whole(model, lines, columns):
    text = "\n".join(lines)
    grid, _, below = text.rpartition("\n\n")
    left_out = re.findall(r"^left out: (.*?) \(", below, re.MULTILINE)
    omitted = left_out[0].split(", ") if left_out else []
    unbreakable = max(
        (width(w) for c in model.rows for w in re.split(r"[\s,\[]", c.cells[0].text)), default=0
    )
    assert all(width(line) <= max(columns, unbreakable) for line in lines), columns
    assert "…" not in text and len(below.split("\n")) <= MOST_LINES + 2 * ("not run" in below)
    for column in model.columns[1:]:
        assert column.title in grid or column.title in omitted, (columns, column)
    for drawn in model.rows:
        figures = [c for c, of in zip(drawn.cells, model.columns, strict=True) if of.metric]
        for cell in figures:
            whole = re.escape(cell.text) + (r" ± +" if cell.error else "")
            if "±" in omitted:
                whole = re.escape(cell.text)
            elif cell.error:
                whole += re.escape(cell.error)
            elif cell.p:
                whole += " " + re.escape(cell.p)
            assert re.search(rf"(?<![\d.]){whole}(?![\d.])", grid), (columns, cell)
    assert ("±" in grid) == (
        "±" not in omitted and any(c.error for r in model.rows for c in r.cells)
    )


def test_uses_go_first_then_errors_then_columns():
    model = table_model(COMPARISONS["four metrics"], View())
    steps = []
    for columns in reversed(WIDTHS):
        text = "\n".join(plain_lines(draw_table(model, columns)))
        out = re.findall(r"left out: (.*?) \(", text)
        steps.append(out[0] if out else "blocks" if "\n  FVD ↓" in text else "")
    assert list(dict.fromkeys(steps)) == ["", "uses", "uses, ±, p", "blocks"]
    assert steps[160 - 100] == "" and steps[160 - 80] != "blocks"


def test_columns_are_of_equal_width():
    model = table_model(made_group(8), View("all"))
    lines = plain_lines(draw_table(model, 160))
    head = next(k for k, line in enumerate(lines) if line.startswith(" method"))
    places = [[m.start() for m in re.finditer("±", line)] for line in lines[head:]]
    full = [at for at in places if len(at) == 4]
    assert len(full) >= 4 and all(at == full[0] for at in full)


def test_styles_mark_the_best_and_what_is_not_told_apart():
    made = made_group(9, metrics=("psnr",), names=("ours", "li"))
    for method, value in zip(made["rows"], (20.0, 21.0), strict=False):
        method["scores"]["psnr"]["value"] = value
    spans = [span for line in draw_table(table_model(made, View()), 100) for span in line]
    styles = {span.text: span.style for span in spans if "2" in span.text and "±" in span.text}
    assert {"bold", "underline"} == set(styles.values()) - {"dim"}
    (best,) = (text for text, style in styles.items() if style == "bold")
    assert best.startswith("21.0")
    assert any("bold: best value shown, underlined" in span.text for span in spans)
    unstyled = plain_lines(draw_table(table_model(made, View()), 100, styled=False))
    assert not any("bold:" in line for line in unstyled)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ours", ["ours"]),
        ("ours[preset=gpu,motion=flow]", ["ours[preset=gpu,", " motion=flow]"]),
        ("x" * 50, ["x" * 24, " " + "x" * 24, " xx"]),
        ("", [""]),
    ],
)
def test_long_names_break_at_commas(name, wanted):
    assert break_name(name, 24) == wanted


def test_differences_are_a_table_of_their_own():
    obj = compare(COMPARISONS["versus"])
    _, against = models(obj, View())
    assert against.title[1] == "less ours"
    assert against.rows[0].cells[1].text == "-150" and against.rows[1].cells[1].text == "+150"
    assert [r.cells[1].mark for r in against.rows[:3]] == ["", "≈", "▼"]
    said = [line.text for line in against.legend]
    assert "≈ not told apart from ours" in said
    assert (
        "One comparison alone (5 %) finds, 4 times in 5 at n = 90, true differences of FVD 310, "
        "KVD 98, PSNR 0.56 dB, SSIM 0.011; a mark needs larger ones."
    ) in said
    alone = {**COMPARISONS["versus"]["versus"]}
    alone["pairs"] = [p for p in alone["pairs"] if p["metric"] == "fvd"][:1]
    lines = versus_model({**COMPARISONS["versus"], "versus": alone}).legend
    assert any(line.text.endswith("true differences of FVD 310.") for line in lines)
    assert "less ours" in to_markdown(obj) and "ours,-150.0,110.0,0.01,better,308.0" in to_csv(obj)
    assert legend(COMPARISONS["versus"]) == legend(made_group(7))
