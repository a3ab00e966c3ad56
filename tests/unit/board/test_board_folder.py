"""Where `board check` finds the rules of entries that lie elsewhere."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from vpbench.cli.board_check import check

BOARD = Path(__file__).parents[3] / "leaderboards"


@pytest.mark.parametrize("given", [".", "puppets"])
def test_entries_of_another_folder_are_checked_by_its_rules(given, tmp_path, monkeypatch):
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    board = shutil.copytree(BOARD, tmp_path / "board")
    done = CliRunner().invoke(check, [str(board / given)], standalone_mode=False)
    assert done.return_value == 0 and "not checked" not in done.output
    rules = board / "tasks.toml"
    rules.write_text(rules.read_text().replace("n = 90", "n = 91"))
    done = CliRunner().invoke(check, [str(board / given)], standalone_mode=False)
    assert done.return_value == 4 and "the task has 91 test clips" in done.output
