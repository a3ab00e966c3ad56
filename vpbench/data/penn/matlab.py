"""A reader of MATLAB 5 files for the few kinds of arrays that annotation files hold.

Format: "MAT-File Format", The MathWorks, chapter 1 (level 5 MAT-files). Every length is checked
against the bytes that are there before it is used, so that no file can crash the interpreter or ask
for more memory than `LIMIT`.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LIMIT = 64 << 20
"""Bytes that one variable may have when it is unpacked; the largest of Penn Action has 0.2 MB."""

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_NUMBERS |= {12: "i8", 13: "u8"}
"""Types of stored numbers."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
_CLASSES |= {14: "i8", 15: "u8"}
"""Classes of arrays; the numbers of one may be stored in a smaller type."""
_CHAR = 4
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}

Variable = npt.NDArray[Any] | str


class MatlabError(ValueError):
    """The bytes are not a MATLAB 5 file, or not whole."""


@dataclass(frozen=True)
class _Element:
    kind: int
    data: bytes


def read_matlab(data: bytes) -> dict[str, Variable]:
    """Numeric arrays (in the shape that MATLAB shows) and texts of one line, by name.

    Variables of other classes (structures, cells, sparse and complex arrays) are left out.

    Raises:
        MatlabError: with the reason.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    if order is None or not data.startswith(b"MATLAB 5.0"):
        raise MatlabError("it does not start like a MATLAB 5 file")
    variables: dict[str, Variable] = {}
    for element in _elements(data[_HEADER:], order, padded=False):
        if element.kind == _COMPRESSED:
            inner = list(_elements(_unpacked(element.data), order))
        else:
            inner = [element]
        for part in inner:
            if part.kind != _MATRIX:
                raise MatlabError(f"an element of kind {part.kind} stands where a variable should")
            name, value = _variable(part.data, order)
            if value is not None:
                variables[name] = value
    return variables


def _elements(data: bytes, order: str, *, padded: bool = True) -> Iterator[_Element]:
    """The elements of a byte string; those within a variable are padded to 8 bytes."""
    position = 0
    while position < len(data):
        if len(data) - position < 8:
            raise MatlabError("it is cut off")
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if kind >> 16:  # at most 4 bytes, in the place of the length
            kind, size = kind & 0xFFFF, kind >> 16
            start, end = position + 4, position + 8
            if size > 4:
                raise MatlabError(f"a small element declares {size} bytes")
        else:
            start = position + 8
            unpadded = not padded and kind == _COMPRESSED
            end = start + size + (0 if unpadded else -size % 8)
        if start + size > len(data):
            raise MatlabError("it is cut off")
        yield _Element(kind, data[start : start + size])
        position = end


def _unpacked(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        whole = stream.decompress(data, LIMIT)
    except zlib.error as error:
        raise MatlabError(f"a variable cannot be unpacked ({error})") from error
    if stream.unconsumed_tail:
        raise MatlabError("a variable is larger than any annotation")
    return whole  # some streams lack their end mark: the lengths within show whether all is there


def _variable(data: bytes, order: str) -> tuple[str, Variable | None]:
    parts = list(_elements(data, order))
    if len(parts) < 3 or len(parts[0].data) != 8:
        raise MatlabError("a variable has no header")
    (flags,) = struct.unpack_from(f"{order}I", parts[0].data)
    kind, is_complex = flags & 0xFF, bool(flags & 0x800)
    shape = tuple(int(n) for n in _numbers(parts[1], order))
    name = parts[2].data.decode("latin-1")
    if (kind not in _CLASSES and kind != _CHAR) or is_complex:
        return name, None
    if len(parts) != 4 or not 1 <= len(shape) <= 8 or min(shape) < 0:
        raise MatlabError(f"the variable {name!r} is not an array")
    count = math.prod(shape)
    if kind == _CHAR:
        return name, _text(parts[3], order, name, count)
    values = _numbers(parts[3], order)
    if len(values) != count:
        raise MatlabError(f"the variable {name!r} has {len(values)} numbers for {count} places")
    try:
        with np.errstate(all="raise"):
            return name, values.astype(_CLASSES[kind]).reshape(shape, order="F")
    except FloatingPointError as error:
        raise MatlabError(f"numbers of the variable {name!r} do not fit its class") from error


def _numbers(element: _Element, order: str) -> npt.NDArray[Any]:
    kind = _NUMBERS.get(element.kind)
    if kind is None or len(element.data) % np.dtype(kind).itemsize:
        raise MatlabError(f"an element of kind {element.kind} stands where numbers should")
    return np.frombuffer(element.data, order + kind)


def _text(element: _Element, order: str, name: str, count: int) -> str:
    encoding = _TEXT.get(element.kind)
    if encoding == "utf-16":
        encoding = "utf-16-le" if order == "<" else "utf-16-be"
    try:
        text = element.data.decode(encoding or "ascii")
    except UnicodeDecodeError as error:
        raise MatlabError(f"the text {name!r} cannot be decoded") from error
    if encoding is None or len(text) != count:
        raise MatlabError(f"the text {name!r} has {len(text)} letters for {count} places")
    return text
