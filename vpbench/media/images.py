"""Images through Pillow: single pictures, strips, animations and folders of frames."""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.api.errors import BadData, MissingData
from vpbench.api.types import Frames
from vpbench.media.kinds import IMAGE_SUFFIXES, Source, Strips

MIN_STRIP = 4
"""An image this many times wider than high, or more, in whole numbers, is a strip."""

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's decoders raise at damaged files."""
_LOSSY = frozenset({"JPEG", "MPO", "WEBP"})
_STILL = frozenset({"MPO"})
"""Stereo pictures: several views, but no animation."""
_ORIENTATION = 0x0112
_ORIENTED = frozenset({"JPEG", "MPO", "PNG", "WEBP"})
_TURNS: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NUMBER = re.compile(r"\d+(?=\D*$)")


@dataclass(frozen=True)
class Header:
    """What an image file holds, without its pixels; `frames` is more than 1 for an animation."""

    height: int
    width: int
    frames: int
    source: Source


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image, closed afterwards; every failure of Pillow becomes BadData."""
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise MissingData(f"{path} is not there.") from None
    except _BROKEN as error:
        raise BadData(
            f"{path} is not a readable image: {error}.", fix="Copy or download it again."
        ) from error


def header(path: Path) -> Header:
    """Size (upright), number of frames and storage of an image file.

    Raises:
        MissingData, BadData: not there, not readable.
    """
    with opened(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        frames = 1 if image.format in _STILL else int(getattr(image, "n_frames", 1))
        return Header(height, width, frames, "codec" if image.format in _LOSSY else "lossless")


def read_image(path: Path) -> Frames:
    """One picture, uint8 [H,W,3]: grey becomes RGB, alpha is dropped, EXIF rotation is applied.

    An animation gives its first frame.

    Raises:
        MissingData: it is not there.
        BadData: it is not a readable image of 8 bits.
    """
    with opened(path) as image:
        return _upright_rgb(image, path)


def read_animation(path: Path, count: int, indices: Sequence[int] | None) -> Frames:
    """Frames of a gif or another animated image as a viewer composes them, uint8 [T,H,W,3]."""
    order = list(range(count) if indices is None else indices)
    kept: dict[int, Frames] = {}
    wanted = set(order)
    with opened(path) as image:
        # In order and from the start: later frames are drawn over earlier ones.
        for number in range(max(wanted, default=-1) + 1):
            image.seek(number)
            if number in wanted:
                kept[number] = np.array(_rgb(image, path), np.uint8)
        size = image.size
    if not order:
        return np.empty((0, size[1], size[0], 3), np.uint8)
    if len({frame.shape for frame in kept.values()}) != 1:
        raise BadData(f"{path} has frames of different sizes.", fix="Save it with one size.")
    return np.stack([kept[number] for number in order])


def check_animation(path: Path, count: int) -> None:
    """Decode every frame of an animation, one at a time.

    Raises:
        BadData: a frame is broken or missing, or sizes differ.
    """
    with opened(path) as image:
        first = image.size
        for number in range(count):
            image.seek(number)
            if _rgb(image, path).size != first:
                raise BadData(
                    f"{path} has frames of different sizes.", fix="Save it with one size."
                )


def strip_frame(path: Path, height: int, width: int, strips: Strips) -> tuple[int, int]:
    """Number and width of the frames in a strip of height x width pixels.

    Raises:
        BadData: the image is not a strip of whole frames.
    """
    if strips.frame is not None:
        wide, high = strips.frame
        if height != high or width % wide:
            raise BadData(
                f"{path} is {width}x{height} px, which is not a row of frames of {wide}x{high} px.",
                fix="Correct frame=WxH.",
            )
        return width // wide, wide
    if strips.layout == "frames":
        return 1, width
    fewest = 1 if strips.layout == "strips" else MIN_STRIP
    if width % height or width // height < fewest:
        raise BadData(
            f"{path} is {width}x{height} px: its width is not a whole number of heights"
            f"{f', {MIN_STRIP} or more' if fewest > 1 else ''}.",
            fix="Set layout=strips, layout=frames, or frame=WxH for strips of "
            "frames that are not square.",
        )
    return width // height, height


def read_strip(path: Path, strips: Strips, indices: Sequence[int] | None) -> Frames:
    """Frames of a horizontal strip, left to right, uint8 [T,H,W,3]."""
    pixels = read_image(path)
    height, width, _ = pixels.shape
    count, wide = strip_frame(path, height, width, strips)
    frames = pixels.reshape(height, count, wide, 3).transpose(1, 0, 2, 3)
    return np.ascontiguousarray(frames if indices is None else frames[list(indices)])


def image_files(folder: Path) -> list[Path]:
    """The images right in a folder, without hidden ones, in the order of their names."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


def in_order(files: Sequence[Path], strips: Strips) -> list[Path]:
    """The frames of one clip by their numbers (the last digits of each name).

    With layout=frames names without numbers are taken in their own order, and gaps are allowed.

    Raises:
        BadData: no number, a number twice, or a number missing in the row.
    """
    numbers = [_NUMBER.search(file.stem) for file in files]
    without = [file for file, number in zip(files, numbers, strict=True) if number is None]
    if without:
        if strips.layout == "frames":
            return sorted(files)
        raise BadData(
            f"{without[0]} has no frame number in its name.",
            fix="Rename it, move it away, or set layout=frames or layout=strips.",
        )
    numbered = sorted(
        (int(number.group()), file)
        for file, number in zip(files, numbers, strict=True)
        if number is not None
    )
    _check_row(numbered, strips)
    return [file for _, file in numbered]


def _check_row(numbered: Sequence[tuple[int, Path]], strips: Strips) -> None:
    pairs = list(itertools.pairwise(numbered))
    for (a, first), (b, second) in pairs:
        if a == b:
            raise BadData(
                f"{first} and {second} are both frame {a}.", fix="Keep one folder for each clip."
            )
    steps = [b - a for (a, _), (b, _) in pairs]
    if strips.layout == "frames" or not steps:
        return
    for ((a, _), (b, second)), step in zip(pairs, steps, strict=True):
        if step != min(steps):
            raise BadData(
                f"{second.parent}: the frame numbers jump from {a} to {b}.",
                fix="Restore the missing frames, or take the files as they are with layout=frames.",
            )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied, 1 for none."""
    if image.format not in _ORIENTED or (image.format == "PNG" and "exif" not in image.info):
        return 1  # Pillow turns TIFF itself, and would decode a PNG to look for EXIF at its end
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _upright_rgb(image: Image.Image, path: Path) -> Frames:
    turn = _TURNS.get(_orientation(image))
    upright = _rgb(image, path)
    return np.array(upright if turn is None else upright.transpose(turn), np.uint8)


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        raise BadData(
            f"{path} has more than 8 bits a channel ({image.mode}).", fix="Save it with 8 bits."
        )
    if image.mode in ("P", "PA") and image.format != "GIF":
        # Straight to RGB, Pillow warns about palettes with alpha.
        image = image.convert("RGBA")
    return image.convert("RGB")
