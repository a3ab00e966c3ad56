"""Output folders: whole or not there, and nobody's files are lost."""

import errno
import os

import pytest

from vpbench.api.errors import Unwritable, UsageError
from vpbench.core import files
from vpbench.core.files import write_json
from vpbench.core.outdir import check_out, named_output, out_folder, recorded

RECORD = "what.json"


def make(target, names, force=False, fail=False):
    with out_folder(target, RECORD, force) as work:
        for name in names:
            (work / name).mkdir()
            (work / name / "content").write_text(str(names))
        write_json(work / RECORD, {"entries": [*names, RECORD]})
        if fail:
            raise ValueError("on purpose")


def listed(target):
    return sorted(p.name for p in target.iterdir())


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "out"
    make(target, ["a", "b"])
    assert listed(target) == ["a", "b", RECORD] and listed(target.parent) == ["out"]


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(ValueError, match="on purpose"):
        make(tmp_path / "deep" / "er" / "out", ["a"], fail=True)
    assert listed(tmp_path) == []
    make(tmp_path / "out", ["a"])
    with pytest.raises(ValueError, match="on purpose"):
        make(tmp_path / "out", ["b"], force=True, fail=True)
    assert listed(tmp_path / "out") == ["a", RECORD] and listed(tmp_path) == ["out"]


def test_an_empty_folder_is_free_a_full_one_is_not(tmp_path):
    (tmp_path / "out").mkdir()
    make(tmp_path / "out", ["a"])
    with pytest.raises(UsageError, match=r"is not empty.*--force"):
        make(tmp_path / "out", ["b"])
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        check_out(tmp_path / "file", RECORD, True)


def test_force_replaces_what_was_recorded_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    make(out, ["a", "b"])
    (out / "mine").write_text("keep")
    make(out, ["b", "c"], force=True)
    assert listed(out) == ["b", "c", "mine", RECORD]
    assert (out / "b" / "content").read_text() == "['b', 'c']"
    with pytest.raises(UsageError, match="mine exists and is not an earlier output"):
        make(out, ["mine"], force=True)
    assert listed(out) == ["b", "c", "mine", RECORD] and (out / "mine").read_text() == "keep"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"entries": 3}', '{"entries": [1, null]}'])
def test_a_broken_record_lists_nothing(tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    assert recorded(tmp_path / RECORD) == []
    assert recorded(tmp_path / "nowhere") == []


def test_a_record_cannot_reach_out_of_its_folder(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("keep")
    write_json(out / RECORD, {"entries": ["../precious", "..", ".", "/etc", "a/b", "fine"]})
    assert recorded(out / RECORD) == ["fine"]
    make(out, ["a"], force=True)
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable, match=r"a file exists.*--out DIR"):
        make(tmp_path / "file" / "out", ["a"])


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "Free space or choose another file with --html FILE."),
        (errno.EDQUOT, "Free space or choose another file with --html FILE."),
        (errno.EROFS, "Choose another file with --html FILE."),
        (errno.EACCES, "Choose another file with --html FILE."),
    ],
)
def test_the_remedy_names_the_option_and_space_only_where_it_helps(
    number, fix, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(Unwritable) as caught, named_output("another file with --html FILE"):
        files.write_bytes(tmp_path / "page.html", b"")
    assert caught.value.fix == fix
    with pytest.raises(Unwritable) as caught:
        files.write_bytes(tmp_path / "run.json", b"")
    assert caught.value.fix.startswith("Free") is fix.startswith("Free")
    assert caught.value.fix.endswith("hoose another folder with --runs DIR.")
