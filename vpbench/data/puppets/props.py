"""Things that are held, lie about or fly: rackets, sticks, a barbell, a bar, balls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpbench.data.puppets.camera import Camera
from vpbench.data.puppets.figure import quantise
from vpbench.data.puppets.looks import Colour
from vpbench.data.puppets.raster import Shape
from vpbench.data.puppets.skeleton import Reals

STEEL: Colour = (112, 118, 130)
Part = tuple[Reals, Reals, float, float, Colour]
"""World ends [T,3], radii in standing heights, colour."""


def prop(
    camera: Camera,
    parts: list[Part],
    nearer: float = 0.0,
    fill: int = 256,
    seen: NDArray[np.bool_] | None = None,
    depth: Reals | None = None,
    rim: int = 7,
) -> Shape:
    """A shape from capsules in world axes; `nearer` moves it towards the camera (heights)."""
    ends = [(camera.project(a), camera.project(b)) for a, b, *_ in parts]
    scale = camera.height * 16.0
    thin = camera.size * 16 * 0.70 / 64

    def units(radius: float) -> int:
        return int(np.floor(max(radius * scale, thin) + 0.5))

    middle = (ends[0][0][1] + ends[0][1][1]) * 0.5 if depth is None else depth
    frames = len(middle)
    return Shape(
        a=np.stack([quantise(a[0]) for a, _ in ends], axis=1),
        b=np.stack([quantise(b[0]) for _, b in ends], axis=1),
        ra=np.array([units(p[2]) for p in parts], dtype=np.int64),
        rb=np.array([units(p[3]) for p in parts], dtype=np.int64),
        colours=np.array([p[4] for p in parts], dtype=np.int64),
        depth=quantise(middle + nearer * camera.height),
        seen=np.ones(frames, dtype=np.bool_) if seen is None else seen,
        rim=max(rim * camera.size // 64, 2),
        fill=fill,
        shade=60,
    )


def racket(camera: Camera, wrist: Reals, way: Reals, frame: Colour) -> list[Shape]:
    """A racket held at `wrist` [T,3] that points along the unit vectors `way` [T,3]."""
    handle = [(wrist - way * 0.02, wrist + way * 0.16, 0.013, 0.012, (92, 66, 54))]
    head = [(wrist + way * 0.215, wrist + way * 0.27, 0.068, 0.066, frame)]
    return [
        prop(camera, handle, 0.03, rim=4),
        prop(camera, head, 0.035, fill=84, rim=15),
    ]


def stick(camera: Camera, wrist: Reals, way: Reals, colour: Colour, length: float) -> list[Shape]:
    """A tapered stick: a club, a bat."""
    grip = wrist - way * 0.035
    return [
        prop(
            camera,
            [
                (grip, wrist + way * length, 0.013, 0.022, colour),
                (grip, wrist + way * 0.07, 0.014, 0.014, (70, 60, 58)),
            ],
            0.035,
            rim=5,
        )
    ]


def ball(camera: Camera, centre: Reals, seen: NDArray[np.bool_], colour: Colour) -> Shape:
    """A ball."""
    return prop(camera, [(centre, centre, 0.027, 0.027, colour)], 0.05, seen=seen, rim=4)


def barbell(camera: Camera, centre: Reals, plates: Colour) -> list[Shape]:
    """A barbell whose axis points to the figure's left; discs turn with the camera."""
    side = np.array([0.0, 0.0, 1.0])
    bar = prop(camera, [(centre - side * 0.45, centre + side * 0.45, 0.012, 0.012, STEEL)], rim=4)
    # a disc seen at an angle is an ellipse: its short half axis shows the axle's depth
    flat = max(abs(camera.sine) * 0.105, 0.026)
    tall = np.array([0.0, max(0.105 - flat, 0.001), 0.0])
    out = [bar]
    for at in (-0.36, 0.36):
        hub = centre + side * at
        edge = prop(
            camera, [(hub - tall, hub + tall, flat, flat, plates)], depth=camera.project(hub)[1]
        )
        core = prop(
            camera,
            [(hub - tall * 0.3, hub + tall * 0.3, flat * 0.36, flat * 0.36, STEEL)],
            0.004,
            depth=camera.project(hub)[1],
        )
        out += [edge, core]
    return out


def high_bar(camera: Camera, frames: int, height: float, colour: Colour) -> list[Shape]:
    """A horizontal bar on two posts."""

    def at(left: float, up: float) -> Reals:
        return np.tile(np.array([0.055, up, left]), (frames, 1))

    posts = [
        prop(camera, [(at(x, 0.0), at(x, height), 0.016, 0.016, colour)], rim=5)
        for x in (-0.46, 0.46)
    ]
    beam = prop(camera, [(at(-0.47, height), at(0.47, height), 0.015, 0.015, colour)], rim=5)
    return [*posts, beam]
