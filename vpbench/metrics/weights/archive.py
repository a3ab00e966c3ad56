"""Reading one member of an sdist or wheel, or all files of a zip, without trusting its names."""

from __future__ import annotations

import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path

from vpbench.api.errors import Corrupt
from vpbench.core.files import make_folder, storage

MAX_MEMBERS = 10_000
MAX_TOTAL = 2 << 30
"""No archive whose members add up to more is read, bytes."""


_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
)


class _Odd(Exception):
    """What is wrong with an archive."""


def read_member(path: Path, member: str, size: int) -> bytes:
    """The content of one member.

    Args:
        path: a ".tar.gz" or a ".whl" or ".zip".
        member: its full path in the archive.
        size: the bytes that it must have.

    Raises:
        Corrupt: the archive is damaged; some member has an absolute path, "..", is a link or a
            device, occurs twice or is far too large; the member is missing or has another size.
    """
    try:
        if path.name.endswith((".whl", ".zip")):
            return _from_zip(path, member, size)
        return _from_tar(path, member, size)
    except _Odd as error:
        raise Corrupt(f"{path.name} is refused: {error}.") from None
    except _BROKEN as error:
        raise Corrupt(f"{path.name} is not a complete archive ({error!s:.200}).") from error


def unpack(path: Path, folder: Path, most: int = MAX_TOTAL) -> None:
    """Write all files of a zip below an empty folder.

    Args:
        most: bytes that its members may add up to.

    Raises:
        Corrupt: as `read_member`; some files may have been written by then.
    """
    try:
        seen = _Inventory(most)
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                seen.admit(info.filename, info.file_size, plain=_plain(info))
            for info in archive.infolist():
                target = folder / info.filename
                if info.is_dir():
                    make_folder(target)
                    continue
                make_folder(target.parent)
                with archive.open(info) as source, storage(target), target.open("xb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except _Odd as error:
        raise Corrupt(f"{path.name} is refused: {error}.") from None
    except _BROKEN as error:
        raise Corrupt(f"{path.name} is not a complete archive ({error!s:.200}).") from error


class _Inventory:
    """The members seen so far."""

    def __init__(self, most: int = MAX_TOTAL) -> None:
        self.names: set[str] = set()
        self.total, self.most = 0, most

    def admit(self, name: str, size: int, *, plain: bool) -> None:
        """Refuse what has no place in a package."""
        shown = f"its member {name!r:.120}"
        path = posixpath.normpath(name)
        if name.startswith(("/", "\\")) or ":" in name or "\\" in name or "\0" in name:
            raise _Odd(f"{shown} has an absolute or foreign path")
        if ".." in name.split("/"):
            raise _Odd(f"{shown} points outside the archive")
        if not plain:
            raise _Odd(f"{shown} is a link or a device")
        if path in self.names:
            raise _Odd(f"{shown} occurs twice")
        self.names.add(path)
        self.total += size
        if len(self.names) > MAX_MEMBERS or self.total > self.most or size < 0:
            raise _Odd("it has too many or too large members")


def _from_tar(path: Path, member: str, size: int) -> bytes:
    seen = _Inventory()
    data: bytes | None = None
    with tarfile.open(path, "r|gz") as archive:  # a stream: sizes are seen before contents
        for info in archive:
            seen.admit(info.name, info.size, plain=info.isreg() or info.isdir())
            if info.name != member:
                continue
            _same_size(member, info.size, size)
            stream = archive.extractfile(info) if info.isreg() else None
            if stream is None:
                raise _Odd(f"{member} is not a file")
            data = stream.read(size + 1)
    return _whole(data, member, size)


def _plain(info: zipfile.ZipInfo) -> bool:
    """Neither a link nor a device."""
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)


def _from_zip(path: Path, member: str, size: int) -> bytes:
    seen = _Inventory()
    wanted: zipfile.ZipInfo | None = None
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            seen.admit(info.filename, info.file_size, plain=_plain(info))
            if info.filename == member:
                wanted = info
        if wanted is None:
            return _whole(None, member, size)
        _same_size(member, wanted.file_size, size)
        with archive.open(wanted) as stream:
            return _whole(stream.read(size + 1), member, size)


def _same_size(member: str, size: int, expected: int) -> None:
    if size != expected:
        raise _Odd(f"{member} has {size} bytes, not {expected}")


def _whole(data: bytes | None, member: str, size: int) -> bytes:
    if data is None:
        raise _Odd(f"{member} is not in the archive")
    _same_size(member, len(data), size)
    return data
