"""From uint8 frames to the network's input: resize to 224 x 224, then [-1,1].

The original resizes with TensorFlow 1's bilinear rule (source = target * in / out, no half-pixel
centres, no antialiasing, the aspect ratio is not kept) without rounding to whole grey levels, and
feeds x * 2 / 255 - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from vpbench.api.errors import UnknownName, UsageError
from vpbench.media.resize import Rule, weights
from vpbench.metrics.i3d.network import EPS, SIDE


@dataclass(frozen=True)
class Recipe:
    """What defines the features besides the weights.

    Attributes:
        name: of the recipe.
        rule: of the resize, of `vpbench.media.resize`; one with two taps an axis.
        eps: of the batch normalisations.
    """

    name: str
    rule: Rule = "tf1"
    eps: float = EPS

    def __post_init__(self) -> None:
        if self.rule not in _TWO_TAPS:
            raise UsageError(f"I3D resizes by one of {', '.join(_TWO_TAPS)}, not {self.rule!r}.")
        if not self.eps > 0:
            raise UsageError(f"epsilon must be positive, got {self.eps}.")


_TWO_TAPS = tuple(r for r in get_args(Rule) if r != "antialias")

RECIPES = {
    r.name: r
    for r in (
        Recipe("tf2018"),
        Recipe("half-pixel", rule="half-pixel"),
        Recipe("eps1e-5", eps=1e-5),
    )
}
"""`tf2018` is the definition of 2018; the others differ from it in one thing, to measure it."""


def find_recipe(recipe: str | Recipe) -> Recipe:
    """The recipe of a name.

    Raises:
        UnknownName: there is none.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise UnknownName("I3D recipe", recipe, RECIPES)
    return RECIPES[recipe]


def preprocess(frames: Tensor, rule: Rule = "tf1") -> Tensor:
    """Resize and scale, in float32; no value depends on other frames.

    Args:
        frames: uint8 [B,T,H,W,3], RGB, any height and width.
        rule: of the resize.

    Returns:
        float32 [B,3,T,224,224] in [-1,1], whose memory is [B,T,224,224,3].
    """
    resized = resize(frames.float(), SIDE, SIDE, rule)
    return resized.mul_(2 / 255).sub_(1).permute(0, 4, 1, 2, 3)


def resize(frames: Tensor, height: int, width: int, rule: Rule = "tf1") -> Tensor:
    """Two-tap resize of floating point [...,H,W,C] to [...,height,width,C], columns first."""
    return _along(_along(frames, frames.ndim - 2, width, rule), frames.ndim - 3, height, rule)


def _along(x: Tensor, axis: int, n_out: int, rule: Rule) -> Tensor:
    """Each output lies between two source values, at the fraction of its tap."""
    n_in = x.shape[axis]
    if n_in == n_out:
        return x
    left, right, fraction = (part.to(x.device) for part in _taps(rule, n_in, n_out))
    a, b = x.index_select(axis, left), x.index_select(axis, right)
    shape = [1] * x.ndim
    shape[axis] = n_out
    return a.lerp_(b, fraction.to(x.dtype).view(shape))


@lru_cache(maxsize=32)
def _taps(rule: Rule, n_in: int, n_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """Left and right source of each output, int64 [n_out], and the weight of the right one."""
    matrix = weights(rule, n_in, n_out)
    left = (matrix > 0).argmax(1)
    right = np.minimum(left + 1, n_in - 1)
    fraction = np.where(right > left, matrix[np.arange(n_out), right], 0.0)
    return torch.from_numpy(left), torch.from_numpy(right), torch.from_numpy(fraction)
