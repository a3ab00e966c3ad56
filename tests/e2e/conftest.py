"""What the commands' tests share: runs that are finished."""

import os
import shutil

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import TINY, folder, vpbench
from tests.e2e.identity import Place


@pytest.fixture(scope="session")
def finished_place(once):
    """A folder with `clips`, and `runs` of the tiny method and of noise on them."""

    def make(place):
        write_clips(place / "clips")
        env = {"VPBENCH_PLUGINS": TINY, "VPBENCH_HOME": str(place / "home"), "VPBENCH_RUNS": ""}
        words = ("--dataset", folder(place / "clips"), "--no-references", "--threads", 1)
        done = vpbench("run", "noise", "tiny", *words, cwd=place, env=env | _quiet())
        assert done.code == 0, done.err

    return once("finished", make)


def _quiet():
    """The fixture is older than those that shield a test from the user's settings."""
    return {"VPBENCH_OFFLINE": "1", "XDG_CONFIG_HOME": os.devnull}


@pytest.fixture
def finished_clips(finished_place):
    """The clips of `finished`; not to be changed."""
    return finished_place / "clips"


@pytest.fixture
def finished(finished_place, own_places, tmp_path):
    """A folder with a copy of the finished runs, and of the cache that they have left."""
    shutil.copytree(finished_place / "runs", tmp_path / "runs")
    shutil.copytree(finished_place / "home", tmp_path / "home", dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def place(identity_clips, tmp_path):
    """A folder to work in, with clips that are not to be changed."""
    return Place(tmp_path, identity_clips)


@pytest.fixture(scope="session")
def identity_clips(once):
    """Six test clips and no others."""
    return once("identity", lambda path: write_clips(path / "clips", (("test", 6),))) / "clips"
