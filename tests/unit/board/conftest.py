"""An entry on a board, made of a finished run."""

import shutil

import pytest
from board_toys import CLIPS, SPLIT, make_run, paths, plugins, recognised, run_of, scores

from vpbench.board.collect import make_entry
from vpbench.board.entry import read_entry, write_entry


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Runs and a folder of leaderboards that knows their task; to be copied."""
    place = tmp_path_factory.mktemp("built")
    (place / "board").mkdir()
    text = f'[toys]\nn = {len(CLIPS)}\nsplit_sha256 = "{SPLIT}"\n'
    (place / "board" / "tasks.toml").write_text(text)
    seen = recognised([True, False, True, True, True, False, True])
    for name, own in (("mine", None), ("seen", [*scores(), seen])):
        folder = make_run(place / "runs", name, own=own)
        made = make_entry([run_of(folder)], plugins(), paths(place))
        write_entry(made, place / ("board" if name == "mine" else "other"))
    return place


@pytest.fixture
def root(built, tmp_path):
    """A folder of leaderboards with one entry."""
    return shutil.copytree(built / "board", tmp_path / "board")


@pytest.fixture
def run(built, tmp_path):
    """A finished run with psnr and fvd."""
    shutil.copytree(built / "runs", tmp_path / "runs")
    return _only(tmp_path / "runs" / "toys" / "mine")


@pytest.fixture
def entry(root):
    """The entry of that run, and its file."""
    path = next((root / "toys").glob("mine-*.json"))
    return read_entry(path), path


@pytest.fixture
def with_actions(built, root):
    """The file of an entry of a run that a recogniser has looked at, on the same board."""
    return shutil.copy(next(built.glob("other/toys/*.json")), root / "toys")


def _only(folder):
    from vpbench.core.rundir import RunDir

    (path,) = folder.iterdir()
    return RunDir(path)
