"""What each choice moves, on made-up features: against closed forms and loops."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vpbench.api.errors import UsageError
from vpbench.core.paths import Paths, user_paths
from vpbench.core.progress import silent
from vpbench.core.schema import EXPLAIN
from vpbench.harness.scoring import explain as module
from vpbench.harness.scoring.explain import explain
from vpbench.harness.scoring.explain_features import FeatureSet, network_recipe
from vpbench.harness.scoring.measure import open_side
from vpbench.harness.scoring.sampling import Sampling
from vpbench.metrics.frechet import frechet
from vpbench.metrics.i3d.recipes import RECIPES, Recipe
from vpbench.render.explain import explain_lines, explain_markdown

N, DIM = 11, 4


def write(folder, count, frames=20, size=(16, 16)):
    folder.mkdir()
    rng = np.random.default_rng(count)
    for k in range(count):
        clip = rng.integers(0, 256, (frames, *size, 3), np.uint8)
        np.savez(folder / f"{k:02d}.npz", frames=clip)
    return str(folder)


def rows_of(one, names):
    """Features that depend on the set and the clip alone, whatever is asked for besides."""
    key = (one.side, one.recipe.name, one.frames, one.size or 0, one.codec)
    seed = [int.from_bytes(str(part).encode()[:8]) for part in key]
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=DIM).astype(np.float32) for name in sorted(names)}
    shift = {"fake": 2.0, "real": 0.0, "reference": 0.5}[one.side]
    return {name: value + np.float32(shift) for name, value in made.items()}


SETS, ASKED = [], []
"""Sets that features were asked of: by the last call, and for `result`."""


@pytest.fixture(autouse=True, scope="module")
def made_up():
    """Features without a network."""

    def extract(wanted, windows, *_):
        SETS[:] = wanted
        return {one: rows_of(one, [item.id for item in windows[one]]) for one in wanted}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "extract", extract)
        yield


@pytest.fixture(scope="module")
def result(made_up, tmp_path_factory):
    place = tmp_path_factory.mktemp("explain")
    paths = Paths(place / "runs", place / "home", True)
    real, fake = (open_side(write(place / s, N), paths) for s in ("real", "fake"))
    other = open_side(write(place / "train", N + 3), paths)
    found = explain(real, fake, other, Sampling(frames=16), paths, silent, workers=1)
    ASKED[:] = SETS
    return found


def features(one):
    made = rows_of(one, [f"{k:02d}" for k in range(N + 3 * (one.side == "reference"))])
    return np.stack(list(made.values()))


def by_name(result):
    return {(line["factor"], line["setting"]): line for line in result.lines}


def test_the_definition_and_the_divisor(result):
    real, fake = (features(FeatureSet(s, RECIPES["tf2018"], 16)) for s in ("real", "fake"))
    assert result.default["value"] == frechet(fake, real)
    line = by_name(result)["ddof", "covariances divided by n"]
    means = float(np.square(fake.mean(0, np.float64) - real.mean(0, np.float64)).sum())
    # Both covariances shrink by (n - 1) / n, the distance of the means stays.
    wanted = means + (result.default["value"] - means) * (N - 1) / N
    assert line["value"] == pytest.approx(wanted, rel=1e-9)
    assert line["change"] == line["value"] - result.default["value"]
    assert line["change_percent"] == pytest.approx(100 * (wanted / frechet(fake, real) - 1))
    assert (line["n"], line["n_real"]) == (N, N)


def test_bias_and_errors_are_those_of_leaving_each_clip_out(result):
    recipe = RECIPES["eps1e-5"]
    tables = [
        [features(FeatureSet(s, r, 16)) for s in ("fake", "real")]
        for r in (RECIPES["tf2018"], recipe)
    ]
    left = np.array(
        [[frechet(*(np.delete(t, k, 0) for t in pair)) for k in range(N)] for pair in tables]
    )
    line = by_name(result)["eps", "1e-5 instead of 1e-3"]
    assert line["bias"] == pytest.approx((N - 1) * (left[1].mean() - line["value"]), rel=1e-6)
    assert line["corrected"] == pytest.approx(line["value"] - line["bias"])

    def se(values):
        return math.sqrt((N - 1) / N * np.square(values - values.mean()).sum())

    assert line["se"] == pytest.approx(se(left[1]), rel=1e-6)
    assert line["change_se"] == pytest.approx(se(left[1] - left[0]), rel=1e-6)


def test_the_largest_change_comes_first_and_what_was_not_tried_last(result):
    changes = [line["change"] for line in result.lines]
    tried = [abs(c) for c in changes if c is not None]
    assert tried == sorted(tried, reverse=True) and None not in changes[: len(tried)]
    missed = {k: line["reason"] for k, line in by_name(result).items() if line["value"] is None}
    assert missed == {
        ("frames", "32 frames"): "real '00' has 20 frames",
        ("resize", "centre crop"): "the frames are square",
        ("resize", "to 128 px first"): "the frames have 16x16 px",
    }
    assert by_name(result)["frames", "10 frames"]["value"] is not None
    other = by_name(result)["reference", "other real clips"]
    assert (other["n"], other["n_real"]) == (N, N + 3)
    # Three independent parts: the fake clips with the real ones of their names, and the others.
    assert other["change_se"] > 0


def test_equal_inputs_of_the_network_are_asked_for_once(result):
    assert len(ASKED) == len(set(ASKED))
    names = {one.recipe.name for one in ASKED}
    # Square frames: cdfvd-i3d shares videogpt's features, half-pixel styleganv's, ddof0 tf2018's.
    assert names == {"tf2018", "styleganv", "videogpt", "eps1e-5"}
    lines = by_name(result)
    same = [lines["preset", "styleganv"], lines["resize", "half-pixel bilinear"]]
    assert same[0]["value"] < same[1]["value"]  # the divisor alone


@pytest.mark.parametrize("square", [True, False])
def test_recipes_share_features_where_the_input_of_the_network_is_equal(square):
    got = {name: network_recipe(recipe, square).name for name, recipe in RECIPES.items()}
    assert got["ddof0"] == got["tf2018"] == "tf2018"
    assert got["half-pixel"] == got["styleganv"] == "styleganv"
    assert got["cdfvd-i3d"] == ("videogpt" if square else "cdfvd-i3d")
    crop = Recipe("tf1-crop", aspect="crop")
    assert network_recipe(crop, square).name == ("tf2018" if square else "tf1-crop")


def test_frames_that_are_not_square_can_be_cropped(tmp_path):
    paths = user_paths()
    sides = (write(tmp_path / s, 3, 16, (140, 150)) for s in ("real", "fake"))
    real, fake = (open_side(side, paths) for side in sides)
    found = by_name(explain(real, fake, None, Sampling(), paths, silent))
    assert found["resize", "centre crop"]["value"] is not None
    assert found["resize", "to 128 px first"]["value"] is not None
    assert found["reference", "other real clips"]["reason"].endswith("--reference")
    # Fewer clips than an interval needs: changes without an error, and no NaN.
    assert found["eps", "1e-5 instead of 1e-3"]["change_se"] is None


@pytest.mark.parametrize(
    ("count", "sampling", "says"),
    [
        (3, Sampling(frames=8), "9 frames, but there are 8"),
        (1, Sampling(), "2 real clips"),
    ],
)
def test_too_little_is_refused(tmp_path, count, sampling, says):
    paths = user_paths()
    real, fake = (open_side(write(tmp_path / s, count), paths) for s in ("real", "fake"))
    with pytest.raises(UsageError, match=says):
        explain(real, fake, None, sampling, paths, silent)


def test_windows_go_on_from_the_same_start(tmp_path):
    paths = user_paths()
    side = open_side(write(tmp_path / "real", 1, 40), paths)
    (item,) = module.aligned(side, side, Sampling(frames=10, stride=3)).items[0].values()
    later = replace(item, targets=tuple(t + 2 for t in item.targets))
    assert module._window(later, 5).targets == (2, 5, 8, 11, 14)
    assert module._window(later, 13).targets[-1] == 38
    assert module._window(later, 14) is None


def test_what_is_printed(result):
    record = result.json()
    assert record["schema"] == EXPLAIN and record["frames"] == 16
    text = explain_lines(record)
    assert text[0].startswith("FVD of ") and "bias" in text[0]
    assert sum("not tried" in line for line in text) == 3
    assert any("by recipe, unverified" in line for line in text)
    table = explain_markdown(record)
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 3 + sum(line["value"] is not None for line in result.lines)
