"""Static backgrounds from integers: twelve kinds of place, each with its own textures.

Everything is drawn at twice the size in units of 1/1024 of the picture and averaged, so a larger
picture shows the same place with more detail and edges are anti-aliased.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.looks import Colour
from vpbench.data.puppets.trig import ONE, SINE, STEPS

Ints = NDArray[np.int64]
UNIT = 1024
"""Units of a picture's side in all drawing functions of this module."""

PALETTES: tuple[tuple[Colour, Colour, Colour, Colour], ...] = (
    # wall or sky, its second colour, floor, accent
    ((188, 214, 234), (232, 240, 240), (134, 172, 104), (96, 140, 88)),
    ((246, 222, 190), (252, 240, 216), (196, 158, 112), (214, 128, 92)),
    ((206, 200, 222), (232, 224, 238), (138, 128, 158), (168, 120, 160)),
    ((196, 222, 208), (226, 240, 228), (120, 150, 132), (226, 150, 110)),
    ((222, 206, 190), (240, 228, 214), (150, 116, 92), (120, 146, 152)),
    ((76, 96, 124), (112, 140, 168), (62, 70, 86), (238, 196, 110)),
    ((94, 84, 112), (150, 124, 146), (70, 62, 84), (242, 160, 120)),
    ((248, 208, 168), (250, 170, 140), (112, 94, 110), (200, 96, 100)),
    ((176, 206, 210), (214, 230, 226), (206, 190, 150), (90, 158, 164)),
    ((228, 228, 222), (206, 208, 206), (160, 162, 164), (98, 120, 150)),
    ((160, 182, 152), (200, 214, 180), (110, 124, 88), (222, 196, 120)),
    ((214, 176, 176), (238, 208, 200), (142, 104, 108), (112, 128, 160)),
    ((134, 156, 180), (176, 192, 206), (104, 112, 116), (200, 172, 120)),
    ((240, 232, 206), (226, 214, 180), (176, 150, 104), (110, 150, 120)),
)


@dataclass(frozen=True)
class Place:
    """What a background is drawn from: kind and palette (owned by one split) and a seed."""

    kind: int
    palette: int
    seed: str
    horizon: int


@dataclass(frozen=True)
class Sheet:
    """The doubled picture while it is drawn: coordinates x [1,W], y [W,1] and rgb [W,W,3]."""

    x: Ints
    y: Ints
    rgb: NDArray[np.int32]

    def fill(self, mask: NDArray[np.bool_], colour: Colour, opacity: int = 256) -> None:
        """Blends a colour into the masked pixels; opacity out of 256."""
        side = self.rgb.shape[0]
        area = np.flatnonzero(np.broadcast_to(mask, (side, side)))
        flat = self.rgb.reshape(-1, 3)
        old = flat[area]
        flat[area] = old + (((np.array(colour, dtype=np.int32) - old) * opacity) >> 8)

    def add(self, mask: NDArray[np.bool_], amount: Ints) -> None:
        """Brightens (or darkens) the masked pixels by a field [W,W] of levels."""
        self.rgb[...] += np.where(mask, amount, 0).astype(np.int32)[..., None]


def render_place(place: Place, size: int) -> NDArray[np.uint8]:
    """uint8 [size,size,3]."""
    draws = Draws(place.seed)
    wall, second, floor, accent = PALETTES[place.palette]
    steps = (np.arange(2 * size, dtype=np.int64) * 2 + 1) * UNIT // (4 * size)
    sheet = Sheet(steps[None], steps[:, None], np.zeros((2 * size, 2 * size, 3), np.int32))
    _gradient(sheet, wall, second, 0, UNIT)
    KINDS[place.kind](sheet, draws, place, (wall, second, floor, accent))
    grain = noise(draws, sheet, 7) - 128
    sheet.rgb[...] += (grain * draws.between(4, 16) >> 8).astype(np.int32)[..., None]
    rgb = np.minimum(np.maximum(sheet.rgb, 0), 255)
    rgb = rgb[0::2, 0::2] + rgb[1::2, 0::2] + rgb[0::2, 1::2] + rgb[1::2, 1::2]
    return ((rgb + 2) >> 2).astype(np.uint8)


def noise(draws: Draws, sheet: Sheet, octave: int) -> Ints:
    """Smooth value noise 0..255 [W,W] with 2**octave cells a side, from raw sha256 bytes."""
    cells = 1 << octave
    side = cells + 1
    if octave > 4:  # a tiled lattice saves hashing and does not show at this scale
        small = np.frombuffer(draws.raw(32 * 32), np.uint8).astype(np.int64).reshape(32, 32)
        lattice = np.tile(small, (side // 32 + 1, side // 32 + 1))
    else:
        lattice = np.frombuffer(draws.raw(side * side), np.uint8).astype(np.int64)
        lattice = lattice.reshape(side, side)
    step = UNIT // cells
    x, y = sheet.x[0], sheet.y[:, 0]
    ix, iy = x // step, y // step
    fx, fy = _ease((x % step) * 256 // step)[None], _ease((y % step) * 256 // step)[:, None]
    rows = lattice[iy] * (256 - fy) + lattice[iy + 1] * fy
    return (rows[:, ix] * (256 - fx) + rows[:, ix + 1] * fx) >> 16


def _ease(f: Ints) -> Ints:
    return (f * f * (768 - 2 * f)) >> 16


def _wave(x: Ints, period: int, shift: int) -> Ints:
    """A sine of the given period, scaled to -256..256."""
    return SINE[((x + shift) * STEPS // period) % STEPS] * 256 // ONE


def _gradient(sheet: Sheet, top: Colour, bottom: Colour, y0: int, y1: int) -> None:
    """A vertical gradient between two heights."""
    y = sheet.y[:, 0]
    rows = np.flatnonzero((y >= y0) & (y <= y1))
    share = np.minimum(np.maximum((y[rows, None] - y0) * 256 // max(y1 - y0, 1), 0), 256)
    band = (np.array(top) * (256 - share) + np.array(bottom) * share) >> 8
    sheet.rgb[rows] = band[:, None]


def darker(colour: Colour, share: int) -> Colour:
    """The colour at `share` out of 256 of its brightness."""
    r, g, b = (v * share >> 8 for v in colour)
    return r, g, b


def _floor(sheet: Sheet, place: Place, colour: Colour, texture: Ints | None = None) -> None:
    """A floor below the horizon, lighter in front, with an optional texture of levels."""
    _gradient(sheet, darker(colour, 216), colour, place.horizon, UNIT)
    below = sheet.y >= place.horizon
    sheet.fill(
        (sheet.y >= place.horizon - 8) & (sheet.y < place.horizon + 4), darker(colour, 150), 150
    )
    if texture is not None:
        sheet.add(below, texture)


Palette = tuple[Colour, Colour, Colour, Colour]


def _blobs(
    sheet: Sheet, draws: Draws, colours: tuple[Colour, ...], count: int, top: int, bottom: int
) -> None:
    """Distractors: soft discs, boxes and triangles between two heights."""
    for _ in range(count):
        x, y, r = draws.below(UNIT), draws.between(top, bottom), draws.between(28, 110)
        dx, dy = sheet.x - x, sheet.y - y
        shape = draws.below(4)
        if shape == 0:
            mask = dx * dx + dy * dy < r * r
        elif shape == 1:
            mask = (abs(dx) < r) & (abs(dy) < draws.between(20, 110))
        elif shape == 2:
            mask = (dy > -r) & (dy < r) & (2 * abs(dx) < r + dy)
        else:
            mask = abs(dx) + abs(dy) < r
        sheet.fill(mask, draws.pick(colours), draws.between(70, 190))


def _meadow(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    clouds = noise(draws, sheet, 2) + noise(draws, sheet, 3) - 290
    sheet.add(sheet.y < place.horizon, np.clip(clouds, 0, 60))
    for step in range(3):
        base = place.horizon - 120 + 45 * step
        crest = base + (
            _wave(sheet.x, draws.between(500, 1200), draws.below(UNIT)) * draws.between(20, 60) >> 8
        )
        sheet.fill(sheet.y > crest, darker(p[3], 300 - 34 * step), 200)
    for _ in range(draws.between(1, 4)):
        _tree(sheet, draws, place.horizon, darker(p[3], draws.between(140, 220)))
    _floor(sheet, place, p[2], (noise(draws, sheet, 6) - 128) * 30 >> 7)


def _tree(sheet: Sheet, draws: Draws, ground: int, colour: Colour) -> None:
    x, r = draws.below(UNIT), draws.between(50, 120)
    top = ground - draws.between(150, 320)
    trunk = (abs(sheet.x - x) < r // 6) & (sheet.y > top) & (sheet.y < ground)
    sheet.fill(trunk, (104, 80, 62))
    dx, dy = sheet.x - x, sheet.y - top
    sheet.fill(dx * dx + dy * dy < r * r, colour)
    lit = (dx + r // 4) * (dx + r // 4) + (dy + r // 4) * (dy + r // 4) < r * r // 3
    sheet.fill(lit, darker(colour, 290), 130)


def _court(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    fence = ((sheet.x + sheet.y) % 64 < 7) | ((sheet.x - sheet.y) % 64 < 7)
    sheet.fill(fence & (sheet.y < place.horizon), darker(p[0], 190), 110)
    for k in range(draws.between(2, 5)):
        post = abs((sheet.x + draws.below(200)) % 400 - 200) < 10
        sheet.fill(post & (sheet.y < place.horizon) & (sheet.y > 200 + 40 * k), darker(p[0], 140))
    _floor(sheet, place, p[3], (noise(draws, sheet, 6) - 128) * 14 >> 7)
    for _ in range(2):
        y = draws.between(place.horizon + 25, 1000)
        sheet.fill(abs(sheet.y - y) < 9, (244, 244, 236), 200)
    tilt = draws.between(-80, 80)
    line = abs((sheet.x - draws.below(UNIT)) * 256 + (sheet.y - place.horizon) * tilt) < 9 * 256
    sheet.fill(line & (sheet.y > place.horizon), (244, 244, 236), 180)


def _gym(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    panel = draws.between(130, 260)
    sheet.fill((sheet.x % panel < 9) & (sheet.y < place.horizon), darker(p[0], 190), 160)
    band = draws.between(120, 420)
    sheet.fill((sheet.y > band) & (sheet.y < band + draws.between(40, 110)), p[3], 150)
    _blobs(sheet, draws, (p[3], p[1]), draws.between(1, 4), 120, place.horizon - 140)
    planks = np.where((sheet.y * 7 + sheet.x // 300 * 40) % 240 < 30, -22, 0)
    _floor(sheet, place, p[2], planks + ((noise(draws, sheet, 4) - 128) * 16 >> 7))


def _bricks(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    high = draws.between(44, 76)
    row = sheet.y // high
    tint = (noise(draws, sheet, 5) - 128) * 40 >> 7
    sheet.fill(sheet.y < place.horizon, p[3], draws.between(80, 220))
    sheet.add(sheet.y < place.horizon, tint)
    joint = (sheet.y % high < 9) | ((sheet.x + (row % 2) * high) % (2 * high) < 9)
    sheet.fill(joint & (sheet.y < place.horizon), p[1], 170)
    _floor(sheet, place, p[2], (noise(draws, sheet, 5) - 128) * 20 >> 7)


def _tiles(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    side = draws.between(70, 150)
    odd = (sheet.x // side + sheet.y // side) % 2 == 0
    sheet.fill(odd & (sheet.y < place.horizon), p[1], 200)
    grout = (sheet.x % side < 6) | (sheet.y % side < 6)
    sheet.fill(grout & (sheet.y < place.horizon), darker(p[0], 220), 200)
    depth = (sheet.y - place.horizon + 90) * 8
    checks = (
        ((sheet.x - 512) * 1024 // np.maximum(depth, 1) + 4096) // 60
        + 40960 // np.maximum(depth // 8, 1)
    ) % 2 == 0
    _floor(sheet, place, p[2])
    sheet.fill(checks & (sheet.y > place.horizon), darker(p[2], 210), 150)


def _curtain(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    folds = _wave(sheet.x, draws.between(60, 180), draws.below(UNIT))
    sway = _wave(sheet.y, draws.between(700, 1600), draws.below(UNIT)) >> 4
    folds = folds + _wave(sheet.x + sway, draws.between(110, 260), 0)
    sheet.fill(sheet.y < place.horizon, p[3], draws.between(30, 170))
    sheet.add(sheet.y < place.horizon, (folds * 18 >> 8) + 0 * sheet.y)
    _floor(sheet, place, p[2], (noise(draws, sheet, 4) - 128) * 18 >> 7)


def _studio(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    dx, dy = sheet.x - draws.between(300, 720), sheet.y - draws.between(250, 600)
    sheet.add(sheet.y >= 0, 30 - np.minimum((dx * dx + dy * dy) >> 13, 90))
    _blobs(sheet, draws, (p[1], p[3], p[2]), draws.between(2, 6), 60, place.horizon - 100)
    soft = np.clip((sheet.y - place.horizon + 60) * 2, 0, 200)
    target = np.array(p[2], dtype=np.int32) - sheet.rgb
    sheet.rgb[...] += (target * soft.astype(np.int32)[..., None]) >> 8


def _sunset(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    x, y, r = draws.below(UNIT), draws.between(150, place.horizon - 60), draws.between(60, 130)
    dx, dy = sheet.x - x, sheet.y - y
    sheet.add(sheet.y < place.horizon, np.clip(56 - ((dx * dx + dy * dy) >> 12), 0, 56))
    sheet.fill(dx * dx + dy * dy < r * r, (255, 236, 190), 220)
    for k in range(2):
        crest = (
            place.horizon
            - 90
            + 50 * k
            + (
                _wave(sheet.x, draws.between(240, 700), draws.below(UNIT)) * draws.between(16, 44)
                >> 8
            )
        )
        sheet.fill(sheet.y > crest, darker(p[2], 230 - 40 * k), 220)
    _floor(sheet, place, p[2], (noise(draws, sheet, 6) - 128) * 16 >> 7)


def _city(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    x = -draws.below(90)
    while x < UNIT:
        wide, top = draws.between(90, 220), draws.between(120, 560)
        body = (sheet.x >= x) & (sheet.x < x + wide) & (sheet.y > top)
        sheet.fill(body, darker(p[2], draws.between(200, 300)), 230)
        panes = ((sheet.x - x) % 44 > 16) & ((sheet.y - top) % 56 > 26)
        inside = (sheet.x > x + 10) & (sheet.x < x + wide - 12) & (sheet.y > top + 20)
        lights = ((sheet.x - x) // 44 * 7 + (sheet.y - top) // 56 * 5 + x) % 3 > 0
        sheet.fill(body & panes & inside & lights, p[3], 120)
        x += wide + draws.between(0, 50)
    _floor(sheet, place, darker(p[2], 280), (noise(draws, sheet, 5) - 128) * 14 >> 7)


def _confetti(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    side = draws.between(60, 110)
    row = sheet.y // side
    dx = (sheet.x + (row % 2) * (side // 2)) % side - side // 2
    dy = sheet.y % side - side // 2
    r = side * draws.between(18, 34) // 100
    sheet.fill(
        (dx * dx + dy * dy < r * r) & (sheet.y < place.horizon), p[3], draws.between(90, 180)
    )
    _blobs(sheet, draws, (p[1], p[2]), draws.between(0, 3), 100, place.horizon - 120)
    _floor(sheet, place, p[2], (noise(draws, sheet, 5) - 128) * 20 >> 7)


def _beach(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    sea = place.horizon - draws.between(90, 200)
    sheet.fill(sheet.y > sea, p[3], 220)
    foam = noise(draws, sheet, 5)
    sheet.add((sheet.y > sea) & (sheet.y < place.horizon), np.where(foam > 170, 34, 0))
    x, r = draws.below(UNIT), draws.between(60, 120)
    dx, dy = sheet.x - x, sheet.y - place.horizon + 180
    shade = (dx * dx + dy * dy < r * r) & (dy < 0)
    sheet.fill(shade, draws.pick(p), 230)
    sheet.fill((abs(dx) < 7) & (dy >= 0) & (sheet.y < place.horizon), (120, 100, 84))
    _floor(sheet, place, p[2], (noise(draws, sheet, 6) - 128) * 22 >> 7)


def _room(sheet: Sheet, draws: Draws, place: Place, p: Palette) -> None:
    for _ in range(draws.between(2, 5)):
        x, y = draws.below(UNIT), draws.between(80, 420)
        w, h = draws.between(60, 170), draws.between(60, 150)
        frame = (abs(sheet.x - x) < w) & (abs(sheet.y - y) < h)
        sheet.fill(frame, darker(p[2], 180))
        inner = (abs(sheet.x - x) < w - 16) & (abs(sheet.y - y) < h - 16)
        sheet.fill(inner, draws.pick((p[1], p[3], p[0])))
    skirting = (sheet.y > place.horizon - 46) & (sheet.y < place.horizon)
    sheet.fill(skirting, p[1], 220)
    planks = np.where((sheet.x + (sheet.y // 60) * 170) % 340 < 8, -26, 0)
    _floor(sheet, place, p[2], planks + ((noise(draws, sheet, 4) - 128) * 14 >> 7))


KINDS: tuple[Callable[[Sheet, Draws, Place, Palette], None], ...] = (
    _meadow,
    _court,
    _gym,
    _bricks,
    _tiles,
    _curtain,
    _studio,
    _sunset,
    _city,
    _confetti,
    _beach,
    _room,
)
