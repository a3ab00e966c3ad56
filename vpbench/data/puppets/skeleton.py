"""The body: thirteen joints in Penn Action's order, proportions, and the pose solver.

World axes are (forward, up, left) as the figure sees them at rest; lengths are in standing
heights, the floor is at up = 0. All arithmetic is IEEE 754 sums, products, quotients and square
roots (each correctly rounded) and the sine table of `trig`: the same bits on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.trig import cos_deg, sin_deg

Reals = NDArray[np.float64]

JOINT_NAMES: tuple[str, ...] = (
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""Penn Action's joints in the order of its label files; left and right are anatomical."""

FLIP_PAIRS: tuple[tuple[int, int], ...] = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12))
"""Pairs of joints that change places when a picture is mirrored."""

BONES: tuple[tuple[int, int], ...] = (
    (1, 2),
    (1, 3),
    (3, 5),
    (2, 4),
    (4, 6),
    (1, 7),
    (2, 8),
    (7, 8),
    (7, 9),
    (9, 11),
    (8, 10),
    (10, 12),
)
"""Pairs of joints to connect when a skeleton is drawn."""


def flip_order() -> NDArray[np.int64]:
    """int64 [13]: the order of joints after a flip; applying it twice is the identity."""
    order = np.arange(len(JOINT_NAMES), dtype=np.int64)
    for left, right in FLIP_PAIRS:
        order[left], order[right] = right, left
    return order


@dataclass(frozen=True)
class Proportions:
    """Lengths of one body in standing heights (soles to the top of the hair = 1)."""

    ankle: float
    shin: float
    thigh: float
    hip_half: float
    torso: float
    shoulder_half: float
    upper_arm: float
    forearm: float
    neck: float
    head_radius: float
    build: float

    @property
    def hip_height(self) -> float:
        """Height of the hips in a relaxed stance, with the knees not quite locked."""
        return self.ankle + (self.shin + self.thigh) * 0.985


def draw_proportions(draws: Draws) -> Proportions:
    """A random but plausible body."""
    ankle, shin, thigh = 0.05, draws.real(0.216, 0.232), draws.real(0.222, 0.238)
    head = draws.real(0.070, 0.078)
    neck = head + draws.real(0.034, 0.042)
    torso = 1.0 - ankle - (shin + thigh) * 0.985 - neck - head * 1.22
    return Proportions(
        ankle=ankle,
        shin=shin,
        thigh=thigh,
        hip_half=draws.real(0.052, 0.064),
        torso=torso,
        shoulder_half=draws.real(0.098, 0.122),
        upper_arm=draws.real(0.160, 0.172),
        forearm=draws.real(0.148, 0.160),
        neck=neck,
        head_radius=head,
        build=draws.real(0.94, 1.12),
    )


@dataclass(frozen=True)
class Motion:
    """Parameters of a movement, one row a frame: float64 [T] (angles, degrees) or [T,3]."""

    pelvis: Reals
    pelvis_yaw: Reals
    chest_yaw: Reals
    lean_forward: Reals
    lean_left: Reals
    wrist: tuple[Reals, Reals]
    elbow_pole: tuple[Reals, Reals]
    ankle: tuple[Reals, Reals]
    toe_yaw: tuple[Reals, Reals]


@dataclass(frozen=True)
class Body:
    """A solved movement in world axes: joints [T,13,3], toes [T,2,3] (left, right), face [T,3]."""

    joints: Reals
    toes: Reals
    face: Reals


def vector(forward: Reals, up: Reals, left: Reals) -> Reals:
    """Stacks three coordinates into [...,3]."""
    return np.stack([forward, up, left], axis=-1)


def dot(a: Reals, b: Reals) -> Reals:
    """Inner product over the last axis, keeping it; written out so that the order is fixed."""
    return (a[..., 0:1] * b[..., 0:1] + a[..., 1:2] * b[..., 1:2]) + a[..., 2:3] * b[..., 2:3]


def unit(a: Reals) -> Reals:
    """Vectors scaled to length one; the zero vector stays zero."""
    return a / np.maximum(np.sqrt(dot(a, a)), 1e-9)


def heading(yaw: Reals) -> tuple[Reals, Reals]:
    """Unit vectors (ahead, left) [T,3] of something turned left by `yaw` degrees."""
    c, s, zero = cos_deg(yaw), sin_deg(yaw), yaw * 0.0
    return vector(c, zero, s), vector(-s, zero, c)


def spine(lean_forward: Reals, lean_left: Reals) -> Reals:
    """Unit direction [T,3] of the spine for two leans in degrees."""
    cl = cos_deg(lean_left)
    return vector(sin_deg(lean_forward) * cl, cos_deg(lean_forward) * cl, sin_deg(lean_left))


def chest_centre(pelvis: Reals, lean_forward: Reals, lean_left: Reals, body: Proportions) -> Reals:
    """Mid-point between the shoulders [T,3]; `pelvis` is an offset from the relaxed stance."""
    hips = pelvis + np.array([0.0, body.hip_height, 0.0])
    return hips + spine(lean_forward, lean_left) * body.torso


def two_bones(
    root: Reals, target: Reals, first: float, second: float, pole: Reals
) -> tuple[Reals, Reals]:
    """Middle and end of a two-bone limb that reaches from `root` for `target`, bent to `pole`.

    The end falls short of targets that are out of reach. All arrays are [T,3].
    """
    way = target - root
    distance = np.sqrt(dot(way, way))
    along = way / np.maximum(distance, 1e-9)
    shortest = abs(first - second) + 0.25 * min(first, second)
    reach = np.minimum(np.maximum(distance, shortest), 0.998 * (first + second))
    foot = (first * first - second * second + reach * reach) / (2.0 * reach)
    height = np.sqrt(np.maximum(first * first - foot * foot, 0.0))
    aside = unit(pole - along * dot(pole, along))
    return root + along * foot + aside * height, root + along * reach


def solve(motion: Motion, body: Proportions) -> Body:
    """Joints of a movement by forward kinematics of the trunk and two-bone limbs."""
    hips = motion.pelvis + np.array([0.0, body.hip_height, 0.0])
    backbone = spine(motion.lean_forward, motion.lean_left)
    chest = hips + backbone * body.torso
    ahead, left = heading(motion.chest_yaw)
    across = unit(left - backbone * dot(left, backbone))
    _, hip_left = heading(motion.pelvis_yaw)
    upright = unit(backbone + np.array([0.0, 0.7, 0.0]))
    head = chest + upright * body.neck + ahead * 0.012
    joints = np.zeros((len(hips), 13, 3))
    toes = np.zeros((len(hips), 2, 3))
    joints[:, 0] = head
    for side, sign in ((0, 1.0), (1, -1.0)):
        shoulder = chest + across * (sign * body.shoulder_half)
        hip = hips + hip_left * (sign * body.hip_half)
        elbow, wrist = two_bones(
            shoulder, motion.wrist[side], body.upper_arm, body.forearm, motion.elbow_pole[side]
        )
        toe_ahead, _ = heading(motion.toe_yaw[side])
        floor = motion.ankle[side] + np.array([0.0, body.ankle, 0.0])
        knee_pole = toe_ahead * 1.0 + np.array([0.0, 0.25, 0.0])
        knee, ankle = two_bones(hip, floor, body.thigh, body.shin, knee_pole)
        for place, value in zip(
            (1, 3, 5, 7, 9, 11), (shoulder, elbow, wrist, hip, knee, ankle), strict=True
        ):
            joints[:, place + side] = value
        lifted = np.minimum(np.maximum(ankle[:, 1:2] - body.ankle, 0.0) * 4.0, 0.8)
        down = np.array([0.0, -1.0, 0.0]) * (0.026 + 0.06 * lifted)
        toes[:, side] = ankle + toe_ahead * (0.082 * (1.0 - 0.45 * lifted)) + down
    return Body(joints=joints, toes=toes, face=ahead)
