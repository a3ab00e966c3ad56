"""Writing video files with PyAV, down to planes, streams and marks in their headers."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from tests.e2e.media_matrix.cell import HEIGHT, LENGTH, WIDTH, Frames

WEIGHTS = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Of red and blue in luma, by the number of the matrix in ITU-T H.273; 2 is unspecified."""
LIMITED, FULL = 1, 2
QUALITY = {
    "libx264": {"crf": "2", "preset": "ultrafast"},
    "libx264rgb": {"crf": "0", "preset": "ultrafast"},
    "libx265": {"crf": "2", "preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"crf": "4", "b": "0", "cpu-used": "8"},
    "libvpx": {"crf": "4", "b": "4000000", "cpu-used": "8", "auto-alt-ref": "0"},
    "libsvtav1": {"crf": "5", "preset": "12", "svtav1-params": "lp=1"},
    "mpeg4": {"qscale": "1", "global_quality": "118", "flags": "+qscale"},
    "mpeg2video": {"global_quality": "118", "flags": "+qscale"},
    "mpeg1video": {"global_quality": "118", "flags": "+qscale"},
    "wmv2": {"global_quality": "118", "flags": "+qscale"},
    "flv": {"global_quality": "118", "flags": "+qscale"},
    "mjpeg": {"global_quality": "118", "flags": "+qscale"},
    "prores_ks": {"profile": "4444", "qscale": "1"},
}


@dataclass(frozen=True)
class Film:
    """A video stream to be written.

    Attributes:
        frames: uint8 [T,H,W,3 or 4], or a frame's planes by hand.
        times: of the frames in units of 1/rate; None counts up.
    """

    frames: Frames | Sequence[av.VideoFrame]
    codec: str = "ffv1"
    pix_fmt: str = "bgr0"
    rate: int = 25
    options: Mapping[str, str] | None = None
    aspect: Fraction | None = None
    times: Sequence[int] | None = None
    default: bool | None = None
    colours: tuple[int, int] = (2, 0)
    attached: bool = False

    def pictures(self) -> list[av.VideoFrame]:
        """The frames for the encoder."""
        if not isinstance(self.frames, np.ndarray):
            return list(self.frames)
        form = {3: "rgb24", 4: "rgba"}[self.frames.shape[-1]]
        return [av.VideoFrame.from_ndarray(frame, format=form) for frame in self.frames]


def write(path: Path, *films: Film, sound: bool = False, **options: str) -> Path:
    """Write a file with some video streams."""
    with _priority_kept(), av.open(str(path), "w", options=options) as container:
        streams = [_stream(container, film) for film in films]
        noise = container.add_stream("aac", rate=8000) if sound else None
        if noise is not None:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 8000
            container.mux(noise.encode(frame))
            container.mux(noise.encode(None))
        for film, stream in zip(films, streams, strict=True):
            for number, picture in enumerate(film.pictures()):
                picture.pts = number if film.times is None else film.times[number]
                picture.time_base = Fraction(1, film.rate)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    return path


@contextmanager
def _priority_kept() -> Generator[None]:
    """Leave the scheduling of this thread as it was.

    SVT-AV1 makes its caller a real-time thread of the highest priority where it is run by root;
    what that process starts afterwards, such as browsers, keeps a machine from everything else.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _stream(container: OutputContainer, film: Film) -> VideoStream:
    options = dict(QUALITY.get(film.codec, {}) if film.options is None else film.options)
    stream = container.add_stream(film.codec, rate=film.rate, options=options)
    assert isinstance(stream, VideoStream)
    first = film.pictures()[0]
    stream.width, stream.height, stream.pix_fmt = first.width, first.height, film.pix_fmt
    stream.thread_count = 1
    context = stream.codec_context
    context.colorspace, context.color_range = film.colours
    if film.aspect is not None:
        context.sample_aspect_ratio = film.aspect
    if film.attached:
        stream.disposition = Disposition.attached_pic
    elif film.default is not None:
        stream.disposition = Disposition.default if film.default else Disposition(0)
    return stream


def planes(
    rgb: npt.NDArray[np.float64] | Frames, pix_fmt: str, matrix: int, span: int
) -> av.VideoFrame:
    """One frame's YUV planes by the definition of the matrix (ITU-T H.273, 8.3).

    Args:
        rgb: [H,W,3] in 0..255; chroma lies on the left of two pixels, between two rows.
        pix_fmt: yuv4xxp of 8, 10 or 12 bits.
        span: LIMITED or FULL.
    """
    bits = 8 if pix_fmt.endswith("p") else int(pix_fmt.partition("p")[2].removesuffix("le"))
    kr, kb = WEIGHTS[matrix]
    red, green, blue = (rgb[..., k].astype(float) / 255 for k in range(3))
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = [(blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))]
    step, top = 1 << (bits - 8), (1 << bits) - 1
    if span == FULL:
        values = [luma * top, *(c * top + 128 * step for c in chroma)]
    else:
        values = [(16 + 219 * luma) * step, *((128 + 224 * c) * step for c in chroma)]
    values = [values[0], *(_halved(v, pix_fmt.removeprefix("yuv")[:3]) for v in values[1:])]
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], pix_fmt)
    for plane, value in zip(frame.planes, values, strict=True):
        whole = np.clip(np.floor(value + 0.5), 0, top).astype(np.uint16 if bits > 8 else np.uint8)
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        data = np.ascontiguousarray(whole).view(np.uint8).reshape(plane.height, -1)
        rows[:, : data.shape[1]] = data
        plane.update(rows)
    frame.colorspace, frame.color_range = matrix, span
    return frame


def _halved(chroma: npt.NDArray[np.float64], kind: str) -> npt.NDArray[np.float64]:
    if kind == "420":
        chroma = (chroma[::2] + chroma[1::2]) / 2
    return chroma if kind == "444" else chroma[:, ::2]


def coloured(frames: Frames, pix_fmt: str, matrix: int, span: int, codec: str) -> Film:
    """Frames in a given matrix and range."""
    pictures = [planes(frame, pix_fmt, matrix, span) for frame in frames]
    return Film(pictures, codec, pix_fmt, colours=(matrix, span))


def turned(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Write a display matrix into the header of a mov or mp4 file."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * 65536) for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def linear(frames: Frames, height: int, width: int) -> npt.NDArray[np.float64]:
    """Frames resampled by straight lines between pixel centres, the outer ones carried on."""
    out = frames.astype(float)
    for axis, size in ((1, height), (2, width)):
        n = out.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        low = np.floor(place).astype(int)
        share = place - low
        shape = [1] * out.ndim
        shape[axis] = size
        share = share.reshape(shape)
        high = np.minimum(low + 1, n - 1)
        out = np.take(out, low, axis) * (1 - share) + np.take(out, high, axis) * share
    return out


__all__ = ["FULL", "HEIGHT", "LENGTH", "LIMITED", "WIDTH", "Film", "coloured", "linear", "planes"]
