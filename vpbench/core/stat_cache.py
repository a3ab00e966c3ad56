"""What was computed from a file's content, kept until the file changes.

key: the path and the stamp of the file: size, mtime_ns, ctime_ns, inode (`vpbench.core.stamps`).
The file that keeps the values carries its own sha256.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from vpbench.api.errors import Unwritable
from vpbench.core.files import write_bytes
from vpbench.core.hashing import canonical_json, digest
from vpbench.core.stamps import file_stamp


@dataclass
class StatCache:
    """Values of files, so that a file that has not changed is not read again.

    Attributes:
        path: the file that keeps them; None keeps them in memory only.
        compute: gives the value of a file.
    """

    path: Path | None
    compute: Callable[[Path], str]
    _rows: dict[str, tuple[str, str]] | None = None
    _unsaved: bool = False

    def of(self, file: Path) -> str:
        """The value of a file; "" when it cannot be read."""
        stamp = file_stamp(file)
        rows = self._loaded()
        if stamp.text and rows.get(str(file), ("",))[0] == stamp.text:
            return rows[str(file)][1]
        try:
            value = self.compute(file)
        except OSError:
            return ""
        if stamp.settled:
            rows[str(file)] = (stamp.text, value)
            self._unsaved = True
        return value

    def save(self) -> None:
        """Write what was added. Of several processes the last one wins, and none is wrong."""
        if self.path is not None and self._unsaved:
            try:
                rows = {name: list(row) for name, row in self._loaded().items()}
                write_bytes(self.path, canonical_json({"rows": rows, "sha256": digest(rows)}))
            except (OSError, Unwritable):  # a read-only cache only costs time
                return
            self._unsaved = False

    def _loaded(self) -> dict[str, tuple[str, str]]:
        if self._rows is None:
            self._rows = _read(self.path)
        return self._rows


def _read(path: Path | None) -> dict[str, tuple[str, str]]:
    """Rows of an earlier process; a file that is not what was written only costs time."""
    if path is None or not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_bytes())
        rows = cast("dict[str, list[str]]", stored["rows"])
        whole = stored["sha256"] == digest(rows)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: (row[0], row[1]) for name, row in rows.items()} if whole else {}


@functools.lru_cache(maxsize=8)
def stat_cache(path: Path, compute: Callable[[Path], str]) -> StatCache:
    """The values kept in a file; one object a process."""
    return StatCache(path, compute)
