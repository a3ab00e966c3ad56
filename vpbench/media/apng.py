"""Animated PNG: frames drawn over each other as the specification says.

Pillow blends half-transparent frames by another rule (it mixes alpha like a colour). Here it
decodes each frame as a picture of its own, and the frames are composed by the formula of the PNG
specification, third edition, 13.16.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.api.errors import BadData
from vpbench.api.types import Frames

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CONTROL = ">IIIIHHBB"
_BACKGROUND, _PREVIOUS = 1, 2
_OVER = 1


@dataclass
class _Frame:
    """One frame as it is stored; `data` is compressed pixels."""

    width: int
    height: int
    left: int
    top: int
    disposal: int
    blend: int
    data: list[bytes]


@dataclass(frozen=True)
class _File:
    """The chunks that all frames share, and the frames."""

    head: bytes
    shared: tuple[tuple[bytes, bytes], ...]
    frames: tuple[_Frame, ...]


def composed(path: Path) -> Iterator[Frames]:
    """All frames in order, uint8 [H,W,4] with straight alpha.

    Raises:
        BadData: a chunk is damaged, or a frame lies beyond the picture.
    """
    try:
        file = _parsed(path.read_bytes())
        yield from _drawn(file)
    except (struct.error, ValueError, IndexError, OSError, SyntaxError, zlib.error) as error:
        raise BadData(
            f"{path} is not a readable image: {error}.", fix="Copy or download it again."
        ) from error


def _parsed(data: bytes) -> _File:
    head, shared, frames = b"", list[tuple[bytes, bytes]](), list[_Frame]()
    ended = False
    for kind, content in _chunks(data):
        if kind == b"IHDR":
            head = content
        elif kind == b"fcTL":
            width, height, left, top, _, _, disposal, blend = struct.unpack(_CONTROL, content[4:])
            frames.append(_Frame(width, height, left, top, disposal, blend, []))
        elif kind == b"IDAT" and frames:
            frames[-1].data.append(content)
        elif kind == b"fdAT" and frames:
            frames[-1].data.append(content[4:])
        elif kind in (b"PLTE", b"tRNS"):
            shared.append((kind, content))
        ended = ended or kind == b"IEND"
    if not ended:
        raise ValueError("its end is missing")
    if any(not frame.data for frame in frames):
        raise ValueError("a frame has no pixels")
    return _File(head, tuple(shared), tuple(frames))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + length]
        (check,) = struct.unpack_from(">I", data, place + 8 + length)
        if zlib.crc32(kind + content) != check:
            raise ValueError(f"the checksum of a chunk {kind!a} is wrong")
        yield kind, content
        place += 12 + length


def _drawn(file: _File) -> Iterator[Frames]:
    width, height = struct.unpack_from(">II", file.head)
    canvas = np.zeros((height, width, 4), np.uint8)
    for number, frame in enumerate(file.frames):
        if frame.left + frame.width > width or frame.top + frame.height > height:
            raise ValueError("a frame lies beyond the picture")
        area = (
            slice(frame.top, frame.top + frame.height),
            slice(frame.left, frame.left + frame.width),
        )
        pixels, before = _decoded(file, frame), canvas[area].copy()
        canvas[area] = over(pixels, before) if frame.blend == _OVER else pixels
        yield canvas.copy()
        if frame.disposal == _BACKGROUND or (frame.disposal == _PREVIOUS and number == 0):
            canvas[area] = 0
        elif frame.disposal == _PREVIOUS:
            canvas[area] = before


def _decoded(file: _File, frame: _Frame) -> Frames:
    """A frame as a picture of its own, uint8 [h,w,4]."""
    head = struct.pack(">II", frame.width, frame.height) + file.head[8:]
    chunks = [(b"IHDR", head), *file.shared, (b"IDAT", b"".join(frame.data)), (b"IEND", b"")]
    parts = [_SIGNATURE]
    for kind, content in chunks:
        check = struct.pack(">I", zlib.crc32(kind + content))
        parts += [struct.pack(">I", len(content)), kind, content, check]
    with Image.open(io.BytesIO(b"".join(parts)), formats=("PNG",)) as image:
        return np.array(image.convert("RGBA"), np.uint8)


def over(new: Frames, old: Frames) -> Frames:
    """Straight alpha over straight alpha, uint8 [...,4], rounded half up."""
    top, below = new[..., 3:].astype(np.uint64), old[..., 3:].astype(np.uint64)
    share, rest = 255 * top, below * (255 - top)
    whole = share + rest
    colour = new[..., :3] * share + old[..., :3] * rest
    mixed = (2 * colour + whole) // np.maximum(2 * whole, 1)
    alpha = (2 * whole + 255) // 510
    return np.concatenate([mixed, alpha], axis=-1).astype(np.uint8)
