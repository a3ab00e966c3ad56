"""sha256 of values, files and source trees."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast


def plain(value: Any) -> Any:
    """The same value in JSON's types: dataclasses and mappings to dicts, tuples to lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return {str(k): plain(v) for k, v in mapping.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in cast("list[Any]", value)]
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in cast("set[Any]", value))
    if isinstance(value, Path):
        return value.as_posix()
    return value


def canonical_json(value: Any) -> bytes:
    """One byte string for one value: sorted keys, no spaces, no NaN."""
    return _canonical(plain(value))


def _canonical(value: Any) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8", "surrogatepass")  # file names may not be valid Unicode


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def stored_digest(value: Any) -> str:
    """As `digest`, of a value that JSON gave: nothing in it has to be converted."""
    return hashlib.sha256(_canonical(value)).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_sha256(folder: Path, pattern: str = "*", leave_out: Collection[str] = ()) -> str:
    """sha256 over the relative names and contents of matching files below `folder`.

    Args:
        leave_out: names of files that do not count.
    """
    files = sorted(
        p
        for p in folder.rglob(pattern)
        if p.is_file() and "__pycache__" not in p.parts and p.name not in leave_out
    )
    return digest([[p.relative_to(folder).as_posix(), file_sha256(p)] for p in files])
