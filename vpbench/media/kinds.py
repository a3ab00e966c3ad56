"""What a file is, by its first bytes; extensions are only a hint. No heavy imports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from vpbench.api.errors import BadData, MissingData, UsageError

Kind = Literal["mov", "avi", "matroska", "gif", "npz", "npy", "image", "folder"]
"""mov, avi and matroska are the families of video containers: mp4 and mov, avi, webm and mkv."""

Source = Literal["lossless", "codec"]
Layout = Literal["auto", "strips", "frames"]
"""How images are clips: each is a strip, or all of a folder are the frames of one clip."""

Ground = tuple[int, int, int]
"""Red, green and blue, 0 to 255, of what lies behind transparent pixels."""

WHITE: Ground = (255, 255, 255)

Change = Literal["transparent", "squared", "deep", "streams", "hdr", "interlaced", "variable"]
"""What is not as in a plain file of 8 bits, one stream and square pixels. `transparent` to `hdr`:
a reader had to decide what the pixels are; `interlaced` and `variable` are about time."""

LAYOUTS: tuple[Layout, ...] = ("auto", "strips", "frames")
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".avi", ".webm", ".mov", ".mkv", ".3gp", ".3g2", ".qt"})
IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
ARRAY_SUFFIXES = frozenset({".npz", ".npy"})
CLIP_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES | ARRAY_SUFFIXES | {".gif"}

MAX_PIXELS = 1 << 25
"""No larger frame or picture is read: 8K. A file of some bytes can claim any size."""

_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_PICTURE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
_IMAGES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"P5",
    b"P6",
    b"P2",
    b"P3",
)
_AXES = re.compile(r"[NTHWC]{3,5}")
_WORDS: dict[str, Ground] = {"white": WHITE, "black": (0, 0, 0), "grey": (128, 128, 128)}
_HEX = re.compile(r"#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})")
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6}|/[1-9][0-9]{0,8})?")
_FASTEST = 1000


@dataclass(frozen=True)
class Probe:
    """What a clip holds.

    Attributes:
        frames: their exact number, counted by decoding.
        height, width: in square pixels, after rotation.
        fps: frames a second, None if unknown or not constant.
        source: "lossless" when the stored pixels are exact, else "codec".
        changes: what its reader had to decide, sorted.
    """

    frames: int
    height: int
    width: int
    fps: float | None
    source: Source
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Reading:
    """How files become clips, where there is a choice.

    Attributes:
        layout, frame: how to cut images; `frame` is (width, height) of the frames of a strip,
            None for squares.
        ground: what lies behind transparent pixels; None drops alpha and takes the colours that
            are stored beneath it, as some published loaders do.
        rate: frames a second to resample to by display time; None takes every stored frame.
        axes: of arrays, one letter each: N clips, T frames, H rows, W columns, C channels;
            "" wants THWC in an npz and refuses npy files.
        part: which clip of an array with an axis N.
    """

    layout: Layout = "auto"
    frame: tuple[int, int] | None = None
    ground: Ground | None = WHITE
    rate: Fraction | None = None
    axes: str = ""
    part: int = 0

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UsageError(f"layout={self.layout!r}: one of {', '.join(LAYOUTS)}.")
        if self.frame is not None and min(self.frame) < 1:
            raise UsageError(f"frame={self.frame[0]}x{self.frame[1]}: both must be at least 1.")
        if self.frame is not None and self.layout == "frames":
            raise UsageError("frame=WxH cuts strips; it has no meaning with layout=frames.")
        if self.rate is not None and not 0 < self.rate <= _FASTEST:
            raise UsageError(f"rate={self.rate} must be above 0 and at most {_FASTEST}.")
        letters = set(self.axes)
        if self.axes and (
            not _AXES.fullmatch(self.axes)
            or len(letters) < len(self.axes)
            or not {"T", "H", "W"} <= letters
        ):
            raise UsageError(
                f"axes={self.axes} must name T, H and W once, and N or C where the array has them.",
                fix="Write such as axes=THWC, axes=NTHWC or axes=TNHW.",
            )


def parse_ground(text: str) -> Ground | None:
    """`white`, `black`, `grey`, `#rrggbb`, or `none`.

    Raises:
        UsageError: anything else.
    """
    word = text.strip().lower()
    if word == "none":
        return None
    if word in _WORDS:
        return _WORDS[word]
    digits = _HEX.fullmatch(word)
    if digits is None:
        raise UsageError(
            f"ground={text} must be {', '.join(_WORDS)}, none, or a colour such as #ff8000."
        )
    return int(digits[1], 16), int(digits[2], 16), int(digits[3], 16)


def ground_text(ground: Ground | None) -> str:
    """A ground as `parse_ground` reads it."""
    if ground is None:
        return "none"
    names = {colour: name for name, colour in _WORDS.items()}
    return names.get(ground) or "#{:02x}{:02x}{:02x}".format(*ground)


def parse_rate(text: str) -> Fraction | None:
    """A number such as `8`, `12.5` or `30000/1001`; None for "".

    Raises:
        UsageError: anything else.
    """
    if not text:
        return None
    if not _RATE.fullmatch(text.strip()):
        raise UsageError(f"rate={text} must be frames a second, such as 8, 12.5 or 30000/1001.")
    return Fraction(text.strip())


def kind(path: Path) -> Kind:
    """What the file or folder is.

    Raises:
        MissingData: it is not there.
        BadData: it cannot be read, is empty, or is none of the kinds.
    """
    if path.is_dir():
        return "folder"
    head = first_bytes(path)
    known = by_magic(head)
    if known is None:
        raise _unknown(path, head)
    return known


def first_bytes(path: Path) -> bytes:
    """The 16 bytes that tell what a file is.

    Raises:
        MissingData: it is not there.
        BadData: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(16)
    except FileNotFoundError:
        raise MissingData(f"{path} is not there.") from None
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error


def by_magic(head: bytes) -> Kind | None:
    """The kind of a file that starts like this; None for none of them."""
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
        return None
    if head[4:8] in _MOV_ATOMS:
        return "mov"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "avi"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "npz"
    if head[:6] == b"\x93NUMPY":
        return "npy"
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    return None


def unread_type(head: bytes) -> str:
    """The name of a known type that vpbench does not read; "" for anything else."""
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
        return "AVIF picture" if head[8:11] == b"avi" else "HEIC picture"
    starts = {
        b"OggS": "Ogg file",
        b"FLV": "Flash video",
        b"\0\0\1\xba": "MPEG program stream",
        b"\0\0\1\xb3": "bare MPEG stream",
        b"\x30\x26\xb2\x75": "Windows Media file",
        b"DKIF": "IVF stream",
        b"YUV4MPEG2": "YUV4MPEG stream",
        b"\0\0\0\x0cjP": "JPEG 2000 picture",
        b"%PDF": "PDF document",
        b"%!PS": "PostScript file",
        b"8BPS": "Photoshop document",
    }
    if head[:1] == b"G" and not head.startswith(b"GIF"):
        return "MPEG transport stream"
    return next((name for start, name in starts.items() if head.startswith(start)), "")


def _unknown(path: Path, head: bytes) -> BadData:
    if not head:
        return BadData(f"{path} is empty.", fix="Copy or download it again.")
    named = unread_type(head)
    if named:
        article = "an" if named[0] in "AIO" else "a"
        return BadData(
            f"{path} is {article} {named}, which vpbench does not read.",
            fix="Convert it to mp4, webm, mkv or png.",
        )
    if path.suffix.lower() in CLIP_SUFFIXES:
        return BadData(
            f"{path} is named {path.suffix} but holds no video, gif, array or image.",
            fix="Copy or download it again.",
        )
    return BadData(
        f"{path} is of a type that vpbench does not read.",
        fix="Convert it to mp4, avi, webm, mov, mkv, gif, npz or images.",
    )
