"""run, fit, predict and score of methods that are trained, from the command line."""

import json

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.e2e.helpers import TINY, checkpoints, folder, predictions, vpbench


@pytest.mark.e2e
def test_stages_are_shared_between_slots_and_swaps_retrain_only_what_depends(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": TINY}
    words = ("--dataset", folder(clips), "--no-references", "--json")
    first = vpbench("run", "tiny", *words, cwd=tmp_path, env=env)
    assert first.code == 0, first.err
    one = set(p.name for p in tmp_path.glob("runs/*/stages/*"))
    assert sorted(n.rpartition("-")[0] for n in one) == [
        "tiny-detector.labels",
        "tiny.keypoints",
        "tiny.motion",
    ]
    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/stages/*/stage.json")}
    names = ("tiny", "tiny[motion=tiny-line]", "tiny[motion=tiny-still]")
    grid = vpbench("run", *names, *words, cwd=tmp_path, env=env)
    assert grid.code == 0, grid.err
    new = set(p.name for p in tmp_path.glob("runs/*/stages/*")) - one
    assert [n.rpartition("-")[0] for n in new] == ["tiny-line.fit"]
    assert times == {p: p.stat().st_mtime_ns for p in times}
    assert [r["method"] for r in grid.json()["runs"]] == list(names)


OWN = ("tiny", "tiny[motion=tiny-line]", "tiny[motion=tiny-still]")


def test_grid_of_components(clips, tmp_path):
    plan = vpbench(
        "plan",
        "tiny[motion=*]",
        "--dataset",
        folder(clips),
        "--no-references",
        "--json",
        cwd=tmp_path,
        env={"VPBENCH_PLUGINS": TINY},
    )
    rows = {r["method"]: [s["stage"] for s in r["stages"]] for r in plan.json()["runs"]}
    assert {name: rows.get(name) for name in ("tiny[motion=frozen]", *OWN)} == {
        "tiny[motion=frozen]": ["tiny:keypoints", "tiny-detector:labels"],
        "tiny": ["tiny:keypoints", "tiny-detector:labels", "tiny:motion"],
        "tiny[motion=tiny-line]": ["tiny:keypoints", "tiny-detector:labels", "tiny-line:fit"],
        "tiny[motion=tiny-still]": ["tiny:keypoints", "tiny-detector:labels"],
    }


@pytest.mark.e2e
def test_seeds_fit_seeds_and_samples(eight_clips, tmp_path):
    clips = eight_clips
    env = {"VPBENCH_PLUGINS": TINY}
    done = vpbench(
        "run",
        "tiny",
        "--dataset",
        folder(clips),
        "--seeds",
        "0-1",
        "--fit-seeds",
        "0-2",
        "--samples",
        2,
        "--no-references",
        "--json",
        cwd=tmp_path,
        env=env,
    )
    assert done.code == 0, done.err
    assert len(done.json()["runs"]) == 6
    shape = np.load(next(tmp_path.glob("runs/*/tiny/*/predictions/*.npz")))["frames"].shape
    assert shape == (8, 2, 8, 16, 16, 3)
    compared = vpbench("compare", "tiny", "--json", cwd=tmp_path, env=env).json()
    (row,) = compared["groups"][0]["rows"]
    assert (row["seeds"], row["fit_seeds"], row["samples"]) == ([0, 1], [0, 1, 2], 2)
    values = [r["scores"]["ssim"]["value"] for r in done.json()["runs"]]
    assert row["scores"]["ssim"]["value"] == pytest.approx(np.mean(values))
    words = ("plan", "tiny", "--dataset", folder(clips), "--samples", 2, "--no-references")
    planned = [
        line.split()
        for line in vpbench(*words, "--fit-seeds", "0-2", cwd=tmp_path, env=env).out.split("\n")
    ]
    assert ["method", "seed", "fit", "seed", "status", "stages", "shards"] in planned
    assert [line[:4] for line in planned if line[:1] == ["tiny"]] == [
        ["tiny", "0", str(fit), "finished"] for fit in range(3)
    ]
    assert "fit seed" not in vpbench(*words, cwd=tmp_path, env=env).out
    table = np.zeros((3, 2, 8))
    for folder_ in tmp_path.glob("runs/*/tiny/*"):
        inputs = json.loads((folder_ / "run.json").read_text())["inputs"]
        (stored,) = folder_.glob("scores/ssim@*.json")
        clip_values = json.loads(stored.read_text())["per_clip"]
        table[inputs["fit_seed"], inputs["seed"]] = [clip_values[k] for k in sorted(clip_values)]
    fits = table.mean(axis=1)  # [fits, clips]
    between, clip_means = fits.mean(axis=1).var(ddof=1) / 3, fits.mean(axis=0)
    over_clips = clip_means.var(ddof=1) / 8
    rest = fits - fits.mean(axis=1, keepdims=True) - clip_means + fits.mean()
    both = (rest**2).sum() / (2 * 7) / (3 * 8)
    variance = max(between + over_clips - both, between, over_clips)
    df = variance**2 / (between**2 / 2 + over_clips**2 / 7)
    half = scipy_stats.t.ppf(0.975, df) * np.sqrt(variance)
    low, high = row["scores"]["ssim"]["ci95"]
    assert (high - low) / 2 == pytest.approx(half, rel=1e-6)


@pytest.mark.e2e
def test_fit_predict_score_one_after_the_other(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": TINY}
    where = ("--dataset", folder(clips))
    assert vpbench("fit", "tiny", *where, cwd=tmp_path, env=env).code == 0
    assert checkpoints(tmp_path / "runs") and not list(tmp_path.glob("runs/*/*/*/predictions"))
    assert vpbench("predict", "tiny", *where, cwd=tmp_path, env=env).code == 0
    assert predictions(tmp_path / "runs", "tiny") and not list(tmp_path.glob("runs/*/*/*/scores/*"))
    # the plugin is gone: scores need only what is stored
    done = vpbench("score", "tiny", "--metrics", "ssim", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert set(done.json()["runs"][0]["scores"]) == {"ssim"}
    run_dir = done.json()["runs"][0]["run_dir"]
    again = vpbench("score", run_dir, "--json", cwd=tmp_path)
    values = {k: s["value"] for k, s in again.json()["runs"][0]["scores"].items()}
    assert {k for k, v in values.items() if v is not None} == {"psnr", "ssim"}


@pytest.mark.e2e
def test_refit_makes_new_weights_and_new_predictions(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": TINY}
    words = ("run", "tiny", "--dataset", folder(clips), "--no-references", "--threads", 1)
    vpbench(*words, cwd=tmp_path, env=env)
    first = checkpoints(tmp_path / "runs")
    done = vpbench(*words, "--fit", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert "tiny:motion finished" in done.err
    now = {k: v for k, v in checkpoints(tmp_path / "runs").items() if ".retired-" not in k}
    assert now == first  # same seed, same threads: same bytes
    assert len(list(tmp_path.glob("runs/*/stages/*.retired-*"))) == 3
    before = predictions(tmp_path / "runs", "tiny")
    other = vpbench(*words, "--fit", cwd=tmp_path, env={**env, "TINY_LR": "0.3"})
    assert "\ntiny finished\n" in other.err  # other weights: the predictions are made again
    assert predictions(tmp_path / "runs", "tiny") != before


def test_a_given_checkpoint_is_used_and_not_fitted(finished, finished_clips):
    env = {"VPBENCH_PLUGINS": TINY}
    words = ("run", "tiny", "--dataset", folder(finished_clips), "--no-references")
    (stages,) = (finished / "runs").glob("*/stages")
    done = vpbench(*words, "--checkpoint", stages, "--runs", "second", cwd=finished, env=env)
    assert done.code == 0, done.err
    assert not list((finished / "second").glob("*/stages/*"))
    assert predictions(finished / "runs", "tiny") == predictions(finished / "second", "tiny")
