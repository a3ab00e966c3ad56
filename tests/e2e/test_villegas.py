"""`villegas` through the command line, at preset smoke: its parts, marks, and what it needs."""

import json

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import few_puppets, folder, vpbench

SMOKE = "villegas[preset=smoke]"
METRICS = ("--metrics", "psnr", "--no-references", "--threads", 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A few rendered clips with joints, as a dataset of its own."""
    return few_puppets(tmp_path_factory.mktemp("home"))


@pytest.mark.e2e
def test_fit_predict_score_and_the_marks_of_the_row(home, tmp_path):
    words = ("--dataset", "few", *METRICS, "--workers", 1)
    done = vpbench("run", SMOKE, *words, cwd=tmp_path, env=home)
    assert done.code == 0, done.err
    words = ("compare", SMOKE, "--dataset", "few", "--no-references", "--json")
    (group,) = vpbench(*words, cwd=tmp_path, env=home).json()["groups"]
    (row,) = (r for r in group["rows"] if r["method"] == SMOKE)
    assert row["scores"]["psnr"]["value"] > 5 and row["conditioning_frames"] == 5
    assert row["uses"] == ["pose (training)"]
    assert any("reimplementation" in m and "preset smoke" in m for m in row["notes"])
    assert "not comparable: preset smoke" in row["notes"]
    assert any("acceptance check missed by villegas-translator:fit" in m for m in row["notes"])
    stages = {p.name.partition("-")[0] for p in tmp_path.glob("runs/few/stages/*")}
    assert stages == {"villegas"}
    (path,) = tmp_path.glob("runs/few/stages/villegas-translator.fit-*")
    assert len(json.loads((path / "stage.json").read_text())["checks"]) == 1
    assert len(list((path / "pictures").glob("validation-*.png"))) == 3
    # true poses of the given frames are a row of their own, whose parts are trained for it
    plan = vpbench(
        "plan",
        f"{SMOKE[:-1]},detector=annotated]",
        "--dataset",
        "few",
        "--json",
        cwd=tmp_path,
        env=home,
    )
    (planned,) = (r for r in plan.json()["runs"] if r["method"].startswith("villegas"))
    assert [s["origin"] for s in planned["stages"]] == ["to fit"] * 3


def test_a_dataset_without_poses_is_not_applicable(tmp_path):
    movies = write_clips(tmp_path / "movies", (("train", 4), ("test", 2)), frames=12, size=32)
    data = folder(movies, size=32, horizon=6)
    done = vpbench("run", SMOKE, "copy-last", "--dataset", data, *METRICS, "--json", cwd=tmp_path)
    runs = {r["method"]: r for r in done.json()["runs"]}
    assert runs[SMOKE]["status"] == "refused"
    assert runs[SMOKE]["reason"] == "needs pose, but the dataset has none"
    assert runs["copy-last"]["status"] == "ok"  # the rest of the table is made
    words = ("compare", SMOKE, "copy-last", "--no-references", "--json")
    (group,) = vpbench(*words, cwd=tmp_path).json()["groups"]
    cells = {r["method"]: r["scores"]["psnr"] for r in group["rows"]}
    assert cells[SMOKE]["value"] is None and cells[SMOKE]["reason"] == "n/a (needs pose)"
    assert cells["copy-last"]["value"] > 5
    assert not list(tmp_path.glob("runs/*/stages/*"))


@pytest.mark.e2e
def test_unsupervised_keypoints_take_the_place_of_poses(tmp_path):
    movies = write_clips(tmp_path / "movies", (("train", 4), ("val", 2), ("test", 2)), 12, 32)
    data = folder(movies, size=32, horizon=6)
    name = "villegas[preset=smoke,detector=ours-detector]"
    done = vpbench("run", name, "--dataset", data, *METRICS, cwd=tmp_path)
    assert done.code == 0, done.err
    (group,) = vpbench("compare", name, "--no-references", "--json", cwd=tmp_path).json()["groups"]
    (row,) = (r for r in group["rows"] if r["method"] == name)
    assert row["uses"] == [] and "adapted n=1" in row["notes"]
    owners = {p.name.partition(".")[0] for p in tmp_path.glob("runs/*/stages/*")}
    assert owners == {"ours", "ours-detector", "villegas-motion", "villegas-translator"}
