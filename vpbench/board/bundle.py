"""Bundles: finished runs as one file that loads on another machine.

A bundle is a zip whose members are stored without compression, so that the same runs give the same
bytes everywhere and nothing in it can swell when it is read. Its first member, `bundle.json`,
lists every other one with size and sha256; below `runs/` they lie as in a runs folder.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vpbench import __version__
from vpbench.api.errors import UsageError
from vpbench.core.files import TEMPORARY, atomic_file, json_bytes
from vpbench.core.hashing import file_sha256, stored_digest
from vpbench.core.outdir import named_output
from vpbench.core.rundir import RunDir, read_object

BUNDLE = "vpbench.run-bundle/1"
INDEX = "bundle.json"
ENDING = ".vpb"

_SEGMENT = r"[A-Za-z0-9+._-]{1,140}"
MEMBER = re.compile(
    rf"runs/(?P<run>{_SEGMENT}/{_SEGMENT}/[0-9a-f]{{8}})/(?P<file>"
    r"run\.json|accepted\.json|env/(freeze\.txt|machine\.json|git\.json)|code/[0-9a-f]{16}\.json|"
    rf"predictions/(MANIFEST\.json|[0-9]{{5}}\.(json|npz))|scores/{_SEGMENT}@[0-9a-f]{{8}}\.json|"
    rf"layers/{_SEGMENT}\.(json|npz))"
)
"""What may be in a bundle; events and previews, which say where somebody's home is, may not."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can state: when a bundle was made must not show in its bytes."""


@dataclass(frozen=True, kw_only=True)
class MemberRow:
    """One file of a bundle."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of a bundle: its folder below `runs/`, and what it is."""

    folder: str
    method: str
    task: str
    seed: int
    fit_seed: int | None
    manifest_sha256: str


@dataclass(frozen=True, kw_only=True)
class BundleIndex:
    """bundle.json."""

    schema: Literal["vpbench.run-bundle/1"]
    vpbench: str
    runs: tuple[RunRow, ...]
    members: dict[str, MemberRow]


@dataclass(frozen=True)
class Packed:
    """A bundle that was written."""

    path: Path
    sha256: str
    size: int
    runs: int


def write_bundle(folders: Sequence[RunDir], out: Path) -> Packed:
    """Write finished runs to one file; the same runs give the same bytes.

    Raises:
        HashMismatch: a run is not what was written.
        MissingData: a run is not finished.
        UsageError: two folders hold the same run.
        Unwritable: it cannot be written.
    """
    rows: list[dict[str, Any]] = []
    sources: dict[str, Path | bytes] = {}
    for folder in sorted(folders, key=_place):
        place = _place(folder)
        if any(row["folder"] == place for row in rows):
            raise UsageError(f"the run {place} is given twice.")
        manifest = folder.check()
        folder.all_scores(manifest["sha256"])
        inputs = folder.read_record()["inputs"]
        rows.append(
            {
                "folder": place,
                "method": inputs["method"],
                "task": inputs["task"]["id"],
                "seed": inputs["seed"],
                "fit_seed": inputs["fit_seed"],
                "manifest_sha256": manifest["sha256"],
            }
        )
        sources |= {f"runs/{place}/{name}": source for name, source in _files(folder)}
    members = {name: _row(sources[name]) for name in sorted(sources)}
    body = {"schema": BUNDLE, "vpbench": __version__, "runs": rows, "members": members}
    index = json_bytes({**body, "sha256": stored_digest(body)})
    with (
        named_output("another file with --out FILE"),
        atomic_file(out) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        _write(archive, INDEX, index)
        for name in members:
            source = sources[name]
            _write(archive, name, source if isinstance(source, bytes) else source.read_bytes())
    return Packed(out, file_sha256(out), out.stat().st_size, len(rows))


def _place(folder: RunDir) -> str:
    return "/".join(folder.path.resolve().parts[-3:])


def _files(folder: RunDir) -> Iterator[tuple[str, Path | bytes]]:
    """Name within the run and content of all files that belong in a bundle."""
    for path in sorted(folder.path.rglob("*")):
        name = path.relative_to(folder.path).as_posix()
        if path.name.startswith(TEMPORARY) or not path.is_file() or path.is_symlink():
            continue
        if MEMBER.fullmatch(f"runs/{_place(folder)}/{name}") is None:
            continue
        if name == "env/machine.json":  # all but the name of the machine
            machine = {k: v for k, v in read_object(path).items() if k != "host"}
            yield name, json_bytes(machine)
        else:
            yield name, path


def _row(source: Path | bytes) -> dict[str, Any]:
    if isinstance(source, bytes):
        return {"sha256": hashlib.sha256(source).hexdigest(), "size": len(source)}
    return {"sha256": file_sha256(source), "size": source.stat().st_size}


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3  # Unix, whatever wrote it
    info.external_attr = 0o100644 << 16
    archive.writestr(info, data)


@contextmanager
def bundle_runs(path: Path) -> Generator[list[RunDir]]:
    """The runs of a bundle in a temporary folder, every byte checked; gone afterwards.

    Raises:
        MissingData: there is no file.
        Corrupt: it is not a bundle, or holds what a bundle may not hold; says what.
        HashMismatch: a byte was changed.
    """
    import tempfile

    from vpbench.board.unpack import unpack

    with tempfile.TemporaryDirectory(prefix="vpbench-") as name:
        yield unpack(path, Path(name))
