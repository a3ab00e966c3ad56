"""`latent-flow` through the command line, at preset smoke: fit, predict, score, marks, variants."""

import json

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import folder, predictions, vpbench

SMOKE = "latent-flow[preset=smoke]"
METRICS = ("--metrics", "psnr", "--no-references", "--threads", 1)


@pytest.fixture
def movies(tmp_path):
    return write_clips(
        tmp_path / "movies", (("train", 4), ("val", 2), ("test", 3)), frames=10, size=32
    )


@pytest.mark.e2e
def test_fit_predict_score_and_what_needs_no_second_training(movies, tmp_path):
    data = folder(movies, size=32, horizon=6)
    guided = "latent-flow[preset=smoke,sampler_steps=3,guidance=2.0]"
    blind = "latent-flow[preset=smoke,label=off]"
    done = vpbench("run", SMOKE, guided, blind, "--dataset", data, *METRICS, cwd=tmp_path)
    assert done.code == 0, done.err
    words = ("compare", SMOKE, guided, blind, "--no-references", "--json")
    (group,) = vpbench(*words, cwd=tmp_path).json()["groups"]
    rows = {r["method"]: r for r in group["rows"]}
    assert set(rows) == {SMOKE, guided, blind}
    assert all(r["scores"]["psnr"]["value"] > 5 and r["n"] == 3 for r in rows.values())
    assert rows[SMOKE]["uses"] == ["label"] and rows[blind]["uses"] == []
    assert "not comparable: preset smoke" in rows[SMOKE]["notes"]
    assert "own end-to-end reference, preset smoke" in rows[SMOKE]["notes"]
    stages = sorted(p.name for p in tmp_path.glob("runs/*/stages/*"))
    names = [name.partition(".")[2].partition("-")[0] for name in stages]
    assert names == ["codec", "flow", "flow"]  # one without labels; sampling trains nothing
    for stage in tmp_path.glob("runs/*/stages/*"):
        record = json.loads((stage / "stage.json").read_text())
        assert len(record["checks"]) == (1 if ".codec-" in stage.name else 2)
        assert len(list((stage / "pictures").glob("validation-*.png"))) == 2


@pytest.mark.e2e
def test_a_second_fit_gives_the_same_predictions(movies, tmp_path):
    words = ("run", SMOKE, "--dataset", folder(movies, size=32, horizon=6), *METRICS)
    for runs in ("one", "two"):
        assert vpbench(*words, "--runs", runs, cwd=tmp_path).code == 0
    one, two = (predictions(tmp_path / runs, "latent-flow*") for runs in ("one", "two"))
    assert one and one == two


@pytest.mark.parametrize(("size", "said"), [(36, "divisible by 8"), (24, "at least 32 px")])
def test_what_cannot_be_is_said_in_a_sentence(movies, tmp_path, size, said):
    data = folder(movies, size=size, horizon=6)
    done = vpbench("run", SMOKE, "--dataset", data, *METRICS, cwd=tmp_path)
    assert done.code != 0 and said in done.out + done.err
