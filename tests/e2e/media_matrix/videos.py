"""Cells: containers, codecs, pixel formats, depth, matrices and ranges of video files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av

from tests.e2e.media_matrix.cell import (
    COARSE,
    CODED,
    EXACT,
    LARGE,
    ROUNDED,
    YUV,
    Cell,
    Frames,
    scene,
)
from tests.e2e.media_matrix.making import FULL, LIMITED, Film, coloured, write

_LOSSLESS_RGB = (
    *(("mkv", "ffv1", f) for f in ("bgr0", "gbrp10le", "rgb48le", "gbrp16le")),
    *(("avi", "ffvhuff", f) for f in ("rgb24", "gbrp")),
    ("avi", "huffyuv", "rgb24"),
    ("avi", "utvideo", "gbrp"),
    ("avi", "magicyuv", "gbrp"),
    ("avi", "rawvideo", "bgr24"),
    ("avi", "zmbv", "bgr0"),
    ("avi", "png", "rgb24"),
    ("mov", "png", "rgb24"),
    ("mov", "png", "rgb48be"),
    ("mov", "qtrle", "rgb24"),
    ("mkv", "libx264rgb", "rgb24"),
    ("mp4", "libx264rgb", "rgb24"),
)
_LOSSLESS_YUV = (
    *(("mkv", "ffv1", f) for f in ("yuv444p", "yuv422p", "yuv420p", "yuv420p10le", "yuv444p16le")),
    ("avi", "ffvhuff", "yuv420p"),
    ("avi", "huffyuv", "yuv422p"),
    ("avi", "rawvideo", "yuv420p"),
    ("mov", "v210", "yuv422p10le"),
)
_CODED = (
    *((ext, "libx264", "yuv420p") for ext in ("mp4", "mov", "mkv", "avi", "3gp", "m4v")),
    *(("mp4", "libx264", f) for f in ("yuv422p", "yuv444p", "yuvj420p", "nv12", "yuv420p10le")),
    *(("mp4", "libx265", f) for f in ("yuv420p", "yuv420p10le", "yuv444p", "gbrp")),
    *(("webm", "libvpx-vp9", f) for f in ("yuv420p", "yuv444p", "gbrp")),
    ("webm", "libvpx", "yuv420p"),
    *((ext, "mpeg4", "yuv420p") for ext in ("avi", "mp4", "mkv", "3gp")),
    *((ext, "libsvtav1", "yuv420p") for ext in ("mp4", "webm", "mkv")),
    ("mp4", "libsvtav1", "yuv420p10le"),
    *(("mkv", codec, "yuv420p") for codec in ("mpeg2video", "mpeg1video")),
    ("avi", "wmv2", "yuv420p"),
    *(("avi", "mjpeg", f) for f in ("yuvj420p", "yuvj422p", "yuvj444p")),
    ("mov", "mjpeg", "yuvj420p"),
    *(("mov", "prores_ks", f) for f in ("yuv422p10le", "yuv444p10le")),
)
_GREY = (("mkv", "ffv1", "gray"), ("mkv", "ffv1", "gray16le"), ("mp4", "libx264", "gray"))
_MARKS = (
    ("fragmented", {"movflags": "frag_keyframe+empty_moov"}),
    ("faststart", {"movflags": "faststart"}),
)
_OTHER_TYPES = {
    "ts": ("libx264", "yuv420p"),
    "mpg": ("mpeg2video", "yuv420p"),
    "flv": ("flv", "yuv420p"),
    "asf": ("wmv2", "yuv420p"),
    "ivf": ("libvpx-vp9", "yuv420p"),
}


def cells() -> Iterator[Cell]:
    """All of this group."""
    yield from _codecs()
    yield from _colours()
    for name, options in _MARKS:
        make = partial(_file, f"{name}.mp4", Film(scene(), "libx264", "yuv420p"), **options)
        yield Cell(f"container/{name}", make, scene(), CODED, against_ffmpeg=CODED)
    film = Film(scene(), "libx264", "yuv420p")
    yield Cell("container/sound", partial(_with_sound, film), scene(), CODED, against_ffmpeg=CODED)
    for ext, (codec, pix_fmt) in _OTHER_TYPES.items():
        make = partial(_file, f"a.{ext}", Film(scene(), codec, pix_fmt))
        yield Cell(f"type/{ext}", make, refused="type")
    options = {**_quality("libx264"), "x264-params": "interlaced=1:tff=1"}
    film = Film(scene(), "libx264", "yuv420p", options=options)
    make = partial(_file, "i.mp4", film)
    yield Cell("time/interlaced", make, scene(), CODED, "", ("interlaced",), against_ffmpeg=CODED)


def _codecs() -> Iterator[Cell]:
    kinds = ((_LOSSLESS_RGB, EXACT, ROUNDED), (_LOSSLESS_YUV, YUV, YUV), (_CODED, CODED, CODED))
    for table, within, against in kinds:
        for ext, codec, pix_fmt in table:
            if codec not in av.codecs_available:
                continue
            frames = _frames(codec)
            film = Film(frames, codec, pix_fmt)
            deep = ("deep",) if _bits(pix_fmt) > 8 else ()
            tolerance = COARSE if codec in ("mpeg1video", "wmv2", "libsvtav1") else within
            yield Cell(
                f"codec/{codec}-{pix_fmt}.{ext}",
                partial(_file, f"a.{ext}", film),
                frames,
                ROUNDED if deep and within == EXACT else tolerance,
                changes=deep,
                against_ffmpeg=against,
            )
    for ext, codec, pix_fmt in _GREY:
        frames = scene()[..., 1:2].repeat(3, axis=-1)
        deep = ("deep",) if _bits(pix_fmt) > 8 else ()
        make = partial(_file, f"grey.{ext}", Film(frames, codec, pix_fmt, colours=(2, FULL)))
        yield Cell(f"codec/{codec}-{pix_fmt}.{ext}", make, frames, CODED, changes=deep)


def _colours() -> Iterator[Cell]:
    for matrix in (1, 2, 4, 5, 6, 7, 9):
        for span in (LIMITED, FULL):
            for pix_fmt in ("yuv444p", "yuv420p", "yuv444p10le"):
                yield _colour(matrix, span, pix_fmt, "ffv1", "mkv", YUV)
    for matrix in (1, 9):
        for span in (LIMITED, FULL):
            yield _colour(matrix, span, "yuv420p", "libx264", "mp4", CODED)
            yield _colour(matrix, span, "yuv420p", "libvpx-vp9", "webm", CODED)
            yield _colour(matrix, span, "yuv420p10le", "libx265", "mp4", CODED)
    for matrix, name in ((8, "ycgco"), (14, "ictcp"), (10, "bt2020c")):
        options = {**_quality("libx264"), "x264-params": f"colormatrix={name}"}
        film = Film(scene(), "libx264", "yuv420p", options=options, colours=(matrix, LIMITED))
        make = partial(_file, f"{name}.mp4", film)
        yield Cell(f"matrix/{name}", make, refused="colours")


def _colour(
    matrix: int, span: int, pix_fmt: str, codec: str, ext: str, within: tuple[float, float]
) -> Cell:
    deep = ("deep",) if _bits(pix_fmt) > 8 else ()
    name = f"matrix/{codec}-{pix_fmt}-h273.{matrix}-{'full' if span == FULL else 'limited'}"
    make = partial(_colour_file, f"a.{ext}", pix_fmt, matrix, span, codec)
    return Cell(name, make, _frames(codec), within, changes=deep, against_ffmpeg=within)


def _frames(codec: str) -> Frames:
    return scene(*LARGE) if codec in ("libx265", "libsvtav1") else scene()


def _bits(pix_fmt: str) -> int:
    return max(component.bits for component in av.VideoFormat(pix_fmt).components)


def _quality(codec: str) -> dict[str, str]:
    from tests.e2e.media_matrix.making import QUALITY

    return QUALITY[codec]


def _file(name: str, film: Film, folder: Path, **options: str) -> Path:
    return write(folder / name, film, **options)


def _with_sound(film: Film, folder: Path) -> Path:
    return write(folder / "sound.mp4", film, sound=True)


def _colour_file(name: str, pix_fmt: str, matrix: int, span: int, codec: str, folder: Path) -> Path:
    return write(folder / name, coloured(_frames(codec), pix_fmt, matrix, span, codec))
