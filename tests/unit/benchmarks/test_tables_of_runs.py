"""Tables and pictures of the documentation that are made from finished runs."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
NAMES = ("main_table", "fit_table", "fvd_against_minutes", "released_bounds")


@pytest.fixture
def script(monkeypatch):
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield __import__
    for name in NAMES:
        sys.modules.pop(name, None)


def score(value, se=None, corrected=None):
    return {"value": value, "se": se, "corrected": corrected}


def run(uses=("label",), seconds=(90.0, 31.0), **scores):
    found = {
        (name, 16): score(*(given if isinstance(given, tuple) else (given,)))
        for name, given in scores.items()
    }
    stages = [{"seconds": s} for s in seconds]
    return SimpleNamespace(scores=found, stages=stages, inputs={"uses": list(uses)})


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            run(
                fvd=(757.4, 91.2, 491.3), kvd=(74.6, 20.9), psnr=(20.214, 0.24), ssim=(0.74, 0.006)
            ),
            "| `mine` | yes | 757 ± 91 | 491 | 75 ± 21 | 20.21 ± 0.24 | 0.740 ± 0.006 | - "
            "| 2 min |",
        ),
        (
            run(uses=(), seconds=(), psnr=(20.2, None)),
            "| mine | - | - | - | - | 20.20 | - | - |  |",
        ),
        (
            run(fvd=(None, None), action=(0.633, 0.051)),
            "| `mine` | yes | - | - | - | - | - | 0.63 ± 0.05 | 2 min |",
        ),
        (None, "| `mine` | - | - | - | - | - | - | - | - |"),
    ],
)
def test_a_line_of_the_main_table(script, made, line):
    module = script("main_table")
    assert module.row("mine", made, 16) == line
    assert line.count("|") == module.HEAD.count("|")


def test_lines_of_several_training_runs(script):
    module = script("fit_table")
    fvd = {"value": 733.0, "se": 86.0, "corrected": 460.2, "corrected_se": 86.0}
    rows = [
        {"method": "a", "scores": {"fvd": fvd, "psnr": score(20.29, 0.21)}},
        {
            "method": "b",
            "scores": {"fvd": {**fvd, "corrected": 425.0}, "action": score(0.67, 0.04)},
        },
        {"method": "c", "scores": {}},
    ]
    pair = {"metric": "fvd", "method": "b", "difference": -35.2, "ci95": [-108.9, 38.4]}
    group = {"rows": rows, "versus": {"method": "a", "pairs": [{**pair, "metric": "kvd"}, pair]}}
    fits = {"a": {0: 491.2, 2: 434.4, 1: 455.6}, "b": {0: 425.0}}
    lines = module.table(group, fits, ["b", "a", "c"])
    assert lines[2:] == [
        "| `b` | 425 ± 86 | - | 0.67 ± 0.04 | -35 [-109, +38] |",
        "| `a` | 460 ± 86 (491, 456, 434) | 20.29 ± 0.21 | - |  |",
        "| `c` | - | - | - |  |",
    ]
    assert len({line.count("|") for line in lines}) == 1
    alone = module.table({**group, "versus": None}, fits, ["a"])
    assert alone[2] == "| `a` | 460 ± 86 (491, 456, 434) | 20.29 ± 0.21 | - |"


def test_prediction_seeds_are_averaged_and_training_runs_kept_apart(script):
    def finished(method, fit, seed, corrected):
        made = run(fvd=(700.0, 80.0, corrected))
        made.inputs |= {"method": method, "fit_seed": fit, "seed": seed}
        return made

    runs = [finished("a", 0, 0, 400.0), finished("a", 0, 1, 410.0), finished("a", 1, 0, 500.0)]
    runs += [finished("b", None, 0, 90.0), finished("c", 0, 0, None)]
    fits = script("fit_table").fits_of(runs, 16)
    assert fits == {"a": {0: 405.0, 1: 500.0}, "b": {0: 90.0}}


def test_the_main_table_shows_the_first_training_run(script, monkeypatch, tmp_path):
    module = script("main_table")
    runs = {("puppets", "mine", "train", fit, 0): run(psnr=20.0 + fit) for fit in range(3)}
    monkeypatch.setattr(module, "newest", lambda *_: runs)
    assert "| 20.00 |" in module.table(["mine"], tmp_path, "puppets", 16)[2]


@pytest.mark.parametrize(
    ("name", "preset", "short"),
    [
        ("ours", "gpu", "ours"),
        ("li[preset=gpu]", "gpu", "li"),
        ("li[preset=gpu,refiner=off]", "gpu", "li[refiner=off]"),
        ("ours[preset=plus]", "plus", "ours[preset=plus]"),
        ("wichers[variant=adversarial]", "cpu", "wichers[variant=adversarial]"),
    ],
)
def test_a_name_without_the_preset_that_stands_beside_it(script, name, preset, short):
    assert script("fvd_against_minutes").short_name(name, preset) == short


@pytest.mark.e2e
def test_the_picture_is_the_same_each_time_and_moves_with_the_figures(script, tmp_path):
    pytest.importorskip("matplotlib")
    from PIL import Image

    module = script("fvd_against_minutes")

    def picture(name, value):
        points = [
            module.Point("a[x=on]", "cpu", "cpu", 2, 20.0, value, value - 90, value + 90),
            module.Point("b", "gpu", "cuda", 1, 5.0, 900.0, 800.0, 1000.0),
        ]
        module.draw(points, {"copy last frame": 1700.0}, "toy", tmp_path / name)
        return np.array(Image.open(tmp_path / name))

    one, two, other = (picture(f"{k}.png", v) for k, v in enumerate((500.0, 500.0, 700.0)))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
