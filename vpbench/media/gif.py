"""Animated gifs: as many frames as are stored, drawn with their disposal rules, never re-timed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import BadData

_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_CONTROL = 0xF9


@dataclass(frozen=True)
class Blocks:
    """The block structure of a gif: its screen size and each frame's delay in 1/100 s."""

    width: int
    height: int
    delays: tuple[int, ...]


def blocks(path: Path) -> Blocks:
    """Walk through the blocks without decoding.

    Raises:
        BadData: the file ends before its end mark, a block is unknown, or there is no frame.
    """
    data = path.read_bytes()
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        delays = _walk(data, 13 + _table(flags))
    except (IndexError, struct.error):
        raise BadData(
            f"{path} is cut off: the gif has no end mark.", fix="Copy or download it again."
        ) from None
    except ValueError as error:
        raise BadData(f"{path} is corrupt: {error}.", fix="Copy or download it again.") from None
    if not delays:
        raise BadData(f"{path} holds no frame.", fix="Copy or download it again.")
    return Blocks(width, height, tuple(delays))


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _walk(data: bytes, position: int) -> Sequence[int]:
    delays: list[int] = []
    delay = 0
    while True:
        kind = data[position]
        if kind == _END:
            return delays
        if kind == _EXTENSION:
            if data[position + 1] == _CONTROL:
                (delay,) = struct.unpack_from("<H", data, position + 4)
            position = _skip(data, position + 2)
        elif kind == _IMAGE:
            position = _skip(data, position + 11 + _table(data[position + 9]))
            delays.append(delay)
            delay = 0
        else:
            raise ValueError(f"unknown block 0x{kind:02x} at byte {position}")


def _skip(data: bytes, position: int) -> int:
    """The position after a chain of sub-blocks."""
    while data[position]:
        position += data[position] + 1
    return position + 1
