"""Distances between poses, of joints that are there."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared error of joints that are there; the mean counts those that are missing as 0.

    Args:
        predicted: [...,J,2] in [-1,1].
        true: [...,J,3]; confidence 0 = missing, whatever its coordinates.

    Returns:
        A scalar. Missing joints give no gradient.
    """
    there = true[..., 2:] > 0
    # chosen before the difference: 0 times a place that is not a number would be none
    wanted = torch.where(there, true[..., :2], 0.0)
    counted = torch.where(there, predicted, 0.0)
    return (counted - wanted).square().mean()


def joint_errors(points: Tensor, true: Tensor, also: Tensor | None = None) -> Tensor:
    """Distances of joints that are there, in [-1,1] units (2 is the width of the frame).

    Args:
        points: [...,J,2 or 3].
        true: [...,J,3]; confidence 0 = missing.
        also: bool [...,J], of which joints count besides.

    Returns:
        [M], one for each joint that counts.
    """
    there = true[..., 2] > 0
    if also is not None:
        there = there & also
    return (points[..., :2] - true[..., :2]).norm(dim=-1)[there]
