"""Clips in arrays: npz files with the key `frames`, and npy files; uint8, axes in a given order."""

from __future__ import annotations

import io
import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media.array_advice import dtype_problem, shape_problem
from vpbench.media.ground import Composer
from vpbench.media.kinds import Change, Kind, Reading

KEY = "frames"

_MEMBER = f"{KEY}.npy"
_MAGIC = b"\x93NUMPY"
_EXPANSION = 1100
"""No method of compression that numpy writes makes more bytes of one: deflate reaches 1032."""
_ENCRYPTED = 0x1
"""Bit of a member's flags."""
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What zipfile, its decompressors and numpy raise at invalid bytes."""
_SAVE = "Save it again with np.savez_compressed(path, frames=a)."
_SAVE_NPY = "Save it again with np.save(path, a)."
_RGB, _RGBA = 3, 4

Array = npt.NDArray[np.generic]


def read(path: Path, what: Kind, how: Reading) -> tuple[Frames, tuple[Change, ...]]:
    """All frames of one clip, uint8 [T,H,W,3], and what was decided about them.

    The frames of an npy file stay on the disk where they need no conversion.

    Raises:
        BadData: no such array, pickled, encrypted, cut off, not uint8, or of other axes than
            `how.axes`.
    """
    array = _loaded(path, what)
    if array.dtype != np.uint8:
        raise dtype_problem(path, array)
    if 0 in array.shape:
        shape = "x".join(str(n) for n in array.shape)
        raise BadData(f"{path}: the array is {shape}: it is empty.", fix=_SAVE)
    axes = how.axes or ("THWC" if what == "npz" else "")
    clip = _arranged(path, array, axes, how.part)
    if clip is None or (not how.axes and clip.shape[-1] != _RGB):
        raise shape_problem(path, array.shape, how.axes)
    return _coloured(path, clip, how)


def parts(path: Path, what: Kind, axes: str) -> int:
    """How many clips an array holds, from its header alone where it is an npy file.

    Raises:
        BadData: it cannot be read, or has another number of axes.
    """
    if "N" not in axes:
        return 1
    shape = _loaded(path, what).shape
    if len(shape) != len(axes):
        raise shape_problem(path, shape, axes)
    return shape[axes.index("N")]


def _loaded(path: Path, what: Kind) -> Array:
    try:
        if what == "npy":
            return _mapped(path)
        with zipfile.ZipFile(path) as archive:
            return _member(path, archive)
    except BadData:
        raise
    except _UNREADABLE as error:
        text = str(error) or type(error).__name__
        form = "array" if what == "npy" else "npz archive"
        fix = _SAVE_NPY if what == "npy" else _SAVE
        raise BadData(f"{path} is not a readable {form}: {text}.", fix=fix) from error


def _mapped(path: Path) -> Array:
    """An npy file, left on the disk: one may hold thousands of clips."""
    with path.open("rb") as stream:
        _check_size(path, stream, path.stat().st_size, "the file", _SAVE_NPY)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _member(path: Path, archive: zipfile.ZipFile) -> Array:
    """The array that holds the frames, its checksum checked; read-only."""
    names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
    if KEY not in names:
        raise BadData(f"{path} has no array {KEY!r}, only {sorted(names)}.", fix=_SAVE)
    name = _MEMBER if _MEMBER in archive.namelist() else KEY
    info = archive.getinfo(name)
    if info.flag_bits & _ENCRYPTED:
        raise BadData(f"{path} is encrypted.", fix="Save it again without a password.")
    if info.file_size > _EXPANSION * info.compress_size + (1 << 16):
        raise BadData(
            f"{path} is not a readable npz archive: {info.compress_size} bytes cannot hold "
            f"{info.file_size}.",
            fix=_SAVE,
        )
    data = archive.read(info)
    if not data.startswith(_MAGIC):
        raise BadData(f"{path}: {KEY!r} is not an array, but a file of another kind.", fix=_SAVE)
    stream = io.BytesIO(data)
    shape, columns_first, dtype = _check_size(path, stream, len(data), repr(KEY), _SAVE)
    if dtype.hasobject or stream.tell() == len(data):
        return np.load(io.BytesIO(data), allow_pickle=False)
    # Where the bytes are: a copy of a large clip takes as long as its checksum.
    values = np.frombuffer(data, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if columns_first else "C")


def _check_size(
    path: Path, stream: io.BufferedIOBase, size: int, name: str, fix: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Compare the size that an array declares with the bytes that are there.

    Returns:
        Its shape, whether the first index runs fastest, and its type; `stream` is at its values.
    """
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        header = np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = header(stream)
    declared = dtype.itemsize
    for n in shape:
        declared *= n
    there = size - stream.tell()
    if not dtype.hasobject and declared != there:
        kind = "npz archive" if name == repr(KEY) else "array"
        raise BadData(
            f"{path} is not a readable {kind}: {name} declares {declared} bytes and has {there}.",
            fix=fix,
        )
    return shape, columns_first, dtype


def _arranged(path: Path, array: Array, axes: str, part: int) -> Array | None:
    """One clip as [T,H,W,C]; None where the array has other axes."""
    if len(axes) != array.ndim:
        return None
    if "N" in axes:
        place = axes.index("N")
        if part >= array.shape[place]:
            raise BadData(f"{path} has {array.shape[place]} clips; clip {part} was asked for.")
        array = array[(slice(None),) * place + (part,)]
        axes = axes.replace("N", "")
    if "C" not in axes:
        array, axes = array[..., None], f"{axes}C"
    clip = array.transpose([axes.index(letter) for letter in "THWC"])
    return clip if clip.shape[-1] in (1, _RGB, _RGBA) else None


def _coloured(path: Path, clip: Array, how: Reading) -> tuple[Frames, tuple[Change, ...]]:
    frames = clip.astype(np.uint8, copy=False)
    if frames.shape[-1] == _RGB:
        return frames, ()
    if frames.shape[-1] == 1:
        return frames.repeat(_RGB, axis=-1), ()
    composer = Composer(how.ground)
    pixels = np.stack([composer.rgb(frame) for frame in frames])
    composer.check(path)
    return pixels, ("transparent",) if composer.transparent else ()
