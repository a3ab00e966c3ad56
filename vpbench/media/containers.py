"""Whether a video file is cut off, from the sizes that its container declares.

Decoders end quietly where a file ends, so a half-copied webm or avi would only look shorter.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from vpbench.media.kinds import Kind

_SEGMENT = 0x18538067
_RIFF_UNKNOWN = (0, 0xFFFFFFFF)


def cut_off(path: Path, kind: Kind) -> bool:
    """Whether the file is shorter than its container declares; False where that is unknown."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if kind == "mov":
            return _mov(file, size)
        if kind == "avi":
            return _riff(file, size)
        if kind == "matroska":
            return _ebml(file, size)
    return False


def _mov(file: BinaryIO, size: int) -> bool:
    position = 0
    while size - position >= 8:
        file.seek(position)
        header = file.read(16)
        length, name = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        if length == 0 or not name.isascii() or not name.decode("ascii").isprintable():
            return False  # the last box, or padding after it
        if length < 8:
            return False
        position += length
    return position > size


def _riff(file: BinaryIO, size: int) -> bool:
    position = 0
    while size - position >= 12:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF" or length in _RIFF_UNKNOWN:
            return False
        position += 8 + length
        if position > size:
            return True
        position += length & 1
    return False


def _ebml(file: BinaryIO, size: int) -> bool:
    while file.tell() < size:
        name = _vint(file, keep_marker=True)
        length = _vint(file, keep_marker=False)
        if name is None or length is None:
            return name == _SEGMENT and file.tell() >= size
        end = file.tell() + length
        if end > size:
            return True
        if name == _SEGMENT:
            return False
        file.seek(end)
    return False


def _vint(file: BinaryIO, *, keep_marker: bool) -> int | None:
    """A variable-length number; None for "unknown", nonsense and the end of the file."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    rest = file.read(extra)
    if len(rest) < extra:
        return None
    value = int.from_bytes(first + rest, "big")
    if keep_marker:
        return value
    value &= (1 << (7 * (extra + 1))) - 1
    return None if value == (1 << (7 * (extra + 1))) - 1 else value
