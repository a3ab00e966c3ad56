"""Previews: gif, png and mp4 files, each written whole or not at all.

Lossy, and never an input of a score: predictions are stored elsewhere, losslessly.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image

from vpbench.api.errors import BadData, MissingDependency, UsageError
from vpbench.api.types import Frames

_SHORTEST_DELAY = 2
"""In 1/100 s: viewers slow anything shorter down to 10 frames a second."""
_PALETTE_FRAMES = 16
_CRF = 18
"""Of previews: no difference to be seen."""


def write_png(path: str | os.PathLike[str], frame: Frames) -> None:
    """Write one picture, uint8 [H,W,3], as an RGB png (lossless).

    Raises:
        BadData: not uint8 [H,W,3].
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3 or 0 in frame.shape:
        raise BadData(f"a picture is uint8 [H,W,3], this one is {frame.dtype} {frame.shape}.")
    with _whole(Path(path)) as temporary:
        Image.fromarray(frame).save(temporary, format="PNG")


def write_gif(path: str | os.PathLike[str], frames: Frames, fps: float) -> None:
    """Write a clip, uint8 [T,H,W,3], as a gif that loops, with one palette for all frames.

    Every frame is stored, also one that equals the frame before it. Delays are whole 1/100 s.

    Raises:
        BadData: not uint8 [T,H,W,3].
        UsageError: `fps` is not positive.
    """
    _check(frames, fps)
    delay = max(_SHORTEST_DELAY, round(100 / fps))
    palette = _palette(frames)
    pictures = [Image.fromarray(frame).quantize(palette=palette) for frame in frames]
    with _whole(Path(path)) as temporary, temporary.open("wb") as file:
        # Image.save(save_all=True) would drop frames that repeat the one before.
        header, _ = GifImagePlugin.getheader(pictures[0].copy(), info={"optimize": False})
        file.writelines(header)
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
        for picture in pictures:
            file.writelines(GifImagePlugin.getdata(picture, duration=delay * 10, disposal=1))
        file.write(b";")


def write_mp4(
    path: str | os.PathLike[str],
    frames: Frames,
    fps: float,
    *,
    crf: int = _CRF,
    repeatable: bool = False,
) -> None:
    """Write a clip, uint8 [T,H,W,3], as mp4: H.264 where the encoder is there, else MPEG-4.

    Odd sizes grow by a copy of the last row or column.

    Args:
        crf: constant rate factor of H.264, 0 to 51; lower is better and larger.
        repeatable: the same bytes for the same frames, several times slower: x264's assembly reads
            memory that it has not written, and now and then decides otherwise.

    Raises:
        BadData: not uint8 [T,H,W,3].
        UsageError: `fps` is not positive.
        MissingDependency: PyAV has neither encoder.
    """
    import av
    from av.video.stream import VideoStream

    _check(frames, fps)
    _, height, width, _ = frames.shape
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    codec = next((c for c in ("libx264", "mpeg4") if c in av.codecs_available), None)
    if codec is None:
        raise MissingDependency("PyAV has neither the H.264 nor the MPEG-4 encoder.")
    options = {"crf": str(crf)} if codec == "libx264" else {"qscale": "3"}
    if repeatable and codec == "libx264":
        options["x264-params"] = "no-asm=1"
    with (
        _whole(Path(path)) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = even.shape[2], even.shape[1], "yuv420p"
        stream.thread_count = 1
        for frame in even:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _check(frames: Frames, fps: float) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise BadData(f"a clip is uint8 [T,H,W,3], this one is {frames.dtype} {frames.shape}.")
    if not 0 < fps < float("inf"):
        raise UsageError(f"fps={fps} must be positive.")


def _palette(frames: Frames) -> Image.Image:
    """256 colours for frames spread over the clip; exact where the clip has no more."""
    colours = _few_colours(frames)
    if colours is not None:
        palette = Image.new("P", (1, 1))
        palette.putpalette(colours.tobytes())
        return palette
    spread = np.linspace(0, len(frames) - 1, min(len(frames), _PALETTE_FRAMES)).astype(int)
    sheet = np.concatenate(list(frames[spread]))
    return Image.fromarray(sheet).quantize(256, method=Image.Quantize.MEDIANCUT)


def _few_colours(frames: Frames) -> Frames | None:
    packed = frames.reshape(-1, 3).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    unique = np.unique(packed)
    if len(unique) > 256:
        return None
    colours = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=1).astype(np.uint8)
    return np.concatenate([colours, np.repeat(colours[-1:], 256 - len(colours), axis=0)])


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """An empty file in the same folder that takes the place of `path` at the end."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
