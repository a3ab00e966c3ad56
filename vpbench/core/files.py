"""Atomic writes: temporary file in the same folder, fsync, rename."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt, Unwritable
from vpbench.core.hashing import plain
from vpbench.core.paths import cache_folder

Guard = Callable[[], None]
"""Called right before a rename; raises when the writer may no longer write."""

TEMPORARY = ".tmp-"
"""Prefix of files that are being written, or were when their process was killed."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "the folder may not be written",
    errno.EPERM: "the folder may not be written",
    errno.EROFS: "the disk is read-only",
    errno.ENOENT: "the folder cannot be made",
    errno.ENOTDIR: "a file exists where a folder is needed",
    errno.EEXIST: "a file exists where a folder is needed",
    errno.EISDIR: "a folder exists where a file is needed",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk reported an error",
}


@contextmanager
def storage(path: Path, fix: str = "") -> Generator[None]:
    """Turn the operating system's error of a failed write into one sentence.

    Args:
        fix: what helps; by default how to move the cache, or the runs.
    """
    try:
        yield
    except OSError as error:
        what = _REASONS.get(error.errno or 0)
        if what is None:
            raise
        remedy = fix or elsewhere(error, _other_place(path))
        raise Unwritable(f"cannot write {path}: {what}.", fix=remedy) from error


def _other_place(path: Path) -> str:
    """Which switch moves the folder that cannot be written."""
    if path.absolute().is_relative_to(cache_folder()):
        return "another cache with VPBENCH_HOME"
    return "another folder with --runs DIR"


def elsewhere(cause: BaseException | None, place: str) -> str:
    """What helps where something cannot be written.

    Args:
        cause: the system's error; space helps only where there is none.
        place: where else, such as "another folder with --out DIR".
    """
    full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"Free space or choose {place}." if full else f"Choose {place}."


def make_folder(path: Path) -> Path:
    """Create a folder and its parents.

    Raises:
        Unwritable: it cannot be created.
    """
    with storage(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_file(path: Path, guard: Guard | None = None, *, flush: bool = True) -> Generator[Path]:
    """Give a temporary path beside `path`; on success it is flushed and renamed to `path`.

    Args:
        flush: wait until the disk has it. Without, a power cut may leave a file that is cut off:
            for caches that verify what they read, and would wait for thousands of files.
    """
    make_folder(path.parent)
    with storage(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if flush:
                _flush(temporary)
            if guard is not None:
                guard()
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()


def write_bytes(path: Path, data: bytes, guard: Guard | None = None, *, flush: bool = True) -> None:
    """Write a whole file or nothing; `flush` as in `atomic_file`."""
    with atomic_file(path, guard, flush=flush) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any, guard: Guard | None = None) -> None:
    """Write JSON, readable, without NaN.

    Raises:
        ValueError: it contains NaN or infinity; nothing is written.
    """
    write_bytes(path, json_bytes(value), guard)


def json_bytes(value: Any) -> bytes:
    """The one form in which `write_json` writes a value."""
    return stored_bytes(plain(value))


def stored_bytes(value: Any) -> bytes:
    """As `json_bytes`, of a value that JSON gave: nothing in it has to be converted."""
    return (_indented(value, 0) + "\n").encode("utf-8", "surrogatepass")  # names may not be Unicode


def _indented(value: Any, depth: int) -> str:
    """What `json.dumps(value, indent=1)` gives, which encodes in Python; this lets C do all that is
    flat, and most of a score is.
    """
    if not isinstance(value, dict | list) or not value:
        return _dumps(value)
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    items = cast("dict[str, Any] | list[Any]", value)
    inside = items.values() if isinstance(items, dict) else items
    if not any(isinstance(v, dict | list) for v in inside):
        between = ("," + inner, ": ")
        text = json.dumps(items, ensure_ascii=False, allow_nan=False, separators=between)
        return f"{text[0]}{inner}{text[1:-1]}{outer}{text[-1]}"
    if isinstance(items, dict):
        parts = [f"{_dumps(k)}: {_indented(v, depth + 1)}" for k, v in items.items()]
        return "{" + inner + ("," + inner).join(parts) + outer + "}"
    return "[" + inner + ("," + inner).join(_indented(v, depth + 1) for v in items) + outer + "]"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        Corrupt: the file is not JSON, or contains NaN.
        FileNotFoundError: it is not there.
    """
    return parse_json(path.read_bytes(), path)


def parse_json(data: bytes, path: Path) -> Any:
    """The JSON in the bytes of a file.

    Raises:
        Corrupt: they are not JSON, or contain NaN.
    """
    try:
        return json.loads(data, parse_constant=_refuse)
    except ValueError as error:
        raise Corrupt(
            f"{path} is not valid JSON ({error}).", fix="Delete it and run again."
        ) from error
