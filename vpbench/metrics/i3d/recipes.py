"""What defines an FVD besides the network's weights: programs in use differ in it.

`tf2018` is the definition. The presets follow other programs by their published source, for tables
that quote their numbers: `styleganv` (Skorokhodov et al., "StyleGAN-V", CVPR 2022), `videogpt` (Yan
et al., arXiv:2104.10157, 2021) and `cdfvd-i3d` (Ge et al., "On the Content Bias in Frechet Video
Distance", CVPR 2024, its I3D model). Their matrix square roots are replaced by the exact one, which
they approximate. The other recipes differ from `tf2018` in one thing, to measure what it moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vpbench.api.errors import UnknownName, UsageError
from vpbench.media.resize import Rule

EPS = 1e-3
"""Epsilon of all 57 batch normalisations of the TensorFlow graph."""

Aspect = Literal["stretch", "crop"]
"""stretch: both sides become 224 px; crop: the short one does, and the middle 224 px are kept."""


@dataclass(frozen=True)
class Recipe:
    """What defines the features and the statistic besides the weights.

    Attributes:
        name: of the recipe.
        rule: of the resize, of `vpbench.media.resize`; one with two taps an axis.
        eps: of the batch normalisations.
        aspect: what becomes of frames that are not square.
        ddof: covariances are divided by n - ddof.
        verified: whether a published number on clips that are not constant is reproduced.
    """

    name: str
    rule: Rule = "tf1"
    eps: float = EPS
    aspect: Aspect = "stretch"
    ddof: int = 1
    verified: bool = False

    def __post_init__(self) -> None:
        if self.rule not in _TWO_TAPS:
            raise UsageError(f"I3D resizes by one of {', '.join(_TWO_TAPS)}, not {self.rule!r}.")
        if not self.eps > 0:
            raise UsageError(f"epsilon must be positive, got {self.eps}.")
        if self.aspect not in get_args(Aspect) or self.ddof not in (0, 1):
            raise UsageError(f"no recipe has aspect={self.aspect!r} and ddof={self.ddof!r}.")


_TWO_TAPS = tuple(r for r in get_args(Rule) if r != "antialias")

RECIPES = {
    r.name: r
    for r in (
        Recipe("tf2018", verified=True),
        Recipe("styleganv", "half-pixel", ddof=0),
        Recipe("videogpt", "half-pixel", eps=1e-5, aspect="crop"),
        Recipe("cdfvd-i3d", "half-pixel", eps=1e-5, ddof=0),
        Recipe("half-pixel", "half-pixel"),
        Recipe("eps1e-5", eps=1e-5),
        Recipe("ddof0", ddof=0),
    )
}
"""By name."""


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
