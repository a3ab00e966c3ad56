"""Keypoints drawn on frames, each in a colour of its own that never changes."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames, Pose

_GOLDEN = 0.6180339887498949
"""Steps of this part of the colour circle keep any number of neighbours apart."""
_FAR = 8.0
"""Points further out are not drawn: there is nothing to see, and Pillow overflows."""


def point_colour(k: int) -> tuple[int, int, int]:
    """RGB of keypoint `k`: bright, always the same, unlike that of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb((k * _GOLDEN) % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def enlarged(frames: Frames, zoom: int) -> Frames:
    """Every pixel repeated `zoom` x `zoom` times: uint8 [...,H,W,3] to [...,H*zoom,W*zoom,3]."""
    return frames if zoom == 1 else frames.repeat(zoom, axis=-3).repeat(zoom, axis=-2)


def dimmed(frames: Frames) -> Frames:
    """Frames with a third of their contrast and half of their colour: points on them stand out.

    Levels lie in 30 .. 115, so that dark scenes can still be seen.
    """
    wide = frames.astype(np.uint16)
    grey = wide.sum(axis=-1, keepdims=True) // 3
    return (30 + (wide + grey) // 6).astype(np.uint8)


def places(pose: Pose, height: int, width: int, zoom: int = 1) -> list[tuple[int, float, float]]:
    """Where the points of one frame lie on its enlarged picture.

    Args:
        pose: float [K,3] in [-1,1].
        height, width: of the frame before it is enlarged, in pixels.
        zoom: screen pixels for a pixel.

    Returns:
        (k, x, y) in screen pixels, 0 = centre of the first one; points with confidence 0, NaN, or
        far outside are left out.
    """
    points: list[tuple[int, float, float]] = []
    for k, (x, y, confidence) in enumerate(np.asarray(pose, np.float64).tolist()):
        if not (confidence > 0 and abs(x) < _FAR and abs(y) < _FAR):
            continue
        column, row = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
        points.append((k, (column + 0.5) * zoom - 0.5, (row + 0.5) * zoom - 0.5))
    return points


def point_radius(height: int) -> int:
    """Radius of a point on a picture of this height, in pixels."""
    return max(1, height // 32)


def draw_keypoints(
    frames: Frames, keypoints: Pose, radius: int | None = None, zoom: int = 1
) -> Frames:
    """Draw keypoints on a copy of the frames, each in its own colour with a dark rim.

    Args:
        frames: uint8 [...,H,W,3].
        keypoints: float [...,K,3] in [-1,1]; those with confidence 0 or NaN are left out.
        radius: of a point, in pixels; by default 1/32 of the drawn height, at least 1.
        zoom: the frames are enlarged first, so that points on small frames stay round.

    Returns:
        uint8 [...,H*zoom,W*zoom,3].

    Raises:
        UsageError: the leading axes differ, or `zoom` is less than 1.
    """
    from PIL import Image, ImageDraw

    points = np.asarray(keypoints, dtype=np.float64)
    if frames.dtype != np.uint8 or frames.shape[-1:] != (3,) or points.shape[-1:] != (3,):
        raise UsageError("draw_keypoints takes uint8 [...,H,W,3] and keypoints [...,K,3].")
    if frames.shape[:-3] != points.shape[:-2]:
        raise UsageError(
            f"frames {list(frames.shape)} and keypoints {list(points.shape)} do not fit together."
        )
    if zoom < 1:
        raise UsageError(f"zoom={zoom} must be at least 1.")
    height, width = frames.shape[-3:-1]
    large = enlarged(np.array(frames), zoom)
    size = point_radius(height * zoom) if radius is None else radius
    flat = large.reshape(-1, height * zoom, width * zoom, 3)
    for image, pose in zip(flat, points.reshape(-1, *points.shape[-2:]), strict=True):
        canvas = Image.fromarray(image)
        pen = ImageDraw.Draw(canvas)
        for k, x, y in places(pose, height, width, zoom):
            column, row = math.floor(x + 0.5), math.floor(y + 0.5)
            box = (column - size, row - size, column + size, row + size)
            rim = (0, 0, 0) if size > 1 else None
            pen.ellipse(box, fill=point_colour(k), outline=rim)
        image[...] = np.asarray(canvas)
    return flat.reshape(large.shape)
