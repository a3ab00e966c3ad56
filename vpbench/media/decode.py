"""The only reader of clips: video files, gifs, arrays, image strips, folders of frames.

What a file is follows from its contents, never from its name. A file that is cut off or corrupt is
an error, never a shorter clip. Whatever a reader composes, squares, converts or drops is in
`Probe.changes`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media import images
from vpbench.media.ground import Composer
from vpbench.media.kinds import WHITE, Change, Ground, Kind, Probe, Reading, kind
from vpbench.media.timing import Timeline

__all__ = ["VERSION", "Probe", "Reading", "probe", "read", "read_image", "versions"]

VERSION = 2
"""Raise it when the number, size or pixels of any clip can change."""

_LIBRARIES = ("av", "pillow")
"""Distributions whose codecs decide about pixels; another release may decode otherwise."""
_PLAIN = Reading()

StrPath = str | os.PathLike[str]


@functools.cache
def versions() -> dict[str, int | str]:
    """All that can change what a stored clip is decoded to; part of the key of every cache."""
    known: dict[str, int | str] = {"vpbench": VERSION}
    for name in _LIBRARIES:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            known[name] = ""
    return known


def probe(path: StrPath, how: Reading = _PLAIN) -> Probe:
    """Decode a clip and describe its contents.

    Args:
        path: a video file, gif, array or image, or a folder with the images of one clip.
        how: with layout "auto" an image whose width is a whole number >= 4 of heights is a strip,
            and a folder needs numbered names of one size without gaps; "strips" takes any whole
            number, "frames" an image as a clip of one frame and a folder as it is.

    Raises:
        MissingData: it is not there.
        BadData: it is cut off, corrupt, empty, wholly transparent, or of an unknown type.
    """
    where = Path(path)
    what = kind(where)
    found = _probe(where, what, how)
    if how.rate is None:
        return found
    frames = len(_schedule(where, what, how))
    changes: tuple[Change, ...] = tuple(c for c in found.changes if c != "variable")
    return replace(found, frames=frames, fps=float(how.rate), changes=changes)


def read(
    path: StrPath,
    indices: Sequence[int] | None = None,
    how: Reading = _PLAIN,
    each: Callable[[Frames], Frames] | None = None,
) -> Frames:
    """Frames of a clip in the order of `indices` (all for None), uint8 [T,H,W,3].

    Args:
        each: done to each frame [H,W,3]; of a video as soon as it is decoded, so that a long one of
            many pixels fits into memory when it is made smaller.

    Raises:
        MissingData: it is not there.
        BadData: as `probe`, or an index outside of the clip.
    """
    where = Path(path)
    if indices is not None:
        indices = [int(i) for i in indices]
        if min(indices, default=0) < 0:
            raise BadData(f"{where}: frame {min(indices)} was asked for.")
    what = kind(where)
    if how.rate is not None:
        schedule = _schedule(where, what, how)
        _check_range(where, len(schedule), indices)
        indices = schedule if indices is None else [schedule[i] for i in indices]
    if what in ("mov", "avi", "matroska"):
        from vpbench.media import video

        return video.read(where, what, indices, how.ground, each)
    frames = _read_still(where, what, how, indices)
    return frames if each is None or not len(frames) else np.stack([each(f) for f in frames])


def _read_still(path: Path, what: Kind, how: Reading, indices: Sequence[int] | None) -> Frames:
    """Frames of anything but a video."""
    if what in ("npz", "npy"):
        from vpbench.media import arrays

        frames = arrays.read(path, what, how)[0]
        _check_range(path, len(frames), indices)
        # Either is a copy, in memory and writable.
        return np.array(frames) if indices is None else np.asarray(frames[indices])
    if what == "folder":
        return _read_folder(path, how, indices)
    return _read_image_clip(path, what, how, indices)


def read_image(path: StrPath, ground: Ground | None = WHITE) -> Frames:
    """One picture, uint8 [H,W,3], upright; the first frame of an animation.

    Raises:
        MissingData: it is not there.
        BadData: it is not a readable picture of 8 bits.
    """
    return images.read_image(Path(path), Composer(ground))


def _probe(path: Path, what: Kind, how: Reading) -> Probe:
    if what in ("mov", "avi", "matroska"):
        from vpbench.media import video

        return video.probe(path, what, how.ground)
    if what in ("npz", "npy"):
        from vpbench.media import arrays

        frames, changes = arrays.read(path, what, how)
        count, height, width, _ = frames.shape
        return Probe(count, height, width, None, "lossless", changes)
    if what == "folder":
        return _probe_folder(path, how)
    return _probe_image(path, what, how)


def _schedule(path: Path, what: Kind, how: Reading) -> list[int]:
    """The stored frames that another rate shows."""
    assert how.rate is not None
    timeline: Timeline | None = None
    if what in ("mov", "avi", "matroska"):
        from vpbench.media import video

        timeline = video.timeline(path, what)
    elif what in ("gif", "image"):
        from vpbench.media import animation

        count = _count(path, what)
        timeline = animation.timeline(path, count) if count > 1 else None
    if timeline is None:
        raise BadData(
            f"{path} has no frame times, so that rate= has no meaning.", fix="Leave rate= out."
        )
    try:
        return timeline.resampled(how.rate)
    except ValueError as error:
        raise BadData(f"{path}: {error}.", fix="Give a lower rate=.") from None


def _check_range(path: Path, count: int, indices: Sequence[int] | None) -> None:
    if indices is not None and max(indices, default=-1) >= count:
        raise BadData(f"{path} has {count} frames; frame {max(indices)} was asked for.")


def _count(path: Path, what: Kind) -> int:
    """Stored frames of a picture file; 1 for a strip."""
    if what == "gif":
        from vpbench.media import gif

        return len(gif.blocks(path).delays)
    return images.header(path).frames


def _probe_image(path: Path, what: Kind, how: Reading) -> Probe:
    head, count = images.header(path), _count(path, what)
    composer = Composer(how.ground)
    if what == "gif" or count > 1:
        from vpbench.media import animation

        animation.check(path, count, composer)
        fps, variable = animation.rate(path, count)
        uneven: tuple[Change, ...] = ("variable",) if variable else ()
        changes = (*_transparent(composer), *uneven)
        return Probe(count, head.height, head.width, fps, head.source, changes)
    frames = images.read_strip(path, how, None, composer)
    composer.check(path)
    _, height, width, _ = frames.shape
    return Probe(len(frames), height, width, None, head.source, _transparent(composer))


def _transparent(composer: Composer) -> tuple[Change, ...]:
    return ("transparent",) if composer.transparent else ()


def _read_image_clip(path: Path, what: Kind, how: Reading, indices: Sequence[int] | None) -> Frames:
    count, composer = _count(path, what), Composer(how.ground)
    if what != "gif" and count == 1:
        head = images.header(path)
        strip, _ = images.strip_frame(path, head.height, head.width, how)
        _check_range(path, strip, indices)
        return images.read_strip(path, how, indices, composer)
    from vpbench.media import animation

    _check_range(path, count, indices)
    return animation.read(path, count, indices, composer)


def _frame_files(folder: Path, how: Reading) -> list[Path]:
    files = images.in_order(images.image_files(folder), how)
    if not files:
        raise BadData(f"{folder} holds no images.", fix="Give a folder of frames, or a file.")
    return files


def _probe_folder(folder: Path, how: Reading) -> Probe:
    files = _frame_files(folder, how)
    heads = [images.header(file) for file in files]
    composer = Composer(how.ground)
    for _ in _each(files, composer):
        pass  # decoded to find broken files, one at a time to stay small
    composer.check(folder)
    source = "codec" if any(head.source == "codec" for head in heads) else "lossless"
    size = heads[0].height, heads[0].width
    return Probe(len(files), *size, None, source, _transparent(composer))


def _read_folder(folder: Path, how: Reading, indices: Sequence[int] | None) -> Frames:
    files = _frame_files(folder, how)
    _check_range(folder, len(files), indices)
    wanted = files if indices is None else [files[i] for i in indices]
    if not wanted:
        head = images.header(files[0])
        return np.empty((0, head.height, head.width, 3), np.uint8)
    return np.stack(list(_each(wanted, Composer(how.ground))))


def _each(files: Sequence[Path], composer: Composer) -> Iterator[Frames]:
    first: tuple[int, ...] | None = None
    for file in files:
        picture = images.read_image(file, composer)
        first = first or picture.shape
        if picture.shape != first:
            (h, w), (h0, w0) = picture.shape[:2], first[:2]
            raise BadData(
                f"{file} is {w}x{h} px, {files[0].name} is {w0}x{h0} px: "
                "the frames of a clip have one size.",
                fix="Resize it, or move it away.",
            )
        yield picture
