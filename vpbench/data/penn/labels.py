"""Penn Action's annotation files: MATLAB 5, one a video."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, MissingData
from vpbench.data.penn.matlab import MatlabError, Variable, read_matlab

ACTIONS: dict[str, tuple[int, int]] = {
    "baseball_pitch": (1, 167),
    "baseball_swing": (168, 340),
    "bench_press": (341, 480),
    "bowl": (481, 700),
    "clean_and_jerk": (701, 788),
    "golf_swing": (789, 954),
    "jump_rope": (955, 1036),
    "jumping_jacks": (1037, 1148),
    "pullup": (1149, 1347),
    "pushup": (1348, 1558),
    "situp": (1559, 1658),
    "squat": (1659, 1889),
    "strum_guitar": (1890, 1983),
    "tennis_forehand": (1984, 2140),
    "tennis_serve": (2141, 2326),
}
"""The actions as the files spell them, with the numbers of their videos."""

VIDEOS = 2326
FRAMES = 163_841
"""Of all videos together."""

SPELLED = {"pullup": "pull_ups", "squat": "squats"}
"""Where the class names of the published comparison differ from the files' spelling."""

_KEYS = ("action", "pose", "x", "y", "visibility", "train", "bbox", "dimensions", "nframes")
_AGAIN = "Extract it again from the archive."


@dataclass(frozen=True, eq=False)
class Annotation:
    """The annotation of a video of L frames.

    Attributes:
        sha256: of the file's bytes.
        action: as the file spells it.
        viewpoint: front, back, left or right: which way the person looks.
        height, width: of the frames in pixels.
        xy: float64 [L,13,2], x right and y down in pixels, 0 = centre of the first pixel (the file
            counts from 1). Positions may lie outside of the picture.
        visible: bool [L,13].
        known: bool [L,13], whether a position was written at all: the file has (1,1), rarely
            (0,0), where it was not. Occluded joints often carry one; it is not reliable.
        boxes: float64 [L,4], x1 y1 x2 y2 as in the file (counted from 1).
        official_train: whether the video belongs to the data set's own training half.
    """

    sha256: str
    action: str
    viewpoint: str
    height: int
    width: int
    xy: npt.NDArray[np.float64]
    visible: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    boxes: npt.NDArray[np.float64]
    official_train: bool

    @property
    def frames(self) -> int:
        """L."""
        return len(self.xy)


def read_annotation(path: Path) -> Annotation:
    """Read one annotation file; the arrays are read-only.

    Raises:
        MissingData: it is not there.
        BadData: it is not such a file, or its parts do not fit each other.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingData(
            f"{path} is not there.", fix="Extract the folder labels of Penn_Action.tar.gz again."
        ) from None
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error
    return _annotation(path, data)


@functools.lru_cache(maxsize=64)
def _annotation(path: Path, data: bytes) -> Annotation:
    try:
        stored = read_matlab(data)
    except MatlabError as error:
        raise BadData(f"{path} is not a readable annotation file: {error}.", fix=_AGAIN) from error
    missing = [key for key in _KEYS if key not in stored]
    if missing:
        raise BadData(f"{path} has no {', '.join(missing)}.", fix=_AGAIN)
    action, viewpoint = (_text(path, stored, key) for key in ("action", "pose"))
    if action not in ACTIONS:
        raise BadData(f"{path} has the action {action!r}, none of Penn Action's.", fix=_AGAIN)
    # Some files hold coordinates in bytes: differences would wrap around.
    x, y, boxes = (_numbers(path, stored, key) for key in ("x", "y", "bbox"))
    visible = _numbers(path, stored, "visibility").astype(bool)
    height, width, frames = _counts(path, stored, "dimensions", 3)
    (count,) = _counts(path, stored, "nframes", 1)
    if not x.shape == y.shape == visible.shape == (frames, 13) or count != frames:
        raise BadData(
            f"{path} declares {frames} and {count} frames, and holds joints for "
            f"{', '.join(str(list(a.shape)) for a in (x, y, visible))}.",
            fix=_AGAIN,
        )
    if len(boxes) == frames - 1:  # two files end one box early
        boxes = np.concatenate([boxes, boxes[-1:]])
    if boxes.shape != (frames, 4) or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise BadData(
            f"{path} holds no box for each frame, or joints that are not numbers.", fix=_AGAIN
        )
    written = ~(((x == 1) & (y == 1)) | ((x == 0) & (y == 0)))
    annotation = Annotation(
        hashlib.sha256(data).hexdigest(),
        action,
        viewpoint,
        height,
        width,
        np.stack([x, y], -1) - 1.0,
        visible,
        written | visible,
        boxes,
        _numbers(path, stored, "train").ravel().tolist() == [1.0],
    )
    for array in (annotation.xy, annotation.visible, annotation.known, annotation.boxes):
        array.setflags(write=False)
    return annotation


def _text(path: Path, stored: Mapping[str, Variable], key: str) -> str:
    value = stored[key]
    if not isinstance(value, str):
        raise BadData(f"{path} has numbers for {key}, not a word.", fix=_AGAIN)
    return value


def _numbers(path: Path, stored: Mapping[str, Variable], key: str) -> npt.NDArray[np.float64]:
    value = stored[key]
    if isinstance(value, str):
        raise BadData(f"{path} has a word for {key}, not numbers.", fix=_AGAIN)
    return np.array(value, np.float64)


def _counts(path: Path, stored: Mapping[str, Variable], key: str, n: int) -> list[int]:
    """Numbers of pixels or frames: whole and at least 1."""
    values = _numbers(path, stored, key).ravel().tolist()
    if len(values) != n or not all(v.is_integer() and 1 <= v < 2**31 for v in values):
        raise BadData(f"{path} has {values} for {key}.", fix=_AGAIN)
    return [int(v) for v in values]
