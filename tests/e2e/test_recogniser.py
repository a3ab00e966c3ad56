"""vpbench recogniser: trained, interrupted, resumed, passed on, used."""

import signal
import time

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import folder, start, vpbench

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """Clips of 13 frames, a given one and twelve to predict."""
    place = tmp_path_factory.mktemp("moving")
    return folder(write_clips(place / "clips", (("train", 6), ("val", 2), ("test", 2))), horizon=12)


def test_an_interrupted_training_resumes_to_the_same_recogniser(moving, tmp_path):
    """And scores, published and installed elsewhere."""
    words = ("recogniser", "train", "--dataset", moving, "--preset", "cpu", "--steps", 12)
    words = (*words, "--threads", 1, "--json")
    whole = vpbench(*words, cwd=tmp_path, env={"VPBENCH_HOME": tmp_path / "whole"})
    assert whole.code == 0, whole.err
    home = {"VPBENCH_HOME": str(tmp_path / "home")}
    process = start(*words, cwd=tmp_path, env=home)
    while not list((tmp_path / "home").glob("recogniser-training/*/resume/state.npz")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "run the same command to resume" in err
    again = vpbench(*words, cwd=tmp_path, env=home)
    assert again.code == 0 and "resuming the training that was interrupted" in again.err
    one, other = whole.json(), again.json()
    for name in ("weights", "name", "accuracy", "settings", "seed"):
        assert one[name] == other[name], name
    assert not list((tmp_path / "home").glob("recogniser-training/*"))
    listed = vpbench("recogniser", "list", cwd=tmp_path, env=home).out
    assert other["name"] in listed and "of 2 validation clips" in listed
    run = ("run", "copy-last", "--no-references", "--metrics", "action-2s", "--json")
    scored = vpbench(*run, "--dataset", moving, cwd=tmp_path, env=home)
    assert scored.code == 0, scored.err
    elsewhere = {"VPBENCH_HOME": str(tmp_path / "elsewhere")}
    vpbench("recogniser", "publish", other["name"], "--out", "out", cwd=tmp_path, env=home)
    (entry,) = (tmp_path / "out").glob("*.entry.json")
    assert vpbench("recogniser", "install", entry, cwd=tmp_path, env=elsewhere).code == 0
    there = vpbench(*run, "--dataset", moving, "--runs", "b", cwd=tmp_path, env=elsewhere)
    scores = [done.json()["runs"][0]["scores"]["action-2s"] for done in (scored, there)]
    assert scores[0]["value"] == scores[1]["value"] is not None
    assert scores[0]["fingerprint"] == scores[1]["fingerprint"]
