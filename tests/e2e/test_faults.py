"""Trouble in files of users and on the machine: one sentence, the right exit code, no bug."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.e2e.helpers import PLUGINS, TINY, folder, real, vpbench

pytestmark = pytest.mark.e2e

METHOD = """
from vpbench.api import MethodSpec
{imported}
SPEC = MethodSpec("mine", ":Mine", "the last frame again")
class Mine:
    def __init__(self, task, params, slots):
        pass
    def predict(self, given, horizon, seeds):
        {predicts}
        last = given.frames[:, None, -1:]
        return last.repeat(seeds.shape[1], 1).repeat(horizon, 2)
"""


def write(tmp_path, imported="", predicts="pass"):
    (tmp_path / "mine.py").write_text(METHOD.format(imported=imported, predicts=predicts))


def words(clips, *more):
    return ("run", "./mine.py:SPEC", "--dataset", folder(clips), "--no-references", *more)


def run(clips, tmp_path, *more, env=None):
    return vpbench(*words(clips, "--metrics", "psnr", *more), cwd=tmp_path, env=env)


@pytest.mark.parametrize(
    ("imported", "code", "said"),
    [
        ("import sys; sys.exit(0)", 1, "SystemExit: 0 (mine.py, line 3)"),
        ("import sys; sys.exit(3)", 1, "SystemExit: 3 (mine.py, line 3)"),
        ("{}['where']", 1, "KeyError: 'where' (mine.py, line 3)"),
        ("int('x')", 1, "(mine.py, line 3)"),
        ("def f(:", 1, "(mine.py, line 3)"),
        ("import no_such_package", 5, "'no_such_package'"),
        ("MethodSpec('other', nope=1)", 1, "'nope' (mine.py, line 3)"),
    ],
)
def test_an_error_in_a_plugin_file_names_file_and_line(clips, tmp_path, imported, code, said):
    write(tmp_path, imported)
    done = run(clips, tmp_path)
    assert (done.code, done.out) == (code, "")
    assert said in done.err and "bug in vpbench" not in done.err, done.err


@pytest.mark.parametrize(
    ("predicts", "said"),
    [
        ("raise KeyError('where')", "KeyError: 'where' (mine.py, line 9)"),
        ("import sys; sys.exit(0)", "SystemExit: 0 (mine.py, line 9)"),
        ("open('/no/such/file')", "No such file or directory: '/no/such/file' (mine.py, line 9)"),
        (r"raise ValueError('\x1b[31mred')", r"ValueError: \x1b[31mred (mine.py, line 9)"),
    ],
)
def test_an_error_while_predicting_is_told_and_stored(clips, tmp_path, predicts, said):
    write(tmp_path, predicts=f"print('spoke'); {predicts}")
    done = run(clips, tmp_path)
    assert done.code == 1 and said in done.err and "\x1b" not in done.err
    (failure,) = tmp_path.glob("runs/*/mine/*/failure.json")
    assert said.split(" (")[0] in json.loads(failure.read_text())["reason"]
    logs = [path.read_text() for path in failure.parent.glob("events/*.log")]
    assert any("spoke" in text for text in logs)
    assert "spoke" not in done.out + done.err


def test_debug_shows_what_a_plugin_prints_and_its_traceback(clips, tmp_path):
    write(tmp_path, predicts="print('spoke'); raise KeyError('where')")
    done = subprocess.run(
        [sys.executable, "-m", "vpbench", *words(clips, "--debug")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "spoke" in done.stderr
    assert "Traceback" in done.stderr and "mine.py" in done.stderr


@pytest.mark.parametrize("speaks", ["print('hello')", "import os; os.write(1, b'hello')"])
def test_what_a_plugin_prints_stays_out_of_the_json(clips, tmp_path, speaks):
    write(tmp_path, speaks, speaks)
    done = run(clips, tmp_path, "--json")
    assert done.code == 0 and "hello" not in done.out
    assert done.json()["runs"][0]["status"] == "ok"
    listed = vpbench("check", "./mine.py:SPEC", "--json", cwd=tmp_path)
    assert listed.json()["schema"] == "vpbench.check/1"


@pytest.mark.parametrize("how", ["full", "closed", "latin-1", "head"])
def test_standard_output_that_takes_nothing(tmp_path, how):
    command = [sys.executable, "-m", "vpbench", "list"]
    env = {**os.environ}
    if how == "latin-1":
        env |= {"PYTHONIOENCODING": "latin-1"}
    tails = {"full": "> /dev/full", "closed": ">&-", "latin-1": "> list.txt", "head": "| head -1"}
    line = f"set -o pipefail; {' '.join(command)} {tails[how]}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == (5 if how == "full" else 0), done.stderr
    assert "bug in vpbench" not in done.stderr and "Traceback" not in done.stderr
    if how == "full":
        assert done.stderr == (
            "error: standard output cannot be written: No space left on device.\n"
        )


def test_a_colleagues_run_that_cannot_be_read_is_named(finished):
    """Rights do not stop the superuser; a link in a circle stops everybody."""
    (record,) = finished.glob("runs/*/noise/*/run.json")
    record.unlink()
    record.symlink_to(record)
    manifest = record.parent / "predictions" / "MANIFEST.json"
    manifest.unlink()
    manifest.symlink_to(manifest)
    done = vpbench("compare", "tiny", cwd=finished, env={"VPBENCH_PLUGINS": TINY})
    assert "bug in vpbench" not in done.err and done.code in (0, 5)
    done = vpbench("info", record.parent, cwd=finished)
    assert "bug in vpbench" not in done.err and done.code in (2, 5)


def test_a_header_that_would_paint_the_terminal(clips, tmp_path):
    rows = ["clip,\x1b[31mred", "a,1"]
    (clips / "labels.csv").write_text("\n".join(rows))
    done = vpbench("data", "verify", folder(clips), cwd=tmp_path)
    assert "\x1b" not in done.out + done.err


def test_an_empty_file_in_the_cache_is_made_again(clips, tmp_path):
    write(tmp_path)
    assert run(clips, tmp_path).code == 0
    cached = sorted((tmp_path / "home" / "clips").rglob("*.npy"))
    for path in cached[:3]:
        path.write_bytes(b"")
    done = run(clips, tmp_path, "--again")
    assert done.code == 0, done.err
    assert all(path.stat().st_size for path in cached)


def test_a_finished_run_is_left_as_it_is(clips, tmp_path):
    write(tmp_path)
    assert run(clips, tmp_path).code == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*")}
    assert run(clips, tmp_path).code == 0
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*")}


def test_leftovers_of_killed_processes_go_away(clips, tmp_path):
    write(tmp_path)
    assert run(clips, tmp_path).code == 0
    (home,) = tmp_path.glob("runs/*/mine/*")
    (home / "predictions" / "MANIFEST.json").unlink()
    old, new = home / "predictions" / ".tmp-old.npz", home / "predictions" / ".tmp-new.npz"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    ours = subprocess.run(
        [sys.executable, "-c", _LOCK, str(home / "scores" / "psnr.lock")], check=False
    )
    assert ours.returncode == 0 and (home / "scores" / "psnr.lock").exists()
    assert run(clips, tmp_path).code == 0
    assert not old.exists() and new.exists()  # the new one may belong to another process
    assert not (home / "scores" / "psnr.lock").exists()


_LOCK = """
import os, sys
from pathlib import Path
from vpbench.core.lock import LockWatch
held = LockWatch(Path(sys.argv[1])).try_lock()
os._exit(0)
"""


def test_a_full_cache_is_not_a_full_runs_folder(clips, tmp_path):
    (tmp_path / "home").write_text("a file")
    write(tmp_path)
    done = run(clips, tmp_path)
    assert done.code == 5 and "VPBENCH_HOME" in done.err and "--runs" not in done.err


def test_the_next_command_after_a_fit_is_the_same_task(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": TINY}
    fitted = vpbench(
        "fit", "tiny", "--dataset", folder(clips), "--threads", 1, cwd=tmp_path, env=env
    )
    assert fitted.code == 0 and "tiny fitted" in fitted.err and "before" not in fitted.err
    next_line = fitted.out.splitlines()[-1]
    assert next_line.startswith(f"Next: vpbench run tiny --dataset '{folder(clips)}'")
    again = vpbench(
        "fit", "tiny", "--dataset", folder(clips), "--threads", 1, cwd=tmp_path, env=env
    )
    assert "tiny: fitted before, skipped" in again.err


def test_a_wait_says_for_whom_and_since_when(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "slow.py")}
    line = ("run", "slow[pause=7]", "--dataset", folder(clips), "--no-references")
    line = (*line, "--metrics", "psnr", "--workers", 1)
    from tests.e2e.helpers import start

    first = start(*line, cwd=tmp_path, env=env)
    end = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/*/*/predictions/*.lock")):
        assert time.monotonic() < end
        time.sleep(0.05)
    second = start(*line, cwd=tmp_path, env=env)
    _, said = second.communicate(timeout=120)
    first.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (0, 0), said
    assert "waiting since " in said and "for process " in said and "which began at " in said


def test_doctor_speaks_before_it_imports_anything_slow(tmp_path):
    code = (
        "import sys; from vpbench.cli.doctor import _checks; "
        "from vpbench.core.paths import user_paths; "
        "first = [next(c) for c in [_checks(user_paths())] for _ in range(4)]; "
        "assert len(first) == 4 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert real("doctor", "--json", cwd=tmp_path).json()["schema"] == "vpbench.doctor/1"
