"""An integer rasteriser: anti-aliased, shaded unions of tapered capsules.

No floating-point number enters the pixel path: points and radii are integers in 1/16 px,
coverage and shades are integers out of 256, and every operation is an integer sum, product,
shift, minimum or comparison. The same inputs give the same bytes everywhere.

A `Shape` is painted into all frames of a clip at once. It is the union of capsules (segments with
a radius at each end), so that a bent limb or a trunk has one contour; each pixel takes the colour
of the capsule it lies deepest in, is shaded as a round body lit from the upper left, and darkens
towards the contour.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SUB = 16
"""Units of a pixel in all coordinates passed to this module."""

_BYTES = 255 | 255 << 21 | 255 << 42
_ONES = 1 | 1 << 21 | 1 << 42

RIM_TONE = 174
"""Brightness of a contour, out of 256."""


@dataclass(frozen=True)
class Shape:
    """A union of S capsules over T frames.

    a, b: int64 [T,S,2], ends in 1/16 px; ra, rb: int64 [S], radii in 1/16 px;
    colours: int64 [S,3], 0..255; part: number written to the part buffer (0 writes nothing);
    rim: width of the dark contour in 1/16 px; shade: strength of the light, out of 256;
    fill: opacity of the inside, out of 256 (a racket's strings); depth: int64 [T], near is larger;
    seen: bool [T].
    """

    a: Ints
    b: Ints
    ra: Ints
    rb: Ints
    colours: Ints
    depth: Ints
    seen: NDArray[np.bool_]
    part: int = 0
    rim: int = 10
    shade: int = 44
    fill: int = 256


@dataclass(frozen=True)
class Canvas:
    """Pixels of a clip and the body part that each of them shows.

    rgb: int64 [T*S*S], three levels packed in fields of 21 bits, so that one integer operation
    blends all three; part: uint8 [T*S*S].
    """

    frames: int
    size: int
    rgb: Ints
    part: NDArray[np.uint8]

    def pixels(self) -> NDArray[np.uint8]:
        """uint8 [T,S,S,3]."""
        out = np.stack([self.rgb, self.rgb >> 21, self.rgb >> 42], axis=-1).astype(np.uint8)
        return out.reshape(self.frames, self.size, self.size, 3)

    def parts(self) -> NDArray[np.uint8]:
        """uint8 [T,S,S]."""
        return self.part.reshape(self.frames, self.size, self.size)


def pack(rgb: NDArray[np.integer]) -> Ints:
    """Levels [...,3] in 0..255 to packed integers [...]."""
    wide = rgb.astype(np.int64)
    return wide[..., 0] | wide[..., 1] << 21 | wide[..., 2] << 42


def new_canvas(background: NDArray[np.uint8], frames: int) -> Canvas:
    """A canvas with the same background uint8 [S,S,3] in every frame."""
    size = background.shape[0]
    rgb = np.tile(pack(background).reshape(-1), frames)
    return Canvas(frames, size, rgb, np.zeros(frames * size * size, dtype=np.uint8))


@dataclass(frozen=True)
class _Fragments:
    """Pixels that one shape touches: cell in the canvas, coverage 1..256, packed colour, and the
    position of the shape in its frame's order from far to near."""

    cell: Ints
    cover: NDArray[np.int32]
    colour: Ints
    rank: NDArray[np.int16]
    part: NDArray[np.uint8]


def paint_all(canvas: Canvas, shapes: list[Shape]) -> None:
    """Paints shapes from far to near, with an order of its own in each frame.

    What a shape covers does not depend on the order, so that is computed shape by shape for all
    frames at once; only the blending goes through the order.
    """
    depth = np.stack([shape.depth for shape in shapes])
    order = np.argsort(depth, axis=0, kind="stable")
    rank = np.argsort(order, axis=0, kind="stable").astype(np.int16)
    fragments = [
        fragments
        for shape, ranks in zip(shapes, rank, strict=True)
        if (fragments := _cover(canvas, shape, ranks)) is not None
    ]
    if not fragments:
        return
    ranks = np.concatenate([f.rank for f in fragments])
    turn = np.argsort(ranks, kind="stable")
    cell = np.concatenate([f.cell for f in fragments])[turn]
    cover = np.concatenate([f.cover for f in fragments])[turn]
    colour = np.concatenate([f.colour for f in fragments])[turn]
    part = np.concatenate([f.part for f in fragments])[turn]
    stops = np.searchsorted(ranks[turn], np.arange(len(shapes) + 1))
    for low, high in pairwise(stops):
        where = cell[low:high]
        here = cover[low:high]
        mixed = canvas.rgb[where] * (256 - here) + colour[low:high] * here
        canvas.rgb[where] = (mixed >> 8) & _BYTES
        solid = (here >= 128) & (part[low:high] > 0)
        canvas.part[where[solid]] = part[low:high][solid]


def _cover(canvas: Canvas, shape: Shape, ranks: NDArray[np.int16]) -> _Fragments | None:
    """Coverage and colour of one shape in all frames where it is seen."""
    frames = np.flatnonzero(shape.seen)
    if not len(frames):
        return None
    size, a, b = canvas.size, shape.a[frames], shape.b[frames]
    # three quarters of a pixel around the contour: coverage ends half a pixel outside of it
    low = ((np.minimum(a - shape.ra[:, None], b - shape.rb[:, None]).min(1) - 12) >> 4) + 1
    high = (np.maximum(a + shape.ra[:, None], b + shape.rb[:, None]).max(1) + 12) >> 4
    width, height = (min(int(v), size) for v in (high - low).max(0) + 1)
    x0 = np.minimum(np.maximum(low[:, 0], 0), size - width)
    y0 = np.minimum(np.maximum(low[:, 1], 0), size - height)
    px = x0[:, None] + np.arange(width)
    py = y0[:, None] + np.arange(height)
    inside, light, which = _union(px * SUB, py * SUB, a, b, shape)
    place = np.flatnonzero(inside > -128)
    if not len(place):
        return None
    row = place // width
    frame = row // height
    cell = (frames[frame] * size + py.reshape(-1)[row]) * size + px[frame, place - row * width]
    depth_in = inside.reshape(-1)[place] + 128
    cover = np.minimum(depth_in, 256)
    inner = np.minimum(np.maximum(depth_in - shape.rim * 16, 0), 256)
    lit = np.minimum(np.maximum(light.reshape(-1)[place], -256), 256)
    glow = (256 - RIM_TONE) + ((lit * shape.shade) >> 8)
    tone = RIM_TONE + ((glow * inner) >> 8)
    palette = pack(shape.colours)
    base = palette[0] if which is None else palette[which.reshape(-1)[place]]
    bright = (base * tone) >> 8
    colour = (bright | ((bright >> 8) & _ONES) * 255) & _BYTES  # saturates at 255
    if shape.fill < 256:
        cover = cover - ((inner * (256 - shape.fill)) >> 8)
    part = np.full(len(place), shape.part, dtype=np.uint8)
    return _Fragments(cell, cover, colour, ranks[frames][frame], part)


def _union(
    px: Ints, py: Ints, a: Ints, b: Ints, shape: Shape
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int8] | None]:
    """Signed distance to the contour (1/256 px, inside positive), light, and capsule, [N,h,w]."""
    radii = [(int(ra), int(rb)) for ra, rb in zip(shape.ra, shape.rb, strict=True)]
    inside, light = _capsule(px, py, a[:, 0], b[:, 0], *radii[0])
    count = a.shape[1]
    if count == 1:
        return inside, light, None
    which = np.zeros(inside.shape, dtype=np.int8)
    for k in range(1, count):
        other, glow = _capsule(px, py, a[:, k], b[:, k], *radii[k])
        deeper = other > inside
        inside = np.where(deeper, other, inside)
        light = np.where(deeper, glow, light)
        which[deeper] = k
    return inside, light, which


def _capsule(
    px: Ints, py: Ints, a: Ints, b: Ints, ra: int, rb: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Signed distance to one tapered capsule and its light (about -256..256), int32 [N,h,w].

    The distance is (r^2 - d^2) / 2r, which is exact at the contour and needs no square root.
    """
    dx, dy = px - a[:, 0:1], py - a[:, 1:2]
    ux, uy = (b - a)[:, 0:1], (b - a)[:, 1:2]
    length2 = ux * ux + uy * uy
    scale = (1 << 46) // np.maximum(length2, 1)
    inverse = (1 << 24) // max((ra + rb) << 3, 16)  # of the mean radius in 1/256 px
    ex, ey = (dx << 4)[:, None, :], (dy << 4)[:, :, None]
    if length2.any():
        along = (dx * ux)[:, None, :] + (dy * uy)[:, :, None]
        along = np.minimum(np.maximum(along, 0), length2[:, :, None])
        share = (along * scale[:, :, None]) >> 36  # 0..1024 along the axis
        ex = ex - ((share * ux[:, :, None]) >> 6)  # 1/256 px
        ey = ey - ((share * uy[:, :, None]) >> 6)
        radius = (ra << 4) + ((share * (rb - ra)) >> 6) if ra != rb else ra << 4
    else:
        radius = ra << 4
    gap = radius * radius - (ex * ex + ey * ey)
    inside = ((gap * inverse) >> 25).astype(np.int32)
    light = ((ex * 3 + ey * 4) * -(inverse // 5)) >> 16
    return inside, light.astype(np.int32)


def paint_shadow(canvas: Canvas, centre: Ints, radii: Ints, strength: Ints) -> None:
    """Darkens a soft ellipse in each frame: centre, radii int64 [T,2] in 1/16 px, strength [T]."""
    size = canvas.size
    low = (centre - radii) >> 4
    width, height = (min(int(v), size) for v in (((2 * radii) >> 4) + 2).max(0))
    x0 = np.minimum(np.maximum(low[:, 0], 0), size - width)
    y0 = np.minimum(np.maximum(low[:, 1], 0), size - height)
    dx = (x0[:, None] + np.arange(width)) * SUB - centre[:, 0:1]
    dy = (y0[:, None] + np.arange(height)) * SUB - centre[:, 1:2]
    qx = (dx * dx * 256) // np.maximum(radii[:, 0:1] * radii[:, 0:1], 1)
    qy = (dy * dy * 256) // np.maximum(radii[:, 1:2] * radii[:, 1:2], 1)
    soft = np.maximum(256 - qx[:, None, :] - qy[:, :, None], 0)
    keep = 256 - ((soft * strength[:, None, None]) >> 8)
    rows = (
        np.arange(len(centre))[:, None, None] * size
        + y0[:, None, None]
        + np.arange(height)[:, None]
    ) * size
    cells = (rows + x0[:, None, None] + np.arange(width)).reshape(-1)
    canvas.rgb[cells] = (canvas.rgb[cells] * keep.reshape(-1)) >> 8 & _BYTES
