"""Set metrics from the command line: with the real network where its weights are, and without."""

import json
import os

import numpy as np
import pytest

from tests.conftest import moving_square, write_clips
from tests.e2e.helpers import folder, vpbench
from tests.unit.metrics.weights_here import i3d_path

SENTENCE = "I3D weights are not here (`vpbench weights fetch i3d`)"


def test_without_weights_everything_else_is_scored_and_the_sentence_is_said(clips, tmp_path):
    words = ("run", "copy-last", "--dataset", folder(clips, horizon=12), "--no-references")
    done = vpbench(*words, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    scores = done.json()["runs"][0]["scores"]
    assert scores["fvd"]["value"] is None and scores["fvd"]["reason"] == f"not scored: {SENTENCE}"
    assert scores["psnr"]["value"] is not None
    shown = vpbench(*words, cwd=tmp_path)
    assert shown.code == 0 and SENTENCE in shown.err
    assert vpbench(*words, "--strict", cwd=tmp_path).code == 5
    assert vpbench(*words, "--metrics", "fvd", cwd=tmp_path).code == 5
    assert vpbench(*words, "--metrics", "psnr", "--strict", cwd=tmp_path).code == 0
    real = clips / "test" / "right"
    measured = vpbench("measure", real, real, "--frames", 12, "--json", cwd=tmp_path)
    assert measured.json()["scores"]["kvd"]["reason"] == f"not scored: {SENTENCE}"


@pytest.fixture
def weights(tmp_path):
    """The real weights in this test's own cache."""
    source = i3d_path().parent
    home = tmp_path / "home"
    home.mkdir()
    os.symlink(source, home / "weights")
    return home


@pytest.mark.e2e
@pytest.mark.weights
def test_fvd_is_the_same_bits_for_any_workers_and_from_the_cache(weights, tmp_path):
    many = write_clips(tmp_path / "many", (("train", 12), ("val", 2), ("test", 10)), seed=7)
    words = (
        "run",
        "copy-last",
        "real-other",
        "--dataset",
        folder(many, horizon=9, size=32),
        "--no-references",
        "--metrics",
        "fvd,kvd",
        "--json",
    )
    first = vpbench(*words, "--workers", 1, "--runs", "one", cwd=tmp_path)
    assert first.code == 0, first.err
    import shutil

    shutil.rmtree(weights / "features")
    second = vpbench(*words, "--workers", 2, "--runs", "two", cwd=tmp_path)
    cached = vpbench(*words, "--workers", 2, "--runs", "three", cwd=tmp_path)
    scores = [[r["scores"] for r in d.json()["runs"]] for d in (first, second, cached)]
    assert scores[0] == scores[1] == scores[2]
    fvd, other = (r["fvd"] for r in scores[0])
    assert fvd["value"] > 0 and fvd["se"] > 0 and fvd["n"] == 10
    assert fvd["floor"] == other["value"]
    assert fvd["reason"] == "n = 10 < 60: unreliable: the bias estimate finds half of it"
    assert fvd["bias"] + fvd["corrected"] == pytest.approx(fvd["value"]) and fvd["bias"] > 0
    assert fvd["corrected_ci95"][0] < fvd["corrected"] < fvd["corrected_ci95"][1]
    assert fvd["floor_n"] == 10
    assert 0 < scores[0][0]["kvd"]["p"] <= 1
    compared = vpbench("compare", "copy-last", "--runs", "one", "--json", cwd=tmp_path).json()
    (row,) = (r for r in compared["groups"][0]["rows"] if r["method"] == "copy-last")
    assert row["scores"]["fvd"]["value"] == fvd["value"]
    assert row["scores"]["fvd"]["floor"] == other["value"]
    record = json.loads(next(tmp_path.glob("one/*/copy-last/*/scores/fvd@*.json")).read_text())
    assert len(record["per_clip"]) == 10 and "weights" in str(record["fingerprint"])


@pytest.mark.weights
def test_too_few_frames_are_refused_and_the_rest_is_scored(weights, clips, tmp_path):
    done = vpbench(
        "run",
        "copy-last",
        "--dataset",
        folder(clips, horizon=8),
        "--no-references",
        "--json",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    scores = done.json()["runs"][0]["scores"]
    assert "at least 9 frames" in scores["fvd"]["reason"] and scores["psnr"]["value"]


@pytest.mark.weights
@pytest.mark.e2e
def test_measure_of_unequal_sets_with_a_floor(weights, tmp_path):
    for name, count in (("real", 6), ("fake", 4)):
        (tmp_path / name).mkdir()
        for k in range(count):
            np.savez(tmp_path / name / f"{k}.npz", frames=moving_square(k, k % 2, 9, 32))
    done = vpbench("measure", "real", "fake", "--metrics", "fvd,kvd", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    answer = done.json()
    assert (answer["real"]["n"], answer["fake"]["n"]) == (6, 4)
    assert answer["scores"]["fvd"]["floor"] > 0 and answer["scores"]["fvd"]["floor_n"] == 3
    assert "3 in each; with 3 clips a side this figure is" in answer["scores"]["fvd"]["reason"]
    assert "4 predicted and 6 real clips" in answer["scores"]["fvd"]["reason"]
    same = vpbench("measure", "real", "real", "--metrics", "fvd", "--json", cwd=tmp_path).json()
    assert abs(same["scores"]["fvd"]["value"]) < 1e-6
    np.savez(tmp_path / "fake" / "9.npz", frames=moving_square(9, 0, 8, 32))
    assert vpbench("measure", "real", "fake", "--metrics", "fvd", cwd=tmp_path).code == 2
