"""What a stage is without its place: a copy for a package names no folder of its author."""

import json

from vpbench.core import schema
from vpbench.core.hashing import file_sha256
from vpbench.core.rundir import StageDir, write_sealed
from vpbench.harness.training.bundle import bundle_into_package


def test_files_that_a_training_has_read_are_named_without_their_folders(tmp_path):
    stage = StageDir(tmp_path / "stages" / "toy.all-0123456789abcdef")
    stage.checkpoint.mkdir(parents=True)
    (stage.checkpoint / "w.txt").write_text("1")
    read = [{"path": str(tmp_path / "models" / "net.pt"), "sha256": "0" * 64, "how": "opened"}]
    record = {
        "schema": schema.STAGE,
        "owner": "toy",
        "stage": "all",
        "key": "0123456789abcdef",
        "files": {"w.txt": file_sha256(stage.checkpoint / "w.txt")},
        "machine": {"host": "mine", "cpu": "x"},
    }
    for fields in ({"inputs": read}, {}):  # earlier records have none
        write_sealed(stage.record, {**record, **fields})
        (tmp_path / "package").mkdir(exist_ok=True)
        made = bundle_into_package(stage.path, tmp_path / "package", 1, replace=True)
        text = (made.path / "stage.json").read_text()
        assert str(tmp_path) not in text and "mine" not in text
        names = [f["path"] for f in json.loads(text).get("inputs", [])]
        assert names == (["net.pt"] if fields else [])
