"""board build as a command: the entries of this repository, refused ones, clips of runs."""

from pathlib import Path

import pytest

from tests.e2e.helpers import TINY, vpbench
from tests.e2e.test_board_browser import visit
from tests.unit.board.site_entries import board

pytestmark = pytest.mark.e2e

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"


def test_the_leaderboards_of_this_repository_are_a_site(tmp_path):
    words = ("board", "build", "--entries", LEADERBOARDS, "--out", "site", "--json")
    done = vpbench(*words, cwd=tmp_path)
    assert done.code == 0, done.err
    found = done.json()
    entries = sorted(LEADERBOARDS.glob("*/*.json"))
    assert (found["entries"], found["refused"]) == (len(entries), [])
    assert found["bytes"] < 5_000_000
    site = tmp_path / "site"
    pages = {path.stem for path in (site / "tasks").glob("*.html")}
    assert pages == {path.parent.name for path in entries} | {"penn", "nemo", "mgif"}
    copies = {path.read_bytes() for path in (site / "entries").rglob("*.json")}
    assert copies == {path.read_bytes() for path in entries}


def test_refused_entries_are_named_and_the_exit_code_is_4(tmp_path):
    root = board(tmp_path / "lb")
    (root / "puppets" / "mine-puppets.json").write_text('{"schema": "\\u001b[31mother"}')
    done = vpbench("board", "build", "--entries", "lb", cwd=tmp_path)
    assert done.code == 4
    assert done.err.startswith("not built: puppets/mine-puppets.json: ") and "\x1b" not in done.err
    assert "5 entries on 1 task" in done.out and (tmp_path / "site/index.html").is_file()
    again = vpbench("board", "build", "--entries", "lb", cwd=tmp_path)
    assert again.code == 2 and "--force" in again.err
    nothing = vpbench("board", "build", "--entries", "none", "--out", "other", cwd=tmp_path)
    assert nothing.code == 5 and not (tmp_path / "other").exists()


DRAWN = """() => [...document.querySelectorAll('.player canvas:not(.overlay)')].map((c) => {
  const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  return new Set(data).size;
})"""


@pytest.mark.browser
def test_the_clips_of_entries_play_where_their_runs_are(finished):
    env = {"VPBENCH_PLUGINS": TINY}
    add = vpbench("board", "add", "tiny", "--board", "lb", cwd=finished, env=env)
    assert add.code == 0, add.err
    words = ("board", "build", "--entries", "lb", "--runs", "runs")
    done = vpbench(*words, cwd=finished, env=env)
    assert done.code == 0, done.err
    (page,) = (finished / "site" / "tasks").glob("*.html")

    async def work(visitor):
        await visitor.page.goto(page.as_uri())
        await visitor.page.get_by_role("button", name="Play").wait_for()
        for _ in range(100):
            drawn = await visitor.page.evaluate(DRAWN)
            if drawn and min(drawn) > 2:
                break
            await visitor.page.wait_for_timeout(50)
        assert len(drawn) >= 2 and min(drawn) > 2, drawn  # real and tiny

    visitor = visit(work)
    assert visitor.faults == []
    outside = [u for u in visitor.requests if not u.startswith((page.parents[1].as_uri(), "blob:"))]
    assert outside == []
