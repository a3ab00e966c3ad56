"""What a command calls a method that stands in a single file."""

import pytest

from vpbench.core.command_names import typed_name


@pytest.mark.parametrize(
    ("method", "value", "typed"),
    [
        ("mine", "{here}/mine.py:SPEC", "./mine.py:SPEC"),
        ("mine[a=1,b=off]", "{here}/lib/m.py:MINE", "./lib/m.py:MINE[a=1,b=off]"),
        ("mine", "/else where/mine.py:SPEC", "/else where/mine.py:SPEC"),
        ("mine[a=1]", "/x [v2]/mine.py:SPEC", '"/x [v2]/mine.py:SPEC"[a=1]'),
        ("mine[a=1]", "my_package.spec:SPEC", "mine[a=1]"),  # its package announces the name
        ("mine", "/home/me/.config/vpbench/plugins/mine.py", "mine"),  # found in that folder
        ("mine", "", "mine"),
    ],
)
def test_typed_name(method, value, typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed_name(method, value.format(here=tmp_path)) == typed
