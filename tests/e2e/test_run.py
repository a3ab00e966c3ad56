"""run and compare, from the command line to the table."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import TINY, folder, predictions, real, vpbench


def test_run_prints_a_table_with_all_references_and_where_things_are(clips, tmp_path):
    done = vpbench("run", "copy-last", "--dataset", folder(clips), cwd=tmp_path)
    assert done.code == 0, done.err
    for name in (
        "other real clips",
        "nearest train clip",
        "random class clip",
        "copy last frame",
        "PSNR",
        "SSIM",
        "Results:",
        "Next: vpbench compare copy-last",
    ):
        assert name in done.out
    assert list(tmp_path.glob("runs/*/copy-last/*/preview/grid.png"))


def test_run_json_matches_numbers_worked_out_by_hand(eight_clips, tmp_path):
    clips = eight_clips
    done = vpbench("run", "copy-last", "--dataset", folder(clips), "--json", cwd=tmp_path)
    runs = {r["method"]: r for r in done.json()["runs"]}
    assert set(runs) >= {"real", "copy-last", "noise"}
    linear = runs.pop("linear")
    assert (linear["status"], linear["reason"]) == (
        "refused",
        "needs 2 conditioning frames, but the task gives 1",
    )
    assert all(r["status"] == "ok" for r in runs.values())
    values = []
    for path in sorted(clips.glob("test/*/*.npz")):
        frames = np.load(path)["frames"].astype(float)
        error = np.mean((frames[1:9] - frames[0]) ** 2)
        values.append(10 * np.log10(255**2 / error))
    score = runs["copy-last"]["scores"]["psnr"]
    assert score["value"] == pytest.approx(np.mean(values), abs=1e-9)
    assert score["n"] == 8
    assert score["ci95"][0] < score["value"] < score["ci95"][1]
    half_a_level = 0.25 / (8 * 16 * 16 * 3)  # off in one value of the clip
    cap = 10 * np.log10(255**2 / half_a_level)
    assert runs["real"]["scores"]["psnr"]["value"] == pytest.approx(cap)
    assert runs["real"]["scores"]["psnr"]["reason"].startswith("identical")
    assert runs["real"]["scores"]["ssim"]["value"] == pytest.approx(1)


def test_a_finished_run_does_nothing_and_says_so(clips, tmp_path):
    words = ("run", "copy-last", "noise", "--dataset", folder(clips), "--no-references")
    vpbench(*words, cwd=tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/*/*/*.npz")}
    scores = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/*/scores/*.json")}
    again = vpbench(*words, cwd=tmp_path)
    assert again.code == 0
    assert "copy-last: finished before, skipped" in again.err
    assert before and before == {p: p.stat().st_mtime_ns for p in before}
    assert scores and scores == {p: p.stat().st_mtime_ns for p in scores}


@pytest.mark.e2e
def test_workers_and_clip_order_do_not_change_a_byte(clips, tmp_path):
    """Twelve test clips make two shards; the second dataset lists its clips the other way round."""
    many = write_clips(tmp_path / "many", (("train", 6), ("val", 2), ("test", 12)), seed=5)
    words = ("run", "noise", "tiny", "--dataset", folder(many), "--no-references")
    env = {"VPBENCH_PLUGINS": TINY}
    real(*words, "--workers", 1, "--threads", 1, "--runs", "one", cwd=tmp_path, env=env)
    real(*words, "--workers", 2, "--threads", 1, "--runs", "two", cwd=tmp_path, env=env)
    backwards = {**env, "VPBENCH_PLUGINS": f"{TINY},tests.plugins.backwards:SPEC"}
    real(
        "run",
        "noise",
        "tiny",
        "--dataset",
        folder(many).replace("folder:", "backwards:"),
        "--no-references",
        "--threads",
        1,
        "--runs",
        "back",
        cwd=tmp_path,
        env={**backwards, "PYTHONPATH": str(_root())},
    )
    for method in ("noise", "tiny"):
        one = predictions(tmp_path / "one", method)
        assert len(one) == 2
        assert one == predictions(tmp_path / "two", method)
        assert one == predictions(tmp_path / "back", method)


def _root():
    from pathlib import Path

    return Path(__file__).parents[2]


def test_thirty_two_frames_are_scored_over_sixteen_and_all(tmp_path):
    long = write_clips(tmp_path / "long", frames=40)
    done = vpbench(
        "run", "copy-last", "--dataset", folder(long, horizon=32), "--no-references", cwd=tmp_path
    )
    assert "given -> 32 predicted frames" in done.out and "given -> 16" not in done.out
    assert "1 more table: vpbench compare copy-last --dataset" in " ".join(done.out.split())
    groups = vpbench("compare", "copy-last", "--json", cwd=tmp_path).json()["groups"]
    assert [g["frames"] for g in groups] == [32, 16]
    both = vpbench("compare", "copy-last", "--all-groups", cwd=tmp_path).out
    assert both.index("given -> 32") < both.index("given -> 16")
    one_table = vpbench("compare", "copy-last", "--one-table", cwd=tmp_path)
    assert one_table.code == 3
    assert "frames: 32 against 16" in one_table.err


def test_limit_marks_a_run_not_comparable(clips, tmp_path):
    done = vpbench(
        "run", "noise", "--dataset", folder(clips), "--limit", 3, "--no-references", cwd=tmp_path
    )
    assert done.code == 0, done.err
    alone = vpbench("compare", "noise", "--json", cwd=tmp_path).json()["groups"][0]["rows"][0]
    assert alone["notes"] == ["not comparable: --limit 3"] and alone["n"] == 3
    full = vpbench("run", "noise", "--dataset", folder(clips), "--no-references", cwd=tmp_path)
    assert full.code == 0
    compared = vpbench("compare", "noise", "--json", cwd=tmp_path).json()
    marks = [m for g in compared["groups"] for r in g["rows"] for m in r["notes"]]
    assert marks == [] and compared["groups"][0]["rows"][0]["n"] == 6


def test_single_file_plugin_on_the_command_line(clips, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "from vpbench.api import MethodSpec\n"
        "SPEC = MethodSpec('mine', ':Mine', 'black', params={'grey': 0})\n"
        "class Mine:\n"
        "    def __init__(self, task, params, slots): self.grey = params['grey']\n"
        "    def predict(self, given, horizon, seeds):\n"
        "        b, n, h, w, c = given.frames.shape\n"
        "        return np.full((b, seeds.shape[1], horizon, h, w, c), self.grey, np.uint8)\n"
    )
    done = vpbench(
        "run",
        "./mine.py:SPEC[grey=9]",
        "--dataset",
        folder(clips),
        "--no-references",
        "--json",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    assert done.json()["runs"][0]["method"] == "mine[grey=9]"
    assert np.load(next(tmp_path.glob("runs/*/*/*/predictions/*.npz")))["frames"].max() == 9


@pytest.mark.e2e
def test_changed_source_of_a_method_is_probed_and_a_run_that_differs_is_made_anew(clips, tmp_path):
    source = (
        "import numpy as np\nfrom vpbench.api import MethodSpec\n"
        "SPEC = MethodSpec('mine', ':Mine', 'grey')\n"
        "class Mine:\n    def __init__(self, task, params, slots): pass\n"
        "    def predict(self, given, horizon, seeds):\n"
        "        return np.full((len(given), seeds.shape[1], horizon, *given.frames.shape[2:]), "
        "GREY, np.uint8)\n"
    )
    words = ("run", "./mine.py:SPEC", "--dataset", folder(clips), "--no-references", "--json")

    def run(grey):
        (tmp_path / "mine.py").write_text(source.replace("GREY", grey))
        done = vpbench(*words, cwd=tmp_path)
        assert done.code == 0, done.err
        (row,) = done.json()["runs"]
        (path,) = tmp_path.glob("runs/*/mine/????????/predictions/*.npz")
        return row, np.load(path)["frames"].max(), done.err

    first, level, said = run("10")
    assert level == 10 and "predicted again" not in said
    other, level, said = run("200")
    assert level == 200 and other["run_dir"] == first["run_dir"]
    assert "code of mine.py changed; 1 shard predicted again, differ by 190 grey levels" in said
    assert first["scores"]["psnr"]["value"] != other["scores"]["psnr"]["value"]
    (kept,) = tmp_path.glob("runs/*/mine/*.retired-*")
    assert str(kept) in said and list(kept.glob("scores/psnr@*.json"))
    same, _, said = run("200  # a comment\n       ")
    assert same["scores"] == other["scores"] and "finished before, skipped" in said
    same, _, said = run("2 * 100")
    assert same["scores"] == other["scores"]
    assert "code of mine.py changed; 1 shard predicted again, equal" in said
    _, _, said = run("2 * 100")
    assert "predicted again" not in said and "finished before, skipped" in said


def test_measure_pairs_by_name_and_agrees_with_run(clips, tmp_path):
    real = tmp_path / "real"
    fake = tmp_path / "fake"
    for path in clips.glob("test/*/*.npz"):
        frames = np.load(path)["frames"]
        name = f"{path.parent.name}-{path.stem}.npz"
        real.mkdir(exist_ok=True), fake.mkdir(exist_ok=True)
        np.savez(real / name, frames=frames[1:9])
        np.savez(fake / name, frames=np.repeat(frames[:1], 8, 0))
    done = vpbench("measure", real, fake, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    run = vpbench(
        "run", "copy-last", "--dataset", folder(clips), "--no-references", "--json", cwd=tmp_path
    ).json()["runs"][0]
    for metric in ("psnr", "ssim"):
        assert done.json()["scores"][metric]["value"] == run["scores"][metric]["value"]
    (fake / "right-clip00.npz").rename(fake / "other.npz")
    broken = vpbench("measure", real, fake, cwd=tmp_path)
    assert broken.code == 0 and broken.out.count("without a partner") == 2  # psnr and ssim
    assert vpbench("measure", real, fake, "--metrics", "psnr", cwd=tmp_path).code == 5
    short = vpbench("measure", real, real, "--frames", 9, cwd=tmp_path)
    assert short.code == 4 and "has 8 frames, 9 are needed" in short.err


def test_frames_too_small_for_ssim_have_a_psnr_all_the_same(tmp_path):
    """And `psnr@frames` is a metric of its own, on request."""
    for side, seed in (("real", 1), ("fake", 2)):
        random = np.random.default_rng(seed)
        (tmp_path / side).mkdir()
        for k in range(9):
            frames = random.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
            np.savez(tmp_path / side / f"{k}.npz", frames=frames)
    words = ("--metrics", "ssim,psnr,psnr@frames", "--json")
    done = vpbench("measure", "real", "fake", *words, cwd=tmp_path)
    scores = done.json()["scores"]
    assert scores["ssim"]["value"] is None
    assert scores["ssim"]["reason"] == "frames of 8 x 8 px are smaller than its window of 11 px"
    clip, frame = scores["psnr"], scores["psnr@frames"]
    assert clip["value"] < frame["value"] < clip["value"] + 0.1
    assert clip["n"] == 9 and clip["se"] > 0 and clip["fingerprint"] != frame["fingerprint"]
    small = write_clips(tmp_path / "small", (("train", 2), ("val", 1), ("test", 3)), size=8)
    words = ("run", "copy-last", "--dataset", folder(small, size=8), "--no-references", "--json")
    run = vpbench(*words, cwd=tmp_path).json()["runs"][0]
    assert run["status"] == "ok" and run["scores"]["psnr"]["value"] is not None
    assert set(run["scores"]) >= {"psnr", "ssim"} and "psnr@frames" not in run["scores"]
    assert run["scores"]["ssim"]["value"] is None and "11 px" in run["scores"]["ssim"]["reason"]
    more = vpbench("score", "copy-last", "--metrics", "psnr@frames", "--json", cwd=tmp_path)
    assert more.json()["runs"][0]["scores"]["psnr@frames"]["value"] is not None


def test_info_and_list_and_doctor(finished):
    env = {"VPBENCH_PLUGINS": TINY}
    (run_dir,) = finished.glob("runs/*/tiny/*")
    shown = vpbench("info", run_dir, "--json", cwd=finished).json()
    assert shown["verified"] is True and shown["inputs"]["method"] == "tiny"
    named = vpbench("info", "tiny", "--json", cwd=finished, env=env).json()
    assert named["kind"] == "method" and named["slots"]["motion"] == "tiny-motion"
    assert "Wang" in vpbench("info", "metric:ssim", "--bibtex", cwd=finished).out
    listed = vpbench("list", "--json", cwd=finished, env=env).json()
    assert listed["schema"] == "vpbench.list/1"
    assert {"tiny", "copy-last"} <= {i["name"] for i in listed["items"] if i["status"] == "ok"}
    doctor = vpbench("doctor", "--json", cwd=finished)
    assert doctor.code == 0 and doctor.json()["ok"] is True


def test_plan_names_reasons_before_any_compute(clips, tmp_path):
    unlabelled = tmp_path / "plain"
    for split in ("train", "test"):
        (unlabelled / split).mkdir(parents=True)
        for k, path in enumerate(sorted(clips.glob(f"{split}/*/*.npz"))):
            shutil.copy(path, unlabelled / split / f"{k}.npz")
    plan = vpbench(
        "plan",
        "class-random",
        "tiny",
        "--dataset",
        folder(unlabelled, size=18),
        "--json",
        cwd=tmp_path,
        env={"VPBENCH_PLUGINS": TINY},
    )
    assert plan.code == 2
    reasons = {r["method"]: r["reason"] for r in plan.json()["runs"] if r["reason"]}
    assert reasons == {
        "class-random": "needs action labels, but the dataset has none",
        "linear": "needs 2 conditioning frames, but the task gives 1",
        "tiny": "needs a size divisible by 4, but the task has 18",
    }
    shown = vpbench(
        "plan", "copy-last", "--dataset", folder(clips, stride=2, horizon=3), cwd=tmp_path
    )
    assert "test clips, 16 px, up to 1 given, 3 predicted frames, stride 2" in shown.out
    assert not (tmp_path / "runs").exists()


def test_env_and_record_say_what_ran(clips, tmp_path):
    vpbench("run", "copy-last", "--dataset", folder(clips), "--no-references", cwd=tmp_path)
    (run,) = tmp_path.glob("runs/*/copy-last/*")
    record = json.loads((run / "run.json").read_text())
    assert record["inputs"]["task"]["t0"] == 0 and record["inputs"]["seed"] == 0
    assert "numpy==" in (run / "env" / "freeze.txt").read_text()
    assert json.loads((run / "env" / "machine.json").read_text())["cores"] >= 1
