"""Contact sheets: rows of frames, evenly spaced in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

_MARGIN = 10
_GAP = 3
_PAD = 10
_WIDEST_LABEL = 240
_CELL = 96
_Colour = tuple[int, int, int]


@dataclass(frozen=True)
class _Theme:
    ground: _Colour
    empty: _Colour
    text: _Colour
    faint: _Colour


_THEMES = {
    "light": _Theme((255, 255, 255), (238, 238, 236), (24, 24, 27), (95, 95, 103)),
    "dark": _Theme((22, 22, 26), (40, 40, 46), (240, 240, 242), (168, 168, 176)),
}


def contact_sheet(
    rows: Sequence[tuple[str, Frames]],
    columns: int = 8,
    scale: int | None = None,
    *,
    first: int = 1,
    header: bool = True,
    background: Literal["light", "dark"] = "light",
) -> Frames:
    """Draw labelled rows of frames, evenly spaced in time, first and last frame included.

    Pixels are repeated, not smoothed, so that what is seen is what was predicted.

    Args:
        rows: (label, uint8 [T,H,W,3]); one frame size for all. A row that is shorter than the
            longest is left empty where it has no frame.
        columns: at most this many frames a row.
        scale: screen pixels for a pixel; None picks frames of about 100 px.
        first: number of the first frame in the header; given frames may be 0 or negative.
        header: write the frame numbers above the columns.
        background: "light" or "dark".

    Returns:
        uint8 [height,width,3].

    Raises:
        UsageError: no rows or frames, a wrong dtype or shape, unequal frame sizes, or a
            `columns`, `scale` or `background` that cannot be.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = _check(rows, columns, scale, background)
    theme = _THEMES[background]
    zoom = scale or max(1, round(_CELL / max(height, width)))
    cell_h, cell_w = height * zoom, width * zoom
    times = frame_times(max(len(frames) for _, frames in rows), columns)
    font = ImageFont.load_default(13 if cell_h < 160 else 16)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    line = _line_height(measure, font)
    labels = [_wrap(measure, font, label, max(1, cell_h // line)) for label, _ in rows]
    texts = [text for lines in labels for text in lines]
    left = _MARGIN + int(max((measure.textlength(t, font=font) for t in texts), default=0)) + _PAD
    top = _MARGIN + (line + _GAP if header else 0)
    size = (
        left + len(times) * (cell_w + _GAP) - _GAP + _MARGIN,
        top + len(rows) * (cell_h + _GAP) - _GAP + _MARGIN,
    )
    image = Image.new("RGB", size, theme.ground)
    draw = ImageDraw.Draw(image)
    if header:
        numbers = [str(first + t) for t in times]
        widest = max(draw.textlength(number, font=font) for number in numbers)
        # Above very small frames only every second, third, ... number has room.
        every = math.ceil((widest + _GAP) / (cell_w + _GAP))
        for k, number in enumerate(numbers[::every]):
            at = (left + k * every * (cell_w + _GAP) + cell_w / 2, _MARGIN + line / 2)
            draw.text(at, number, font=font, fill=theme.faint, anchor="mm")
    for i, lines in enumerate(labels):
        middle = top + i * (cell_h + _GAP) + cell_h / 2
        for k, text in enumerate(lines):
            at = (_MARGIN, middle + (k - (len(lines) - 1) / 2) * line)
            draw.text(at, text, font=font, fill=theme.text, anchor="lm")
    sheet = np.array(image)
    for i, (_, frames) in enumerate(rows):
        y = top + i * (cell_h + _GAP)
        for k, t in enumerate(times):
            x = left + k * (cell_w + _GAP)
            cell = sheet[y : y + cell_h, x : x + cell_w]
            cell[:] = _enlarged(frames[t], zoom) if t < len(frames) else theme.empty
    return sheet


def frame_times(length: int, columns: int) -> list[int]:
    """At most `columns` frame indices spread evenly over `length` frames, both ends included."""
    if columns == 1:
        return [0]
    count = min(columns, length)
    if count == 1:
        return [0]
    # Whole numbers only: rounding halves up keeps the spacing the same on every machine.
    return [(2 * k * (length - 1) + count - 1) // (2 * (count - 1)) for k in range(count)]


def _check(
    rows: Sequence[tuple[str, Frames]], columns: int, scale: int | None, background: str
) -> tuple[int, int]:
    """Height and width of the frames; refuses what cannot be drawn."""
    if not rows:
        raise UsageError("a contact sheet needs at least one row.")
    if columns < 1:
        raise UsageError(f"columns={columns} must be at least 1.")
    if scale is not None and scale < 1:
        raise UsageError(f"scale={scale} must be at least 1.")
    if background not in _THEMES:
        raise UsageError(f"background={background!r}: one of {', '.join(_THEMES)}.")
    for label, frames in rows:
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise UsageError(
                f"row {label!r} is {frames.dtype} {frames.shape}, it must be uint8 [T,H,W,3]."
            )
        if frames.shape[1:] != rows[0][1].shape[1:]:
            raise UsageError(
                f"row {label!r} has frames of {frames.shape[2]} x {frames.shape[1]} px, "
                f"row {rows[0][0]!r} of {rows[0][1].shape[2]} x {rows[0][1].shape[1]}."
            )
    return rows[0][1].shape[1], rows[0][1].shape[2]


def _enlarged(frame: Frames, zoom: int) -> Frames:
    return frame.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _line_height(draw: ImageDraw, font: Font) -> int:
    box = draw.textbbox((0, 0), "Ágjy|", font=font)
    return int(box[3] - box[1]) + 4


def _wrap(draw: ImageDraw, font: Font, label: str, most: int) -> list[str]:
    """Break a label at its natural joints into lines that fit; cut what is still too long."""
    lines = [""]
    for part in _joints(" ".join(label.split())):
        if lines[-1] and draw.textlength(lines[-1] + part, font=font) > _WIDEST_LABEL:
            lines.append("")
        lines[-1] += part
    if len(lines) > most:
        lines = [*lines[: most - 1], "".join(lines[most - 1 :])]
    return [_cut(draw, font, line.strip()) for line in lines]


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


def _cut(draw: ImageDraw, font: Font, text: str) -> str:
    if draw.textlength(text, font=font) <= _WIDEST_LABEL:
        return text
    while text and draw.textlength(f"{text}...", font=font) > _WIDEST_LABEL:
        text = text[:-1]
    return f"{text}..."
