"""What papers report is read strictly, and whether it is reproduced is computed."""

from dataclasses import replace
from pathlib import Path

import pytest

from vpbench.api.errors import Corrupt
from vpbench.board.reported import Settings, papers_of, read_reported
from vpbench.board.reproduction import Measured, reproduction

PATH = Path(__file__).parents[3] / "leaderboards" / "reported.toml"

TEXT = """
[papers.p]
title = "T"
authors = "A"
venue = "V"
[papers.p.settings]
m = { given = 1, size_d = 64, frames = 16 }
[methods.m]
title = "M"
measured = "mine"
variants = { "small" = "mine[width=4]" }
[metrics.psnr]
title = "PSNR"
direction = "up"
[metrics.action]
title = "actions"
direction = "up"
unit = "%"
factor = 100
[[reported]]
paper = "p"
table = 2
metric = "psnr"
dataset = "d"
method = "m"
value = 20.0
n = 90
"""


def read(folder, text):
    path = folder / "reported.toml"
    path.write_text(text)
    return read_reported(path)


def test_the_file_of_the_project_says_who_stands_for_whom():
    figures = read_reported(PATH).figures
    by_variant = {(f.method, f.title.partition(", without")[1]): f.measured for f in figures}
    assert by_variant["kim", ""] == "ours"
    assert by_variant["kim", ", without"] == "ours[label=off]"
    assert {f.dataset for f in figures} == {"penn", "nemo", "mgif"}
    first = figures[0]
    assert first.settings == Settings(n=90, given=1, size=128, frames=32)
    assert [p.key for p in papers_of(figures)] == ["kim2019"]


def test_a_missing_file_reports_nothing(tmp_path):
    assert read_reported(tmp_path / "reported.toml").figures == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[papers.p]", "[papers.p", "not valid TOML"),
        ('title = "T"', 'titel = "T"', "titel"),
        ("value = 20.0", "value = nan", "not a finite number"),
        ("value = 20.0", 'value = "20"', "must be a number"),
        ('paper = "p"', 'paper = "q"', "unknown paper 'q'"),
        ('method = "m"', 'method = "x"', "unknown method 'x'"),
        ('metric = "psnr"', 'metric = "fvd"', "unknown metric 'fvd'"),
        ('direction = "up"', 'direction = "left"', "direction"),
        ("given = 1, ", "gave = 1, ", "unknown 'gave'"),
        ("n = 90", "n = 90\nodd = 1", "odd"),
        ("n = 90", "n = true", "reported[0].n"),
    ],
)
def test_a_faulty_file_is_a_sentence_with_the_place(tmp_path, old, new, said):
    assert TEXT.count(old) >= 1
    with pytest.raises(Corrupt, match=r"reported\.toml") as error:
        read(tmp_path, TEXT.replace(old, new))
    assert said in str(error.value)


SAME = Settings(n=90, given=1, size=64, frames=16)
FIGURE = Measured("d/mine", "d", "mine", "psnr", 20.4, (19.9, 20.9), SAME)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, "reproduced", "inside"),
        ({"ci95": (20.1, 20.9)}, "off", "outside"),
        ({"ci95": (20.0, 20.9)}, "reproduced", "inside"),  # the end belongs to the interval
        ({"ci95": None}, "unknown", "no interval"),
        ({"dataset": "e"}, "unknown", "no measured entry"),
        ({"method": "mine[width=4]"}, "unknown", "no measured entry"),
        ({"metric": "ssim"}, "unknown", "no measured entry"),
        ({"recalled": "wrong"}, "unknown", "no measured entry"),
        ({"settings": replace(SAME, n=70)}, "unknown", "test clips: paper 90, entry 70"),
        ({"settings": replace(SAME, frames=32)}, "unknown", "predicted frames: paper 16, entry 32"),
        ({"settings": replace(SAME, size=None)}, "unknown", "paper 64, entry unknown"),
    ],
)
def test_reproduction_follows_from_interval_and_conditions(tmp_path, changes, status, said):
    (row,) = read(tmp_path, TEXT).figures
    found = reproduction(row, [replace(FIGURE, **changes)])
    assert (found.status, said in found.reason) == (status, True)
    if found.measured is not None:
        assert found.delta == pytest.approx(0.4)


def test_what_a_paper_does_not_say_leaves_it_unknown(tmp_path):
    (row,) = read(tmp_path, TEXT.replace("n = 90", "")).figures
    found = reproduction(row, [FIGURE])
    assert (found.status, found.reason) == ("unknown", "not known of the paper: test clips")


def test_a_tolerance_widens_the_interval_and_a_factor_turns_units(tmp_path):
    text = TEXT.replace("n = 90", "n = 90\ntolerance = 3").replace('c = "psnr"', 'c = "action"')
    (row,) = read(tmp_path, text).figures
    share = replace(FIGURE, metric="action", value=0.26, ci95=(0.229, 0.29))
    found = reproduction(row, [share])
    assert found.status == "reproduced" and found.value == pytest.approx(26)
    assert found.delta == pytest.approx(6) and "widened by 3" in found.reason
    assert reproduction(row, [replace(share, ci95=(0.2301, 0.29))]).status == "off"


def test_one_reproduction_is_enough_and_comes_before_other_conditions(tmp_path):
    (row,) = read(tmp_path, TEXT).figures
    far = replace(FIGURE, entry="d/far", value=25.0, ci95=(24.0, 26.0))
    other = replace(FIGURE, entry="d/other", value=20.0, settings=replace(SAME, n=9))
    found = reproduction(row, [far, other, FIGURE])
    assert found.measured == FIGURE and found.status == "reproduced"
    assert reproduction(row, [far, other]).measured == far


def test_metrics_that_nobody_can_reproduce_stay_unknown(tmp_path):
    text = TEXT.replace('title = "PSNR"', 'title = "PSNR"\nirreproducible = "other people"')
    (row,) = read(tmp_path, text).figures
    found = reproduction(row, [FIGURE])
    assert (found.status, found.reason) == ("unknown", "other people")
    assert found.value == 20.4
