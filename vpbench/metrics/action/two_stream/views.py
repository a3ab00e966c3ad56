"""Frames and stacks of flow of clips as crops of a network's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Frames
from vpbench.metrics.action.two_stream.flow import (
    STACK,
    encode,
    mirrored,
    spaced,
    stack,
)
from vpbench.metrics.action.two_stream.settings import Settings
from vpbench.metrics.flow import flow_fields

Images = npt.NDArray[Any]
"""[N,H,W,C]."""


@dataclass(frozen=True, eq=False)
class Material:
    """One clip at the recogniser's size.

    Attributes:
        frames: uint8 [T,H,W,3], short side as the settings say.
        fields: float16 [T-1,H,W,2], encoded; computed at the clip's own size, where the flow is
            measured in its pixels, and resized after.
    """

    frames: Frames
    fields: npt.NDArray[np.float16]


def material(clip: Frames, settings: Settings) -> Material:
    """Flow and resized frames of a clip uint8 [T,H,W,3], T above `STACK`."""
    fields = encode(flow_fields(clip, settings.flow))
    short = settings.short_side
    return Material(_resized(clip, short), _resized(fields, short).astype(np.float16))


def clip_views(item: Material, stream: str, settings: Settings) -> Images:
    """What a stream recognises a clip by: centre crops, equally spaced, and their mirror images.

    Returns:
        [2n,crop,crop,C], n at most `views`.
    """
    if stream == "spatial":
        images: list[Images] = [item.frames[t] for t in spaced(len(item.frames), settings.views)]
    else:
        fields = item.fields.astype(np.float32)
        starts = spaced(len(fields) - STACK + 1, settings.views)
        images = [stack(fields, k) for k in starts]
    middle = np.stack([_centre(image, settings.crop) for image in images])
    return np.concatenate([middle, mirrored(middle, flow=stream == "temporal")])


def training_view(
    item: Material, stream: str, settings: Settings, rng: np.random.Generator
) -> Images:
    """One random crop of a clip: its time, its scale, its place, and whether it is mirrored."""
    if stream == "spatial":
        image: Images = item.frames[int(rng.integers(len(item.frames)))]
    else:
        start = int(rng.integers(len(item.fields) - STACK + 1))
        image = stack(item.fields.astype(np.float32), start)
    short = min(image.shape[:2])
    side = max(2, round(short * settings.scales[int(rng.integers(len(settings.scales)))]))
    top, left = (int(rng.integers(n - side + 1)) for n in image.shape[:2])
    crop = _to(image[top : top + side, left : left + side], (settings.crop, settings.crop))
    return mirrored(crop, flow=stream == "temporal") if rng.random() < 0.5 else crop


def _centre(image: Images, side: int) -> Images:
    top, left = ((n - side) // 2 for n in image.shape[:2])
    return image[top : top + side, left : left + side]


def _resized(images: Images, short: int) -> Images:
    """[T,H,W,C] with another short side; values as they are."""
    height, width = images.shape[1:3]
    if min(height, width) == short:
        return images
    scale = short / min(height, width)
    size = (max(short, round(height * scale)), max(short, round(width * scale)))
    return np.stack([_to(image, size) for image in images])


def _to(image: Images, size: tuple[int, int]) -> Images:
    """[H,W,C] at another size: area means when it shrinks, bilinear when it grows."""
    import cv2

    if image.shape[:2] == size:
        return image
    rule = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_LINEAR
    # OpenCV's area means are for four channels at most.
    parts = [np.ascontiguousarray(image[..., k : k + 4]) for k in range(0, image.shape[2], 4)]
    made = [cv2.resize(part, (size[1], size[0]), interpolation=rule) for part in parts]
    return np.concatenate([part.reshape(*size, -1) for part in made], axis=2)
