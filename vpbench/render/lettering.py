"""Text on pictures: colours, and labels broken into lines that fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

WIDEST = 240
"""Width of a label, in pixels, at which it is broken."""
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """Colours of a sheet."""

    ground: Colour
    empty: Colour
    text: Colour
    faint: Colour
    edge: Colour


THEMES = {
    "light": Theme((255, 255, 255), (238, 238, 236), (24, 24, 27), (95, 95, 103), (214, 214, 212)),
    "dark": Theme((22, 22, 26), (40, 40, 46), (240, 240, 242), (168, 168, 176), (62, 62, 70)),
}


def line_height(draw: ImageDraw, font: Font) -> int:
    """Height of a line of text, with its gap to the next, in pixels."""
    box = draw.textbbox((0, 0), "Ágjy|", font=font)
    return int(box[3] - box[1]) + 4


def wrap(draw: ImageDraw, font: Font, label: str, most: int, widest: float = WIDEST) -> list[str]:
    """Break a label at its natural joints into lines that fit; cut what is still too long."""
    lines = [""]
    for part in _joints(" ".join(label.split())):
        if lines[-1] and draw.textlength(lines[-1] + part, font=font) > widest:
            lines.append("")
        lines[-1] += part
    if len(lines) > most:
        lines = [*lines[: most - 1], "".join(lines[most - 1 :])]
    return [cut(draw, font, line.strip(), widest) for line in lines]


def _joints(label: str) -> list[str]:
    """Pieces that end after a space or comma, or before a bracket."""
    parts = [""]
    for letter in label:
        if letter in "[(" and parts[-1]:
            parts.append("")
        parts[-1] += letter
        if letter in " ,":
            parts.append("")
    return [part for part in parts if part]


def cut(draw: ImageDraw, font: Font, text: str, widest: float = WIDEST) -> str:
    """The text, its end replaced by dots where it is wider than `widest` pixels."""
    if draw.textlength(text, font=font) <= widest:
        return text
    while text and draw.textlength(f"{text}...", font=font) > widest:
        text = text[:-1]
    return f"{text}..."
