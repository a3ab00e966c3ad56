"""The secret behind the names of clips: one for a cache, whoever asks first."""

import os
import subprocess
import sys

import pytest

from vpbench.api import Unwritable
from vpbench.core.salt import local_salt


def test_one_salt_a_cache_and_another_for_another(tmp_path):
    one = local_salt(tmp_path / "a")
    assert len(one) == 64 and int(one, 16)
    local_salt.cache_clear()
    assert local_salt(tmp_path / "a") == one != local_salt(tmp_path / "b")
    assert (tmp_path / "a" / "salt").stat().st_mode & 0o077 == 0
    assert sorted(os.listdir(tmp_path / "a")) == ["salt"]


def test_processes_that_ask_at_once_get_the_same(tmp_path):
    code = "import sys, pathlib; from vpbench.core.salt import local_salt as of; "
    code += f"print(of(pathlib.Path({str(tmp_path)!r})))"
    asked = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate()[0] for process in asked]
    assert len(set(answers)) == 1 and len(answers[0].strip()) == 64


@pytest.mark.parametrize("text", ["", "short", "z" * 64, "\xff" * 64])
def test_a_damaged_salt_is_made_anew(tmp_path, text):
    (tmp_path / "salt").write_text(text, "latin-1")
    local_salt.cache_clear()
    salt = local_salt(tmp_path)
    local_salt.cache_clear()
    assert len(salt) == 64 and local_salt(tmp_path) == salt


def test_no_place_for_it_is_a_sentence(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(Unwritable, match="a file exists where a folder is needed"):
        local_salt(tmp_path / "home")
