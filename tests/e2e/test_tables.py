"""What the command line says in its tables and hints, and of what it is about to do."""

import shlex

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, folder, vpbench

STAND_INS = {"VPBENCH_PLUGINS": str(PLUGINS / "standins.py")}
METHOD, DATASET = f"{PLUGINS / 'standins.py'}:ALPHA", f"{PLUGINS / 'local_dataset.py'}:SPEC"

pytestmark = pytest.mark.e2e


def test_no_run_at_all_shows_the_command_with_all_options(tmp_path):
    done = vpbench("compare", cwd=tmp_path)
    assert done.code == 5 and "vpbench run METHOD --dataset puppets\n" in done.err
    words = ("--dataset", "penn", "--task", "penn-context", "--root", "/a b", "--preset", "cpu")
    words += ("--metrics", "psnr,fvd", "--runs", "other")
    asked = vpbench("compare", "ours[n_keypoints=9]", "li", *words, cwd=tmp_path)
    assert asked.code == 5
    command = asked.err.strip().splitlines()[-1].strip()
    assert shlex.split(command)[:4] == ["vpbench", "run", "ours[n_keypoints=9]", "li"]
    for option, value in zip(words[::2], words[1::2], strict=True):
        given = shlex.split(command)
        assert given[given.index(option) + 1].endswith(value)


def test_everything_in_the_runs_folder_and_the_command_for_what_is_missing(tmp_path):
    """Ten clips: enough for intervals."""
    clips = write_clips(tmp_path / "ten", (("train", 4), ("val", 2), ("test", 10)))
    where = folder(clips)
    words = ("--dataset", where, "--runs", "mine")
    done = vpbench("run", "alpha", "black", *words, cwd=tmp_path, env=STAND_INS)
    assert done.code == 0, done.err
    all_of_it = vpbench("compare", "--runs", "mine", cwd=tmp_path, env=STAND_INS)
    assert all_of_it.code == 0
    for text in (
        " alpha ",
        " black ",
        " copy last frame ",
        "n = 10 clips",
        "16x16 px",
        "≈ not shown",
    ):
        assert text in all_of_it.out
    assert " noise " not in all_of_it.out
    more = ("--vs", "black", "--references", "all", "--metrics", "psnr", "--runs", "mine")
    shown = vpbench("compare", "alpha", "gamma", "black", *more, cwd=tmp_path, env=STAND_INS)
    assert " noise " in shown.out and "less black" in shown.out
    assert "One comparison alone (5 %) finds, 4 times in 5 at n = 10, true" in shown.out
    hint = " ".join(shown.out.partition("not run: ")[2].split())
    command = shlex.split(hint.split("`")[1])
    assert command[:5] == ["vpbench", "run", "gamma", "--dataset", where]
    assert command[5:8] == ["--metrics", "psnr", "--runs"] and command[8].endswith("mine")
    for option in (("--vs", "nobody"), ("--notes", "nobody")):
        wrong = vpbench("compare", "alpha", *option, "--runs", "mine", cwd=tmp_path, env=STAND_INS)
        assert wrong.code == 2 and "nobody" in wrong.err


def test_a_failed_run_prints_what_is_there(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "bad_methods.py")}
    done = vpbench("run", "bad[how=raise]", "--dataset", folder(clips), cwd=tmp_path, env=env)
    assert done.code == 1
    assert " copy last frame " in done.out and " bad[how=raise]" in done.out
    assert "— bad[how=raise]: failed: " in done.out


def test_a_file_is_a_method_or_a_dataset_in_every_verb(tmp_path):
    where = ("--dataset", f"{DATASET}[speed=2]")
    done = vpbench("run", METHOD, *where, "--no-references", cwd=tmp_path)
    assert done.code == 0, done.err
    for words in (
        ("plan", METHOD, *where),
        ("compare", METHOD, *where),
        ("score", METHOD, *where),
        ("info", METHOD),
        ("data", "verify", DATASET),
        ("data", "preview", DATASET),
        ("figure", "predictions", METHOD, *where),
    ):
        done = vpbench(*words, cwd=tmp_path)
        assert done.code == 0, (words, done.err)
    assert "nearly copy-last" in vpbench("info", METHOD, cwd=tmp_path).out


def test_what_will_be_trained_is_said_before(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "tiny_method.py")}
    done = vpbench("fit", "tiny", "--dataset", folder(clips), cwd=tmp_path, env=env)
    assert done.code == 0
    assert shlex.split(done.out.rpartition("Next: ")[2])[-2:] == ["--dataset", folder(clips)]
    said = done.err.index("tiny: trains preset normal: no time is known for it")
    assert said < done.err.index("fitted")
    more = ("--fit-seeds", "0-1", "--dataset", folder(clips))
    again = vpbench("fit", "tiny", *more, cwd=tmp_path, env=env)
    assert "tiny: trains preset normal" in again.err and "on this machine" in again.err
