"""What a metric can tell from real clips, and why an FVD differs, from the command line."""

import os

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, vpbench
from tests.unit.metrics.weights_here import i3d_path

pytestmark = pytest.mark.e2e


def test_a_metric_of_motion_sees_what_stands_still(puppets, tmp_path):
    words = ("check", "metric:motion-mmd", "--limit", 12, "--workers", 2, "--json")
    done = vpbench(*words, cwd=tmp_path)
    assert done.code == 0, done.err
    table = done.json()["controls"]
    rows = {row["control"]: row for row in table["rows"]}
    assert (table["dataset"], table["n"], table["frames"]) == ("puppets", 12, 16)
    assert all(rows[k]["told"] and rows[k]["worse"] for k in ("frozen", "shuffled", "half speed"))
    assert not rows["other real clips"]["told"] and rows["other real clips"]["worse"] is None
    assert [row["reason"] for row in table["rows"]] == [None] * 9


def test_a_folder_and_the_metric_of_a_stranger(tmp_path):
    write_clips(tmp_path / "clips", (("test", 8),), seed=3)
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "texture.py")}
    where = f"folder:{tmp_path / 'clips'}[horizon=9]"
    words = ("check", "metric:texture", "--dataset", where, "--json")
    table = vpbench(*words, cwd=tmp_path, env=env).json()["controls"]
    assert table["n"] == 8 and table["frames"] == 9
    assert all(row["value"] is not None and row["p"] is None for row in table["rows"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("metric:psnr", "--no-controls"), 0, ""),
        (("metric:psnr@worst",), 2, "unknown recipe 'worst' of psnr"),
        (("li", "--limit", "9"), 2, "--dataset and --limit are for metrics"),
        (("metric:psnr", "--dataset", "folder:nowhere"), 5, "nowhere is not there"),
    ],
)
def test_what_goes_with_what(tmp_path, words, code, says):
    done = vpbench("check", *words, cwd=tmp_path)
    assert done.code == code and says in done.err and "controls" not in done.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--explain", "--metrics", "fvd"), "--explain is about fvd"),
        (("--explain", "--per-clip", "x.csv"), "--explain is about fvd"),
        (("--reference", "x"), "--reference goes with --explain"),
    ],
)
def test_explanations_are_of_fvd(tmp_path, words, says):
    done = vpbench("measure", "a", "b", *words, cwd=tmp_path)
    assert done.code == 2 and says in done.err


@pytest.mark.weights
def test_an_explanation_agrees_with_the_metric(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    os.symlink(i3d_path().parent, home / "weights")
    rng = np.random.default_rng(0)
    for side, noise in (("real", 0), ("fake", 30)):
        (tmp_path / side).mkdir()
        for k in range(3):
            ramp = np.linspace(0, 200, 9 * 20 * 20 * 3).reshape(9, 20, 20, 3)
            clip = np.roll(ramp, k, axis=0) + rng.integers(0, noise + 1, ramp.shape)
            np.savez(tmp_path / side / f"{k}.npz", frames=clip.astype(np.uint8))
    env = {"VPBENCH_HOME": str(home)}
    got = vpbench("measure", "real", "fake", "--explain", "--json", cwd=tmp_path, env=env)
    assert got.code == 0, got.err
    found = got.json()
    names = ("fvd", "fvd@styleganv", "fvd@videogpt", "fvd@cdfvd-i3d")
    words = ("measure", "real", "fake", "--metrics", ",".join(names), "--json")
    scores = vpbench(*words, cwd=tmp_path, env=env).json()["scores"]
    lines = {(line["factor"], line["setting"]): line for line in found["lines"]}
    for name, score in scores.items():
        recipe = name.partition("@")[2]
        line = lines["preset", recipe] if recipe else found["default"]
        assert [line[k] for k in ("value", "bias", "corrected")] == pytest.approx(
            [score[k] for k in ("value", "bias", "corrected")], rel=1e-12
        )
    png = lines["codec", "generated: PNG"]
    assert png["change"] == 0 and png["value"] == found["default"]["value"]
    assert lines["codec", "generated: JPEG, quality 75"]["change"] != 0
