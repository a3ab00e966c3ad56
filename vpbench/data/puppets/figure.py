"""From joints to painted shapes: the body of a figure, its clothes, and which joints are seen.

Only joints are needed; depth, toes and the way the face looks are hints that fall back to a
figure that faces the camera. So the same code draws the built-in performances and joints that
people annotated in real videos.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpbench.data.puppets.looks import Look
from vpbench.data.puppets.raster import Canvas, Ints, Shape

HEAD, TORSO = 1, 2
UPPER_ARM, FOREARM, THIGH, SHIN = (3, 4), (5, 6), (7, 8), (9, 10)
"""Numbers in the part buffer; pairs are (left, right)."""

SHOWN_BY: tuple[tuple[int, ...], ...] = (
    (HEAD,),
    (TORSO, UPPER_ARM[0]),
    (TORSO, UPPER_ARM[1]),
    (UPPER_ARM[0], FOREARM[0]),
    (UPPER_ARM[1], FOREARM[1]),
    (FOREARM[0],),
    (FOREARM[1],),
    (TORSO, THIGH[0]),
    (TORSO, THIGH[1]),
    (THIGH[0], SHIN[0]),
    (THIGH[1], SHIN[1]),
    (SHIN[0],),
    (SHIN[1],),
)
"""For each joint the parts that may lie at its pixel when it counts as visible."""


@dataclass(frozen=True)
class Track:
    """A figure over T frames in 1/16 px: joints [T,13,2], depth [T,13] (near is larger),
    toes [T,2,2], face [T,2] (to the right, to the camera; 256 = all of it), height (standing),
    present bool [T]."""

    joints: Ints
    depth: Ints
    toes: Ints
    face: Ints
    height: int
    present: NDArray[np.bool_]


def quantise(pixels: ArrayLike) -> Ints:
    """Pixels to the nearest 1/16 px (ties upward): the only door from reals to integers."""
    return np.floor(np.asarray(pixels, dtype=np.float64) * 16.0 + 0.5).astype(np.int64)


def make_track(
    joints: ArrayLike,
    depth: ArrayLike | None = None,
    toes: ArrayLike | None = None,
    face: ArrayLike | None = None,
    height: float | None = None,
    present: NDArray[np.bool_] | None = None,
) -> Track:
    """Quantises joints [T,13,2] in pixels and fills in what is not known.

    depth: [T,13] in pixels, near is larger. toes: [T,2,2] in pixels. face: [T,2] in [-1,1].
    height: standing height in pixels; by default from the longest trunk of the sequence.
    """
    points = quantise(joints)
    frames = len(points)
    tall = int(quantise(height)) if height is not None else _standing_height(points)
    if toes is None:
        ankle = points[:, 11:13]
        middle = (points[:, 7:8, 0] + points[:, 8:9, 0]) // 2
        outward = np.sign(points[:, 7:9, 0] - middle) * (tall // 30)
        feet = ankle + np.stack([outward, np.full_like(outward, tall // 22)], axis=-1)
    else:
        feet = quantise(toes)
    ahead = np.array([0, 256]) if face is None else np.floor(np.asarray(face) * 256.0 + 0.5)
    return Track(
        joints=points,
        depth=np.zeros((frames, 13), dtype=np.int64) if depth is None else quantise(depth),
        toes=feet,
        face=np.broadcast_to(ahead, (frames, 2)).astype(np.int64),
        height=tall,
        present=np.ones(frames, dtype=np.bool_) if present is None else present,
    )


def _standing_height(points: Ints) -> int:
    """Standing height in 1/16 px from the longest trunk (shoulders to hips is 0.28 of it)."""
    way = (points[:, 1] + points[:, 2] - points[:, 7] - points[:, 8]) // 2
    longest = int((way * way).sum(-1).max())
    return max(math.isqrt(longest) * 100 // 28, 64)


@dataclass(frozen=True)
class _Pen:
    """Makes shapes for one figure: lengths are in 1/1000 of the standing height."""

    track: Track
    build: int
    thinnest: int
    rim: int

    def radius(self, size: int, least: bool = True) -> int:
        scaled = size * self.track.height * self.build // 256000
        return max(scaled, self.thinnest) if least else max(scaled, 6)

    def shape(
        self,
        segments: list[tuple[Ints, Ints, int, int, tuple[int, int, int]]],
        depth: Ints,
        part: int,
        rim: int | None = None,
        shade: int = 48,
    ) -> Shape:
        a = np.stack([s[0] for s in segments], axis=1)
        b = np.stack([s[1] for s in segments], axis=1)
        return Shape(
            a=a,
            b=b,
            ra=np.array([s[2] for s in segments], dtype=np.int64),
            rb=np.array([s[3] for s in segments], dtype=np.int64),
            colours=np.array([s[4] for s in segments], dtype=np.int64),
            depth=depth,
            seen=self.track.present,
            part=part,
            rim=self.rim if rim is None else rim,
            shade=shade,
        )


def _mix(a: Ints, b: Ints, share: int) -> Ints:
    """The point at `share` out of 256 of the way from a to b."""
    return a + (((b - a) * share) >> 8)


def body_shapes(track: Track, look: Look, size: int, build: int = 256) -> list[Shape]:
    """All shapes of a figure; build scales thickness, 256 is average."""
    pen = _Pen(track, build, max(25 * size // 64, 12), max(9 * size // 64, 4))
    shapes = [*_trunk(pen, look), *_head(pen, look)]
    for side in (0, 1):
        shapes += _leg(pen, look, side)
        shapes += _arm(pen, look, side)
    return shapes


def _trunk(pen: _Pen, look: Look) -> list[Shape]:
    j, d = pen.track.joints, pen.track.depth
    middle = (d[:, 1] + d[:, 2] + d[:, 7] + d[:, 8]) // 4
    top, bottom = pen.radius(46), pen.radius(47)
    segments = []
    striped = {"centre": (2,), "sides": (0, 4)}.get(look.pattern, ())
    for step in range(5):
        upper = _mix(j[:, 1], j[:, 2], 34 + 47 * step)
        lower = _mix(j[:, 7], j[:, 8], -6 + 67 * step)
        upper = _mix(upper, lower, 20)
        wide = 14 if step == 2 else 0
        segments.append(
            (
                upper,
                lower,
                top + pen.radius(wide, False) if wide else top,
                bottom,
                look.trim if step in striped else look.shirt,
            )
        )
    hips = [(j[:, 7], j[:, 8], pen.radius(55), pen.radius(55), look.trousers)]
    return [
        pen.shape(
            hips, np.minimum((d[:, 7] + d[:, 8]) // 2, middle) - pen.track.height // 90, TORSO
        ),
        pen.shape(segments, middle, TORSO, shade=58),
    ]


def _head(pen: _Pen, look: Look) -> list[Shape]:
    track = pen.track
    j, d, tall = track.joints, track.depth, track.height
    head, near = j[:, 0], d[:, 0]
    chest = (j[:, 1] + j[:, 2]) // 2
    up = head - chest
    r = pen.radius(72)
    side = track.face[:, :1] * np.array([1, 0])
    out = [
        pen.shape(
            [(chest, _mix(chest, head, 180), pen.radius(34), pen.radius(32), look.skin)],
            near - tall // 20,
            HEAD,
        )
    ]
    crown = head + (up * 44 >> 8) - (side * r >> 10)
    back = near - (track.face[:, 1] * tall >> 13)
    cap = [(crown, crown, r * 272 >> 8, r * 272 >> 8, look.hair)]
    if look.hair_style == "bun":
        knot = head + (up * 190 >> 8) - (side * r >> 9)
        cap.append((knot, knot, r * 120 >> 8, r * 120 >> 8, look.hair))
    out.append(pen.shape(cap, back, HEAD, shade=50))
    if look.hair_style in ("long", "tail"):
        out.append(_falling_hair(pen, look, crown, r))
    face = head + (side * r * 60 >> 16)
    lifted = face + (up * -18 >> 8)
    forward = near + (track.face[:, 1] * tall >> 12)
    out.append(
        pen.shape(
            [(face, lifted, r * 226 >> 8, r * 214 >> 8, look.skin)],
            forward,
            HEAD,
            rim=max(pen.rim // 2, 2),
            shade=40,
        )
    )
    out.append(_eyes(pen, face, lifted, r, forward + 1))
    if look.hair_style == "cap":
        peak = head + (up * 120 >> 8)
        brim = head + (up * 84 >> 8) + (side * r * 300 >> 16)
        out.append(
            pen.shape(
                [
                    (peak, peak, r * 200 >> 8, r * 200 >> 8, look.trim),
                    (head + (up * 84 >> 8), brim, r * 130 >> 8, r * 90 >> 8, look.trim),
                ],
                forward + 1,
                HEAD,
            )
        )
    return out


def _falling_hair(pen: _Pen, look: Look, crown: Ints, r: int) -> Shape:
    """Hair down the back: behind the trunk when the figure faces us, before it otherwise."""
    track = pen.track
    head = track.joints[:, 0]
    chest = (track.joints[:, 1] + track.joints[:, 2]) // 2
    side = track.face[:, :1] * np.array([1, 0])
    if look.hair_style == "long":
        root, tip = crown, _mix(head, chest, 200) - (side * r >> 9)
        wide, narrow = r, r * 170 >> 8
    else:
        root, tip = crown - (side * r >> 8), _mix(head, chest, 170) - (side * r >> 7)
        wide, narrow = r * 100 >> 8, r * 60 >> 8
    depth = track.depth[:, 0] - (track.face[:, 1] * track.height >> 11)
    return pen.shape([(root, tip, wide, narrow, look.hair)], depth, HEAD, shade=50)


def _eyes(pen: _Pen, face: Ints, lifted: Ints, r: int, depth: Ints) -> Shape:
    """Two dark dots that turn with the head and vanish when it looks away."""
    gaze = pen.track.face
    centre = (face + lifted) // 2 + (gaze[:, :1] * np.array([1, 0]) * r * 110 >> 16)
    apart = gaze[:, 1:] * np.array([1, 0]) * r * 95 >> 16
    size = max(r * 32 >> 8, 6)
    dots = [(centre + way, centre + way, size, size, (78, 54, 52)) for way in (-apart, apart)]
    shape = pen.shape(dots, depth, HEAD, rim=2, shade=0)
    return replace(shape, seen=shape.seen & (gaze[:, 1] > 70))


def _leg(pen: _Pen, look: Look, side: int) -> list[Shape]:
    j, d = pen.track.joints, pen.track.depth
    hip, knee, ankle = j[:, 7 + side], j[:, 9 + side], j[:, 11 + side]
    low = (d[:, 9 + side] + d[:, 11 + side]) // 2 - pen.track.height // 60
    high = (d[:, 7 + side] + d[:, 9 + side]) // 2 - pen.track.height // 80
    bare = look.skin if look.legs == "shorts" else look.trousers
    at_hip, at_knee, at_ankle = pen.radius(56), pen.radius(42), pen.radius(34)
    thigh = [(hip, knee, at_hip, at_knee, look.trousers)]
    if look.legs == "shorts":
        hem = _mix(hip, knee, 150)
        thigh = [
            (hip, hem, at_hip * 270 >> 8, pen.radius(54), look.trousers),
            (_mix(hip, knee, 170), knee, pen.radius(47), at_knee, look.skin),
        ]
    shin = [(knee, ankle, at_knee, at_ankle, bare)]
    if look.legs == "leggings":
        shin.append((_mix(knee, ankle, 170), ankle, at_ankle + 1, at_ankle, look.skin))
    heel = ankle + np.array([0, pen.radius(12, False)])
    shoe = [(heel, pen.track.toes[:, side], pen.radius(34), pen.radius(27, False), look.shoes)]
    return [
        pen.shape(shin, low, SHIN[side]),
        pen.shape(shoe, low + 1, SHIN[side], shade=60),
        pen.shape(thigh, high, THIGH[side]),
    ]


def _arm(pen: _Pen, look: Look, side: int) -> list[Shape]:
    j, d, tall = pen.track.joints, pen.track.depth, pen.track.height
    shoulder, elbow, wrist = j[:, 1 + side], j[:, 3 + side], j[:, 5 + side]
    top, mid, end = pen.radius(43), pen.radius(37), pen.radius(34)
    long = look.sleeve == "long"
    upper = [(shoulder, elbow, top, mid, look.shirt if long else look.skin)]
    if look.sleeve == "short":
        upper = [
            (shoulder, _mix(shoulder, elbow, 130), top * 274 >> 8, mid * 276 >> 8, look.shirt),
            (_mix(shoulder, elbow, 150), elbow, mid, mid, look.skin),
        ]
    hand = wrist + ((wrist - elbow) * 50 >> 8)
    lower = [
        (elbow, wrist, mid, end, look.shirt if long else look.skin),
        (_mix(wrist, hand, 100), hand, pen.radius(35), pen.radius(37), look.skin),
    ]
    near = (d[:, 1 + side] + d[:, 3 + side]) // 2 + tall // 50
    nearer = (d[:, 3 + side] + d[:, 5 + side]) // 2 + tall // 40
    return [
        pen.shape(upper, near, UPPER_ARM[side]),
        pen.shape(lower, nearer, FOREARM[side]),
    ]


def visibility(track: Track, canvas: Canvas) -> NDArray[np.bool_]:
    """bool [T,13]: in the picture and not behind another part of the body."""
    size, parts = canvas.size, canvas.parts()
    place = (track.joints + 8) >> 4
    within = ((place >= 0) & (place < size)).all(-1)
    safe = np.clip(place, 0, size - 1)
    frames = np.arange(len(place))[:, None]
    owners = parts[frames, safe[..., 1], safe[..., 0]]
    shown = np.zeros(owners.shape, dtype=np.bool_)
    for joint, allowed in enumerate(SHOWN_BY):
        for part in allowed:
            shown[:, joint] |= owners[:, joint] == part
    # the far shoulder or hip lies behind the trunk although the trunk is what it belongs to
    for pair in ((1, 2), (7, 8)):
        for joint, other in (pair, pair[::-1]):
            behind = track.depth[:, other] - track.depth[:, joint] > track.height * 90 // 1000
            shown[:, joint] &= ~(behind & (owners[:, joint] == TORSO))
    return shown & within & track.present[:, None]
