"""Rows of one method: what is averaged, what is not, and by what rows are told apart."""

import pytest
from stored_rows import FRAMES, PSNR, clip_record, record, rng, run, shown
from test_recognition_rows import recognised, table

from vpbench.core.stats import mcnemar_exact
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.ranking import Column
from vpbench.harness.results.row_names import place_of, point_to_others, rows_of
from vpbench.harness.results.versus import versus
from vpbench.render.tables import to_csv
from vpbench.render.versus import versus_model

DIVERSITY = Column("diversity", "dd", {}, "up", "%", "clip")
BASE = rng(1).normal(20, 1, 30)


def runs_of(*options, method="mine"):
    return [run(clip_record(BASE + k), method=method, **own) for k, own in enumerate(options)]


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ([{"seed": 0}, {"seed": 1}, {"seed": 2}], ["mine"]),
        ([{"samples": 4}, {"samples": 4, "seed": 1}], ["mine"]),
        ([{"train_on": "train+val"}], ["mine"]),
        ([{}, {"train_on": "train+val"}], ["mine", "mine (train+val)"]),
        ([{"seed": 0}, {"seed": 1, "samples": 4}], ["mine (1 sample)", "mine (4 samples)"]),
        (
            [{}, {"samples": 4}, {"samples": 4, "train_on": "train+val"}],
            ["mine (1 sample)", "mine (4 samples)", "mine (train+val, 4 samples)"],
        ),
    ],
)
def test_only_seeds_are_averaged_and_every_row_has_a_name_of_its_own(options, labels):
    runs = runs_of(*options)
    rows = rows_of("mine", [*runs, *runs_of({"samples": 9}, method="other")])
    assert [row.label for row in rows] == labels
    assert sum(len(row.runs) for row in rows) == len(runs)
    assert len({run.key for run in runs}) == len(runs)
    entries, _ = shown(*rows, columns={"psnr": PSNR})
    for row, entry in zip(rows, entries, strict=True):
        own = [runs.index(one) for one in row.runs]
        assert entry["scores"]["psnr"]["value"] == pytest.approx(BASE.mean() + sum(own) / len(own))
        assert {one.inputs["samples"] for one in row.runs} == {entry["samples"]}
    assert place_of(labels[-1], rows) == len(rows) - 1 and place_of("mine", rows) == 0
    assert place_of("other", rows) is None


def group_against(chosen):
    """A table of `base` and of `mine` trained on train and on train+val, 1 and 3 dB above it."""
    mine: list[FinishedRun] = []
    for shift, part in ((1, "train"), (3, "train+val")):
        noise = rng(shift).normal(0, 0.1, 30)
        mine.append(run(clip_record(BASE + shift + noise - noise.mean()), train_on=part))
    rows = [*rows_of("base", [run(clip_record(BASE), method="base")]), *rows_of("mine", mine)]
    columns = {"psnr": PSNR}
    entries, comparisons = shown(*rows, columns=columns)
    return {
        "task": {"id": "t"},
        "frames": FRAMES,
        "metrics": {"psnr": {"fingerprint": "aa", "direction": "up", "unit": "dB"}},
        "rows": entries,
        "comparisons": comparisons,
        "to_run": "",
        "versus": versus(place_of(chosen, rows), rows, entries, FRAMES, columns),
    }


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ("base", {"mine": "+1.0", "mine (train+val)": "+3.0"}),
        ("mine", {"base": "-1.0", "mine (train+val)": "+2.0"}),
        ("mine (train+val)", {"base": "-3.0", "mine": "-2.0"}),
    ],
)
def test_differences_stand_beside_their_own_row_in_every_format(chosen, wanted):
    group = group_against(chosen)
    model = versus_model(group)  # that every format but CSV draws
    assert model is not None
    shown_here = {row.cells[0].text: row.cells[1].text[:4] for row in model.rows}
    assert shown_here == wanted and model.title[1] == f"less {chosen}"
    obj = {"schema": "", "groups": [group], "differences": []}
    lines = [line.split(",") for line in to_csv(obj).splitlines()]
    row, base, difference = (lines[0].index(n) for n in ("row", "versus", "difference"))
    got = {line[row]: line[difference] for line in lines[1:] if line[difference]}
    assert {name: f"{float(text):+.1f}" for name, text in got.items()} == wanted
    assert {line[base] for line in lines[1:]} == {chosen}


def test_mcnemar_pairs_both_rows_of_a_method():
    """The first row alone is right on 4 clips, and the other row of its method on 6 more."""
    answers = {
        "train": [[k % 3 if k < 4 else (k + 1) % 3] for k in range(12)],
        "train+val": [[k % 3 if k < 10 else (k + 1) % 3] for k in range(12)],
    }
    runs = [run(recognised(own), train_on=part) for part, own in answers.items()]
    found = table(*rows_of("mine", runs))["action"]
    assert [row["row"] for row in found["rows"]] == ["mine", "mine (train+val)"]
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"]) == ("mine", "mine (train+val)")
    assert (pair["only_a"], pair["only_b"], pair["p"]) == (0, 6, mcnemar_exact(0, 6))


def test_a_row_of_too_few_samples_points_to_the_one_that_has_them():
    advice = "1 sample a clip, diversity needs 2 or more: run with --samples 2"
    few = record(DIVERSITY, {}, None, reason=advice)
    many = record(DIVERSITY, {"000": 3.0}, 3.0)
    columns = {"diversity": DIVERSITY}

    def reasons(*runs):
        rows = rows_of("mine", runs)
        entries, _ = shown(*rows, columns=columns)
        point_to_others(rows, entries)
        return [entry["scores"]["diversity"]["reason"] for entry in entries]

    assert reasons(run(few)) == [advice]
    assert reasons(run(few), run(many, samples=4)) == [
        "1 sample a clip, diversity needs 2 or more: mine (4 samples) has it",
        None,
    ]
    # Of another training it is another figure.
    assert reasons(run(few), run(many, samples=4, train_on="train+val")) == [advice, None]
