"""Transparent pixels: composed on one ground, so that a clip looks here as it looks in a player."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media.kinds import Ground


def compose(rgba: Frames, ground: Ground) -> Frames:
    """Straight alpha over one colour: (c a + g (255 - a)) / 255, rounded half up.

    Args:
        rgba: uint8 [...,4].

    Returns:
        uint8 [...,3].
    """
    out = np.ascontiguousarray(rgba[..., :3])
    alpha = rgba[..., 3]
    out[alpha == 0] = ground
    between = (alpha > 0) & (alpha < 255)  # most pixels of most pictures are one or the other
    some = rgba[between].astype(np.uint32)
    colour, share = some[:, :3], some[:, 3:]
    behind = np.array(ground, np.uint32)
    out[between] = (2 * (colour * share + behind * (255 - share)) + 255) // 510
    return out


class Composer:
    """Composes the frames of one clip and remembers what it saw.

    Attributes:
        transparent: whether any pixel so far was not opaque.
    """

    def __init__(self, ground: Ground | None) -> None:
        self.ground = ground
        self.transparent = False
        self._visible = False
        self._frames = 0

    def rgb(self, rgba: Frames) -> Frames:
        """A frame uint8 [H,W,4] as uint8 [H,W,3]; alpha is dropped without a ground."""
        if self.ground is None:
            return np.ascontiguousarray(rgba[..., :3])
        alpha = rgba[..., 3]
        self._frames += 1
        self._visible = self._visible or bool(alpha.any())
        if alpha.min(initial=255) == 255:
            return np.ascontiguousarray(rgba[..., :3])
        self.transparent = True
        return compose(rgba, self.ground)

    def opaque(self) -> None:
        """Count a frame that has no alpha."""
        self._visible = True

    def check(self, path: Path) -> None:
        """Refuse a clip of which nothing can be seen: its alpha was hardly meant.

        Raises:
            BadData: every pixel of every frame is wholly transparent.
        """
        if self._frames and not self._visible:
            raise BadData(
                f"{path} is wholly transparent: a player would show nothing.",
                fix="Give ground=none to read the colours beneath, or save it without alpha.",
            )
