"""A command in a warm process does what it does in one that starts afresh."""

import os
import signal
import subprocess

import pytest

from tests import warm
from tests.e2e.helpers import TINY, checkpoints, folder, predictions, real, vpbench

pytestmark = pytest.mark.skipif(not warm.AVAILABLE, reason="commands start afresh here")


NOSY = """
import os, sys
from pathlib import Path
import numpy as np
from vpbench.api import MethodSpec
SPEC = MethodSpec("nosy", ":Nosy", "writes down what its process has loaded")
class Nosy:
    def __init__(self, task, params, slots): pass
    def predict(self, given, horizon, seeds):
        ours = sorted(n for n in sys.modules if n.startswith("vpbench"))
        Path(os.environ["NOSY"]).write_text("\\n".join(ours))
        shape = (len(given), seeds.shape[1], horizon, *given.frames.shape[2:])
        return np.zeros(shape, np.uint8)
"""


@pytest.mark.e2e
def test_a_worker_has_loaded_what_it_needs_and_no_more(clips, tmp_path):
    """The code behind a result is that of the loaded modules."""
    (tmp_path / "nosy.py").write_text(NOSY)
    loaded = []
    for way in (real, vpbench):
        env = {"NOSY": str(tmp_path / way.__name__)}
        words = ("./nosy.py:SPEC", "--dataset", folder(clips), "--runs", f"runs-{way.__name__}")
        done = way("run", *words, "--no-references", cwd=tmp_path, env=env)
        assert done.code == 0, done.err
        loaded.append((tmp_path / way.__name__).read_text().split())
    assert "vpbench.harness.jobs.worker" in loaded[0] and loaded[0] == loaded[1]


@pytest.mark.e2e
def test_predictions_weights_and_output_are_the_same(clips, tmp_path):
    scores = []
    for way in (real, vpbench):
        place = tmp_path / way.__name__
        place.mkdir()
        env = {"VPBENCH_PLUGINS": TINY, "VPBENCH_HOME": str(place / "home")}
        words = ("tiny", "noise", "--dataset", folder(clips), "--no-references")
        done = way("run", *words, "--threads", 1, cwd=place, env=env)
        assert done.code == 0, done.err
        compared = way("compare", "tiny", "noise", "--json", cwd=place, env=env).json()
        scores.append([r["scores"] for r in compared["groups"][0]["rows"]])
    one, two = tmp_path / "real" / "runs", tmp_path / "vpbench" / "runs"
    assert scores[0] == scores[1]
    assert checkpoints(one) and checkpoints(one) == checkpoints(two)
    for method in ("tiny", "noise"):
        assert predictions(one, method) == predictions(two, method)


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["run", "--help"],
        ["frobnicate"],
        ["run", "nothing", "--dataset", "puppets"],
        ["compare"],
        ["score", "runs/nowhere"],
    ],
)
def test_words_and_codes_are_the_same(words, tmp_path):
    fresh, forked = real(*words, cwd=tmp_path), vpbench(*words, cwd=tmp_path)
    assert (fresh.code, fresh.out, fresh.err) == (forked.code, forked.out, forked.err)


def test_nothing_is_left_of_an_earlier_command(tmp_path):
    """Folder, environment and plugins are those of the command alone."""
    (tmp_path / "one").mkdir()
    listed = [
        {i["name"] for i in vpbench("list", "--json", cwd=cwd, env=env).json()["items"]}
        for cwd, env in (
            (tmp_path / "one", {"VPBENCH_PLUGINS": TINY}),
            (tmp_path, {}),
        )
    ]
    assert "tiny" in listed[0] and "tiny" not in listed[1]


def test_a_process_is_signalled_and_waited_for_as_any_other(tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    env = {**os.environ, "VPBENCH_PLUGINS": str(tmp_path / "slow.py")}
    process = warm.server().start("vpbench", ["list", "methods"], cwd=tmp_path, env=env)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == process.poll() == -signal.SIGKILL
    process.kill()  # one that has ended is left alone
