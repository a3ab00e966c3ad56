"""Video files through PyAV: every frame counted by decoding it, one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media.containers import cut_off
from vpbench.media.kinds import Kind, Probe

LOSSLESS = frozenset(
    {
        "ffv1",
        "ffvhuff",
        "huffyuv",
        "magicyuv",
        "png",
        "apng",
        "qtrle",
        "rawvideo",
        "utvideo",
        "v210",
        "r210",
        "bmp",
        "zmbv",
        "gif",
        "lagarith",
    }
)

# Without these flags the colour conversion may differ by a grey level between processors.
_EXACT = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)
_MAX_FPS = 1000
_MAX_JITTER = 1.5
"""Longest over shortest time between frames at a constant rate."""


def probe(path: Path, kind: Kind) -> Probe:
    """Decode the whole file and describe its contents.

    Raises:
        BadData: it is cut off, corrupt, without video, or its frame size changes.
    """
    height, width = 0, 0
    times: list[int | None] = []
    with _stream(path, kind) as (container, stream):
        for frame in _decoded(container, stream, path):
            height, width = _turned_size(frame, path)
            times.append(frame.pts)
        rate, codec = stream.average_rate, stream.codec_context.name
    if not times:
        raise BadData(f"{path} holds no video frame.", fix="Copy or download it again.")
    known = rate is not None and 0 < rate <= _MAX_FPS and _steady(times)
    source = "lossless" if codec in LOSSLESS else "codec"
    return Probe(len(times), height, width, float(rate) if known and rate else None, source)


def read(path: Path, kind: Kind, indices: Sequence[int] | None) -> Frames:
    """Frames in the order of `indices` (all for None), uint8 [T,H,W,3]; decodes from the start.

    Raises:
        BadData: as `probe`, or a frame that the file does not have.
    """
    if indices is not None and not len(indices):
        whole = probe(path, kind)
        return np.empty((0, whole.height, whole.width, 3), np.uint8)
    wanted = None if indices is None else set(indices)
    last = None if wanted is None else max(wanted)
    kept: dict[int, Frames] = {}
    count = 0
    with _stream(path, kind) as (container, stream):
        for frame in _decoded(container, stream, path):
            if wanted is None or count in wanted:
                kept[count] = _rgb(frame, path)
            count += 1
            if count - 1 == last:
                break
    if not count:
        raise BadData(f"{path} holds no video frame.", fix="Copy or download it again.")
    order = range(count) if indices is None else indices
    for index in order:
        if index not in kept:
            raise BadData(f"{path} has {count} frames; frame {index} was asked for.")
    return np.stack([kept[index] for index in order])


@contextmanager
def _stream(path: Path, kind: Kind) -> Iterator[tuple[InputContainer, VideoStream]]:
    if cut_off(path, kind):
        raise BadData(f"{path} is cut off: its end is missing.", fix="Copy or download it again.")
    try:
        # An absolute path behind "file:" and a named format: neither the name nor the contents
        # can make the library open anything else.
        with av.open(f"file:{path.resolve()}", format=kind, metadata_errors="replace") as container:
            if not container.streams.video:
                raise BadData(
                    f"{path} has no video stream.", fix="Check that it is the right file."
                )
            stream = container.streams.video[0]
            stream.thread_count = 1
            yield container, stream
    except FFmpegError as error:
        raise BadData(
            f"{path} cannot be decoded: {error.strerror or error}.",
            fix="Copy, download or encode it again.",
        ) from error


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame]:
    size: tuple[int, int] | None = None
    for number, frame in enumerate(container.decode(stream)):
        if frame.is_corrupt:
            raise BadData(
                f"{path} is corrupt: frame {number} cannot be decoded whole.",
                fix="Copy, download or encode it again.",
            )
        size = size or (frame.width, frame.height)
        if (frame.width, frame.height) != size:
            raise BadData(
                f"{path} changes its frame size from {size[0]}x{size[1]} to "
                f"{frame.width}x{frame.height} at frame {number}.",
                fix="Cut it into clips of one size.",
            )
        yield frame


def _steady(times: Sequence[int | None]) -> bool:
    """Whether no step between frames is much longer than another; rounding is forgiven."""
    # Avi stores no display times: with B-frames they come in the order of decoding.
    known = sorted(time for time in times if time is not None)
    steps = [b - a for a, b in pairwise(known)]
    return len(known) < len(times) or not steps or max(steps) <= _MAX_JITTER * max(1, min(steps))


def _quarter_turns(frame: VideoFrame, path: Path) -> int:
    """Counterclockwise quarter turns that show the frame upright."""
    if frame.rotation % 90:
        raise BadData(
            f"{path} is marked to be shown turned by {frame.rotation} degrees.",
            fix="Encode it upright.",
        )
    return frame.rotation // 90 % 4


def _turned_size(frame: VideoFrame, path: Path) -> tuple[int, int]:
    turned = _quarter_turns(frame, path) % 2
    return (frame.width, frame.height) if turned else (frame.height, frame.width)


def _rgb(frame: VideoFrame, path: Path) -> Frames:
    pixels = frame.to_ndarray(format="rgb24", interpolation=_EXACT, threads=1)
    return np.ascontiguousarray(np.rot90(pixels, _quarter_turns(frame, path))).astype(np.uint8)
