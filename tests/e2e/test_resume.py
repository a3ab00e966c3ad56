"""Killed, resumed, shared: the same bytes. All processes start afresh here, as a user's do."""

import json
import os
import signal
import time

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, TINY, checkpoints, folder, predictions, start
from tests.e2e.helpers import real as vpbench

pytestmark = pytest.mark.e2e

SLOW = str(PLUGINS / "slow.py")


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@pytest.fixture
def many(tmp_path):
    """40 test clips: five shards."""
    return write_clips(tmp_path / "many", (("train", 4), ("val", 2), ("test", 40)), seed=3)


def kill_everything(process):
    """The parent and its workers, as a power cut would."""
    import subprocess

    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    for pid in [process.pid, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("victim", ["everything", "parent"])
def test_prediction_killed_in_the_middle_and_resumed_gives_the_same_bytes(many, tmp_path, victim):
    env = {"VPBENCH_PLUGINS": SLOW}
    words = ("run", "slow[pause=0.3]", "--dataset", folder(many), "--no-references")
    assert vpbench(*words, "--runs", "whole", cwd=tmp_path, env=env).code == 0
    process = start(*words, "--runs", "cut", cwd=tmp_path, env=env)
    wait_for(lambda: list(tmp_path.glob("cut/*/*/*/predictions/[0-9]*.json")))
    if victim == "everything":
        kill_everything(process)
    else:
        process.kill()
        process.communicate()
    done_before = {
        p: p.stat().st_mtime_ns
        for p in tmp_path.glob("cut/*/*/*/predictions/*.npz")
        if p.with_suffix(".json").exists()
    }
    assert 0 < len(done_before) < 5
    assert not list(tmp_path.glob("cut/*/*/*/predictions/MANIFEST.json"))
    done = vpbench(*words, "--runs", "cut", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    method = "slow+pause-0.3"
    assert predictions(tmp_path / "cut", method) == predictions(tmp_path / "whole", method)
    assert done_before == {p: p.stat().st_mtime_ns for p in done_before}  # nothing made twice
    assert not list(tmp_path.glob("cut/**/stage.lock")) and not list(tmp_path.glob("cut/**/.tmp-*"))


def test_two_processes_on_one_run_share_the_work(many, tmp_path):
    env = {"VPBENCH_PLUGINS": SLOW, "SLOW_LOG": str(tmp_path / "calls")}
    words = (
        "run",
        "slow[pause=0.2]",
        "--dataset",
        folder(many),
        "--no-references",
        "--json",
        "--workers",
        1,
    )
    both = [start(*words, cwd=tmp_path, env=env) for _ in range(2)]
    results = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], results
    scores = [json.loads(out)["runs"][0]["scores"] for out, _ in results]
    assert scores[0] == scores[1]
    calls = (tmp_path / "calls").read_text().split()
    assert len(calls) == 6  # every shard was predicted once, and one by the leak probe
    assert len(set(calls)) == 2  # by two processes


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("stage", ["keypoints", "motion"])
def test_fit_killed_in_any_stage_and_resumed_gives_the_same_weights(clips, tmp_path, step, stage):
    env = {"VPBENCH_PLUGINS": TINY}
    words = ("fit", "tiny", "--dataset", folder(clips), "--threads", 1)
    assert vpbench(*words, "--runs", "whole", cwd=tmp_path, env=env).code == 0
    if stage == "motion":  # the first stage is done before the kill
        vpbench(
            "fit", "tiny[motion=tiny-still]", *words[2:], "--runs", "cut", cwd=tmp_path, env=env
        )
    flag = tmp_path / "flag"
    cut = vpbench(*words, "--runs", "cut", cwd=tmp_path, env={**env, "TINY_KILL": f"{flag}:{step}"})
    assert cut.code == 1 and "SIGKILL" in cut.err and flag.exists()
    resumed = step >= 2
    stored = list(tmp_path.glob(f"cut/*/stages/tiny.{stage}-*/resume/state.npz"))
    assert bool(stored) == resumed
    done = vpbench(*words, "--runs", "cut", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert checkpoints(tmp_path / "cut") == checkpoints(tmp_path / "whole")
    (log,) = tmp_path.glob(f"cut/*/stages/tiny.{stage}-*/train.jsonl")
    assert [json.loads(x)["step"] for x in log.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    assert not list(tmp_path.glob("cut/*/stages/*/resume"))


def test_interrupt_keeps_the_state_and_exits_with_130(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": TINY}
    words = ("fit", "tiny[steps=400,pause=0.05]", "--dataset", folder(clips), "--threads", 1)
    process = start(*words, cwd=tmp_path, env=env)
    wait_for(lambda: list(tmp_path.glob("runs/*/stages/*/resume/state.npz")))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run the same command to resume" in err and "Traceback" not in err
    assert list(tmp_path.glob("runs/*/stages/*/resume/state.npz"))
    assert not list(tmp_path.glob("runs/**/stage.lock"))


def test_a_crash_of_one_job_leaves_the_others(many, tmp_path):
    env = {"VPBENCH_PLUGINS": SLOW}
    done = vpbench(
        "run",
        "slow[crash=segfault]",
        "slow[crash=raise]",
        "slow[crash=exit]",
        "slow",
        "--dataset",
        folder(many),
        "--no-references",
        "--json",
        cwd=tmp_path,
        env=env,
    )
    assert done.code == 1
    runs = {r["method"]: r for r in done.json()["runs"]}
    assert runs["slow"]["status"] == "ok" and runs["slow"]["scores"]["psnr"]["value"]
    assert "SIGSEGV" in runs["slow[crash=segfault]"]["reason"]
    assert "RuntimeError: on purpose" in runs["slow[crash=raise]"]["reason"]
    assert "exited with 3" in runs["slow[crash=exit]"]["reason"]


def test_fit_anew_interrupted_after_a_stage_goes_on_with_the_next(clips, tmp_path):
    """`--fit` trains every stage once, however often it is interrupted; the next one all again."""
    words = ("fit", "tiny[pause=0.05]", "--dataset", folder(clips), "--threads", 1, "--fit")
    env = {"VPBENCH_PLUGINS": TINY}
    assert vpbench(*words, cwd=tmp_path, env=env).code == 0
    first = trained(tmp_path)
    process = start(*words, cwd=tmp_path, env=env)
    wait_for(lambda: trained(tmp_path).get("keypoints", 0) > first["keypoints"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    cut = trained(tmp_path)
    assert list(tmp_path.glob("runs/*/stages/.refit-*"))
    assert vpbench(*words, cwd=tmp_path, env=env).code == 0
    done = trained(tmp_path)
    assert done["keypoints"] == cut["keypoints"] and done["motion"] > first["motion"]
    assert not list(tmp_path.glob("runs/*/stages/.refit-*"))
    assert vpbench(*words, cwd=tmp_path, env=env).code == 0
    again = trained(tmp_path)
    assert all(again[stage] > done[stage] for stage in ("keypoints", "motion"))


def trained(place):
    """Stage -> when it was trained, of those in use."""
    found = {}
    for path in place.glob("runs/*/stages/tiny.*/stage.json"):
        if ".retired-" not in path.parent.name:
            found[path.parent.name.split(".")[1].split("-")[0]] = path.stat().st_mtime_ns
    return found


def test_fit_killed_and_then_other_clips_begins_again(clips, tmp_path):
    """All of it: earlier stages, keypoints that were stored, and the state that was interrupted."""
    env = {"VPBENCH_PLUGINS": TINY}
    words = ("fit", "tiny", "--dataset", folder(clips), "--threads", 1)
    vpbench("fit", "tiny[motion=tiny-still]", *words[2:], "--runs", "cut", cwd=tmp_path, env=env)
    kill = {**env, "TINY_KILL": f"{tmp_path / 'flag'}:5"}
    assert vpbench(*words, "--runs", "cut", cwd=tmp_path, env=kill).code == 1
    file = sorted((clips / "train").rglob("*.npz"))[0]
    frames = np.load(file)["frames"]
    np.savez(file, frames=255 - frames)
    done = vpbench(*words, "--runs", "cut", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert "tiny: its training clips changed: tiny:keypoints is trained again" in done.err
    assert "tiny:motion was left unfinished and its training clips changed" in done.err
    assert vpbench(*words, "--runs", "whole", cwd=tmp_path, env=env).code == 0
    made = checkpoints(tmp_path / "cut").items()
    assert {k: v for k, v in made if ".retired-" not in k} == checkpoints(tmp_path / "whole")
    assert len(list(tmp_path.glob("cut/*/stages/tiny.motion-*.retired-*/resume/state.npz"))) == 1
