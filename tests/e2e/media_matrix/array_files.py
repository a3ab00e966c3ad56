"""Cells: arrays in npz and npy files, with every order of axes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.e2e.media_matrix.cell import EXACT, ROUNDED, Cell, alpha_scene, on_ground, scene
from vpbench.media.decode import Reading

_ORDERS = ("THWC", "TCHW", "CTHW", "HWCT", "CHWT")
_MANY = ("NTHWC", "TNHWC", "NCTHW")


def cells() -> Iterator[Cell]:
    """All of this group."""
    frames = scene(4, 10, 14)
    for ext in ("npz", "npy"):
        for order in _ORDERS:
            array = np.ascontiguousarray(frames.transpose(["THWC".index(k) for k in order]))
            yield _cell(f"array/{order}.{ext}", ext, array, frames, order)
        for order in _MANY:
            clips = np.stack([frames[::-1], frames])
            array = np.ascontiguousarray(clips.transpose(["NTHWC".index(k) for k in order]))
            yield _cell(f"array/{order}.{ext}", ext, array, frames, order, part=1)
        grey = frames[..., 1]
        shown = grey[..., None].repeat(3, axis=-1)
        yield _cell(f"array/THW.{ext}", ext, grey, shown, "THW")
        mnist = np.stack([grey[::-1], grey, grey[::2].repeat(2, axis=0)], axis=1)
        yield _cell(f"array/TNHW.{ext}", ext, mnist, shown, "TNHW", part=1)
        rgba = alpha_scene(4, 10, 14)
        how = Reading(axes="THWC")
        make = partial(_saved, ext, rgba)
        right = on_ground(rgba)
        mark = ("transparent",)
        yield Cell(f"array/rgba.{ext}", make, right, ROUNDED, changes=mark, how=how, ffmpeg=False)
        for name, array, axes in (
            ("another-order", frames.transpose(3, 0, 1, 2), "THWC"),
            ("too-few-axes", frames, "THW"),
            ("five-channels", np.zeros((4, 10, 14, 5), np.uint8), "THWC"),
        ):
            make, how = partial(_saved, ext, array), Reading(axes=axes)
            yield Cell(f"array/{name}.{ext}", make, refused="axes", how=how)
        for kind in (np.bool_, np.float32, np.int64, np.uint16):
            make = partial(_saved, ext, frames.astype(kind))
            how = Reading(axes="THWC")
            yield Cell(f"array/{kind.__name__}.{ext}", make, refused="dtype", how=how)
    yield _cell("array/plain.npz", "npz", frames, frames, "")
    yield Cell("array/plain.npy", partial(_saved, "npy", frames), refused="axes")
    rate = Reading(axes="THWC", rate=_eight())
    yield Cell("array/rate.npz", partial(_saved, "npz", frames), refused="times", how=rate)
    yield Cell("array/fortran.npy", _fortran, frames, how=Reading(axes="THWC"), ffmpeg=False)


def _cell(
    name: str,
    ext: str,
    array: npt.NDArray[np.uint8],
    right: npt.NDArray[np.uint8],
    axes: str,
    part: int = 0,
) -> Cell:
    make, how = partial(_saved, ext, array), Reading(axes=axes, part=part)
    return Cell(name, make, right, EXACT, how=how, ffmpeg=False)


def _eight() -> Fraction:
    return Fraction(8)


def _saved(ext: str, array: npt.NDArray[np.generic], folder: Path) -> Path:
    path = folder / f"a.{ext}"
    if ext == "npz":
        np.savez_compressed(path, frames=array)
    else:
        np.save(path, array)
    return path


def _fortran(folder: Path) -> Path:
    return _saved("npy", np.asfortranarray(scene(4, 10, 14)), folder)
