"""Many small pictures over time as one H.264 film, colours at full resolution.

Browsers play 4:2:0 only: one value of chroma for 2 x 2 pixels, which on a clip of 64 px is plain to
see (29 to 34 dB). So nothing is stored as chroma. Every picture is taken apart into its planes
Y, Cb, Cr (ITU-T T.871, as in JPEG); all planes of all pictures lie beside each other as the luma of
one film, whose chroma is constant and costs nothing. A page reads grey values, which no player's
colour matrix changes, and puts the colours together. All pictures of a clip are one film,
so they cannot run apart.
"""

# PyAV says nothing about the types of its options.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from vpbench.api.errors import BadData, MissingDependency
from vpbench.api.types import Frames

Planes = npt.NDArray[np.uint8]
"""[T,P,H,W]"""
Grey = npt.NDArray[np.uint8]
"""[T,H,W]"""

CODEC = "libx264"
RATE = 10
"""Frames a second in the film; a page steps by frame, at a rate of its own."""
_BLOCK = 16
"""Planes begin at the codec's blocks, so that no block holds parts of two."""
_OPTIONS = {"preset": "fast", "profile": "high", "x264-params": "mbtree=0:aq-mode=0"}


@dataclass(frozen=True)
class Layout:
    """Where each plane lies in the film: plane p at column p % columns, row p // columns.

    Attributes:
        height, width: of a plane, in pixels.
        columns: planes side by side.
        pitch: pixels from one plane to the next, (down, right).
    """

    planes: int
    height: int
    width: int

    @property
    def pitch(self) -> tuple[int, int]:
        """Pixels from one plane to the next, down and right."""
        return -(-self.height // _BLOCK) * _BLOCK, -(-self.width // _BLOCK) * _BLOCK

    @property
    def columns(self) -> int:
        """Planes side by side; the film is about as high as it is wide."""
        down, right = self.pitch
        return max(1, round(math.sqrt(self.planes * down / right)))

    @property
    def rows(self) -> int:
        """Planes below each other."""
        return -(-self.planes // self.columns)

    def pack(self, planes: Planes) -> Planes:
        """Planes [P,H,W] as one picture [rows*pitch,columns*pitch]; edges are repeated outwards."""
        down, right = self.pitch
        film = np.full((self.rows * down, self.columns * right), 128, np.uint8)
        padding = ((0, 0), (0, down - self.height), (0, right - self.width))
        for p, plane in enumerate(np.pad(planes, padding, mode="edge")):
            y, x = p // self.columns * down, p % self.columns * right
            film[y : y + down, x : x + right] = plane
        return film

    def unpack(self, film: Planes) -> Planes:
        """The planes [P,H,W] in one picture."""
        down, right = self.pitch
        corners = [(p // self.columns * down, p % self.columns * right) for p in range(self.planes)]
        return np.stack([film[y : y + self.height, x : x + self.width] for y, x in corners])


def colour_planes(frames: Frames) -> Planes:
    """Y, Cb and Cr of frames uint8 [T,H,W,3], as uint8 [T,3,H,W]."""
    red, green, blue = np.moveaxis(frames.astype(np.float32), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402]
    return np.clip(np.stack(planes, axis=1) + 0.5, 0, 255).astype(np.uint8)


def colours(planes: Planes) -> Frames:
    """Frames uint8 [T,H,W,3] of Y, Cb and Cr [T,3,H,W]: as a page does it."""
    luma, blue, red = np.moveaxis(planes.astype(np.float32), 1, 0)
    blue, red = 1.772 * (blue - 128), 1.402 * (red - 128)
    green = luma - (0.299 * red + 0.114 * blue) / 0.587
    return np.clip(np.stack([luma + red, green, luma + blue], axis=-1) + 0.5, 0, 255).astype(
        np.uint8
    )


def check_encoder() -> None:
    """Fail early where PyAV cannot write H.264.

    Raises:
        MissingDependency: with what mends it.
    """
    if CODEC not in av.codecs_available:
        raise MissingDependency(
            f"this build of PyAV has no encoder {CODEC}.",
            fix="Install its wheel from PyPI: pip install --force-reinstall av",
        )


def encode_planes(planes: Planes, crf: int) -> tuple[bytes, Layout]:
    """Planes uint8 [T,P,H,W] as an MP4 file, the same bytes each time, and where they lie in it.

    Args:
        crf: x264's constant rate factor, from 0 (lossless) to 51.

    Raises:
        BadData: not uint8 [T,P,H,W].
    """
    if planes.dtype != np.uint8 or planes.ndim != 4 or 0 in planes.shape:
        raise BadData(f"planes are uint8 [T,P,H,W], these are {planes.dtype} {planes.shape}.")
    layout = Layout(*planes.shape[1:])
    with tempfile.TemporaryDirectory() as scratch:  # MP4 is read again to put its index first
        path = Path(scratch) / "clip.mp4"
        _write(path, [layout.pack(frame) for frame in planes], crf)
        return path.read_bytes(), layout


def _write(path: Path, pictures: Sequence[Planes], crf: int) -> None:
    options = {"fflags": "bitexact", "movflags": "+faststart"}
    height, width = pictures[0].shape
    with av.open(str(path), "w", format="mp4", options=options) as output:
        stream = output.add_stream(CODEC, rate=RATE, options={**_OPTIONS, "crf": str(crf)})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        grey = np.full((height // 2, width), 128, np.uint8)
        for number, picture in enumerate(pictures):
            luma = (16 + picture * np.float32(219 / 255) + 0.5).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def decode_planes(film: bytes, layout: Layout) -> Planes:
    """The planes uint8 [T,P,H,W] of a film, as a page reads them."""
    pictures: list[Planes] = []
    with av.open(io.BytesIO(film), "r") as source:
        for frame in source.decode(video=0):
            luma = frame.to_ndarray(format="yuv420p")[: frame.height].astype(np.float32)
            grey = np.clip((luma - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
            pictures.append(layout.unpack(grey))
    return np.stack(pictures)


def psnr(one: Frames, other: Frames) -> float:
    """Peak signal-to-noise ratio in dB over all values of two uint8 arrays; inf where equal."""
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / float(error))
