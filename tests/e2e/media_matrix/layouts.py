"""Cells: alpha, streams, shapes of pixels, rotation and rates of video files."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from tests.e2e.media_matrix.cell import (
    CODED,
    EXACT,
    HEIGHT,
    ROUNDED,
    WIDTH,
    YUV,
    Cell,
    Frames,
    alpha_scene,
    on_ground,
    scene,
)
from tests.e2e.media_matrix.making import Film, linear, turned, write
from vpbench.media.decode import Reading

_ALPHA = (
    ("mov", "prores_ks", "yuva444p10le", (), CODED),
    ("mov", "qtrle", "argb", (), ROUNDED),
    ("mov", "png", "rgba", (), ROUNDED),
    ("mkv", "ffv1", "bgra", (), ROUNDED),
    ("mkv", "ffv1", "yuva420p", (), CODED),
    ("mkv", "ffv1", "yuva444p10le", (), YUV),
    ("avi", "huffyuv", "bgra", (), ROUNDED),
    ("avi", "utvideo", "gbrap", (), ROUNDED),
    ("avi", "magicyuv", "gbrap", (), ROUNDED),
    ("webm", "libvpx-vp9", "yuva420p", ("-c:v", "libvpx-vp9"), CODED),
    ("webm", "libvpx", "yuva420p", ("-c:v", "libvpx"), CODED),
)
_ASPECTS = ("2/1", "16/11", "12/11", "1/2", "64/45", "4/3", "10/11", "1001/1000")
_TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""Clockwise degrees and the display matrix that asks for them."""


def cells() -> Iterator[Cell]:
    """All of this group."""
    yield from _alpha()
    yield from _streams()
    yield from _aspects()
    yield from _rotations()
    yield from _rates()


def _alpha() -> Iterator[Cell]:
    for ext, codec, pix_fmt, before, within in _ALPHA:
        deep = ("deep",) if "10" in pix_fmt else ()
        yield Cell(
            f"alpha/{codec}-{pix_fmt}.{ext}",
            partial(_file, f"a.{ext}", Film(alpha_scene(), codec, pix_fmt)),
            on_ground(alpha_scene()),
            within,
            changes=(*deep, "transparent"),
            before=before,
            against_ffmpeg=YUV if within != CODED else CODED,
        )
    make = partial(_file, "a.mov", Film(alpha_scene(), "qtrle", "argb"))
    for name, ground in (("black", (0, 0, 0)), ("teal", (0, 128, 128))):
        how = Reading(ground=ground)
        right = on_ground(alpha_scene(), ground)
        yield Cell(f"alpha/on-{name}", make, right, ROUNDED, changes=("transparent",), how=how)
    dropped = Reading(ground=None)
    yield Cell("alpha/dropped", make, alpha_scene()[..., :3], EXACT, how=dropped)
    opaque = alpha_scene()
    opaque[..., 3] = 255
    make = partial(_file, "a.mov", Film(opaque, "qtrle", "argb"))
    yield Cell("alpha/opaque", make, opaque[..., :3], EXACT)
    nothing = alpha_scene()
    nothing[..., 3] = 0
    make = partial(_file, "a.avi", Film(nothing, "huffyuv", "bgra"))
    yield Cell("alpha/none-of-it-visible", make, refused="invisible")
    yield Cell("alpha/invisible-dropped", make, nothing[..., :3], EXACT, how=dropped)


def _streams() -> Iterator[Cell]:
    film, other = scene(), scene()[::-1] // 2
    thumb = other[:1]
    mark = ("streams",)

    def cell(name: str, ext: str, number: int, right: Frames, *films: Film) -> Cell:
        make = partial(_files, f"a.{ext}", films)
        after = ("-map", f"0:v:{number}")
        within = EXACT if ext == "mkv" else CODED
        return Cell(
            f"streams/{name}", make, right, within, "", mark, after=after, against_ffmpeg=CODED
        )

    yield cell("thumbnail-first.mkv", "mkv", 1, film, Film(thumb), Film(film, default=True))
    yield cell(
        "default-second.mkv", "mkv", 1, film, Film(other, default=False), Film(film, default=True)
    )
    yield cell(
        "default-shorter.mkv",
        "mkv",
        1,
        film[:2],
        Film(other, default=False),
        Film(film[:2], default=True),
    )
    yield cell(
        "longest-second.mkv",
        "mkv",
        1,
        film,
        Film(other[:3], default=False),
        Film(film, default=False),
    )
    yield cell(
        "longest-first.mkv",
        "mkv",
        0,
        film,
        Film(film, default=False),
        Film(other[:3], default=False),
    )
    yield cell(
        "slow-and-long.mkv",
        "mkv",
        1,
        film[:3],
        Film(other, rate=25, default=False),
        Film(film[:3], rate=5, default=False),
    )
    yield cell("equal.mkv", "mkv", 0, film, Film(film, default=False), Film(other, default=False))
    coded = ("libx264", "yuv420p")
    yield cell(
        "two-tracks.mp4",
        "mp4",
        1,
        film,
        Film(thumb, *coded, default=True),
        Film(film, *coded, default=True),
    )
    yield cell(
        "two-tracks.mov",
        "mov",
        1,
        film,
        Film(thumb, *coded, default=True),
        Film(film, *coded, default=True),
    )
    cover = Film(thumb, "png", "rgb24", attached=True)
    make = partial(_files, "a.mp4", (Film(film, *coded), cover))
    yield Cell("streams/cover.mp4", make, film, CODED, against_ffmpeg=CODED)
    make = partial(_files, "a.mp4", (cover,))
    yield Cell("streams/only-a-cover.mp4", make, refused="cover")
    yield Cell("streams/only-sound.mp4", _only_sound, refused="empty")


def _aspects() -> Iterator[Cell]:
    for text in _ASPECTS:
        aspect = Fraction(text)
        height, width = HEIGHT, WIDTH
        if aspect >= 1:
            width = int(WIDTH * aspect + Fraction(1, 2))
        else:
            height = int(HEIGHT / aspect + Fraction(1, 2))
        right = linear(scene(), height, width)
        changed = ("squared",) if (height, width) != (HEIGHT, WIDTH) else ()
        scale = ("-vf", f"format=rgb24,scale={width}:{height}:flags=bilinear")
        for ext, codec, pix_fmt, within in (
            ("mkv", "libx264rgb", "rgb24", ROUNDED),
            ("mp4", "libx264", "yuv420p", CODED),
            ("avi", "mpeg4", "yuv420p", CODED),
        ):
            film = Film(scene(), codec, pix_fmt, aspect=aspect)
            make = partial(_file, f"a.{ext}", film)
            name = f"aspect/{text.replace('/', ':')}.{ext}"
            yield Cell(name, make, right, within, "", changed, after=scale, against_ffmpeg=CODED)
    odd = Film(scene(), "mpeg4", "yuv420p", aspect=Fraction(9))
    yield Cell("aspect/9:1", partial(_file, "a.avi", odd), refused="aspect")


def _rotations() -> Iterator[Cell]:
    for degrees, matrix in _TURNS.items():
        right = np.rot90(scene(), -degrees // 90, axes=(1, 2))
        for ext, codec, pix_fmt, within in (
            ("mov", "png", "rgb24", EXACT),
            ("mp4", "libx264", "yuv420p", CODED),
        ):
            make = partial(_turned, f"a.{ext}", Film(scene(), codec, pix_fmt), matrix)
            name = f"rotation/{degrees}.{ext}"
            yield Cell(name, make, right, within, against_ffmpeg=CODED)
    film = Film(scene(), "png", "rgb24", aspect=Fraction(2))
    right = np.rot90(linear(scene(), HEIGHT, 2 * WIDTH), -1, axes=(1, 2))
    make = partial(_turned, "a.mov", film, _TURNS[90])
    after = ("-vf", f"scale={HEIGHT}:{2 * WIDTH}:flags=bilinear")
    yield Cell("rotation/90-of-2:1-pixels.mov", make, right, ROUNDED, "", ("squared",), after=after)
    half = 0.5**0.5
    make = partial(_turned, "a.mov", Film(scene(), "png", "rgb24"), (half, half, -half, half))
    yield Cell("rotation/45", make, refused="angle")


def _rates() -> Iterator[Cell]:
    frames = scene(20)
    for stored, wanted in ((30, "8"), (8, "30"), (25, "25"), (25, "12.5"), (24, "30000/1001")):
        rate = Fraction(wanted)
        count = -(-len(frames) * rate // stored)  # frames on screen before the end
        shown = [int(Fraction(k) / rate * stored) for k in range(int(count))]
        yield _rate(f"{stored}-to-{wanted}", Film(frames, rate=stored), rate, frames[shown])
    times = [0, 1, 2, 10, 11, 30]
    film = Film(frames[:6], rate=25, times=times)
    shown = [max(k for k, t in enumerate(times) if t <= 25 * n / 10) for n in range(13)]
    yield _rate("variable-to-10", film, Fraction(10), frames[shown])
    make = partial(_file, "v.mkv", film)
    yield Cell("rate/variable-as-stored", make, frames[:6], EXACT, "", ("variable",))


def _rate(name: str, film: Film, rate: Fraction, right: Frames) -> Cell:
    # ffmpeg's filter `fps` shows the last frame for another time: only closed forms count here.
    make = partial(_file, "a.mkv", film)
    name = f"rate/{name.replace('/', ':')}"
    return Cell(name, make, right, EXACT, how=Reading(rate=rate), ffmpeg=False)


def _file(name: str, film: Film, folder: Path) -> Path:
    return write(folder / name, film)


def _files(name: str, films: tuple[Film, ...], folder: Path) -> Path:
    return write(folder / name, *films)


def _turned(name: str, film: Film, matrix: tuple[float, float, float, float], folder: Path) -> Path:
    return turned(write(folder / name, film), matrix)


def _only_sound(folder: Path) -> Path:
    return write(folder / "a.mp4", sound=True)
