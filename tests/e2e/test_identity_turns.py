"""Two commands at once after an edit: one judges the earlier run, the other sees what it left."""

import signal
import time

import pytest

from tests.e2e.helpers import start
from tests.e2e.identity import method

pytestmark = pytest.mark.e2e

HELD = """
import os, pathlib, time
(pathlib.Path(os.environ["SIGNS"]) / os.environ["WHO"]).touch()
while not (pathlib.Path(os.environ["SIGNS"]) / "go").exists():
    time.sleep(0.02)
"""


@pytest.fixture
def edited(place):
    """A finished run whose plugin was edited since: now it makes a sign and waits in `predict`."""
    place.write(method("100")).run()
    place.write(method("180", predict=HELD))
    place.signs = place.path / "signs"
    place.signs.mkdir()
    return place


def begun(place, who):
    words = ("run", "./plugin/mine.py:SPEC", "--dataset", place.dataset, "--no-references")
    env = {"SIGNS": str(place.signs), "WHO": who}
    return start(*words, "--metrics", "psnr", "--workers", 1, cwd=place.path, env=env)


def until(fact):
    limit = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < limit
        time.sleep(0.02)


def ended(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in err, (process.returncode, err, out)
    return err


def probing(place):
    """The command that predicts again, once it does."""
    first = begun(place, "first")
    until(lambda: (place.signs / "first").exists())
    return first


def waiting(place, who="second"):
    """Another command, once it has tried to take its turn, or begun a probe of its own."""
    methods = place.folder().parent
    before = methods.stat().st_mtime_ns  # each attempt makes a file there, and removes it
    other = begun(place, who)
    until(lambda: (place.signs / who).exists() or methods.stat().st_mtime_ns != before)
    return other


def well(place):
    """One earlier run was set aside, the new one is whole, and nobody has a turn any more."""
    assert place.grey() == 180 and len(place.retired()) == 1
    assert not list((place.path / "runs").glob("*/*/*.lock"))


def test_one_probes_and_the_other_waits(edited):
    first, second = probing(edited), waiting(edited)
    (edited.signs / "go").touch()
    assert "predicted and scored again" in ended(first)
    assert "again" not in ended(second)
    well(edited)


def test_the_waiting_one_is_interrupted_and_the_first_is_killed(edited):
    first, second = probing(edited), waiting(edited)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)
    assert second.returncode == 130
    third = waiting(edited, "third")
    first.kill()
    first.communicate(timeout=60)
    (edited.signs / "go").touch()
    assert "predicted and scored again" in ended(third)
    well(edited)
