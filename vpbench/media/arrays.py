"""Clips in npz files: key `frames`, uint8 [T,H,W,3]."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.types import Frames

KEY = "frames"


def read(path: Path) -> Frames:
    """All frames, uint8 [T,H,W,3].

    Raises:
        BadData: no npz, no such key, pickled, cut off, or not uint8 RGB frames.
    """
    try:
        # Opened here: np.load leaves its own file open when the archive is broken.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if KEY not in archive.files:
                raise BadData(
                    f"{path} has no array {KEY!r}, only {sorted(archive.files)}.",
                    fix="Save it with np.savez_compressed(path, frames=a).",
                )
            array: Any = archive[KEY]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise BadData(
            f"{path} is no readable npz archive: {error}.",
            fix="Save it again with np.savez_compressed(path, frames=a).",
        ) from error
    _check(path, array)
    return np.ascontiguousarray(array)


def _check(path: Path, array: np.ndarray) -> None:
    shape = "x".join(str(n) for n in array.shape)
    if array.dtype != np.uint8:
        extra = ""
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            extra = " with NaN or infinite values"
        raise BadData(
            f"{path}: {KEY!r} is {array.dtype}{extra}, not uint8 in 0..255.", fix=_cast(array)
        )
    if array.ndim != 4 or array.shape[-1] != 3:
        raise BadData(f"{path}: {KEY!r} is {shape}, not TxHxWx3.", fix=_reshape(array))
    if 0 in array.shape:
        raise BadData(f"{path}: {KEY!r} is {shape}: it is empty.", fix="Save it again with frames.")


def _cast(array: np.ndarray) -> str:
    if array.dtype.kind == "f":
        return "Save (a * 255).round().clip(0, 255).astype(np.uint8) if a is in 0..1."
    return "Save a.astype(np.uint8) if all values are in 0..255."


def _reshape(array: np.ndarray) -> str:
    if array.ndim == 3:
        return "Save np.repeat(a[..., None], 3, axis=-1) if it is grey."
    if array.ndim == 4 and array.shape[1] == 3:
        return "Save a.transpose(0, 2, 3, 1)."
    if array.ndim == 4 and array.shape[-1] == 4:
        return "Save a[..., :3] if the fourth channel is alpha."
    if array.ndim == 4 and array.shape[-1] == 1:
        return "Save np.repeat(a, 3, axis=-1) if it is grey."
    return "Save RGB frames of one clip."
