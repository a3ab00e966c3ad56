"""Gif and PNG files byte by byte, and what their specifications say that they show.

Sources: GIF89a specification, 1990; PNG specification, third edition, 2025 (with APNG).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.e2e.media_matrix.cell import Frames

COLOURS = 128
KEEP, RESTORE_BACKGROUND, RESTORE_PREVIOUS = 1, 2, 3
_LITERALS = 100
"""Pixels between two clear codes: fewer than would make the codes longer than 8 bits."""


@dataclass(frozen=True)
class Patch:
    """One frame of a gif.

    Attributes:
        indices: colour numbers, [h,w], below 128.
        corner: row and column of its first pixel.
        disposal: 0 to 3.
        clear: the colour number that is transparent, None for none.
        palette: uint8 [128,3] of its own, None for the global one.
    """

    indices: npt.NDArray[np.uint8]
    corner: tuple[int, int] = (0, 0)
    disposal: int = KEEP
    clear: int | None = None
    palette: npt.NDArray[np.uint8] | None = None
    delay: int = 10


def gif(size: tuple[int, int], palette: npt.NDArray[np.uint8], patches: Sequence[Patch]) -> bytes:
    """A gif of height x width `size`; colour 0 is its background."""
    height, width = size
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x80 | 6, 0, 0), palette.tobytes()]
    for patch in patches:
        flags = patch.disposal << 2 | (patch.clear is not None)
        parts.append(struct.pack("<4BH2B", 0x21, 0xF9, 4, flags, patch.delay, patch.clear or 0, 0))
        rows, columns = patch.indices.shape
        own = 0x80 | 6 if patch.palette is not None else 0
        top, left = patch.corner
        parts.append(struct.pack("<BHHHHB", 0x2C, left, top, columns, rows, own))
        if patch.palette is not None:
            parts.append(patch.palette.tobytes())
        parts.append(b"\x07" + _blocks(_codes(patch.indices)))
    return b"".join([*parts, b";"])


def _codes(indices: npt.NDArray[np.uint8]) -> bytes:
    """LZW codes of 8 bits each: literals, with the dictionary cleared before it grows."""
    flat = indices.ravel()
    pieces = [flat[k : k + _LITERALS].tobytes() for k in range(0, len(flat), _LITERALS)]
    return b"".join(b"\x80" + piece for piece in pieces) + b"\x81"


def _blocks(data: bytes) -> bytes:
    pieces = [data[k : k + 255] for k in range(0, len(data), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"


def gif_shown(
    size: tuple[int, int], palette: npt.NDArray[np.uint8], patches: Sequence[Patch]
) -> Frames:
    """What a gif shows, uint8 [T,h,w,4].

    Where a frame is removed, and before the first one, all is transparent if that frame has a
    transparent colour, else of the background's colour.
    """
    canvas = np.zeros((*size, 4), np.uint8)
    if patches[0].clear is None:
        canvas[:] = (*palette[0], 255)
    shown: list[Frames] = []
    for patch in patches:
        before = canvas.copy()
        rows, columns = patch.indices.shape
        top, left = patch.corner
        area = canvas[top : top + rows, left : left + columns]
        colours = palette if patch.palette is None else patch.palette
        opaque = patch.indices != (-1 if patch.clear is None else patch.clear)
        area[opaque] = np.concatenate(
            [colours[patch.indices[opaque]], np.full((opaque.sum(), 1), 255)], axis=1
        )
        shown.append(canvas.copy())
        if patch.disposal == RESTORE_BACKGROUND:
            area[:] = (*palette[0], 255) if patch.clear is None else 0
        elif patch.disposal == RESTORE_PREVIOUS:
            canvas = before
    return np.stack(shown)


def png(
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], *more: tuple[bytes, bytes]
) -> bytes:
    """A PNG of [H,W,C] pixels of 8 or 16 bits; `more` chunks stand before the data."""
    parts = [_head(pixels), *more, (b"IDAT", _packed(pixels)), (b"IEND", b"")]
    return _file(parts)


@dataclass(frozen=True)
class Part:
    """One frame of an APNG: RGBA pixels, where, and how it is disposed of and blended."""

    pixels: Frames
    corner: tuple[int, int] = (0, 0)
    disposal: int = 0
    blend: int = 0


def apng(size: tuple[int, int], parts: Sequence[Part], default: Frames | None = None) -> bytes:
    """An animated PNG; `default` is a picture that is not one of its frames."""
    head = np.zeros((*size, 4), np.uint8)
    chunks = [_head(head), (b"acTL", struct.pack(">II", len(parts), 0))]
    if default is not None:
        chunks.append((b"IDAT", _packed(default)))
    number = 0
    for k, part in enumerate(parts):
        rows, columns, _ = part.pixels.shape
        top, left = part.corner
        control = struct.pack(
            ">IIIIIHHBB", number, columns, rows, left, top, 1, 10, part.disposal, part.blend
        )
        chunks.append((b"fcTL", control))
        number += 1
        if k == 0 and default is None:
            chunks.append((b"IDAT", _packed(part.pixels)))
        else:
            chunks.append((b"fdAT", struct.pack(">I", number) + _packed(part.pixels)))
            number += 1
    return _file([*chunks, (b"IEND", b"")])


def apng_shown(size: tuple[int, int], parts: Sequence[Part]) -> npt.NDArray[np.float64]:
    """What it shows, [T,h,w,4], not rounded."""
    canvas = np.zeros((*size, 4))
    shown: list[npt.NDArray[np.float64]] = []
    for k, part in enumerate(parts):
        before = canvas.copy()
        rows, columns, _ = part.pixels.shape
        top, left = part.corner
        area = (slice(top, top + rows), slice(left, left + columns))
        new = part.pixels.astype(float)
        canvas[area] = new if part.blend == 0 else _over(new, canvas[area])
        shown.append(canvas.copy())
        # The first frame has nothing before it: it is cleared instead.
        if part.disposal == 1 or (part.disposal == 2 and k == 0):
            canvas[area] = 0
        elif part.disposal == 2:
            canvas = before
    return np.stack(shown)


def _over(new: npt.NDArray[np.float64], old: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    share, below = new[..., 3:] / 255, old[..., 3:] / 255
    alpha = share + below * (1 - share)
    colour = new[..., :3] * share + old[..., :3] * below * (1 - share)
    return np.concatenate([colour / np.maximum(alpha, 1e-9), alpha * 255], axis=-1)


def _head(pixels: npt.NDArray[np.generic]) -> tuple[bytes, bytes]:
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, kind, 0, 0, 0)


def _packed(pixels: npt.NDArray[np.generic]) -> bytes:
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in big))


def _file(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        check = struct.pack(">I", zlib.crc32(kind + data))
        parts += [struct.pack(">I", len(data)), kind, data, check]
    return b"".join(parts)


def saved(folder: Path, name: str, data: bytes) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(data)
    return path
