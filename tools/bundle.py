"""Put a trained stage into a plugin's package, or into a zip for a web address.

    python tools/bundle.py runs/puppets/stages/mine.keypoints-0123456789abcdef plugins/my_package
    python tools/bundle.py STAGE_FOLDER PACKAGE --limit-mb 3
    python tools/bundle.py STAGE_FOLDER --zip keypoints.zip --url https://example.org/keypoints.zip

Copies checkpoint/, stage.json and train.jsonl; pictures and scratch stay behind, and so does the
name of the machine. Prints the `Checkpoint(...)` line for the plugin's spec.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from vpbench.api.errors import MissingData, UsageError, VpbenchError
from vpbench.core.hashing import file_sha256
from vpbench.core.names import safe_name
from vpbench.core.rundir import StageDir, write_sealed

_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member of a zip, so that the same stage gives the same bytes."""


def copy_stage(folder: Path, target: Path, limit_mb: float) -> dict[str, Any]:
    """Copy what a bundled stage consists of into `target`, verified.

    Returns:
        The stage's record.

    Raises:
        MissingData: there is no finished stage.
        HashMismatch: a file of it is not what was written.
        UsageError: it is larger than `limit_mb`.
    """
    stage = StageDir(folder)
    if not stage.complete():
        raise MissingData(f"{folder} holds no finished stage.", fix="It has no stage.json.")
    record = stage.read()
    for name in record["files"]:  # nothing that the record does not name
        place = target / "checkpoint" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stage.checkpoint / name, place)
    if (folder / "train.jsonl").is_file():
        shutil.copyfile(folder / "train.jsonl", target / "train.jsonl")
    machine = {k: v for k, v in record["machine"].items() if k != "host"}
    write_sealed(target / "stage.json", {**record, "machine": machine})
    size = sum(p.stat().st_size for p in target.rglob("*") if p.is_file())
    if size > limit_mb * 1e6:
        raise UsageError(
            f"{folder} has {size / 1e6:.2f} MB, more than {limit_mb:g} MB.",
            fix="Store smaller tensors, or allow more with --limit-mb.",
        )
    return StageDir(target).read()


def bundle(folder: Path, package: Path, limit_mb: float, replace: bool) -> str:
    """Copy a stage into PACKAGE/checkpoints/ and return its `Checkpoint(...)` line."""
    if not package.is_dir():
        raise MissingData(f"{package} is no folder of a Python package.")
    home = package / "checkpoints"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as scratch:
        new = Path(scratch) / "stage"
        record = copy_stage(folder, new, limit_mb)
        name = f"{safe_name(record['owner'])}.{record['stage']}-{record['key']}"
        target = home / name
        if target.exists():
            if not replace:
                raise UsageError(f"{target} is there already.", fix="Give --replace.")
            shutil.rmtree(target)
        new.rename(target)
    return _line(record, f"checkpoints/{name}", "")


def pack(folder: Path, archive: Path, url: str, limit_mb: float) -> str:
    """Write a stage as a zip and return its `Checkpoint(...)` line."""
    with tempfile.TemporaryDirectory() as scratch:
        record = copy_stage(folder, Path(scratch), limit_mb)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(p for p in Path(scratch).rglob("*") if p.is_file()):
                info = zipfile.ZipInfo(path.relative_to(scratch).as_posix(), _DATE)
                info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
                out.writestr(info, path.read_bytes())
    return _line(record, url, file_sha256(archive))


def _line(record: dict[str, Any], source: str, sha256: str) -> str:
    words = [record["stage"], record["key"], source, *([sha256] if sha256 else [])]
    return "Checkpoint(\n" + "".join(f'    "{word}",\n' for word in words) + "),"


def main() -> int:
    """Parse the command line; errors are one sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", type=Path, help="a finished stage folder below RUNS/<task>/stages")
    parser.add_argument("package", type=Path, nargs="?", help="folder of the plugin's package")
    parser.add_argument("--limit-mb", type=float, default=5.0, help="refuse more (default: 5)")
    parser.add_argument("--replace", action="store_true", help="replace the stage if it is there")
    parser.add_argument("--zip", type=Path, help="write a zip instead")
    parser.add_argument("--url", help="https address where the zip will lie")
    given = parser.parse_args()
    if (given.zip is None) == (given.package is None) or (given.zip is None) != (given.url is None):
        parser.error("name a package, or --zip FILE with --url ADDRESS")
    try:
        if given.zip is None:
            line = bundle(given.stage, given.package, given.limit_mb, given.replace)
        else:
            line = pack(given.stage, given.zip, given.url, given.limit_mb)
    except VpbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
