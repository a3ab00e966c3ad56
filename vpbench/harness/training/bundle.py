"""Copies a trained stage into a plugin's package, or into a zip for a URL."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpbench.api.errors import MissingData, UsageError
from vpbench.core.files import atomic_file, make_folder, storage
from vpbench.core.hashing import file_sha256
from vpbench.core.names import safe_name
from vpbench.core.rundir import StageDir, write_sealed

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member of a zip, so that the same stage gives the same bytes."""


@dataclass(frozen=True)
class Bundled:
    """A stage that was put somewhere.

    Attributes:
        path: the folder in the package, or the zip.
        size: bytes of the stage's files.
        source: what `Checkpoint.source` must say.
        sha256: of the zip; "" for a folder.
    """

    owner: str
    stage: str
    key: str
    path: Path
    size: int
    source: str
    sha256: str = ""

    @property
    def line(self) -> str:
        """The `Checkpoint(...)` for the plugin's spec."""
        words = [self.stage, self.key, self.source, *([self.sha256] if self.sha256 else [])]
        return "Checkpoint(\n" + "".join(f'    "{word}",\n' for word in words) + "),"


def bundle_into_package(
    folder: Path, package: Path, limit_mb: float, *, replace: bool = False
) -> Bundled:
    """Copy a stage to PACKAGE/checkpoints/.

    Args:
        folder: a finished stage folder.
        package: folder of the plugin's Python package.
        limit_mb: largest size of the copy in megabytes.
        replace: replace an existing copy.

    Raises:
        MissingData: there is no finished stage, or no such package.
        HashMismatch: a file of the stage is not what was written.
        UsageError: it is too large, or exists already.
    """
    if not package.is_dir():
        raise MissingData(f"{package} is not the folder of a Python package.")
    home = make_folder(package / "checkpoints")
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as scratch:
        new = Path(scratch) / "stage"
        record, size = _copy_stage(folder, new, limit_mb)
        name = f"{safe_name(record['owner'])}.{record['stage']}-{record['key']}"
        target = home / name
        if target.exists():
            if not replace:
                raise UsageError(f"{target} already exists.", fix="Replace it with --replace.")
            shutil.rmtree(target)
        with storage(target):
            new.rename(target)
    return Bundled(
        record["owner"], record["stage"], record["key"], target, size, f"checkpoints/{name}"
    )


def bundle_into_zip(folder: Path, archive: Path, url: str, limit_mb: float) -> Bundled:
    """Write a stage as a zip to be published at a URL; the same stage gives the same bytes.

    Raises:
        As `bundle_into_package`; UsageError also for an address without https.
    """
    if not url.startswith("https://"):
        raise UsageError(f"--url {url} must begin with https://.")
    with tempfile.TemporaryDirectory() as scratch, atomic_file(archive) as temporary:
        record, size = _copy_stage(folder, Path(scratch), limit_mb)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(p for p in Path(scratch).rglob("*") if p.is_file()):
                info = zipfile.ZipInfo(path.relative_to(scratch).as_posix(), _DATE)
                info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
                out.writestr(info, path.read_bytes())
    sha256 = file_sha256(archive)
    return Bundled(record["owner"], record["stage"], record["key"], archive, size, url, sha256)


def _copy_stage(folder: Path, target: Path, limit_mb: float) -> tuple[dict[str, Any], int]:
    """Copy checkpoint, record and training log, verified; the record, and bytes in all.

    Pictures and scratch stay behind, and so do the name of the machine and the folders of files
    that the training has read.
    """
    stage = StageDir(folder)
    if not stage.complete():
        raise MissingData(
            f"{folder} is not a finished stage: it has no stage.json.",
            fix="Finished stages are folders in RUNS/<task>/stages.",
        )
    record = stage.read()
    with storage(target):
        for name in record["files"]:  # nothing that the record does not name
            copy = target / "checkpoint" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stage.checkpoint / name, copy)
        if (folder / "train.jsonl").is_file():
            shutil.copyfile(folder / "train.jsonl", target / "train.jsonl")
    machine = {k: v for k, v in record["machine"].items() if k != "host"}
    record = {**record, "machine": machine}
    if "inputs" in record:
        record["inputs"] = [{**f, "path": Path(f["path"]).name} for f in record["inputs"]]
    write_sealed(target / "stage.json", record)
    size = sum(p.stat().st_size for p in target.rglob("*") if p.is_file())
    if size > limit_mb * 1e6:
        raise UsageError(
            f"{folder} has {size / 1e6:.2f} MB, more than {limit_mb:g} MB.",
            fix="Store smaller tensors, or allow more with --limit-mb.",
        )
    return StageDir(target).read(), size
