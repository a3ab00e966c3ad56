"""Points as images: one gaussian bump a map, along the limbs of a body or one a point."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LIMBS = (
    ("head", "shoulders"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("shoulders", "hips"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("right_hip", "right_knee"),
    ("left_knee", "left_ankle"),
    ("right_knee", "right_ankle"),
)
"""Twelve limbs; "shoulders" and "hips" are half way between the left and the right one."""

_MIDDLES = {"shoulders": ("left_shoulder", "right_shoulder"), "hips": ("left_hip", "right_hip")}
_ALONG = (0.0, 1 / 3, 2 / 3, 1.0)
"""Four equally spaced points of a limb, both ends among them."""

LIMB_MAPS = len(_LIMBS) * len(_ALONG)
"""48."""


def has_limbs(joint_names: Sequence[str]) -> bool:
    """Whether all joints of the twelve limbs are there."""
    ends = {end for limb in _LIMBS for end in limb} - set(_MIDDLES)
    return ends <= set(joint_names)


def limb_points(joints: Tensor, joint_names: Sequence[str]) -> Tensor:
    """Four points along each of twelve limbs.

    Args:
        joints: [...,J,3] in [-1,1]; confidence 0 = missing.
        joint_names: of the J joints.

    Returns:
        [...,48,3], limb by limb. The third is 1 where the point is to be drawn, else 0: between two
        ends only if both are there, so a limb with one end keeps the point at that end.
    """
    places, seen = joints[..., :2], joints[..., 2] > 0
    ends = {name: (places[..., j, :], seen[..., j]) for j, name in enumerate(joint_names)}
    for name, (left, right) in _MIDDLES.items():
        (a, seen_a), (b, seen_b) = ends[left], ends[right]
        ends[name] = ((a + b) / 2, seen_a & seen_b)
    points: list[Tensor] = []
    for start, end in _LIMBS:
        (a, seen_a), (b, seen_b) = ends[start], ends[end]
        for t in _ALONG:
            there = seen_a if t == 0 else seen_b if t == 1 else seen_a & seen_b
            place = a if t == 0 else b if t == 1 else a + t * (b - a)
            points.append(torch.cat([place, there[..., None].to(place)], -1))
    return torch.stack(points, -2)


def point_maps(points: Tensor, size: int, sigma: float) -> Tensor:
    """One gaussian a point, 1 at its place; nothing for a point with confidence 0.

    Args:
        points: [N,C,3] in [-1,1], where -1 and 1 are the centres of the outer pixels.
        size: height and width of the maps.
        sigma: standard deviation in pixels.

    Returns:
        [N,C,size,size].
    """
    there = points[..., 2:] > 0
    # a missing point may lie anywhere, at infinity too
    pixels = (torch.where(there, points[..., :2], 0.0) + 1) / 2 * (size - 1)
    axis = torch.arange(size, device=points.device, dtype=points.dtype)
    bumps = torch.exp(-(pixels[..., None] - axis).square() / (2 * sigma**2)) * there[..., None]
    across, down = (bumps[:, :, k].transpose(1, 2) for k in (0, 1))  # [N,size,C]
    # channels last in memory, as convolutions take it
    return (down[:, :, None] * across[:, None]).permute(0, 3, 1, 2)
