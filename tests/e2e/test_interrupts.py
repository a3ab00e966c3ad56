"""Ctrl-C at a terminal, in every phase: once ends in seconds, twice at once; nothing is left."""

import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, TINY, folder
from tests.e2e.terminal import Terminal
from tests.unit.metrics.weights_here import i3d_path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]

WAITS = str(PLUGINS / "waits.py")
ONCE_S, TWICE_S = 5.0, 2.0
SLACK_S = 2.0
"""For a machine with more to do than this test."""


@dataclass(frozen=True)
class Phase:
    """Where a command is interrupted.

    Attributes:
        seen: what the terminal shows by then.
        wait: where the plugins of the test wait; "" for work that takes long by itself.
        resumes: whether the same command then runs to its end.
    """

    words: tuple
    seen: str
    wait: str = ""
    resumes: bool = True
    env: dict = field(default_factory=dict)


def run(*methods, more=()):
    return ("run", *methods, "--dataset", "slow-clips", "--no-references", "--workers", 2, *more)


PSNR = ("--metrics", "psnr")
PHASES = {
    "rendering": Phase(("data", "prepare", "puppets"), "prepare", resumes=False),
    "preparing": Phase(run("waits", more=PSNR), "preparing", "prepare"),
    "conversion": Phase(run("waits", more=PSNR), "convert", "read-slowly"),
    "fit": Phase(
        ("fit", "tiny[steps=300,pause=0.02]", "--dataset", "CLIPS", "--threads", 1),
        "tiny:keypoints",
        env={"VPBENCH_PLUGINS": TINY},
        resumes=False,
    ),
    "predict": Phase(run("waits", more=PSNR), "jobs", "predict"),
    "score": Phase(run("waits", more=("--metrics", "waiting")), r"jobs +(1/2|0/1)", "score"),
    "compare": Phase(("compare", "waits", "--dataset", "slow-clips"), "", "import", resumes=False),
    "measure": Phase(
        ("measure", "CLIPS/test/right", "CLIPS/test/right", "--metrics", "waiting"),
        "working|measuring",
        "score",
    ),
    "figure": Phase(
        ("figure", "predictions", "waits", "--dataset", "slow-clips", "--out", "pictures"),
        "drawing",
        "predict",
    ),
}


def placed(words, clips):
    """The words of a command with the folder of clips in place."""
    texts = [folder(clips) if w == "CLIPS" else str(w) for w in words]
    return [text.replace("CLIPS/", f"{clips}/") for text in texts]


def interrupted(phase, tmp_path, times, clips=None):
    """Run a command and interrupt it; what the terminal showed."""
    words = placed(phase.words, clips)
    env = {"VPBENCH_PLUGINS": WAITS, "WAIT_AT": phase.wait, **phase.env}
    with Terminal(*words, cwd=tmp_path, env=env) as terminal:
        terminal.until(phase.seen)
        time.sleep(0.5 if phase.seen else 2.0)
        terminal.press_ctrl_c()
        if times == 2:
            time.sleep(0.2)
            terminal.press_ctrl_c()
        limit = ONCE_S if times == 1 else TWICE_S
        code, _ = terminal.end(limit + SLACK_S)
        assert code == 130, terminal.shown()
        shown = terminal.shown()
        assert "run the same command to resume" in shown, shown
        assert "Traceback" not in terminal.text and "a bug in vpbench" not in terminal.text
        assert gone(terminal), "processes are left"
        return terminal.text


def gone(terminal, seconds=3.0):
    """Grandchildren notice within a second or two."""
    end = time.monotonic() + seconds
    while terminal.left() and time.monotonic() < end:
        time.sleep(0.05)
    return not terminal.left()


@pytest.mark.parametrize("name", PHASES)
def test_once_and_twice_in_each_phase(name, tmp_path):
    phase = PHASES[name]
    clips = write_clips(tmp_path / "clips") if "CLIPS" in str(phase.words) else None
    for times in (1, 2):
        interrupted(phase, tmp_path, times, clips)
    if phase.resumes:
        words = placed(phase.words, clips)
        with Terminal(*words, cwd=tmp_path, env={"VPBENCH_PLUGINS": WAITS}) as again:
            code, _ = again.end(120)
            assert code == 0, again.shown()
    assert not list(tmp_path.glob("runs/**/.tmp-*"))


def test_a_download_that_hangs_is_interrupted(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the call and never answers
        url = f"https://127.0.0.1:{server.getsockname()[1]}/never.safetensors"
        phase = Phase(
            ("weights", "fetch", "never-there"),
            "",
            env={"WAIT_URL": url, "VPBENCH_OFFLINE": "0"},
        )
        for times in (1, 2):
            interrupted(phase, tmp_path, times)


@pytest.mark.weights
def test_features_are_interrupted(tmp_path):
    (tmp_path / "home").mkdir()
    os.symlink(i3d_path().parent, tmp_path / "home" / "weights")
    many = write_clips(tmp_path / "many", (("train", 4), ("val", 2), ("test", 60)), seed=5)
    words = ("run", "copy-last", "--dataset", folder(many, horizon=9, size=64), "--metrics", "fvd")
    for times in (1, 2):
        interrupted(Phase(words, "features"), tmp_path, times)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("name", ["rendering", "conversion", "predict"])
def test_a_killed_command_leaves_no_process(name, number, tmp_path):
    phase = PHASES[name]
    env = {"VPBENCH_PLUGINS": WAITS, "WAIT_AT": phase.wait}
    with Terminal(*phase.words, cwd=tmp_path, env=env) as terminal:
        terminal.until(phase.seen)
        time.sleep(0.5)
        assert terminal.left() or name == "predict"
        terminal.process.send_signal(number)
        assert terminal.process.wait(5) == -number
        assert gone(terminal, 10.0)  # a worker that hangs gets five seconds to store its state
