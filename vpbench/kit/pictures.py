"""Pictures of what a method does: contact sheets, keypoints drawn on frames."""

from __future__ import annotations

import colorsys
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from vpbench.api import Frames, Pose, UsageError

if TYPE_CHECKING:
    from vpbench.render.sheets import contact_sheet

__all__ = ["contact_sheet", "draw_keypoints", "point_colour"]

_GOLDEN = 0.6180339887498949
"""Steps of this part of the colour circle keep any number of neighbours apart."""


def __getattr__(name: str) -> Any:
    if name != "contact_sheet":
        raise AttributeError(f"module 'vpbench.kit.pictures' has no attribute {name!r}")
    from vpbench.render.sheets import contact_sheet

    return contact_sheet


def point_colour(k: int) -> tuple[int, int, int]:
    """RGB of keypoint `k`: bright, always the same, unlike that of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb((k * _GOLDEN) % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_keypoints(frames: Frames, keypoints: Pose, radius: int | None = None) -> Frames:
    """Draw keypoints on a copy of the frames, each in its own colour with a dark rim.

    Args:
        frames: uint8 [...,H,W,3].
        keypoints: float [...,K,3] in [-1,1]; those with confidence 0 or NaN are left out.
        radius: of a point, in pixels; by default 1/32 of the height, at least 1.

    Returns:
        uint8 [...,H,W,3].

    Raises:
        UsageError: the leading axes differ.
    """
    from PIL import Image, ImageDraw

    points = np.asarray(keypoints, dtype=np.float64)
    if frames.dtype != np.uint8 or frames.shape[-1:] != (3,) or points.shape[-1:] != (3,):
        raise UsageError("draw_keypoints wants uint8 [...,H,W,3] and keypoints [...,K,3].")
    if frames.shape[:-3] != points.shape[:-2]:
        raise UsageError(
            f"frames {list(frames.shape)} and keypoints {list(points.shape)} do not fit together."
        )
    height, width = frames.shape[-3:-1]
    size = max(1, height // 32) if radius is None else radius
    flat = np.array(frames).reshape(-1, height, width, 3)
    for image, pose in zip(flat, points.reshape(-1, *points.shape[-2:]), strict=True):
        canvas = Image.fromarray(image)
        pen = ImageDraw.Draw(canvas)
        for k, (x, y, confidence) in enumerate(pose.tolist()):
            # far outside there is nothing to see, and Pillow overflows
            if not (confidence > 0 and abs(x) < 8 and abs(y) < 8):
                continue
            column = math.floor((x + 1) / 2 * (width - 1) + 0.5)
            row = math.floor((y + 1) / 2 * (height - 1) + 0.5)
            box = (column - size, row - size, column + size, row + size)
            rim = (0, 0, 0) if size > 1 else None
            pen.ellipse(box, fill=point_colour(k), outline=rim)
        image[...] = np.asarray(canvas)
    return flat.reshape(frames.shape)
