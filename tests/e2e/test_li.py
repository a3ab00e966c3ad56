"""`li` through the command line, at preset smoke: fit, predict, score, marks, what cannot be."""

import json

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import folder, vpbench

SMOKE = "li[preset=smoke]"
METRICS = ("--metrics", "psnr,ssim", "--no-references", "--threads", 1)


@pytest.fixture
def movies(tmp_path):
    return write_clips(
        tmp_path / "movies", (("train", 3), ("val", 2), ("test", 2)), frames=20, size=32
    )


def dataset(movies, **options):
    return folder(movies, **{"size": 32, "horizon": 18, **options})


def test_fit_predict_score_and_the_marks_of_the_row(movies, tmp_path):
    """Eighteen frames: sixteen, and two from the last of them."""
    done = vpbench("run", SMOKE, "--dataset", dataset(movies), *METRICS, cwd=tmp_path)
    assert done.code == 0, done.err
    words = ("compare", SMOKE, "--no-references", "--json")
    groups = vpbench(*words, cwd=tmp_path).json()["groups"]
    for group in groups:
        (found,) = (r for r in group["rows"] if r["method"] == SMOKE)
        assert found["scores"]["psnr"]["value"] > 3 and found["n"] == 2
        assert found["conditioning_frames"] == 1 and found["uses"] == []
        marks = found["notes"]
        assert any(m.startswith("reimplementation") and "preset smoke" in m for m in marks)
        assert "not comparable: preset smoke" in marks and "chained" in marks
        assert any(m.startswith("flow teacher dis medium") for m in marks)
        # twelve steps cannot pass: what is missed stands beside the row, in words
        assert any(
            m.startswith("acceptance check missed by li:refiner: frame redrawn") for m in marks
        )
    stages = {p.name.partition("-")[0]: p for p in tmp_path.glob("runs/*/stages/*")}
    assert set(stages) == {"li.flow", "li.refiner"}
    record = json.loads((stages["li.flow"] / "stage.json").read_text())
    assert len(record["checks"]) == 1 and all("passed" in g for g in record["checks"])
    last = json.loads((stages["li.flow"] / "train.jsonl").read_text().splitlines()[-1])
    assert "val_active_units" in last and "val_kl" in last and "val_saturated" in last
    assert list((stages["li.refiner"] / "pictures").glob("validation-*.png"))


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        (SMOKE, 36, "needs a size divisible by 8"),
        ("li[preset=smoke,teacher=spynet]", 32, "only if you agree to their terms"),
        ("li[preset=smoke,teacher=brox]", 32, "must be one of dis, raft-small, spynet"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(movies, tmp_path, name, size, said):
    env = {"VPBENCH_OFFLINE": ""}
    words = ("run", name, "--dataset", dataset(movies, size=size), *METRICS)
    done = vpbench(*words, cwd=tmp_path, env=env)
    assert done.code != 0
    assert said in done.out + done.err
    assert not list(tmp_path.glob("runs/*/stages/*/stage.json"))
