"""Benchmarks through an executor of somebody else."""

import json

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, TINY, checkpoints, folder, predictions, vpbench

CLUSTER = str(PLUGINS / "cluster.py")
METHODS = ("copy-last", "noise", "tiny")


def scores(done):
    """Method -> metric -> value, interval and n."""
    keys = ("value", "ci95", "n", "fingerprint")
    return {
        run["method"]: {m: [s[k] for k in keys] for m, s in run["scores"].items()}
        for run in done.json()["runs"]
    }


@pytest.mark.e2e
def test_a_whole_benchmark_runs_on_the_executor_of_a_third_party(tmp_path):
    """Fits, predicts and scores, byte for byte what the local executor makes."""
    clips = write_clips(tmp_path / "clips", (("train", 6), ("val", 2), ("test", 10)))
    env = {"VPBENCH_PLUGINS": f"{TINY},{CLUSTER}", "CLUSTER_LOG": str(tmp_path / "log")}
    words = ("run", *METHODS, "--dataset", folder(clips), "--no-references", "--threads", 1)
    words += ("--workers", 2, "--json")
    local = vpbench(*words, "--runs", "local", cwd=tmp_path, env=env)
    assert local.code == 0, local.err
    assert not (tmp_path / "log").exists()
    there = vpbench(*words, "--runs", "there", "--on", "cluster", cwd=tmp_path, env=env)
    assert there.code == 0, there.err
    jobs = (tmp_path / "log").read_text().split()
    kinds = {job.partition("-")[0] for job in jobs}
    assert kinds == {"stage", "predict", "leak", "score"} and len(jobs) == len(set(jobs))
    assert checkpoints(tmp_path / "there") == checkpoints(tmp_path / "local") != {}
    for method in METHODS:
        assert predictions(tmp_path / "there", method) == predictions(tmp_path / "local", method)
    assert scores(there) == scores(local)
    assert scores(there)["tiny"]["psnr"][2] == 10
    assert "tiny finished" in there.err
    again = vpbench(*words, "--runs", "there", "--on", "cluster", cwd=tmp_path, env=env)
    assert "tiny: finished before, skipped" in again.err
    assert (tmp_path / "log").read_text().split() == jobs


@pytest.mark.e2e
def test_a_job_that_fails_elsewhere_is_named_and_the_others_go_on(clips, tmp_path):
    bad = str(PLUGINS / "bad_methods.py")
    env = {"VPBENCH_PLUGINS": f"{bad},{CLUSTER}"}
    name = "bad[how=raise]"
    words = ("run", name, "copy-last", "--dataset", folder(clips), "--no-references", "--json")
    done = vpbench(*words, "--on", "cluster", cwd=tmp_path, env=env)
    assert done.code == 1, done.err
    rows = {run["method"]: run for run in done.json()["runs"]}
    assert "ValueError: on purpose" in rows[name]["reason"]
    assert rows["copy-last"]["status"] == "ok" and rows[name]["status"] == "failed"
    here = vpbench(*words, "--runs", "here", cwd=tmp_path, env=env).json()["runs"]
    assert rows[name]["reason"] == here[0]["reason"]
    (failure,) = tmp_path.glob("runs/*/bad*/*/failure.json")
    assert json.loads(failure.read_text())["reason"] == rows[name]["reason"]


def test_an_executor_that_is_not_there_is_named_with_the_nearest(clips, tmp_path):
    words = ("run", "copy-last", "--dataset", folder(clips))
    done = vpbench(*words, "--on", "locl", cwd=tmp_path)
    assert done.code == 2 and not (tmp_path / "runs").exists()
    assert "unknown executor 'locl'. Did you mean local" in done.err
    assert len(done.err.strip().splitlines()) == 1
