"""Contact sheets: rows of frames, evenly spaced in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames
from vpbench.render.keypoints import enlarged
from vpbench.render.lettering import THEMES, line_height, wrap

_MARGIN = 10
_GAP = 3
_BREAK = 9
_PAD = 10
_CELL = 96


def contact_sheet(
    rows: Sequence[tuple[str, Frames]],
    columns: int = 8,
    scale: int | None = None,
    *,
    first: int = 1,
    given: int = 0,
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
        given: frames at the start that were given; a rule sets them apart from the others.
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
    theme = THEMES[background]
    zoom = scale or max(1, round(_CELL / max(height, width)))
    cell_h, cell_w = height * zoom, width * zoom
    times = frame_times(max(len(frames) for _, frames in rows), columns)
    font = ImageFont.load_default(13 if cell_h < 160 else 16)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    line = line_height(measure, font)
    labels = [wrap(measure, font, label, max(1, cell_h // line)) for label, _ in rows]
    texts = [text for lines in labels for text in lines]
    left = _MARGIN + int(max((measure.textlength(t, font=font) for t in texts), default=0)) + _PAD
    top = _MARGIN + (line + _GAP if header else 0)
    apart = sum(t < given for t in times)
    gap = _BREAK - _GAP if 0 < apart < len(times) else 0
    at = [left + k * (cell_w + _GAP) + (gap if k >= apart else 0) for k in range(len(times))]
    size = (
        at[-1] + cell_w + _MARGIN,
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
            place = (at[k * every] + cell_w / 2, _MARGIN + line / 2)
            draw.text(place, number, font=font, fill=theme.faint, anchor="mm")
    for i, lines in enumerate(labels):
        middle = top + i * (cell_h + _GAP) + cell_h / 2
        for k, text in enumerate(lines):
            place = (_MARGIN, middle + (k - (len(lines) - 1) / 2) * line)
            draw.text(place, text, font=font, fill=theme.text, anchor="lm")
    if gap:
        x = at[apart] - _BREAK // 2 - 1
        draw.line((x, top, x, size[1] - _MARGIN - 1), fill=theme.faint)
    sheet = np.array(image)
    for i, (_, frames) in enumerate(rows):
        y = top + i * (cell_h + _GAP)
        for k, t in enumerate(times):
            cell = sheet[y : y + cell_h, at[k] : at[k] + cell_w]
            cell[:] = enlarged(frames[t], zoom) if t < len(frames) else theme.empty
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
    if background not in THEMES:
        raise UsageError(f"background={background!r}: one of {', '.join(THEMES)}.")
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
