"""Reads bundles of strangers: nothing is written that was not looked at, nothing is executed.

Refused are names that lead elsewhere, links, anything but plain files of known names, compression
(so that nothing swells), encryption, overlaps, arrays of Python objects or of another size than the
run states, and any byte that differs from `bundle.json`.
"""

from __future__ import annotations

import hashlib
import io
import math
import stat
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from vpbench.api.errors import Corrupt, HashMismatch, MissingData, UsageError
from vpbench.board.bundle import BUNDLE, INDEX, MEMBER, BundleIndex, MemberRow
from vpbench.board.decode import decode, text_fault
from vpbench.board.form import check_form, well_formed
from vpbench.core.files import make_folder, parse_json, storage, stored_bytes
from vpbench.core.hashing import stored_digest
from vpbench.core.rundir import RunDir
from vpbench.harness.results.finished_runs import stored_run

MAX_MEMBERS = 100_000
MAX_BYTES = 64 * 2**30
MAX_JSON = 256 * 2**20
"""Bytes of one JSON member: scores of 100,000 clips have less."""

_ENCRYPTED = 0x1
_HEADER = 128
"""Bytes of an .npy header; numpy pads it to a multiple of 64."""


def unpack(path: Path, out: Path) -> list[RunDir]:
    """Write the members of a bundle below a folder, as a runs folder, and check every run.

    Returns:
        The folders of the runs, in the order of bundle.json.

    Raises:
        MissingData, Corrupt, HashMismatch: as `bundle_runs`.
    """
    if not path.is_file():
        raise MissingData(f"there is no bundle {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            index = _index(path, archive)
            for name, row in index.members.items():
                _extract(path, archive, name, row, out)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise Corrupt(f"{path} is not a bundle: {error}.") from error
    folders: list[RunDir] = []
    with well_formed(path.name):
        for row in index.runs:
            folder = RunDir(out / row.folder)
            _check_arrays(path, folder)
            run = stored_run(folder.path)
            if run.manifest["sha256"] != row.manifest_sha256:
                raise HashMismatch(f"{path}: the manifest of {row.folder} is not the one it lists.")
            check_form(run, path.name)
            folders.append(folder)
    return folders


def import_bundle(path: Path, runs: Path) -> list[tuple[Path, bool]]:
    """Put the runs of a bundle into a runs folder.

    Returns:
        The folder of each, and whether it is new; one that is there already stays.

    Raises:
        UsageError: another run lies in the place of one.
    """
    import tempfile

    make_folder(runs)
    done: list[tuple[Path, bool]] = []
    with tempfile.TemporaryDirectory(dir=runs, prefix=".import-") as name:
        for folder in unpack(path, Path(name)):
            target = runs / folder.path.relative_to(name)
            own = RunDir(target)
            if not target.exists():
                make_folder(target.parent)
                with storage(target):
                    folder.path.rename(target)
                done.append((target, True))
                continue
            there = own.read_manifest()["sha256"] if own.manifest.is_file() else ""
            if there != folder.read_manifest()["sha256"]:
                raise UsageError(
                    f"another run lies in {target}.",
                    fix="Import into another folder with --runs DIR.",
                )
            done.append((target, False))
    return done


def _index(path: Path, archive: zipfile.ZipFile) -> BundleIndex:
    """bundle.json, after looking at all names and sizes of the archive."""
    infos = archive.infolist()
    if not infos or infos[0].filename != INDEX:
        raise Corrupt(f"{path} is not a bundle: its first member is not {INDEX}.")
    if len(infos) > MAX_MEMBERS:
        raise Corrupt(f"{path} has {len(infos)} members; {MAX_MEMBERS} are allowed.")
    names: set[str] = set()
    for info in infos:
        _check_member(path, info)
        if info.filename in names:
            raise Corrupt(f"{path} holds {info.filename!r} twice.")
        names.add(info.filename)
    total = sum(info.file_size for info in infos)
    if total > min(MAX_BYTES, path.stat().st_size):
        raise Corrupt(f"{path}: its members claim {total} bytes, more than the file has.")
    index = _read_index(path, archive.read(INDEX))
    for name in sorted(names - {INDEX} - index.members.keys()):
        raise Corrupt(f"{path} holds {name!r}, which {INDEX} does not list.")
    for name in sorted(index.members.keys() - names):
        raise Corrupt(f"{path}: {name!r} is missing.")
    return index


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    if name != INDEX and MEMBER.fullmatch(name) is None:
        raise Corrupt(f"{path} holds {name!r}: {_why_not(name)}.")
    if any(part in (".", "..") for part in name.split("/")):
        raise Corrupt(f"{path} holds {name!r}: the name points outside its folder.")
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0: the archive does not say
    if info.is_dir() or kind not in (0, stat.S_IFREG):
        raise Corrupt(f"{path} holds {name!r}, which is a link or not a plain file.")
    if info.flag_bits & _ENCRYPTED:
        raise Corrupt(f"{path}: {name!r} is encrypted.")
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise Corrupt(f"{path}: {name!r} is compressed; members of a bundle are not.")
    if name.endswith(".json") and info.file_size > MAX_JSON:
        raise Corrupt(f"{path}: {name!r} has {info.file_size} bytes; {MAX_JSON} are allowed.")


def _why_not(name: str) -> str:
    if name.startswith(("/", "\\")) or ":" in name[:3]:
        return "the name is an absolute path"
    if ".." in name.replace("\\", "/").split("/"):
        return "the name points outside its folder"
    if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".joblib")):
        return "a pickle, which could run code"
    return "no file of a run has this name"


def _read_index(path: Path, data: bytes) -> BundleIndex:
    try:
        value = parse_json(data, path)
    except (Corrupt, RecursionError):
        raise Corrupt(f"{path}: {INDEX} is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Corrupt(f"{path}: {INDEX} is not a JSON object.")
    body = cast("dict[str, Any]", value)
    if body.get("schema") != BUNDLE:
        raise Corrupt(f"{path} has the schema {str(body.get('schema'))[:40]!r}, not {BUNDLE!r}.")
    seal = body.pop("sha256", None)
    if seal != stored_digest(body) or data != stored_bytes({**body, "sha256": seal}):
        raise HashMismatch(f"{path}: {INDEX} is not what was written.")
    index = decode(BundleIndex, body, f"{path.name}: {INDEX}")
    places = {match["run"] for name in index.members if (match := MEMBER.fullmatch(name))}
    if sorted(row.folder for row in index.runs) != sorted(places):
        raise Corrupt(f"{path}: {INDEX} lists other runs than its members are of.")
    return index


def _extract(path: Path, archive: zipfile.ZipFile, name: str, row: MemberRow, out: Path) -> None:
    data = archive.read(name)
    if len(data) != row.size or hashlib.sha256(data).hexdigest() != row.sha256:
        raise HashMismatch(f"{path}: {name!r} is not what was written.")
    target = out / name.removeprefix("runs/")
    make_folder(target.parent)
    with storage(target), target.open("xb") as stream:  # a folder of our own: never over a file
        stream.write(data)


def _check_arrays(path: Path, folder: RunDir) -> None:
    """Refuse arrays that are not frames of the size that the run states, before one is read."""
    inputs = folder.read_record()["inputs"]
    task = inputs["task"]
    rows = {row["name"]: len(row["items"]) for row in folder.read_manifest()["shards"]}
    for array in sorted(folder.predictions.glob("*.npz")):
        shape = (
            *(rows.get(array.stem, 0), inputs["samples"], task["horizon"]),
            *(task["size"], task["size"], 3),
        )
        fault = _array_fault(array.read_bytes(), shape)
        if fault:
            raise Corrupt(f"{path}: predictions/{array.name} of {inputs['method']} {fault}.")


def _array_fault(data: bytes, shape: tuple[int, ...]) -> str:
    """Why an npz is not one uint8 array `frames` of a shape; "" where it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if [info.filename for info in infos] != ["frames.npy"]:
                return "does not hold the one array `frames`"
            with archive.open(infos[0]) as stream:
                found, dtype = _npy_header(stream)
            claimed, expected = infos[0].file_size, math.prod(shape)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        return f"is not an npz ({text_fault(str(error)) or error})"
    if dtype.hasobject:
        return "holds Python objects, a pickle that could run code"
    if found != shape or dtype != np.uint8:
        return f"holds {dtype} {list(found)} where uint8 {list(shape)} belongs"
    if not expected <= claimed <= expected + 8 * _HEADER:
        return f"claims {claimed} bytes for {expected} bytes of frames"
    return ""


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype
