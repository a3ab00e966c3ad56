"""Video files through PyAV: every frame counted by decoding it, one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media.containers import cut_off
from vpbench.media.ground import Composer
from vpbench.media.kinds import MAX_PIXELS, WHITE, Change, Ground, Kind, Probe
from vpbench.media.streams import film_stream
from vpbench.media.timing import Timeline, steady

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
_MAX_ASPECT = 8
"""Pixels that are wider or higher by more than this are a mistake in the file."""
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""WebM keeps alpha in a second stream of bits, which the default decoders skip."""
_SYSTEMS = {8: "YCgCo", 10: "constant-luminance BT.2020", 11: "SMPTE 2085", 14: "ICtCp"}
_SYSTEMS |= {12: "chromaticity-derived", 13: "chromaticity-derived", 15: "IPT-C2"}
_SYSTEMS |= {16: "YCgCo-Re", 17: "YCgCo-Ro"}
"""Colour systems by their number in ITU-T H.273 that the conversion would take for another."""
_HDR_TRANSFERS = (16, 18)
"""PQ and HLG in ITU-T H.273."""


@dataclass
class _Film:
    """An open file.

    Attributes:
        aspect: width over height of a stored pixel; known from the first frame on.
        changes: what its reader had to decide so far.
    """

    path: Path
    container: InputContainer
    stream: VideoStream
    decoder: VideoCodecContext | None
    aspect: Fraction
    composer: Composer
    changes: set[Change]

    def rgb(self, frame: VideoFrame) -> Frames:
        """A decoded frame as it is shown: on the ground, with square pixels, upright."""
        if _has_alpha(frame.format):
            rgba = frame.to_ndarray(format="rgba", interpolation=_EXACT, threads=1)
            pixels = self.composer.rgb(rgba.astype(np.uint8, copy=False))
        else:
            self.composer.opaque()
            pixels = frame.to_ndarray(format="rgb24", interpolation=_EXACT, threads=1)
        pixels = squared(pixels.astype(np.uint8, copy=False), self.aspect)
        return np.ascontiguousarray(np.rot90(pixels, _quarter_turns(frame, self.path)))

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Height and width of `rgb`, without converting."""
        size = squared_size(frame.height, frame.width, self.aspect)
        return (size[1], size[0]) if _quarter_turns(frame, self.path) % 2 else size

    def look(self, frame: VideoFrame) -> None:
        """Note what is special about a frame."""
        if (frame.height, frame.width) != squared_size(frame.height, frame.width, self.aspect):
            self.changes.add("squared")
        if any(component.bits > 8 for component in frame.format.components):
            self.changes.add("deep")
        if frame.color_trc in _HDR_TRANSFERS:
            self.changes.add("hdr")
        if frame.interlaced_frame:
            self.changes.add("interlaced")


def probe(path: Path, kind: Kind, ground: Ground | None = WHITE) -> Probe:
    """Decode the whole file and describe its contents.

    Raises:
        BadData: it is cut off, corrupt, without video, its frame size changes, or none of it is
            visible.
    """
    height, width = 0, 0
    times: list[int | None] = []
    with _opened(path, kind, ground) as film:
        for frame in _decoded(film):
            height, width = film.size(frame)
            times.append(frame.pts)
            film.look(frame)
            if _has_alpha(frame.format):
                film.rgb(frame)
            else:
                film.composer.opaque()
        rate, codec = film.stream.average_rate, film.stream.codec_context.name
        film.composer.check(path)
        changes = film.changes | ({"transparent"} if film.composer.transparent else set())
    if not times:
        raise BadData(f"{path} holds no video frame.", fix="Copy or download it again.")
    even = steady(times)
    if not even:
        changes.add("variable")
    known = rate is not None and 0 < rate <= _MAX_FPS and even
    source = "lossless" if codec in LOSSLESS else "codec"
    fps = float(rate) if known and rate else None
    return Probe(len(times), height, width, fps, source, tuple(sorted(changes)))


def timeline(path: Path, kind: Kind) -> Timeline:
    """When its frames are shown, by decoding all of it.

    Raises:
        BadData: as `probe`, or there are no times.
    """
    with _opened(path, kind, None) as film:
        times = [frame.pts for frame in _decoded(film)]
        base, rate = film.stream.time_base, film.stream.average_rate
    known = [time for time in times if time is not None]
    usual = 1 / rate if rate else None
    if not times or not usual:
        raise BadData(f"{path} has no frame rate.", fix="Leave rate= out, or encode it again.")
    if kind == "avi" or len(known) < len(times) or sorted(set(known)) != known or base is None:
        # Avi stores a rate and no display times.
        return Timeline.of_delays([usual] * len(times))
    return Timeline.of_starts([time * base for time in known], usual, base)


def read(
    path: Path,
    kind: Kind,
    indices: Sequence[int] | None,
    ground: Ground | None = WHITE,
    each: Callable[[Frames], Frames] | None = None,
) -> Frames:
    """Frames in the order of `indices` (all for None), uint8 [T,H,W,3]; decodes from the start.

    Args:
        each: done to each frame [H,W,3] as soon as it is decoded, so that no more than one is held
            at its own size.

    Raises:
        BadData: as `probe`, or a frame that the file does not have.
    """
    if indices is not None and not len(indices):
        whole = probe(path, kind, ground)
        blank = np.zeros((whole.height, whole.width, 3), np.uint8)
        return (blank if each is None else each(blank))[None][:0]
    wanted = None if indices is None else set(indices)
    last = None if wanted is None else max(wanted)
    kept: dict[int, Frames] = {}
    count = 0
    with _opened(path, kind, ground) as film:
        for frame in _decoded(film):
            if wanted is None or count in wanted:
                pixels = film.rgb(frame)
                kept[count] = pixels if each is None else each(pixels)
            count += 1
            if count - 1 == last:
                break
        if indices is None:
            film.composer.check(path)
    if not count:
        raise BadData(f"{path} holds no video frame.", fix="Copy or download it again.")
    order = range(count) if indices is None else indices
    for index in order:
        if index not in kept:
            raise BadData(f"{path} has {count} frames; frame {index} was asked for.")
    return np.stack([kept[index] for index in order])


def squared_size(height: int, width: int, aspect: Fraction) -> tuple[int, int]:
    """Height and width in square pixels: the side that is sampled too coarsely grows.

    Nothing that is stored is lost. Rounded half up.
    """
    if aspect >= 1:
        return height, int(width * aspect + Fraction(1, 2))
    return int(height / aspect + Fraction(1, 2)), width


def squared(frame: Frames, aspect: Fraction) -> Frames:
    """A frame uint8 [H,W,3] in square pixels: two neighbours, pixel centres, rounded half up."""
    height, width = squared_size(frame.shape[0], frame.shape[1], aspect)
    if (height, width) == frame.shape[:2]:
        return frame
    if width != frame.shape[1]:
        return _stretched(frame, width)
    return np.ascontiguousarray(_stretched(frame.swapaxes(0, 1), height).swapaxes(0, 1))


def _stretched(frame: Frames, size: int) -> Frames:
    """uint8 [H,W,3] to [H,size,3]."""
    n = frame.shape[1]
    # Positions are multiples of 1 / (2 size), so that all of this is exact.
    place = np.clip((2 * np.arange(size) + 1) * n - size, 0, (n - 1) * 2 * size)
    first = place // (2 * size)
    second = np.minimum(first + 1, n - 1)
    share = (place - first * 2 * size).astype(np.uint64)[:, None]
    out = np.empty((len(frame), size, 3), np.uint8)
    for row, pixels in enumerate(frame):
        mixed = pixels[first] * (np.uint64(2 * size) - share) + pixels[second] * share
        out[row] = (mixed + np.uint64(size)) // np.uint64(2 * size)
    return out


def _has_alpha(form: VideoFormat) -> bool:
    return form.name == "pal8" or any(component.is_alpha for component in form.components)


@contextmanager
def _opened(path: Path, kind: Kind, ground: Ground | None) -> Iterator[_Film]:
    if cut_off(path, kind):
        raise BadData(f"{path} is cut off: its end is missing.", fix="Copy or download it again.")
    try:
        # An absolute path behind "file:" and a named format: neither the name nor the contents
        # can make the library open anything else.
        with av.open(f"file:{path.resolve()}", format=kind, metadata_errors="replace") as container:
            stream, several = film_stream(container, path, kind)
            stream.thread_count = 1
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            changes: set[Change] = {"streams"} if several else set()
            yield _Film(
                path,
                container,
                stream,
                _alpha_decoder(stream, path) if ground is not None else None,
                Fraction(1),
                Composer(ground),
                changes,
            )
    except FFmpegError as error:
        raise BadData(
            f"{path} cannot be decoded: {error.strerror or error}.",
            fix="Copy, download or encode it again.",
        ) from error


def _alpha_decoder(stream: VideoStream, path: Path) -> VideoCodecContext | None:
    """A decoder that knows the alpha of a WebM file; None where there is none."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return None
    if name not in av.codecs_available:
        raise BadData(
            f"{path} is transparent, and this build of PyAV has no decoder for that.",
            fix="Install its wheel from PyPI, or encode the film without alpha.",
        )
    context = CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = stream.codec_context.extradata
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context


def _pixel_aspect(film: _Film) -> Fraction:
    """What the container says, else what the first frame said to its decoder."""
    path, decoder = film.path, film.decoder or film.stream.codec_context
    ratio = film.stream.sample_aspect_ratio or decoder.sample_aspect_ratio
    if not ratio or ratio < 0:
        return Fraction(1)
    if not Fraction(1, _MAX_ASPECT) <= ratio <= _MAX_ASPECT:
        raise BadData(
            f"{path} declares pixels that are {ratio} times as wide as high.",
            fix="Encode it again with square pixels.",
        )
    return ratio


def _frames_of(film: _Film) -> Iterator[VideoFrame]:
    if film.decoder is None:
        yield from film.container.decode(film.stream)
        return
    for packet in film.container.demux(film.stream):
        yield from film.decoder.decode(packet if packet.size else None)


def _decoded(film: _Film) -> Iterator[VideoFrame]:
    path = film.path
    size: tuple[int, int] | None = None
    for number, frame in enumerate(_frames_of(film)):
        if frame.is_corrupt:
            raise BadData(
                f"{path} is corrupt: frame {number} cannot be decoded whole.",
                fix="Copy, download or encode it again.",
            )
        if size is None:
            size, film.aspect = (frame.width, frame.height), _pixel_aspect(film)
        height, width = squared_size(frame.height, frame.width, film.aspect)
        if height * width > MAX_PIXELS:
            raise BadData(
                f"{path} has frames of {width}x{height} px, which is more than vpbench reads.",
                fix="Make it smaller.",
            )
        if (frame.width, frame.height) != size:
            raise BadData(
                f"{path} changes its frame size from {size[0]}x{size[1]} to "
                f"{frame.width}x{frame.height} at frame {number}.",
                fix="Cut it into clips of one size.",
            )
        if not frame.format.is_rgb and frame.colorspace in _SYSTEMS:
            raise BadData(
                f"{path} stores colours as {_SYSTEMS[frame.colorspace]}, which vpbench does not "
                "read.",
                fix="Encode it as BT.709 or BT.601.",
            )
        yield frame


def _quarter_turns(frame: VideoFrame, path: Path) -> int:
    """Counterclockwise quarter turns that show the frame upright."""
    if frame.rotation % 90:
        raise BadData(
            f"{path} is marked to be shown turned by {frame.rotation} degrees.",
            fix="Encode it upright.",
        )
    return frame.rotation // 90 % 4
