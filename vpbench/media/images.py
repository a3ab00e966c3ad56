"""Images through Pillow: single pictures, strips and folders of frames."""

from __future__ import annotations

import functools
import itertools
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from vpbench.api.errors import BadData, MissingData
from vpbench.api.types import Frames
from vpbench.media import kinds
from vpbench.media.ground import Composer
from vpbench.media.kinds import IMAGE_SUFFIXES, Reading, Source

# Pillow logs what it finds in a damaged file; without any handler that goes to standard error.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# It also warns of every large picture. Strips are large; what a file cannot mean is refused here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

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
_FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM"),
    *("JPEG2000", "TGA", "ICO", "PCX", "AVIF", "QOI"),
)
"""Pictures are read from these formats only; some of Pillow's others run programs."""
_PER_BYTE = 8192
"""Pixels that one byte of a file may stand for; deflate makes 1032 bytes of one."""
_FREE_AREA = 1 << 24
_FREE_AREA_OF_MANY = 1 << 21
"""Up to so many pixels (4096 x 4096, or full HD in animations) any file is believed."""
_LOSSY = frozenset({"JPEG", "MPO", "WEBP"})
_STILL = frozenset({"MPO"})
"""Stereo pictures: several views, but no animation."""
_DEEP = frozenset({"PNG", "TIFF", "PPM", "JPEG2000"})
"""Formats that may have 16 bits a channel."""
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
    """What an image file holds, without its pixels.

    Attributes:
        frames: more than 1 for an animation.
        first: number of its first frame as Pillow counts: an animated PNG may hold another picture
            before it, for programs that show no animations.
    """

    height: int
    width: int
    frames: int
    source: Source
    first: int = 0


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of `_FORMATS` that this build of Pillow has."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image, closed afterwards; every failure of Pillow becomes BadData."""
    try:
        with Image.open(path, formats=_formats()) as image:
            _check_claim(image, path)
            yield image
    except FileNotFoundError:
        raise MissingData(f"{path} is not there.") from None
    except UnidentifiedImageError as error:
        raise _not_a_picture(path) from error
    except _BROKEN as error:
        raise BadData(
            f"{path} is not a readable image: {error}.", fix="Copy or download it again."
        ) from error


def _check_claim(image: Image.Image, path: Path) -> None:
    """Refuse a file that claims more pixels than it can mean.

    Few bytes can claim any number of pixels, and a picture of one colour needs few bytes; so only
    what would take seconds is weighed against the size of the file.
    """
    width, height = image.size
    area, frames = width * height, int(getattr(image, "n_frames", 1))
    free = _FREE_AREA if frames == 1 else _FREE_AREA_OF_MANY
    most = _PER_BYTE * path.stat().st_size // max(1, frames)
    if area > kinds.MAX_PIXELS or (area > free and area > most):
        raise BadData(
            f"{path} claims {frames} x {width}x{height} px, too many for its size.",
            fix="Copy or download it again, or make it smaller.",
        )


def _not_a_picture(path: Path) -> BadData:
    """Why a file is in none of the formats: of another type, or broken."""
    head = kinds.first_bytes(path)
    found = kinds.by_magic(head)
    if found in ("mov", "avi", "matroska"):
        return BadData(f"{path} is a video, not a picture.", fix="Save one of its frames as png.")
    if found in ("npz", "npy"):
        return BadData(f"{path} is an array, not a picture.", fix="Save it as png.")
    named = kinds.unread_type(head)
    if named or (found is None and path.suffix.lower() not in IMAGE_SUFFIXES | {".gif"}):
        what = f" ({named})" if named else ""
        return BadData(
            f"{path} is of a type{what} that vpbench does not read.", fix="Save it as png or jpg."
        )
    return BadData(f"{path} is not a readable image.", fix="Copy or download it again.")


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
        first = 1 if frames > 1 and getattr(image, "default_image", False) else 0
        source = "codec" if image.format in _LOSSY else "lossless"
        return Header(height, width, frames - first, source, first)


def read_image(path: Path, composer: Composer) -> Frames:
    """One picture, uint8 [H,W,3]: grey becomes RGB, alpha is composed, EXIF rotation is applied.

    An animation gives its first frame.

    Raises:
        MissingData: it is not there.
        BadData: it is not a readable image of 8 bits.
    """
    with opened(path) as image:
        if getattr(image, "default_image", False):
            image.seek(1)  # the first frame is drawn over nothing: any rule of blending gives it
        turn = _TURNS.get(_orientation(image))
        pixels = rgb(image, path, composer)
        return np.array(Image.fromarray(pixels).transpose(turn)) if turn is not None else pixels


def strip_frame(path: Path, height: int, width: int, how: Reading) -> tuple[int, int]:
    """Number and width of the frames in a strip of height x width pixels.

    Raises:
        BadData: the image is not a strip of whole frames.
    """
    if how.frame is not None:
        wide, high = how.frame
        if height != high or width % wide:
            raise BadData(
                f"{path} is {width}x{height} px, which is not a row of frames of {wide}x{high} px.",
                fix="Correct frame=WxH.",
            )
        return width // wide, wide
    if how.layout == "frames":
        return 1, width
    fewest = 1 if how.layout == "strips" else MIN_STRIP
    if width % height or width // height < fewest:
        raise BadData(
            f"{path} is {width}x{height} px: its width is not a whole number of heights"
            f"{f', {MIN_STRIP} or more' if fewest > 1 else ''}.",
            fix="Set layout=strips, layout=frames, or frame=WxH for strips of "
            "frames that are not square.",
        )
    return width // height, height


def read_strip(
    path: Path, how: Reading, indices: Sequence[int] | None, composer: Composer
) -> Frames:
    """Frames of a horizontal strip, left to right, uint8 [T,H,W,3]."""
    pixels = read_image(path, composer)
    height, width, _ = pixels.shape
    count, wide = strip_frame(path, height, width, how)
    frames = pixels.reshape(height, count, wide, 3).transpose(1, 0, 2, 3)
    return np.ascontiguousarray(frames if indices is None else frames[list(indices)])


def image_files(folder: Path) -> list[Path]:
    """The images right in a folder, without hidden ones, in the order of their names."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


def in_order(files: Sequence[Path], how: Reading) -> list[Path]:
    """The frames of one clip by their numbers (the last digits of each name).

    With layout=frames names without numbers are taken in their own order, and gaps are allowed.

    Raises:
        BadData: no number, a number twice, or a number missing in the row.
    """
    numbers = [_NUMBER.search(file.stem) for file in files]
    without = [file for file, number in zip(files, numbers, strict=True) if number is None]
    if without:
        if how.layout == "frames":
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
    _check_row(numbered, how)
    return [file for _, file in numbered]


def _check_row(numbered: Sequence[tuple[int, Path]], how: Reading) -> None:
    pairs = list(itertools.pairwise(numbered))
    for (a, first), (b, second) in pairs:
        if a == b:
            raise BadData(
                f"{first} and {second} are both frame {a}.", fix="Keep one folder for each clip."
            )
    steps = [b - a for (a, _), (b, _) in pairs]
    if how.layout == "frames" or not steps:
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


def rgb(image: Image.Image, path: Path, composer: Composer) -> Frames:
    """The pixels of the frame that Pillow stands at, uint8 [H,W,3], not turned.

    Raises:
        BadData: more than 8 bits a channel.
    """
    check_depth(image, path)
    if composer.ground is not None and image.has_transparency_data:
        return composer.rgb(np.array(image.convert("RGBA"), np.uint8))
    composer.opaque()
    if image.mode in ("P", "PA") and image.format != "GIF":
        # Straight to RGB, Pillow warns about palettes with alpha.
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"), np.uint8)


def check_depth(image: Image.Image, path: Path) -> None:
    """Refuse 16 bits, which Pillow silently cuts to 8 in colour pictures and not in grey ones.

    Raises:
        BadData: more than 8 bits a channel.
    """
    deep = image.mode.startswith(("I", "F"))
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else ()
    for tile in tiles if image.format in _DEEP else ():
        arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        largest = arguments[-1] if image.format == "PPM" else 0
        deep = deep or ";16" in str(arguments[0])
        deep = deep or (isinstance(largest, int) and largest > 255)
    if deep:
        raise BadData(
            f"{path} has more than 8 bits a channel ({image.mode}).", fix="Save it with 8 bits."
        )
