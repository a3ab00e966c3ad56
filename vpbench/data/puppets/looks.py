"""What a figure wears, and which split owns which outfit.

An outfit is a shirt, legwear, hair and skin from fixed palettes. sha256 of their numbers says
which split the outfit belongs to, so no outfit is ever seen in two splits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vpbench.data.puppets.draws import Draws

Colour = tuple[int, int, int]

SHIRTS: tuple[Colour, ...] = (
    (214, 62, 62),
    (236, 112, 56),
    (244, 176, 56),
    (120, 176, 72),
    (46, 148, 104),
    (36, 150, 160),
    (64, 124, 206),
    (66, 80, 182),
    (124, 84, 192),
    (196, 72, 152),
    (238, 134, 152),
    (240, 240, 236),
    (52, 58, 72),
    (158, 44, 66),
    (248, 214, 120),
    (150, 206, 220),
    (206, 190, 70),
    (188, 224, 170),
)
LEGWEAR: tuple[Colour, ...] = (
    (44, 54, 92),
    (66, 96, 148),
    (50, 50, 58),
    (112, 116, 126),
    (182, 160, 122),
    (96, 70, 56),
    (70, 92, 62),
    (228, 226, 220),
    (134, 46, 58),
    (38, 84, 98),
)
SKINS: tuple[Colour, ...] = (
    (248, 212, 186),
    (242, 198, 164),
    (232, 182, 142),
    (214, 160, 116),
    (188, 132, 90),
    (154, 104, 70),
    (122, 80, 54),
    (98, 64, 46),
)
HAIRS: tuple[Colour, ...] = (
    (40, 32, 32),
    (78, 50, 34),
    (120, 74, 42),
    (172, 110, 56),
    (222, 182, 102),
    (160, 62, 36),
    (170, 170, 174),
    (28, 30, 44),
)
SHOES: tuple[Colour, ...] = (
    (244, 244, 240),
    (52, 52, 60),
    (206, 58, 56),
    (64, 110, 190),
    (240, 176, 60),
    (90, 62, 48),
)

HAIR_STYLES = ("short", "long", "tail", "bun", "cap")


@dataclass(frozen=True)
class Look:
    """Colours (RGB) and cut of one figure's clothes: how long `sleeve` and `legs` are, where
    the shirt shows its `trim` colour (`pattern`); `outfit` numbers the palette entries."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trim: Colour
    trousers: Colour
    shoes: Colour
    sleeve: str
    legs: str
    hair_style: str
    pattern: str
    outfit: tuple[int, int, int, int]


_SHARES = (*("train",) * 20, *("val",) * 4, *("test",) * 6, *("extra",) * 2)


def outfit_owner(outfit: tuple[int, int, int, int]) -> str:
    """The only split in which an outfit (numbers of palette entries) occurs."""
    digest = hashlib.sha256(f"puppets outfit {outfit}".encode()).digest()
    return _SHARES[digest[0] % len(_SHARES)]


def draw_look(split: str, draws: Draws) -> Look:
    """A random look whose outfit belongs to `split`."""
    while True:
        outfit = (
            draws.below(len(SHIRTS)),
            draws.below(len(LEGWEAR)),
            draws.below(len(HAIRS)),
            draws.below(len(SKINS)),
        )
        if outfit_owner(outfit) == split:
            break
    shirt, legwear, hair, skin = outfit
    return Look(
        skin=_vary(SKINS[skin], 6, draws),
        hair=_vary(HAIRS[hair], 8, draws),
        shirt=_vary(SHIRTS[shirt], 12, draws),
        trim=_vary(draws.pick(SHIRTS), 8, draws),
        trousers=_vary(LEGWEAR[legwear], 10, draws),
        shoes=_vary(draws.pick(SHOES), 6, draws),
        sleeve=draws.pick(("short", "short", "long", "none")),
        legs=draws.pick(("long", "long", "shorts", "shorts", "leggings")),
        hair_style=draws.pick(HAIR_STYLES),
        pattern=draws.pick(("plain", "plain", "plain", "centre", "sides")),
        outfit=outfit,
    )


def _vary(colour: Colour, size: int, draws: Draws) -> Colour:
    r, g, b = (min(max(v + draws.between(-size, size), 12), 255) for v in colour)
    return r, g, b
