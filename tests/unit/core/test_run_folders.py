"""Run folders are listed, and set aside when they no longer hold."""

import time

import pytest

from vpbench.api import HashMismatch
from vpbench.core import schema
from vpbench.core.files import write_json
from vpbench.core.run_folders import (
    finished,
    of_earlier_version,
    retire,
    retire_score,
    retired,
    runs_of,
)
from vpbench.core.rundir import RunDir, write_sealed

KEY = "01234567" + "0" * 56


def run(runs, task="t", method="m", key=KEY, closed=True):
    """A run folder; its manifest says nothing, as only run.json is read here."""
    folder = RunDir(runs / task / method / key[:8])
    inputs = {"method": method, "task": {"id": task}}
    write_sealed(folder.record, {"schema": schema.RUN_RECORD, "key": key, "inputs": inputs})
    if closed:
        write_json(folder.manifest, {})
    return folder


def names(runs):
    return [folder.path.name for folder in runs]


def test_a_retired_run_keeps_everything_and_is_listed_as_retired_alone(tmp_path):
    folder = run(tmp_path)
    kept = retire(folder.path)
    assert not folder.path.exists() and kept.parent == folder.path.parent
    assert kept.name.startswith("01234567.retired-")
    assert (kept / "predictions" / "MANIFEST.json").is_file()
    assert list(runs_of(tmp_path)) == [] and list(finished(tmp_path)) == []
    assert retired(tmp_path) == [kept]


def test_runs_that_are_retired_within_one_second_lie_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20260101T000000")
    kept = [retire(run(tmp_path).path) for _ in range(3)]
    assert [p.name.partition(".retired-20260101T000000")[2] for p in kept] == ["", "-1", "-2"]
    assert retired(tmp_path) == sorted(kept)


def test_stages_are_retired_like_runs(tmp_path):
    stage = tmp_path / "t" / "stages" / "m.fit-0123"
    write_json(stage / "stage.json", {})
    kept = retire(stage)
    assert retired(tmp_path) == [kept] and (kept / "stage.json").is_file()
    assert retired(tmp_path / "nowhere") == []


def test_finished_runs_are_those_with_a_manifest(tmp_path):
    done, other = run(tmp_path), run(tmp_path, task="u")
    run(tmp_path, key="f" * 64, closed=False)
    assert [(f.path, i["task"]["id"]) for f, i in finished(tmp_path)] == [
        (done.path, "t"),
        (other.path, "u"),
    ]
    assert names(f for f, _ in finished(tmp_path, "u")) == ["01234567"]
    assert not list(finished(tmp_path, "v"))


def test_runs_of_an_earlier_vpbench_are_left_out(tmp_path):
    old = run(tmp_path)
    write_json(old.record, {"schema": schema.RUN, "inputs": {}})
    new = run(tmp_path, method="n")
    assert of_earlier_version(old) and not of_earlier_version(new)
    assert [f.path for f, _ in finished(tmp_path)] == [new.path]


def test_a_run_that_was_copied_into_another_folder_is_refused(tmp_path):
    folder = run(tmp_path)
    folder.path.rename(folder.path.with_name("89abcdef"))
    with pytest.raises(HashMismatch, match="belongs to the run t/m/01234567"):
        list(finished(tmp_path))


def test_a_score_that_is_set_aside_lies_where_nothing_reads_it(tmp_path):
    folder = run(tmp_path)
    path = folder.score("psnr", "0" * 8)
    write_json(path, {})
    assert folder.score_files() == [path]
    retire_score(folder, path)
    kept = folder.scores / "retired" / path.name
    assert folder.score_files() == [] and kept.is_file() and kept.name == path.name
    write_json(path, {"again": 1})
    retire_score(folder, path)  # the last one is kept
    assert "again" in kept.read_text()
