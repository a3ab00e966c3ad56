"""Clips in npz files: key `frames`, uint8 [T,H,W,3]."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData
from vpbench.api.types import Frames

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
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What zipfile, its decompressors and numpy raise at invalid bytes."""
_SAVE = "Save it again with np.savez_compressed(path, frames=a)."


def read(path: Path) -> Frames:
    """All frames, uint8 [T,H,W,3].

    Raises:
        BadData: not an npz, no such key, pickled, encrypted, cut off, or not uint8 RGB frames.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            data = _member(path, archive)
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except BadData:
        raise
    except _UNREADABLE as error:
        what = str(error) or type(error).__name__
        raise BadData(f"{path} is not a readable npz archive: {what}.", fix=_SAVE) from error
    _check(path, array)
    return np.ascontiguousarray(array)


def _member(path: Path, archive: zipfile.ZipFile) -> bytes:
    """The bytes of the member that holds the frames, its checksum checked."""
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
    _check_size(path, data)
    return data


def _check_size(path: Path, data: bytes) -> None:
    """Compare the size that the array declares with the bytes that are there."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        header = np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    declared = dtype.itemsize
    for n in shape:
        declared *= n
    there = len(data) - stream.tell()
    if not dtype.hasobject and declared != there:
        raise BadData(
            f"{path} is not a readable npz archive: {KEY!r} declares {declared} bytes and has "
            f"{there}.",
            fix=_SAVE,
        )


def _check(path: Path, array: npt.NDArray[np.generic]) -> None:
    shape = "x".join(str(n) for n in array.shape)
    if array.dtype != np.uint8:
        extra = ""
        if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float64)).all():
            extra = " with NaN or infinite values"
        raise BadData(
            f"{path}: {KEY!r} is {array.dtype}{extra}, not uint8 in 0..255.", fix=_cast(array)
        )
    if array.ndim != 4 or array.shape[-1] != 3:
        raise BadData(f"{path}: {KEY!r} is {shape}, not TxHxWx3.", fix=_reshape(array))
    if 0 in array.shape:
        raise BadData(f"{path}: {KEY!r} is {shape}: it is empty.", fix="Save it again with frames.")


def _cast(array: npt.NDArray[np.generic]) -> str:
    if array.dtype.kind == "f":
        return "Save (a * 255).round().clip(0, 255).astype(np.uint8) if a is in 0..1."
    return "Save a.astype(np.uint8) if all values are in 0..255."


def _reshape(array: npt.NDArray[np.generic]) -> str:
    if array.ndim == 3:
        return "Save np.repeat(a[..., None], 3, axis=-1) if it is grey."
    if array.ndim == 4 and array.shape[1] == 3:
        return "Save a.transpose(0, 2, 3, 1)."
    if array.ndim == 4 and array.shape[-1] == 4:
        return "Save a[..., :3] if the fourth channel is alpha."
    if array.ndim == 4 and array.shape[-1] == 1:
        return "Save np.repeat(a, 3, axis=-1) if it is grey."
    return "Save RGB frames of one clip."
