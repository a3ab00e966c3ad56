"""Pictures that are written while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from vpbench.api import Frames
from vpbench.kit import contact_sheet, draw_keypoints, to_uint8

_ROWS = ("source", "target", "keypoints", "mask", "coarse", "final")


def translation_sheet(frames: Tensor, intermediates: Mapping[str, Tensor]) -> Frames:
    """Rows as in Figure 9 of the paper for some clips.

    Args:
        frames: [N,1+T,3,H,W] in [0,1], the source first.
        intermediates: what `Translation` gives for them.
    """
    rows: list[tuple[str, Frames]] = []
    for k in range(len(frames)):
        targets = to_uint8(frames[k, 1:])
        points = intermediates["keypoints"][k, 1:].cpu().numpy()
        shown = {
            "source": to_uint8(frames[k, :1].expand_as(frames[k, 1:])),
            "target": targets,
            "keypoints": draw_keypoints(targets, points),
            **{
                name: to_uint8(intermediates[name][k].expand(-1, 3, -1, -1))
                for name in ("mask", "coarse", "final")
                if name in intermediates
            },
        }
        rows += [(name, shown[name]) for name in _ROWS if name in shown]
    return contact_sheet(rows)


def loss_curves(
    steps: Sequence[float],
    series: Mapping[str, Sequence[float]],
    width: int = 480,
    height: int = 180,
) -> Frames:
    """One small line plot a series, below each other: uint8 [H,W,3]."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, height * len(series)), "white")
    pen = ImageDraw.Draw(picture)
    for k, (name, values) in enumerate(series.items()):
        top, left, bottom = k * height + 24, 56, (k + 1) * height - 24
        right = width - 16
        pen.rectangle((left, top, right, bottom), outline=(200, 200, 200))
        low, high = min(values), max(values)
        span = (high - low) or 1.0
        reach = (steps[-1] - steps[0]) or 1.0
        line = [
            (
                left + (s - steps[0]) / reach * (right - left),
                bottom - (v - low) / span * (bottom - top),
            )
            for s, v in zip(steps, values, strict=True)
        ]
        if len(line) > 1:
            pen.line(line, fill=(30, 100, 200), width=2)
        for x, y in line:
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(30, 100, 200))
        pen.text((left, top - 16), f"{name}: {values[-1]:.4g}", fill=(0, 0, 0))
        pen.text((4, top - 4), f"{high:.4g}", fill=(90, 90, 90))
        pen.text((4, bottom - 8), f"{low:.4g}", fill=(90, 90, 90))
        pen.text((right - 60, bottom + 6), f"step {int(steps[-1])}", fill=(90, 90, 90))
    return np.asarray(picture).copy()
