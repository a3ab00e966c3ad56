"""Clips as they come back from a file format: what a codec takes away.

In memory but for H.264, which is written and read as a user's files are.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.api.errors import MissingDependency, UnknownName
from vpbench.api.types import Frames
from vpbench.media import decode
from vpbench.media.encode import write_mp4

JPEG_QUALITY = 75
"""Pillow's default, and that of most programs."""

H264_CRF = 23
"""The default of x264 and of ffmpeg."""

_FPS = 25.0


def png(frames: Frames) -> Frames:
    """uint8 [T,H,W,3] through PNG files: lossless, so the same bytes."""
    return _pictures(frames, "PNG", {})


def jpeg(frames: Frames) -> Frames:
    """uint8 [T,H,W,3] through JPEG files of quality `JPEG_QUALITY`, chroma at half the size."""
    return _pictures(frames, "JPEG", {"quality": JPEG_QUALITY})


def h264(frames: Frames) -> Frames:
    """uint8 [T,H,W,3] through an mp4 file of H.264 at `H264_CRF`, chroma at half the size.

    Raises:
        MissingDependency: PyAV lacks the encoder.
    """
    import av

    if "libx264" not in av.codecs_available:
        raise MissingDependency("PyAV lacks the H.264 encoder.")
    _, height, width, _ = frames.shape
    with tempfile.TemporaryDirectory(prefix="vpbench-codec-") as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, frames, _FPS, crf=H264_CRF, repeatable=True)
        # Odd sizes have grown by a row or column.
        return np.ascontiguousarray(decode.read(path)[:, :height, :width])


CODECS: dict[str, Callable[[Frames], Frames]] = {"png": png, "jpeg": jpeg, "h264": h264}
"""By name."""


def round_trip(frames: Frames, codec: str) -> Frames:
    """Frames as they come back from a file of a codec of `CODECS`.

    Raises:
        UnknownName: no such codec.
        MissingDependency: its encoder is not here.
    """
    if codec not in CODECS:
        raise UnknownName("codec", codec, CODECS)
    return CODECS[codec](frames)


def _pictures(frames: Frames, form: str, options: dict[str, int]) -> Frames:
    return np.stack([_picture(frame, form, options) for frame in frames])


def _picture(frame: Frames, form: str, options: dict[str, int]) -> Frames:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format=form, **options)
    with Image.open(file) as stored:
        return np.asarray(stored.convert("RGB"))
