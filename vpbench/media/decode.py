"""The only reader of clips: video files, gifs, npz, image strips, folders of frames.

What a file is follows from its contents, never from its name. A file that is cut off or corrupt is
an error, never a shorter clip.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media import images
from vpbench.media.images import read_image
from vpbench.media.kinds import Kind, Layout, Probe, Strips, kind

__all__ = ["VERSION", "Probe", "Strips", "probe", "read", "read_image", "versions"]

VERSION = 1
"""Raise it when the number, size or pixels of any clip can change."""

_LIBRARIES = ("av", "pillow")
"""Distributions whose codecs decide about pixels; another release may decode otherwise."""

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


def probe(path: StrPath, *, layout: Layout = "auto", frame: tuple[int, int] | None = None) -> Probe:
    """Decode a clip and describe its contents.

    Args:
        path: a video file, gif, npz or image, or a folder with the images of one clip.
        layout: for an image, "auto" takes a strip whose width is a whole number >= 4 of heights,
            "strips" any whole number, "frames" the image as a clip of one frame; for a folder,
            "auto" wants numbered names of one size without gaps, "frames" takes what is there.
        frame: width and height of the frames in a strip, where they are not square.

    Raises:
        MissingData: it is not there.
        BadData: it is cut off, corrupt, empty or of an unknown type.
    """
    where, how = Path(path), Strips(layout, frame)
    what = kind(where)
    if what in ("mov", "avi", "matroska"):
        from vpbench.media import video

        return video.probe(where, what)
    if what == "npz":
        from vpbench.media import arrays

        count, height, width, _ = arrays.read(where).shape
        return Probe(count, height, width, None, "lossless")
    if what == "folder":
        return _probe_folder(where, how)
    return _probe_image(where, what, how)


def read(
    path: StrPath,
    indices: Sequence[int] | None = None,
    *,
    layout: Layout = "auto",
    frame: tuple[int, int] | None = None,
) -> Frames:
    """Frames of a clip in the order of `indices` (all for None), uint8 [T,H,W,3].

    `layout` and `frame` as in `probe`.

    Raises:
        MissingData: it is not there.
        BadData: as `probe`, or an index outside of the clip.
    """
    where, how = Path(path), Strips(layout, frame)
    if indices is not None:
        indices = [int(i) for i in indices]
        if min(indices, default=0) < 0:
            raise BadData(f"{where}: frame {min(indices)} was asked for.")
    what = kind(where)
    if what in ("mov", "avi", "matroska"):
        from vpbench.media import video

        return video.read(where, what, indices)
    if what == "npz":
        from vpbench.media import arrays

        frames = arrays.read(where)
        _check_range(where, len(frames), indices)
        return frames if indices is None else frames[indices]
    if what == "folder":
        return _read_folder(where, how, indices)
    return _read_image_clip(where, what, how, indices)


def _check_range(path: Path, count: int, indices: Sequence[int] | None) -> None:
    if indices is not None and max(indices, default=-1) >= count:
        raise BadData(f"{path} has {count} frames; frame {max(indices)} was asked for.")


def _probe_image(path: Path, what: Kind, how: Strips) -> Probe:
    head = images.header(path)
    if what == "gif":
        from vpbench.media import gif

        blocks = gif.blocks(path)
        images.check_animation(path, len(blocks.delays))
        return gif.probe(blocks, head.height, head.width)
    if head.frames > 1:
        images.check_animation(path, head.frames)
        return Probe(head.frames, head.height, head.width, None, head.source)
    frames = images.read_strip(path, how, None)
    return Probe(len(frames), frames.shape[1], frames.shape[2], None, head.source)


def _read_image_clip(path: Path, what: Kind, how: Strips, indices: Sequence[int] | None) -> Frames:
    if what == "gif":
        from vpbench.media import gif

        count = len(gif.blocks(path).delays)
    else:
        head = images.header(path)
        count = head.frames
        if count == 1:
            strip, _ = images.strip_frame(path, head.height, head.width, how)
            _check_range(path, strip, indices)
            return images.read_strip(path, how, indices)
    _check_range(path, count, indices)
    return images.read_animation(path, count, indices)


def _frame_files(folder: Path, how: Strips) -> list[Path]:
    files = images.in_order(images.image_files(folder), how)
    if not files:
        raise BadData(f"{folder} holds no images.", fix="Give a folder of frames, or a file.")
    return files


def _probe_folder(folder: Path, how: Strips) -> Probe:
    files = _frame_files(folder, how)
    heads = [images.header(file) for file in files]
    for _ in _each(files):
        pass  # decoded to find broken files, one at a time to stay small
    source = "codec" if any(head.source == "codec" for head in heads) else "lossless"
    return Probe(len(files), heads[0].height, heads[0].width, None, source)


def _read_folder(folder: Path, how: Strips, indices: Sequence[int] | None) -> Frames:
    files = _frame_files(folder, how)
    _check_range(folder, len(files), indices)
    wanted = files if indices is None else [files[i] for i in indices]
    if not wanted:
        head = images.header(files[0])
        return np.empty((0, head.height, head.width, 3), np.uint8)
    return np.stack(list(_each(wanted)))


def _each(files: Sequence[Path]) -> Iterator[Frames]:
    first: tuple[int, ...] | None = None
    for file in files:
        picture = read_image(file)
        first = first or picture.shape
        if picture.shape != first:
            (h, w), (h0, w0) = picture.shape[:2], first[:2]
            raise BadData(
                f"{file} is {w}x{h} px, {files[0].name} is {w0}x{h0} px: "
                "the frames of a clip have one size.",
                fix="Resize it, or move it away.",
            )
        yield picture
