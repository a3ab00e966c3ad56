"""The check of the frames that a metric is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpbench.api.errors import BadData


def check_frames(name: str, array: Any, side: str, axes: str, clip: str) -> None:
    """BadData unless an array is uint8 with these axes, none empty, the last one of 3 colours.

    Args:
        name: the metric's, for the message.
        side: "predicted" or "real".
        axes: a letter an axis, such as "STHWC".
        clip: id.
    """
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if shape is None or dtype != np.uint8:
        raise BadData(f"{name}: the {side} clip {clip!r} is {dtype}, it must be uint8.")
    if len(shape) != len(axes) or shape[-1] != 3 or 0 in shape:
        raise BadData(
            f"{name}: the {side} clip {clip!r} has shape {tuple(shape)}, "
            f"it must be [{','.join(axes[:-1])},3]."
        )
