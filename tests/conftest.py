"""What all tests share: no network, own folders, clips made on the spot."""

import fcntl
import os
import shutil
import signal
import socket
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when numpy is imported
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tests import warm  # noqa: E402

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so a shell starts what runs in its background, and a test's commands would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish():
    warm.close()


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """Nothing of the user's is read or written."""
    monkeypatch.setenv("VPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (
        "VPBENCH_RUNS",
        "VPBENCH_DATA",
        "VPBENCH_WEIGHTS",
        "VPBENCH_PLUGINS",
        "VPBENCH_NO_PLUGINS",
        "VPBENCH_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VPBENCH_OFFLINE", "1")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches out fails."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test wanted to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """`once(name, make)`: a folder that `make(folder)` fills once for all workers of this session.

    Nobody may change it; copy it, or link to it.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def made(name, make):
        folder = base / f"once-{name}"
        with (base / f"once-{name}.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0)
            if lock.read() != "made":  # not by half, as by a worker whose attempt failed
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                lock.write("made")
        return folder

    return made


@pytest.fixture(scope="session")
def rendered_puppets(once):
    """A cache that holds the rendered test clips of puppets."""

    def render(folder):
        from vpbench.data.puppets.dataset import Puppets

        Puppets({}, None, folder).clips("test")

    return once("puppets", render)


@pytest.fixture
def puppets(rendered_puppets, own_places, tmp_path):
    """The test clips of puppets are in this test's cache; they are not to be changed."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "puppets").symlink_to(rendered_puppets / "puppets")


@pytest.fixture
def shared_clips():
    """Real clips for trying things, where somebody has them."""
    folder = os.environ.get("VPBENCH_TEST_DATA")
    if not folder:
        pytest.skip("VPBENCH_TEST_DATA names no folder of real clips")
    return Path(folder)


def moving_square(seed, label, frames=20, size=16):
    """A clip: a square moves right (label 0) or down (label 1) over a still background."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 256, (size, size, 3), np.uint8)
    colour = rng.integers(0, 256, 3, np.uint8)
    clip = np.repeat(ground[None], frames, 0)
    start = int(rng.integers(0, size // 2))
    for t in range(frames):
        place = (start + t) % (size - 4)
        y, x = (start, place) if label == 0 else (place, start)
        clip[t, y : y + 4, x : x + 4] = colour
    return clip


def write_clips(
    folder, counts=(("train", 10), ("val", 2), ("test", 6)), frames=20, size=16, seed=0
):
    """npz clips of two classes in train/val/test, all different."""
    number = seed * 1000
    for split, count in counts:
        for k in range(count):
            label = k % 2
            place = folder / split / ("right", "down")[label]
            place.mkdir(parents=True, exist_ok=True)
            np.savez(place / f"clip{k:02d}.npz", frames=moving_square(number, label, frames, size))
            number += 1
    return folder


@pytest.fixture
def clips(tmp_path):
    """A small labelled dataset: 10 train, 2 val, 6 test clips of 20 frames at 16x16."""
    return write_clips(tmp_path / "clips")


@pytest.fixture
def eight_clips(tmp_path):
    """As `clips`, with as many test clips as an interval needs."""
    return write_clips(tmp_path / "clips", (("train", 10), ("val", 2), ("test", 8)))
