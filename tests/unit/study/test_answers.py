"""The file of answers: only added to, and every change is noticed."""

import json
import os

import pytest

from vpbench.api.errors import Corrupt, Unwritable, UsageError
from vpbench.study.answers import AnswerFile, read_events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "private" / "answers.jsonl"


def write(path, *batches):
    writer = AnswerFile(path)
    for batch in batches:
        writer.append(batch)
    writer.close()


def test_events_come_back(path):
    write(path, [{"kind": "a", "text": "é\u2028\n"}, {"kind": "b"}], [{"kind": "c"}])
    assert [e["kind"] for e in read_events(path)] == ["a", "b", "c"]
    assert read_events(path)[0]["text"] == "é\u2028\n"
    assert [e["n"] for e in read_events(path)] == [0, 1, 2]
    assert path.stat().st_mode & 0o077 == 0
    assert read_events(path.with_name("none")) == []


def test_goes_on_where_it_was(path):
    write(path, [{"k": 0}])
    write(path, [{"k": 1}])
    assert [e["k"] for e in read_events(path)] == [0, 1]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_cut_off_line_was_never_acknowledged(path, cut):
    write(path, [{"k": 0}], [{"k": 1, "more": "x" * 30}])
    path.write_bytes(path.read_bytes()[:-cut])
    assert [e["k"] for e in read_events(path)] == [0]
    writer = AnswerFile(path)
    assert writer.torn
    writer.append([{"k": 2}])
    writer.close()
    assert [e["k"] for e in read_events(path)] == [0, 2]


def test_every_change_is_noticed(path):
    write(path, [{"k": n, "ranks": [1, 2]} for n in range(3)])
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    changed = [
        lines[1] + lines[2],
        lines[0] + lines[2],
        lines[0] + lines[1] + lines[1] + lines[2],
        lines[1] + lines[0] + lines[2],
        whole.replace(b"[1,2]", b"[2,1]", 1),
        whole.replace(b'"k":1', b'"k": 1'),
        b"\n" + whole,
        whole.replace(b"{", b"", 1),
    ]
    for data in changed:
        path.write_bytes(data)
        with pytest.raises(Corrupt, match="line"):
            read_events(path)
        with pytest.raises(Corrupt):
            AnswerFile(path)
    path.write_bytes(whole)
    assert len(read_events(path)) == 3


def test_every_flipped_byte_but_those_of_the_last_line(path):
    write(path, [{"k": n} for n in range(3)])
    whole = bytearray(path.read_bytes())
    last = bytes(whole).rfind(b"\n", 0, -1) + 1
    for at in range(last):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(Corrupt):
            read_events(path)


def test_one_writer(path):
    writer = AnswerFile(path)
    with pytest.raises(UsageError, match="another server"):
        AnswerFile(path)
    writer.close()
    AnswerFile(path).close()


def test_a_full_disk_leaves_whole_lines(path, monkeypatch):
    writer = AnswerFile(path)
    writer.append([{"k": 0}])
    real = os.write

    def short(descriptor, data):
        real(descriptor, bytes(data)[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(Unwritable, match="full"):
        writer.append([{"k": 1}])
    monkeypatch.undo()
    writer.append([{"k": 2}])
    writer.close()
    assert [e["k"] for e in read_events(path)] == [0, 2]


def test_written_before_it_returns(path, monkeypatch):
    order = []
    write_, sync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda *a: (order.append("write"), write_(*a))[1])
    monkeypatch.setattr(os, "fsync", lambda *a: (order.append("fsync"), sync(*a))[1])
    writer = AnswerFile(path)
    order.clear()
    writer.append([{"k": 0}, {"k": 1}])
    assert order[0] == "write" and order[-1] == "fsync"
    writer.close()


def test_lines_are_ascii_json(path):
    write(path, [{"text": "<script>"}])
    assert json.loads(path.read_text("ascii").splitlines()[0])["text"] == "<script>"
