"""The script that trains everything, on a tiny method: results, resuming, bundles, time limits."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.helpers import TINY, folder, vpbench

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).parents[2] / "tools" / "train_all.py"
SPECS = ("METHOD", "DETECTOR", "MOTION", "TRANSLATOR")


def start(clips, out, method, *words):
    plugins = ",".join(f"{TINY}:{name}" for name in SPECS)
    command = ["--dataset", folder(clips), "--device", "cpu", "--out", out, "--methods", method]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, command), *words],
        env={**os.environ, "VPBENCH_PLUGINS": plugins},
        stderr=subprocess.PIPE,
        text=True,
    )


def train(clips, out, method, *words):
    done = start(clips, out, method, *words)
    done.stderr = done.communicate(timeout=300)[1]
    assert "Traceback" not in done.stderr, done.stderr
    return done, json.loads((out / "summary.json").read_text())


def test_stages_are_those_of_fit_and_bundles_are_taken(clips, tmp_path):
    out = tmp_path / "out"
    done, summary = train(clips, out, "tiny[preset=normal]")
    assert done.returncode == 0, done.stderr
    status = {row["stage"]: row["status"] for row in summary["stages"]}
    assert status == {
        "tiny:keypoints": "done",
        "tiny-detector:labels": "done",
        "tiny:motion": "done",
    }
    assert summary["incomplete"] == [] and summary["bundles"]["tiny"]["bytes"] > 0
    for row in summary["stages"]:
        assert row["minutes"] > 0 and row["bytes"] > 0
    fitted = vpbench(
        "fit",
        f"{TINY}:METHOD",
        "--dataset",
        folder(clips),
        "--runs",
        tmp_path / "runs",
        env={"VPBENCH_PLUGINS": ",".join(f"{TINY}:{n}" for n in SPECS[1:])},
        cwd=tmp_path,
    )
    assert fitted.code == 0, fitted.err
    (task,) = [p.name for p in (out / "runs").iterdir()]
    keys = {p.name for p in (tmp_path / "runs" / task / "stages").iterdir()}
    assert keys == {p.name for p in (out / "runs" / task / "stages").iterdir()}
    package = tmp_path / "package"
    package.mkdir()
    for made in sorted((out / "bundles" / "tiny" / "checkpoints").iterdir()):
        taken = vpbench("bundle", made, package, "--json", cwd=tmp_path)
        assert taken.code == 0 and taken.json()["key"] in made.name, taken.err
    again, summary = train(clips, out, "tiny[preset=normal]")
    assert again.returncode == 0
    assert {row["status"] for row in summary["stages"]} == {"there"}


def test_time_that_is_up_leaves_a_state_to_go_on_from(clips, tmp_path):
    out, method = tmp_path / "out", "tiny[preset=normal,steps=400,pause=0.05]"
    done, summary = train(clips, out, method, "--minutes", "0.3")
    assert done.returncode == 1
    rows = {row["stage"]: row for row in summary["stages"]}
    assert rows["tiny:keypoints"]["status"] == "incomplete"
    assert rows["tiny:keypoints"]["reason"] == "the time was up"
    assert list(out.glob("runs/*/stages/tiny.keypoints-*/resume/state.npz"))
    assert rows["tiny:motion"]["status"] == "incomplete" and summary["bundles"] == {}


def test_equal_minutes_set_the_steps(clips, tmp_path):
    method = "tiny[preset=normal,steps=5000,pause=0.02]"
    done, summary = train(
        clips, tmp_path / "out", method, "--equal-minutes", "0.25", "--rehearsal-steps", "40"
    )
    assert done.returncode == 0, done.stderr
    (row,) = summary["methods"].values()
    assert 40 <= row["steps"]["steps"] < 1000


def test_one_that_is_asked_to_end_says_how_far_it_is(clips, tmp_path):
    out, method = tmp_path / "out", "tiny[preset=normal,steps=2000,pause=0.05]"
    process = start(clips, out, method)
    while not list(out.glob("runs/*/stages/tiny.keypoints-*/train.jsonl")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Traceback" not in said, said
    summary = json.loads((out / "summary.json").read_text())
    assert {row["reason"] for row in summary["stages"]} == {"it was interrupted"}
    assert list(out.glob("runs/*/stages/tiny.keypoints-*/resume/state.npz"))
