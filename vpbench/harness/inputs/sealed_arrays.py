"""Arrays in files that carry a hash of their key and their bytes.

A file is an .npy followed by the sha256 of the names of its folder and of itself, and of its bytes.
It is checked at its first read in a process, and again when the file changes.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.core.files import atomic_file
from vpbench.core.stamps import file_stamp

_SEAL = 32
"""Bytes of the sha256 at the end of a file."""

_verified: dict[Path, str] = {}
"""Files whose seal this process has checked, with their stamps at that time."""


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Store an array as FOLDER/xx/NAME.npy, whole or not at all."""
    with atomic_file(path) as temporary:
        with temporary.open("wb") as stream:
            np.save(stream, np.ascontiguousarray(array))
        with temporary.open("rb") as stream:
            seal = hashlib.file_digest(stream, lambda: hashlib.sha256(_salt(path)))
        with temporary.open("ab") as stream:
            stream.write(seal.digest())


def intact(path: Path, *, again: bool = False) -> bool:
    """Whether a file is what was written; hashed once in a process unless it changes."""
    stamp = file_stamp(path).text
    if not again and _verified.get(path) == stamp:
        return True
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data,
            memoryview(data) as view,
            view[:-_SEAL] as body,
        ):
            seal = hashlib.sha256(_salt(path))
            seal.update(body)
            whole = seal.digest() == data[-_SEAL:]
    except (OSError, ValueError):  # gone, or empty
        return False
    if whole:
        _verified[path] = stamp
    return whole


def _salt(path: Path) -> bytes:
    """Binds the bytes to their key: a file under another name is a foreign one."""
    return f"{path.parent.parent.name}/{path.stem}\n".encode()
