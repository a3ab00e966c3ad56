"""One video's joints as the movement of a rendered figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vpbench.api.types import Frames
from vpbench.data.penn.labels import Annotation
from vpbench.data.penn_puppets.joints import Points, filled, to_picture
from vpbench.data.puppets.backgrounds import Place, render_place
from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.figure import Track, body_shapes, make_track
from vpbench.data.puppets.looks import Look, draw_look
from vpbench.data.puppets.raster import new_canvas, paint_all
from vpbench.data.puppets.scene import draw_place, shade_floor

VERSION = 1
"""Part of every clip's seed; changes with anything that changes a pixel."""

_LOOKS = {"front": (0.0, 1.0), "back": (0.0, -1.0), "left": (-1.0, 0.0), "right": (1.0, 0.0)}
"""Which way the face looks: to the right of the picture, to the camera."""

_BONES = ((7, 9), (9, 11), (8, 10), (10, 12), (1, 3), (3, 5), (2, 4), (4, 6))
_SHARES = (0.23, 0.225, 0.23, 0.225, 0.166, 0.154, 0.166, 0.154)
"""Thighs, shins, upper arms and forearms, and their lengths in standing heights."""
_TRUNK = 0.28


@dataclass(frozen=True)
class Figure:
    """A figure and where it acts; everything but the frames that are asked for."""

    track: Track
    look: Look
    place: Place
    ground: int


def figure_of(annotation: Annotation, video: str, split: str, size: int) -> Figure:
    """Dress the person of a video: outfit and background belong to `split` alone."""
    draws = Draws(f"penn-puppets-{VERSION}/{video}")
    xy, _ = filled(annotation)
    joints = to_picture(xy, annotation.height, annotation.width, size)
    height = standing_height(joints[0], size)
    face = np.array(_LOOKS.get(annotation.viewpoint, _LOOKS["front"]))
    track = make_track(joints, None, _toes(joints, face, height), face, height)
    ground = int(track.joints[0, 11:13, 1].max()) + track.height // 25
    return Figure(
        track,
        draw_look(split, draws.child("look")),
        draw_place(split, draws.child("place")),
        ground,
    )


def render(figure: Figure, indices: Sequence[int], size: int) -> Frames:
    """Frames of the figure, uint8 [len(indices),size,size,3]."""
    whole, chosen = figure.track, list(indices)
    track = replace(
        whole,
        joints=whole.joints[chosen],
        depth=whole.depth[chosen],
        toes=whole.toes[chosen],
        face=whole.face[chosen],
        present=whole.present[chosen],
    )
    canvas = new_canvas(render_place(figure.place, size), len(chosen))
    shade_floor(canvas, track, figure.ground)
    paint_all(canvas, body_shapes(track, figure.look, size))
    return canvas.pixels()


def standing_height(joints: Points, size: int) -> float:
    """Standing height in pixels of a person who is seen in one pose, joints [13,2].

    Limbs look shorter the more they point at the camera, so the longest ones count: the third
    largest of the heights that trunk and limbs speak for, which is 1.1 of the height seen later
    (median of Penn Action's videos). Only the first frame is measured: how large the figure is
    drawn tells nothing of its future.
    """
    trunk = (joints[1] + joints[2] - joints[7] - joints[8]) / 2
    lengths = [_length(trunk) / _TRUNK]
    for (a, b), share in zip(_BONES, _SHARES, strict=True):
        lengths.append(_length(joints[a] - joints[b]) / share)
    return float(np.clip(sorted(lengths)[-3] / 1.1, size / 5, 2.0 * size))


def _toes(joints: Points, face: npt.NDArray[np.float64], height: float) -> Points:
    """Toes [L,2,2] below the ankles, forward where the person is seen from the side."""
    ankles = joints[:, 11:13]
    outward = np.sign(joints[:, 7:9, :1] - joints[:, 7:9, :1].mean(1, keepdims=True)) / 30
    ahead = np.where(face[0] != 0, face[0] / 13, outward)
    down = np.full_like(outward, 1 / 22)
    return ankles + np.concatenate([np.broadcast_to(ahead, down.shape), down], -1) * height


def _length(way: Points) -> float:
    """Of a vector [2]; sums and roots are the same everywhere, unlike hypot."""
    return float(np.sqrt(way[0] * way[0] + way[1] * way[1]))
