"""Reading a TensorFlow checkpoint ("bundle") without TensorFlow.

`PREFIX.index` is a sorted string table (LevelDB's format): blocks of prefix-compressed keys, each
with a type byte (0 plain, 1 Snappy) and a masked CRC32C, and a 48-byte footer. Its values are
protocol buffers (`BundleHeaderProto` for the key "", `BundleEntryProto` for each tensor) that say
where in `PREFIX.data-NNNNN-of-NNNNN` the tensor's little-endian bytes lie and what their masked
CRC32C is. Formats: tensorflow/core/protobuf/tensor_bundle.proto, leveldb/doc/table_format.md,
snappy/format_description.txt.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt, MissingWeights

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
MAX_INDEX = 16 << 20
"""No larger index, and no block that unpacks to more, is read; bytes."""

MAX_TENSORS = 100_000

MAX_AXES = 32
MAX_NUMBERS = 1 << 40
"""No tensor has more axes, or more numbers if its axes of length 0 had length 1."""

_DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|b1",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies.

    Attributes:
        dtype: numpy's name of the number type, little-endian.
        shard: number of the data file.
        offset: first byte in it.
        size: bytes.
        crc: masked CRC32C of those bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


@dataclass(frozen=True)
class Index:
    """The content of an index file: the number of data files, and every tensor by name."""

    shards: int
    tensors: dict[str, TensorEntry]


def masked_crc32c(data: bytes | memoryview) -> int:
    """CRC32C rotated and shifted as TensorFlow and LevelDB store it."""
    import google_crc32c

    crc = google_crc32c.value(bytes(data))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def data_path(prefix: Path, shard: int, shards: int) -> Path:
    """The data file of a shard."""
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


def read_bundle(prefix: Path) -> dict[str, npt.NDArray[Any]]:
    """All tensors of a checkpoint.

    Args:
        prefix: path without ".index"; the data files lie beside it.

    Raises:
        MissingWeights: the index or a data file is not there.
        Corrupt: anything does not match the format or the checksums; names the tensor.
    """
    source = prefix.with_name(prefix.name + ".index")
    index = read_index(_read(source, MAX_INDEX), source.name)
    paths = [data_path(prefix, k, index.shards) for k in range(index.shards)]
    sizes = [_size(path) for path in paths]
    for name, entry in index.tensors.items():
        if entry.shard >= index.shards:
            raise Corrupt(f"{source.name}: {name} lies in a data file that does not exist.")
        if entry.offset + entry.size > sizes[entry.shard]:
            raise Corrupt(f"{paths[entry.shard].name} is truncated: {name} is incomplete.")
    if sum(entry.size for entry in index.tensors.values()) > sum(sizes):
        raise Corrupt(f"{source.name}: its tensors overlap.")
    return {name: _tensor(paths[entry.shard], name, entry) for name, entry in index.tensors.items()}


def _tensor(path: Path, name: str, entry: TensorEntry) -> npt.NDArray[Any]:
    with path.open("rb") as stream:
        stream.seek(entry.offset)
        data = stream.read(entry.size)
    crc = masked_crc32c(data)
    if crc != entry.crc:
        raise Corrupt(
            f"{path.name}: {name} is damaged (its checksum is {crc:08x}, the index has "
            f"{entry.crc:08x})."
        )
    return np.frombuffer(data, entry.dtype).reshape(entry.shape)


def _size(path: Path) -> int:
    if not path.is_file():
        raise MissingWeights(f"{path.name} is not beside its index in {path.parent}.")
    return path.stat().st_size


def _read(path: Path, limit: int) -> bytes:
    if _size(path) > limit:
        raise Corrupt(f"{path.name} has more than {limit} bytes: not an index of a checkpoint.")
    return path.read_bytes()


def read_index(data: bytes, what: str = "the index") -> Index:
    """Parse an index file.

    Raises:
        Corrupt: it is not an index, a block is damaged, or a tensor's description makes no sense.
    """
    try:
        return _read_index(data)
    except _Bad as error:
        raise Corrupt(f"{what} is not a complete checkpoint index: {error}.") from None
    except (IndexError, UnicodeDecodeError):
        raise Corrupt(f"{what} is not a complete checkpoint index: it is truncated.") from None


class _Bad(Exception):
    """What is wrong with an index."""


def _read_index(data: bytes) -> Index:
    if len(data) < FOOTER or int.from_bytes(data[-8:], "little") != MAGIC:
        raise _Bad("its last bytes are not those of a table")
    footer = data[-FOOTER:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    shards = 0
    tensors: dict[str, TensorEntry] = {}
    for _, handle in _entries(_block(data, offset, size)):
        start, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        for key, value in _entries(_block(data, start, length)):
            if not key:
                shards = _header(value)
            elif key.decode() in tensors or len(tensors) >= MAX_TENSORS:
                raise _Bad(f"{key.decode()} occurs twice, or there are too many tensors")
            else:
                tensors[key.decode()] = _tensor_entry(key.decode(), value)
    if not shards:
        raise _Bad("it has no header")
    return Index(shards, tensors)


def _block(data: bytes, offset: int, size: int) -> bytes:
    """One block, checked and unpacked."""
    raw = data[offset : offset + size + 5]
    if len(raw) != size + 5:
        raise _Bad("a block lies beyond its end")
    if masked_crc32c(raw[: size + 1]) != int.from_bytes(raw[-4:], "little"):
        raise _Bad(f"the block at byte {offset} is damaged")
    if raw[size] == 0:
        return raw[:size]
    if raw[size] == 1:
        return unsnap(raw[:size])
    raise _Bad(f"a block is packed in an unknown way ({raw[size]})")


def _entries(block: bytes) -> Generator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key shares its beginning with the one before."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise _Bad("a block is too short")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise _Bad("a block's entry reaches beyond it")
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where the next thing starts."""
    value = 0
    for k in range(10):
        byte = data[at + k]
        value |= (byte & 0x7F) << (7 * k)
        if byte < 0x80:
            return value, at + k + 1
    raise _Bad("a number is too long")


def _fields(data: bytes) -> Generator[tuple[int, int | bytes]]:
    """Field numbers and values of a protocol buffer."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _Bad(f"a description has a field of the unknown kind {kind}")
        if at + length > len(data):
            raise _Bad("a description is truncated")
        piece = data[at : at + length]
        at += length
        yield tag >> 3, piece if kind == 2 else int.from_bytes(piece, "little")


def _header(value: bytes) -> int:
    """Number of data files."""
    shards = 1
    for field, content in _fields(value):
        if field == 1 and isinstance(content, int):
            shards = content
        elif field == 2 and content != 0:
            raise _Bad("its numbers are big-endian, which is not read here")
    if not 1 <= shards <= 4096:
        raise _Bad(f"it declares {shards} data files")
    return shards


def _tensor_entry(name: str, value: bytes) -> TensorEntry:
    numbers: dict[int, int] = {}
    shape: tuple[int, ...] = ()
    for field, content in _fields(value):
        if field == 2 and isinstance(content, bytes):
            shape = _shape(content)
        elif field == 7:
            raise _Bad(f"{name} is stored in slices, which are not read here")
        elif isinstance(content, int):
            numbers[field] = content
    dtype = _DTYPES.get(numbers.get(1, 0))
    if dtype is None:
        raise _Bad(f"{name} has the number type {numbers.get(1, 0)}, which is not read here")
    size = numbers.get(5, 0)
    if len(shape) > MAX_AXES or math.prod(max(1, n) for n in shape) > MAX_NUMBERS:
        raise _Bad(f"{name} has an impossible shape")
    if size != math.prod(shape) * np.dtype(dtype).itemsize:
        raise _Bad(f"{name} has {size} bytes, which its shape {shape} does not fit")
    return TensorEntry(dtype, shape, numbers.get(3, 0), numbers.get(4, 0), size, numbers.get(6, 0))


def _shape(value: bytes) -> tuple[int, ...]:
    sizes: list[int] = []
    for field, content in _fields(value):
        if field == 2 and isinstance(content, bytes):
            size = next((v for f, v in _fields(content) if f == 1), 0)
            sizes.append(size if isinstance(size, int) else 0)
        elif field == 3 and content:
            raise _Bad("a tensor has no known shape")
    return tuple(sizes)


def unsnap(data: bytes) -> bytes:
    """Unpack a raw Snappy block."""
    total, at = _varint(data, 0)
    if total > MAX_INDEX:
        raise _Bad(f"a block unpacks to {total} bytes")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:  # literal
            length = (tag >> 2) + 1
            if length > 60:
                extra = length - 60
                length = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            out += data[at : at + length]
            at += length
        else:
            at = _copy(data, at, tag, out)
        if len(out) > total:
            raise _Bad("a packed block is longer than declared")
    if len(out) != total:
        raise _Bad("a packed block is truncated")
    return bytes(out)


def _copy(data: bytes, at: int, tag: int, out: bytearray) -> int:
    """Repeat an earlier piece; the piece may overlap what it makes."""
    kind = tag & 3
    if kind == 1:
        length, back, at = ((tag >> 2) & 7) + 4, ((tag >> 5) << 8) | data[at], at + 1
    else:
        wide = 2 if kind == 2 else 4
        length, back = (tag >> 2) + 1, int.from_bytes(data[at : at + wide], "little")
        at += wide
    if not 0 < back <= len(out):
        raise _Bad("a packed block refers to before its beginning")
    start = len(out) - back
    for k in range(length):
        out.append(out[start + k])
    return at
