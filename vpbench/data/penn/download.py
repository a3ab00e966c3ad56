"""Fetching Penn Action: a resumable download, checked by what is in it, since no hash is published.

Everything happens beside the wanted folder (`DIR.part`); it gets its name when it is whole.
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from vpbench.api.errors import BadData, Unwritable, UsageError, VpbenchError
from vpbench.core.download import transfer
from vpbench.core.files import make_folder, storage
from vpbench.core.lock import lock_or_wait
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.scan import OnProgress, silent
from vpbench.data.penn import layout
from vpbench.data.penn.labels import FRAMES, VIDEOS
from vpbench.data.penn.verify import check_labels
from vpbench.data.splits import load

LIMIT = 20 << 30
"""Bytes: nothing larger is ever accepted."""
EXTRACTED = 1.1
"""Bytes on the disk after extraction, for each byte of the archive: JPEG files do not shrink."""

_PARTS = ("frames", "labels", "tools")
_ELSEWHERE = "Free space or choose another folder with --root DIR."
_BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError)


def fetch(
    root: Path,
    report: OnProgress = silent,
    *,
    link: str = layout.LINK,
    allow_http: bool = False,
    videos: int = VIDEOS,
    frames: int | None = FRAMES,
) -> Path:
    """Download, extract and check Penn Action, and give it the name `root`.

    Args:
        report: called with the MiB that are here and their total.
        allow_http, videos, frames: for tests with a small archive.

    A folder that holds frames and labels already is left as it is.

    Raises:
        UsageError: there is something else of that name already.
        Missing: the address does not answer, the disk is too small, the transfer broke off; what
            is here is kept, and the next call continues.
        BadData: it is not such an archive, or not all of it; it is deleted.
    """
    if _there(root):
        return root
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(
            f"{root} exists and holds something else.",
            fix="Name a new or empty folder with --root DIR.",
        )
    lock = lock_or_wait(root.with_name(f"{root.name}.lock"), lambda: _there(root))
    if lock is not None:  # one process fetches, others wait
        with lock:
            _fetch(root, report, link, allow_http, videos, frames)
    return root


def _there(root: Path) -> bool:
    return all((root / part).is_dir() for part in ("frames", "labels"))


def _fetch(
    root: Path, report: OnProgress, link: str, allow_http: bool, videos: int, frames: int | None
) -> None:
    work = make_folder(root.with_name(f"{root.name}.part"))
    archive = work / "Penn_Action.tar.gz"
    done = work / "complete"
    if not done.is_file():
        transfer(
            link,
            archive,
            None,
            LIMIT,
            _in_mebibytes(report),
            allow_http=allow_http,
            begin=lambda have, total: _check_space(work, have, total),
        )
        done.touch()
    inner = work / "extracted"
    shutil.rmtree(inner, ignore_errors=True)
    try:
        extract(archive, inner)
        check(inner, videos, frames)
    except BadData:
        shutil.rmtree(work, ignore_errors=True)  # going on with it would never help
        raise
    with storage(root, _ELSEWHERE):
        if root.is_dir():
            root.rmdir()
        inner.rename(root)
    shutil.rmtree(work, ignore_errors=True)


def _in_mebibytes(report: OnProgress) -> Callable[[int, int | None], None]:
    def in_mebibytes(have: int, total: int | None) -> None:
        report(have >> 20, max((total or have) >> 20, 1))

    return in_mebibytes


def _check_space(folder: Path, have: int, total: int | None) -> None:
    """Refuse before the first byte what cannot be stored and extracted."""
    if total is None:
        return
    needed = (total - have) + int(total * EXTRACTED)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Unwritable(
            f"{folder} has {free / 2**30:.1f} GiB free; download and extraction need "
            f"{needed / 2**30:.1f} GiB.",
            fix="Free space, or name another folder with --root DIR.",
        )


def extract(archive: Path, target: Path) -> None:
    """Extract frames and labels, whatever folder they lie in.

    Raises:
        BadData: it is not a tar archive, is cut off, or has members that leave the folder.
        Unwritable: the disk is full.
    """
    make_folder(target)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                inner = _inside(member.name)
                if inner is not None and (member.isfile() or member.isdir()):
                    member.name = str(inner)
                    with storage(target, _ELSEWHERE):
                        tar.extract(member, target, filter="data")
    except VpbenchError:
        raise
    except _BROKEN as error:
        raise BadData(
            f"{archive.name} is not a readable tar archive: {error}.", fix="Download it again."
        ) from error


def _inside(name: str) -> PurePosixPath | None:
    """The path of a member from `frames`, `labels` or `tools` on; None for what is not of them."""
    parts = PurePosixPath(name).parts
    for depth in (0, 1):
        if len(parts) > depth and parts[depth] in _PARTS:
            return PurePosixPath(*parts[depth:])
    return None


def check(root: Path, videos: int, frames: int | None) -> None:
    """Check the content against what is known of Penn Action: videos, annotations, every frame.

    Raises:
        BadData, MissingData: the first thing that is wrong.
    """
    folders = sorted((root / "frames").glob("[0-9][0-9][0-9][0-9]"))
    if len(folders) != videos:
        raise BadData(
            f"the archive holds {len(folders)} videos, Penn Action {videos}.",
            fix="Download it again.",
        )
    findings = Findings(root, "penn")
    split = load("penn")
    lengths = check_labels(root / "labels", split, findings, [f.name for f in folders])
    findings.raise_first()
    for folder in folders:
        there = sum(1 for _ in folder.glob("*.jpg"))
        if there != lengths[folder.name]:
            raise BadData(
                f"video {folder.name} has {there} frames, its annotation lists "
                f"{lengths[folder.name]}.",
                fix="Download it again.",
            )
    total = sum(lengths.values())
    if frames is not None and total != frames:
        raise BadData(
            f"the archive holds {total} frames, Penn Action {frames}.", fix="Download it again."
        )
