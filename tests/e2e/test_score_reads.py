"""What a command reads of finished results: each score once, and it starts no job."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.e2e.helpers import TINY, folder, vpbench

COUNTED = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
sys.argv = ["vpbench", *sys.argv[1:]]
from vpbench.cli.main import main
try:
    main()
finally:
    for path in opened:
        if "/scores/" in path and path.endswith(".json"):
            print("OPENED", path, file=sys.stderr)
"""


def counted(*words, cwd, env):
    """A command in a process of its own; how often it opened each score file."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("OPENED ")]
    return Counter(line.removeprefix("OPENED ") for line in lines), done


@pytest.mark.e2e
def test_a_finished_table_reads_each_score_once_and_starts_nothing(finished_place, tmp_path):
    env = {"VPBENCH_PLUGINS": TINY, "VPBENCH_HOME": str(tmp_path / "home")}
    where = ("--dataset", folder(finished_place / "clips"))
    words = ("run", "noise", "tiny", *where, "--threads", 1)
    assert vpbench(*words, cwd=tmp_path, env=env).code == 0  # with all references
    scores = sorted(map(str, (tmp_path / "runs").glob("*/*/*/scores/*.json")))
    events = sorted((tmp_path / "runs").rglob("events/*"))
    assert len(scores) == 18
    time.sleep(2.1)  # files that have only just been written may be looked at again
    for command in (words, ("compare", "noise", "tiny"), ("compare", "tiny", "--json")):
        opened, _ = counted(*command, cwd=tmp_path, env=env)
        # Names of open files may be relative to the folder that the command runs in.
        opened = Counter({str(tmp_path / path): n for path, n in opened.items()})
        assert sorted(opened) == scores
        assert set(opened.values()) == {1}
    assert sorted((tmp_path / "runs").rglob("events/*")) == events
