"""The file of answers: one JSON line an event, only ever added to, on the disk before it counts.

Every line holds its number and a hash of the line before, so that a missing, changed or swapped
line is noticed. A line without its end was cut off by a crash and was never acknowledged.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vpbench.api.errors import Corrupt, UsageError
from vpbench.core.files import storage

_START = "0" * 16


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole events of a file; none if it is not there.

    Raises:
        Corrupt: a line was changed, removed or added by something else; names it.
    """
    data = path.read_bytes() if path.is_file() else b""
    return _parse(path, data)[0]


def _parse(path: Path, data: bytes) -> tuple[list[dict[str, Any]], str, int]:
    """Events, the hash of the last line, and how many bytes they take."""
    whole = data.rfind(b"\n") + 1
    events: list[dict[str, Any]] = []
    before = _START
    for number, line in enumerate(data[:whole].splitlines(keepends=True)):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if (
            not isinstance(event, dict)
            or event.get("n") != number
            or event.get("after") != before
            or _line(event) != line
        ):
            raise Corrupt(
                f"{path}: line {number + 1} is not what was written.",
                fix="Restore the file from a copy.",
            )
        before = _hash(line)
        events.append(event)
    return events, before, whole


def _line(event: dict[str, Any]) -> bytes:
    text = json.dumps(event, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]


class AnswerFile:
    """The one writer of a file of answers.

    Attributes:
        events: what the file held when it was opened.
        torn: bytes of a line that was cut off by a crash; they are removed.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file and keep other writers out.

        Raises:
            UsageError: another server writes to it.
            Corrupt: it was changed.
        """
        self.path = path
        with storage(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._lock()
            data = path.read_bytes()
            self.events, self._before, self._size = _parse(path, data)
        except BaseException:
            os.close(self._file)
            raise
        self._number = len(self.events)
        self.torn = data[self._size :]
        if self.torn:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        _sync_folder(path.parent)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"another server is writing to {self.path}.", fix="Stop it first."
            ) from error

    def append(self, events: Sequence[dict[str, Any]]) -> None:
        """Add events and wait until the disk has them; all or none.

        Raises:
            Unwritable: the disk is full or failing; the file is as it was.
        """
        number, before, lines = self._number, self._before, []
        for event in events:
            line = _line({"n": number, "after": before, **event})
            lines.append(line)
            number, before = number + 1, _hash(line)
        data = b"".join(lines)
        with storage(self.path):
            try:
                self._write(data)
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
        self._number, self._before, self._size = number, before, self._size + len(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def close(self) -> None:
        """Let another writer in."""
        os.close(self._file)


def _sync_folder(folder: Path) -> None:
    """A new file survives a crash only once its folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
