"""What comes with the package is pinned: a flipped byte is found, and deleting is never advised."""

import json
import shutil
from pathlib import Path

import pytest

from vpbench.api import Corrupt, HashMismatch
from vpbench.core.hashing import digest
from vpbench.core.rundir import StageDir, write_sealed
from vpbench.core.schema import STAGE
from vpbench.core.shipped import shipped_json
from vpbench.data import splits
from vpbench.data.puppets import manifest

DATA = Path(splits.__file__).parents[1]
FILES = {
    "puppets/manifest.json": manifest.PIN,
    "splits/penn.json": splits._PINS["penn"],
    "splits/penn-puppets.json": splits._PINS["penn-puppets"],
}


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_table_is_pinned(tmp_path, name):
    path = tmp_path / "file.json"
    shutil.copy(DATA / name, path)
    value = shipped_json(path, FILES[name])
    assert value == json.loads((DATA / name).read_text())
    data = path.read_bytes()
    for k in range(0, len(data), max(1, len(data) // 60)):
        wrong = data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :]
        path.write_bytes(wrong)
        try:
            found = shipped_json(path, FILES[name])
        except HashMismatch as error:
            assert "file.json is not what was shipped" in error.message
            assert "install that again" in error.fix and "elete" not in error.fix
        else:
            assert found == value  # a flip of white space


@pytest.mark.parametrize("shipped", [True, False])
def test_what_to_do_about_a_damaged_stage(tmp_path, shipped):
    stage = StageDir(tmp_path, shipped=shipped)
    stage.checkpoint.mkdir()
    (stage.checkpoint / "state.json").write_text("{}")
    write_sealed(stage.record, {"schema": STAGE, "files": stage.files()})
    assert stage.content() == stage.read()
    advice = "install that again" if shipped else "Delete"
    good = stage.record.read_bytes()

    def refused(use):
        with pytest.raises(Corrupt) as caught:
            use()
        assert advice in str(caught.value) and ("Delete" in str(caught.value)) != shipped

    for k in range(0, len(good) - 1, 3):
        wrong = good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :]
        if wrong.split() == good.split():
            continue
        stage.record.write_bytes(wrong)
        refused(stage.read)
    stage.record.write_bytes(b"{")
    refused(stage.content)
    stage.record.write_bytes(good)
    (stage.checkpoint / "state.json").write_text("[]")
    refused(stage.read)
    (stage.checkpoint / "state.json").unlink()
    refused(stage.read)


def test_digests_do_not_depend_on_layout(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('{ "b": 1,\r\n "a": 2 }')
    assert shipped_json(path, digest({"a": 2, "b": 1})) == {"a": 2, "b": 1}
