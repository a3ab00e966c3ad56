"""Clips as browsers play them: H.264 in MP4 and VP9 in WebM, near-lossless, of a chosen length.

Both carry the same frames at the same rate. Nothing in the container says who made it or when, and
a file can be filled up to a given number of bytes, so that its size says nothing about its content.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from vpbench.api.errors import BadData, MissingDependency, UsageError
from vpbench.api.types import Frames

Container = Literal["mp4", "webm"]
_Plane = npt.NDArray[np.float64]

CONTAINERS: tuple[Container, ...] = ("mp4", "webm")

_CODEC = {"mp4": "libx264", "webm": "libvpx-vp9"}
_BT709 = 1  # ITU-T H.273: the number of BT.709 in all three colour tables
_LIMITED = 1  # AVCOL_RANGE_MPEG: luma 16..235

_OPTIONS: dict[str, dict[str, str]] = {
    # crf 6: finer changes no pixel by more than the conversion to YUV does. Without mbtree, whose
    # bits differ from call to call with where the frames lie in memory.
    "mp4": {"crf": "6", "preset": "medium", "profile": "high", "x264-params": "mbtree=0"},
    "webm": {"crf": "4", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "0"},
}
_LARGEST = 288
"""Pixels that a small clip is enlarged to at most."""
_BOX_HEAD = 8
_VOID_HEAD = 9


def enlargement(size: int) -> int:
    """By how many whole pixels a clip of `size` px is enlarged for a page.

    Even, so that 4:2:0 chroma, one value for 2 x 2 pixels, keeps every source pixel's colour; 1
    for clips that are large enough.
    """
    factor = _LARGEST // size
    if factor >= 2:
        return factor - factor % 2
    return 1 if size % 2 == 0 else 2


def check_encoders() -> None:
    """Fail early where PyAV lacks an encoder.

    Raises:
        MissingDependency: names it.
    """
    for codec in _CODEC.values():
        if codec not in av.codecs_available:
            raise MissingDependency(
                f"this build of PyAV has no encoder {codec}.",
                fix="Install its wheel from PyPI: pip install --force-reinstall av",
            )


def encode(frames: Frames, fps: float, container: Container, factor: int = 1) -> bytes:
    """A clip uint8 [T,H,W,3], each pixel a square of `factor`, as a file; the same bytes each time.

    Raises:
        BadData: not uint8 [T,H,W,3], or of odd size when enlarged.
        UsageError: `fps` is not positive.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise BadData(f"a clip is uint8 [T,H,W,3], this one is {frames.dtype} {frames.shape}.")
    height, width = frames.shape[1] * factor, frames.shape[2] * factor
    if height % 2 or width % 2:
        raise BadData(f"H.264 needs an even height and width, not {width}x{height} px.")
    if not 0 < fps < float("inf"):
        raise UsageError(f"fps={fps} must be positive.")
    planes = [to_yuv420(frame, factor) for frame in frames]
    with tempfile.TemporaryDirectory() as scratch:  # MP4 is read again to put its index first
        path = Path(scratch) / f"clip.{container}"
        _write(path, planes, Fraction(fps).limit_denominator(1001), container)
        return path.read_bytes()


def _write(path: Path, planes: Sequence[Frames], rate: Fraction, container: Container) -> None:
    options = {"fflags": "bitexact", "movflags": "+faststart"}
    if container == "webm":
        del options["movflags"]
    with av.open(str(path), "w", format=container, options=options) as output:
        stream = output.add_stream(_CODEC[container], rate=rate, options=_OPTIONS[container])
        assert isinstance(stream, VideoStream)
        rows, stream.width = planes[0].shape
        stream.height, stream.pix_fmt = rows * 2 // 3, "yuv420p"
        stream.thread_count = 1
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        for number, plane in enumerate(planes):
            frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def to_yuv420(frame: Frames, factor: int = 1) -> Frames:
    """BT.709 planes Y, U, V of limited range under each other, uint8 [H*factor*3/2,W*factor].

    Chroma is the mean of 2 x 2 pixels, without a filter that would reach into neighbouring ones: a
    clip enlarged by an even factor keeps every colour to within rounding.

    Args:
        frame: uint8 [H,W,3]; H and W even unless `factor` is.
        factor: each pixel becomes a square of so many.

    Source: ITU-R BT.709-6, 3.2 to 3.4.
    """
    luma = frame @ np.array([0.2126, 0.7152, 0.0722])
    red, blue = frame[..., 0], frame[..., 2]
    chroma = [(blue - luma) / 1.8556, (red - luma) / 1.5748]
    planes = [16 + luma * 219 / 255, *(128 + c * 224 / 255 for c in chroma)]
    if factor % 2:
        planes = [_enlarge(plane, factor) for plane in planes]
        planes = [planes[0], *(_halve(plane) for plane in planes[1:])]
    else:
        planes = [_enlarge(planes[0], factor), *(_enlarge(p, factor // 2) for p in planes[1:])]
    whole = np.concatenate([plane.ravel() for plane in planes])
    rounded = np.floor(whole + 0.5).astype(np.uint8)
    return rounded.reshape(frame.shape[0] * factor * 3 // 2, frame.shape[1] * factor)


def _enlarge(plane: _Plane, factor: int) -> _Plane:
    return plane.repeat(factor, axis=0).repeat(factor, axis=1)


def _halve(plane: _Plane) -> _Plane:
    height, width = plane.shape
    return plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def least_padding(container: Container) -> int:
    """The smallest number of bytes, above 0, that `padded` can add."""
    return _BOX_HEAD if container == "mp4" else _VOID_HEAD


def padded(data: bytes, size: int, container: Container) -> bytes:
    """The same film in a file of exactly `size` bytes.

    MP4 gets a box `free` (ISO/IEC 14496-12, 8.1.2), WebM an element Void (RFC 8794, 11.3.2).

    Raises:
        ValueError: the file is larger, or the rest is smaller than `least_padding`.
    """
    rest = size - len(data)
    if rest == 0:
        return data
    if rest < least_padding(container):
        raise ValueError(f"a file of {len(data)} bytes cannot be filled up to {size}.")
    if container == "mp4":
        return data + rest.to_bytes(4, "big") + b"free" + bytes(rest - _BOX_HEAD)
    return _longer_segment(data, rest) + _void(rest)


def _void(length: int) -> bytes:
    body = length - _VOID_HEAD
    return b"\xec" + (body | 1 << 56).to_bytes(8, "big") + bytes(body)


def _longer_segment(data: bytes, more: int) -> bytes:
    """Make room for `more` bytes at the end of the Segment, which is the file's last element."""
    start = data.index(b"\x18\x53\x80\x67") + 4
    field = int.from_bytes(data[start : start + 8], "big")
    if field >> 56 != 1:
        raise ValueError("the length of the WebM segment is not written in eight bytes.")
    return data[:start] + (field + more).to_bytes(8, "big") + data[start + 8 :]
