"""One cell of the matrix: a file, how it is read, and what must come out of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vpbench.api import BadData
from vpbench.media.decode import Reading, probe, read

Frames = npt.NDArray[np.uint8]
Real = npt.NDArray[np.float64]

HEIGHT, WIDTH, LENGTH = 32, 48, 6

LARGE = (LENGTH, 64, 96)
"""Encoders of H.265 and AV1 write beyond their memory at less."""

REFUSALS = {
    "type": "does not read",
    "depth": "more than 8 bits a channel",
    "colours": "stores colours as",
    "aspect": "declares pixels",
    "cover": "no film, only a picture",
    "angle": "turned by -?45 degrees",
    "invisible": "wholly transparent",
    "times": "no frame times",
    "dtype": "not uint8",
    "axes": "axes=|not TxHxWx3",
    "still": "layout=",
    "empty": "no video stream|is empty",
}
"""All reasons for which a cell may be refused, with the words that say so."""

EXACT = (0.0, 0.0)
ROUNDED = (1.0, 0.5)
"""Straight alpha, or one conversion, rounded to whole numbers."""
YUV = (4.0, 1.0)
"""Colours through YUV of 8 bits, on both ways."""
CODED = (12.0, 2.5)
"""A lossy codec at high quality."""
COARSE = (40.0, 8.0)
"""A lossy codec of few colours, or of low quality whatever it is asked for."""


@dataclass(frozen=True)
class Cell:
    """A file and its verdict.

    Attributes:
        name: group and what is special, "alpha/prores-4444".
        make: writes the file into a folder, returns its path.
        truth: the right pixels, [T,H,W,3]; None where it is refused.
        within: largest and mean difference that the codec may cause.
        refused: the key of `REFUSALS` that it is refused for; "" for none.
        changes: what `Probe.changes` must say.
        how: how it is read.
        before, after: arguments of ffmpeg before and after its input; it composes nothing, so that
            transparent cells are composed on `ground` here.
        ffmpeg: whether ffmpeg's own decoding is compared with, too.
        against_ffmpeg: as `within`; some versions of swscale place chroma elsewhere.
    """

    name: str
    make: Callable[[Path], Path]
    truth: Real | Frames | None = None
    within: tuple[float, float] = EXACT
    refused: str = ""
    changes: tuple[str, ...] = ()
    how: Reading = field(default_factory=Reading)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    ffmpeg: bool = True
    against_ffmpeg: tuple[float, float] = YUV


def scene(length: int = LENGTH, height: int = HEIGHT, width: int = WIDTH) -> Frames:
    """Smooth slopes of colour that brighten from frame to frame, uint8 [T,H,W,3].

    Without edges, so that codecs and ways to place chroma agree to a few grey levels, while a wrong
    matrix, range, frame, stream or size is off by ten or more.
    """
    t, y, x = np.mgrid[:length, :height, :width]
    red = 40 + 120 * x / width + 6 * t
    green = 190 - 100 * y / height - 4 * t
    blue = 60 + 60 * x / width + 50 * y / height + 3 * t
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)


def alpha_scene(length: int = LENGTH, height: int = HEIGHT, width: int = WIDTH) -> Frames:
    """`scene` with an alpha that rises from 0 to 255 from left to right, uint8 [T,H,W,4]."""
    ramp = np.clip(np.linspace(-20, 275, width).round(), 0, 255)
    alpha = np.broadcast_to(ramp[None, None, :, None], (length, height, width, 1))
    return np.concatenate([scene(length, height, width), alpha], axis=-1).astype(np.uint8)


def on_ground(rgba: Frames, ground: tuple[int, int, int] = (255, 255, 255)) -> Real:
    """Straight alpha over one colour, by its definition."""
    share = rgba[..., 3:].astype(float) / 255
    return rgba[..., :3] * share + np.array(ground, float) * (1 - share)


def check(cell: Cell, folder: Path) -> str:
    """Hold a cell to its verdict; returns it in words.

    Raises:
        AssertionError: the reader gives other pixels, says nothing of a decision, or does not
            refuse.
    """
    path = cell.make(folder)
    if cell.refused:
        return _refused(cell, path)
    found = probe(path, cell.how)
    frames = read(path, how=cell.how)
    assert (found.frames, found.height, found.width) == frames.shape[:3], found
    assert found.changes == cell.changes, found.changes
    assert cell.truth is not None
    worst, mean = _difference(frames, cell.truth, cell.name)
    assert (worst, mean) <= cell.within and mean <= cell.within[1], (worst, mean)
    last = len(frames) - 1
    assert np.array_equal(read(path, [last, 0], cell.how), frames[[last, 0]])
    if cell.ffmpeg and has_ffmpeg():
        worst, mean = _difference(frames, _by_ffmpeg(cell, path), f"{cell.name} with ffmpeg")
        limit = cell.against_ffmpeg
        assert worst <= limit[0] and mean <= limit[1], ("ffmpeg", worst, mean)
        return f"equal to ffmpeg within {limit[0]:g}"
    return f"equal to its closed form within {cell.within[0]:g}"


def has_ffmpeg() -> bool:
    """Whether there is an ffmpeg program to compare with."""
    return shutil.which("ffmpeg") is not None


def _refused(cell: Cell, path: Path) -> str:
    said: list[str] = []
    for attempt in (lambda: probe(path, cell.how), lambda: read(path, how=cell.how)):
        try:
            attempt()
        except BadData as error:
            assert re.search(REFUSALS[cell.refused], error.message + (error.fix or "")), error
            assert str(path) in error.message and error.fix
            said.append(error.message)
        else:
            raise AssertionError(f"{cell.name} is not refused")
    return f"refused: {said[0].removeprefix(str(path)).strip()}"


def _difference(frames: Frames, right: Real | Frames, what: str) -> tuple[float, float]:
    assert frames.shape == right.shape, f"{what}: {frames.shape}, not {right.shape}"
    gap = np.abs(frames.astype(float) - np.clip(np.floor(right + 0.5), 0, 255))
    return float(gap.max()), float(gap.mean())


def _by_ffmpeg(cell: Cell, path: Path) -> Real:
    """What the ffmpeg program decodes, composed on the ground of the cell."""
    assert cell.truth is not None
    pattern = ("-pattern_type", "glob") if path.is_dir() else ()
    source = str(path / "*.png") if path.is_dir() else str(path)
    command = ["ffmpeg", "-v", "error", *cell.before, *pattern, "-i", source, *cell.after]
    command += [
        "-an",
        "-vsync",
        "passthrough",
        "-sws_flags",
        "bicubic+accurate_rnd+full_chroma_int",
    ]
    command += ["-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    rgba = np.frombuffer(done.stdout, np.uint8).reshape(-1, *cell.truth.shape[1:3], 4)
    if cell.how.ground is None:
        return rgba[..., :3].astype(float)
    return on_ground(rgba, cell.how.ground)
