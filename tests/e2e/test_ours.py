"""`ours` through the command line: few steps of small networks, and all that surrounds them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import moving_square, write_clips
from tests.e2e.helpers import PLUGINS, checkpoints, folder, predictions, real, vpbench

SMALL = (
    "preset=smoke,steps=2,motion_steps=2,detector_width=2,detector_decoder=8,"
    "translator_width=2,translator_decoder=8,batch=2,motion_batch=2"
)
METRICS = ("--metrics", "psnr,ssim", "--no-references", "--threads", 1)


def ours(**more):
    """The method with even fewer steps; later parameters win."""
    params = dict(pair.split("=") for pair in SMALL.split(",")) | more
    return f"ours[{','.join(f'{k}={v}' for k, v in params.items())}]"


@pytest.fixture
def movies(tmp_path):
    return write_clips(
        tmp_path / "movies", (("train", 6), ("val", 2), ("test", 9)), frames=10, size=24
    )


def dataset(movies, **options):
    return folder(movies, **{"size": 24, "horizon": 5, **options})


def stages(tmp_path, runs="runs"):
    """Names of the trained stages, one for each folder."""
    return sorted(p.name.rpartition("-")[0] for p in tmp_path.glob(f"{runs}/*/stages/*"))


def arrays(tmp_path):
    """Method folder -> predicted frames of the first shard."""
    found = {}
    for run in sorted(tmp_path.glob("runs/*/ours*/*")):
        shard = np.load(sorted((run / "predictions").glob("*.npz"))[0])
        found[run.parent.name] = shard[shard.files[0]]
    return found


@pytest.mark.e2e
def test_method_and_oracle_share_a_stage_and_say_what_they_are(movies, tmp_path):
    words = ("ours", "ours-oracle", "--preset", "smoke", "--dataset", dataset(movies), *METRICS)
    done = vpbench("run", *words, "--samples", 2, cwd=tmp_path)
    assert done.code == 0, done.err
    assert stages(tmp_path) == ["ours-detector.labels", "ours.keypoints", "ours.motion"]
    names = ("ours[preset=smoke]", "ours-oracle[preset=smoke]")
    told = vpbench("compare", *names, "--no-references", "--json", cwd=tmp_path)
    assert told.code == 0, told.err
    (group,) = told.json()["groups"]
    rows = {r["method"]: r for r in group["rows"]}
    method, oracle = (rows[n] for n in names)
    assert method["kind"] == "method" and oracle["kind"] == "oracle"
    assert method["samples"] == 2 and method["n"] == oracle["n"] == 9
    assert method["conditioning_frames"] == 1 and "label" in method["uses"]
    for row in (method, oracle):
        assert any("not comparable" in mark for mark in row["notes"]), row["notes"]
        assert row["scores"]["psnr"]["value"] > 5 and row["scores"]["psnr"]["rank"] is None
    assert "oracle: sees the true future" in oracle["notes"]
    assert not any("oracle" in mark for mark in method["notes"])
    (made,) = tmp_path.glob("runs/*/stages/ours.keypoints-*")
    pictures = {p.name.partition("-")[0].partition(".")[0] for p in made.glob("pictures/*")}
    assert pictures == {"translation", "validation"}
    steps = [json.loads(x)["step"] for x in (made / "train.jsonl").read_text().splitlines()]
    assert set(steps) == set(range(1, 9))

    # other workers, nothing left but the stages: the same bytes
    before = predictions(tmp_path / "runs", "ours+preset-smoke")
    for run in tmp_path.glob("runs/*/ours*"):
        shutil.rmtree(run)
    again = vpbench("predict", "ours", *words[2:6], "--samples", 2, "--workers", 1, cwd=tmp_path)
    assert again.code == 0, again.err
    assert before and predictions(tmp_path / "runs", "ours+preset-smoke") == before


@pytest.mark.e2e
def test_parts_and_switches_share_what_they_have_in_common(movies, tmp_path):
    """At 32 px and three frames: parts are swapped without training the rest again."""
    names = {
        "base": ours(),
        "frozen": ours(motion="frozen"),
        "velocity": ours(motion="constant-velocity"),
        "stranger": ours(motion="stranger"),
        "no label": ours(label="off"),
        "residual": ours(residual="on"),
        "no reference": ours(reference_keypoints="off", motion="frozen"),
        "no mask": ours(mask="off", motion="frozen"),
        "plus": ours(preset="plus", n_keypoints=4, perceptual="none", precision="fp32"),
    }
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "stranger.py")}
    where = dataset(movies, size=32, horizon=3)
    done = vpbench(
        "run", *names.values(), "--dataset", where, *METRICS, "--json", cwd=tmp_path, env=env
    )
    assert done.code == 0, done.err
    runs = {r["method"]: r for r in done.json()["runs"]}
    assert len(runs) == len(names) and all(r["status"] == "ok" for r in runs.values())
    assert all(r["scores"]["psnr"]["value"] > 4 for r in runs.values())
    # one stage for the first six; one each without reference, without mask, for plus
    found = stages(tmp_path)
    assert found.count("ours.keypoints") == 4
    assert found.count("ours-detector.labels") == 2  # base and plus
    assert found.count("ours.motion") == 4  # base, without label, residual, plus
    assert len([s for s in found if s.startswith("stranger")]) == 1
    frames = arrays(tmp_path)
    by_row = {Path(r["run_dir"]).parent.name: r["method"] for r in runs.values()}
    shown = {by_row[k]: v for k, v in frames.items()}
    assert all(v.shape[-4:] == (3, 32, 32, 3) for v in shown.values())
    still = [v for k, v in shown.items() if "frozen" in k or "constant-velocity" in k]
    assert len(still) == 4
    for value in still:  # keypoints that stand still give one picture
        assert (value == value[..., :1, :, :, :]).all()


@pytest.mark.e2e
def test_without_labels_at_another_size_and_horizon(tmp_path):
    place = tmp_path / "plain"
    for split, count in (("train", 4), ("test", 2)):
        (place / split).mkdir(parents=True)
        for k in range(count):
            frames = moving_square(k + 50 * (split == "test"), k % 2, 8, 24)
            np.savez(place / split / f"c{k}.npz", frames=frames)
    for size, horizon in ((16, 1), (40, 7)):
        where = dataset(place, size=size, horizon=horizon)
        done = vpbench("run", ours(n_keypoints=3), "--dataset", where, *METRICS, cwd=tmp_path)
        assert done.code == 0, done.err
    tasks = {p.parents[1] for p in tmp_path.glob("runs/*/ours*/*/predictions")}
    assert len(tasks) == 2
    told = vpbench("compare", ours(n_keypoints=3), "--no-references", "--json", cwd=tmp_path).json()
    rows = [r for g in told["groups"] for r in g["rows"]]
    assert len(rows) == 2 and all(r["uses"] == [] for r in rows)
    refused = vpbench("run", ours(), "--dataset", dataset(place, size=20), *METRICS, cwd=tmp_path)
    assert refused.code != 0 and "divisible by 8" in refused.out + refused.err


KILLER = """
import os, signal
if os.environ.get("KILL_IN"):
    from vpbench.harness.training import context, stage as fit
    step, save = context.StageContext.step, fit._save_points
    where, _, at = os.environ["KILL_IN"].rpartition("@")
    seen = []
    def perhaps(place):
        seen.append(place)
        if place == where and seen.count(place) == int(at):
            os.kill(os.getpid(), signal.SIGKILL)
    def dying(self, total=None):
        done = step(self, total)
        perhaps(self.label)
        return done
    def saving(path, points, guard):
        save(path, points, guard)
        perhaps("ours-detector:labels")
    context.StageContext.step, fit._save_points = dying, saving
"""


@pytest.mark.e2e
def test_a_fit_that_is_killed_in_every_stage_ends_with_the_same_bytes(movies, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(KILLER)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    name = ours(steps=6, motion_steps=6)
    words = ("fit", name, "--dataset", dataset(movies), "--threads", 1)
    assert real(*words, "--runs", "whole", cwd=tmp_path).code == 0
    cases = (
        ("ours:keypoints@4", "resume/state.npz"),
        ("ours-detector:labels@3", "checkpoint"),
        ("ours:motion@5", "resume/state.npz"),
    )
    for kill, left in cases:
        stage = kill.partition(":")[2].partition("@")[0]
        env = {"PYTHONPATH": path, "KILL_IN": kill}
        cut = real(*words, "--runs", "cut", cwd=tmp_path, env=env)
        assert cut.code == 1 and "SIGKILL" in cut.err, cut.err
        (place,) = tmp_path.glob(f"cut/*/stages/ours*.{stage}-*")
        assert (place / left).exists() and not (place / "stage.json").exists()
    done = real(*words, "--runs", "cut", cwd=tmp_path)
    assert done.code == 0, done.err
    whole, cut = checkpoints(tmp_path / "whole"), checkpoints(tmp_path / "cut")
    assert len(whole) > 10 and whole == cut
    for stage in ("keypoints", "motion"):
        logs = [
            next(tmp_path.glob(f"{runs}/*/stages/ours.{stage}-*")) / "train.jsonl"
            for runs in ("whole", "cut")
        ]
        assert logs[0].read_text() == logs[1].read_text()


def test_a_loss_that_is_no_number_stops_with_step_clips_and_the_last_good_state(movies, tmp_path):
    name = ours(steps=6, rate="1e30")
    done = vpbench("run", name, "--dataset", dataset(movies), *METRICS, cwd=tmp_path)
    assert done.code == 1
    said = " ".join(done.err.split())
    assert "ours:keypoints stopped at step" in said and "last good state is that of step" in said
    named = said.partition("(training clips ")[2].partition(")")[0].split(", ")
    assert 1 <= len(named) <= 2 and all(n.startswith("train/") for n in named)
    (stage,) = tmp_path.glob("runs/*/stages/ours.keypoints-*")
    assert (stage / "resume" / "state.npz").is_file() and not (stage / "stage.json").exists()
