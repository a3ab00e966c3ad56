"""The frames of one video of Penn Action, checked against its annotation."""

from __future__ import annotations

from pathlib import Path

from vpbench.api.errors import BadData, MissingData
from vpbench.api.types import Frames
from vpbench.data.penn import layout
from vpbench.data.penn.labels import Annotation
from vpbench.media import decode, images

AGAIN = "Extract Penn_Action.tar.gz again."


def check_frames(folder: Path, annotation: Annotation) -> None:
    """All frames of a video are there, none is empty, and the first has the announced size.

    Raises:
        MissingData, BadData: names the folder or file.
    """
    if not folder.is_dir():
        raise MissingData(f"{folder} is not there.", fix=AGAIN)
    there = {p.name: p.stat().st_size for p in folder.iterdir() if p.suffix == ".jpg"}
    wanted = [p.name for p in layout.frame_files(folder, annotation.frames)]
    missing = [name for name in wanted if not there.get(name)]
    if missing:
        raise MissingData(
            f"{folder} has {len(wanted) - len(missing)} of {len(wanted)} frames; the first that "
            f"is missing or empty is {missing[0]}.",
            fix=AGAIN,
        )
    extra = sorted(there.keys() - set(wanted))
    if extra:
        raise BadData(
            f"{folder / extra[0]} is one frame more than the {annotation.frames} that the "
            "annotation lists.",
            fix="Remove it, or extract Penn_Action.tar.gz again.",
        )
    head = images.header(folder / wanted[0])
    if (head.height, head.width) != (annotation.height, annotation.width):
        raise BadData(
            f"{folder / wanted[0]} is {head.width}x{head.height} px, its annotation has "
            f"{annotation.width}x{annotation.height} px.",
            fix=AGAIN,
        )


def sized(path: Path, height: int, width: int) -> Frames:
    """One frame, uint8 [height,width,3].

    Raises:
        MissingData, BadData: it is not there, broken, or of another size.
    """
    frame = decode.read_image(path)
    if frame.shape[:2] != (height, width):
        raise BadData(
            f"{path} is {frame.shape[1]}x{frame.shape[0]} px, the first frame of its video is "
            f"{width}x{height} px.",
            fix=AGAIN,
        )
    return frame
