"""Hashes of values, files and trees."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from vpbench.core.hashing import canonical_json, digest, file_sha256, plain, tree_sha256


@dataclass(frozen=True)
class Point:
    x: int
    where: Path


def test_one_value_has_one_text():
    assert canonical_json({"b": (1, 2), "a": "é"}) == '{"a":"é","b":[1,2]}'.encode()
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    assert digest([1]) == digest((1,)) == hashlib.sha256(b"[1]").hexdigest()
    assert plain(Point(1, Path("a/b"))) == {"x": 1, "where": "a/b"}
    assert plain({1: {3, 1, 2}}) == {"1": [1, 2, 3]}


def test_different_values_have_different_hashes():
    values = [None, 0, 1, 1.0, "1", True, [], {}, [1], ["1"], "", "a", "A", {"a": 1}, {"a": "1"}]
    assert len({digest(v) for v in values}) == len(values)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, [1, {"a": math.nan}]])
def test_nan_has_no_hash(bad):
    with pytest.raises(ValueError, match="JSON"):
        digest(bad)


def test_names_that_are_no_unicode_have_a_hash():
    assert digest("caf\udce9") != digest("cafe")
    assert json.loads(canonical_json("caf\udce9")) == "caf\udce9"


def test_files_and_trees(tmp_path):
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_text("two")
    assert file_sha256(tmp_path / "a.py") == hashlib.sha256(b"one").hexdigest()
    before = tree_sha256(tmp_path, "*.py")
    (tmp_path / "notes.txt").write_text("no matter")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "c.py").write_text("no matter")
    assert tree_sha256(tmp_path, "*.py") == before
    (tmp_path / "sub" / "b.py").rename(tmp_path / "sub" / "c.py")
    renamed = tree_sha256(tmp_path, "*.py")
    (tmp_path / "sub" / "c.py").write_text("two!")
    assert len({before, renamed, tree_sha256(tmp_path, "*.py")}) == 3
