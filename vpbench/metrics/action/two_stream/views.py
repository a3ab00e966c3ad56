"""Frames and stacks of flow of clips as crops of a network's size."""

from __future__ import annotations

from collections.abc import Sequence
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
    """One clip for a recogniser, of which views are taken at the recogniser's size.

    A larger clip is resized at once, a smaller one when a view is taken: whichever is less to keep.

    Attributes:
        frames: uint8 [T,h,w,3].
        fields: float16 or float32 [T-1,h,w,2], encoded; computed at the clip's own size, where the
            flow is measured in its pixels.
        short: pixels of the short side of views.
    """

    frames: Frames
    fields: npt.NDArray[np.floating[Any]]
    short: int

    def pictures(self, times: Sequence[int]) -> Images:
        """Frames at the recogniser's size, uint8 [n,H,W,3]."""
        return _resized(self.frames[list(times)], self.short)

    def flows(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Flow fields at the recogniser's size, rounded to float16, float32 [stop-start,H,W,2]."""
        fields = _resized(self.fields[start:stop], self.short)
        return fields.astype(np.float16).astype(np.float32)


def material(clip: Frames, settings: Settings) -> Material:
    """Flow and frames of a clip uint8 [T,H,W,3], T above `STACK`."""
    fields = encode(flow_fields(clip, settings.flow))
    short = settings.short_side
    if min(clip.shape[1:3]) < short:
        return Material(clip, fields, short)
    return Material(_resized(clip, short), _resized(fields, short).astype(np.float16), short)


def clip_views(item: Material, stream: str, settings: Settings) -> Images:
    """What a stream recognises a clip by: centre crops, equally spaced, and their mirror images.

    Returns:
        [2n,crop,crop,C], n at most `views`.
    """
    if stream == "spatial":
        images: list[Images] = [*item.pictures(spaced(len(item.frames), settings.views))]
    else:
        fields = item.flows(0, len(item.fields))
        starts = spaced(len(fields) - STACK + 1, settings.views)
        images = [stack(fields, k) for k in starts]
    middle = np.stack([_centre(image, settings.crop) for image in images])
    return np.concatenate([middle, mirrored(middle, flow=stream == "temporal")])


def training_view(
    item: Material, stream: str, settings: Settings, rng: np.random.Generator
) -> Images:
    """One random crop of a clip: its time, its scale, its place, and whether it is mirrored."""
    if stream == "spatial":
        image: Images = item.pictures([int(rng.integers(len(item.frames)))])[0]
    else:
        start = int(rng.integers(len(item.fields) - STACK + 1))
        image = stack(item.flows(start, start + STACK), 0)
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
