"""What a file is, by its first bytes; extensions are only a hint. No heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vpbench.api.errors import BadData, MissingData, UsageError

Kind = Literal["mov", "avi", "matroska", "gif", "npz", "image", "folder"]
"""mov, avi and matroska are the families of video containers: mp4 and mov, avi, webm and mkv."""

Source = Literal["lossless", "codec"]
Layout = Literal["auto", "strips", "frames"]
"""How images are clips: each is a strip, or all of a folder are the frames of one clip."""

LAYOUTS: tuple[Layout, ...] = ("auto", "strips", "frames")
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".avi", ".webm", ".mov", ".mkv"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
CLIP_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES | {".gif", ".npz"}

_MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
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


@dataclass(frozen=True)
class Probe:
    """What a clip holds.

    Attributes:
        frames: their exact number, counted by decoding.
        height, width: in pixels, after rotation.
        fps: frames a second, None if unknown or not constant.
        source: "lossless" when the stored pixels are exact, else "codec".
    """

    frames: int
    height: int
    width: int
    fps: float | None
    source: Source


@dataclass(frozen=True)
class Strips:
    """How to cut images: `frame` is (width, height) of the frames of a strip, None for squares."""

    layout: Layout = "auto"
    frame: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UsageError(f"layout={self.layout!r}: one of {', '.join(LAYOUTS)}.")
        if self.frame is not None and min(self.frame) < 1:
            raise UsageError(f"frame={self.frame[0]}x{self.frame[1]}: both must be at least 1.")
        if self.frame is not None and self.layout == "frames":
            raise UsageError("frame=WxH cuts strips; it has no meaning with layout=frames.")


def kind(path: Path) -> Kind:
    """What the file or folder is.

    Raises:
        MissingData: it is not there.
        BadData: it cannot be read, is empty, or is none of the kinds.
    """
    if path.is_dir():
        return "folder"
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise MissingData(f"{path} is not there.") from None
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error
    known = _by_magic(head)
    if known is None:
        raise _unknown(path, head)
    return known


def _by_magic(head: bytes) -> Kind | None:
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
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    return None


def _unknown(path: Path, head: bytes) -> BadData:
    if not head:
        return BadData(f"{path} is empty.", fix="Copy or download it again.")
    if head.startswith(b"\x93NUMPY"):
        return BadData(
            f"{path} is a bare .npy array.", fix="Save it with np.savez(path, frames=a)."
        )
    if path.suffix.lower() in CLIP_SUFFIXES:
        return BadData(
            f"{path} is named {path.suffix} but holds no video, gif, npz or image.",
            fix="Copy or download it again.",
        )
    return BadData(
        f"{path} is of a type that vpbench does not read.",
        fix="Convert it to mp4, avi, webm, mov, mkv, gif, npz or images.",
    )
