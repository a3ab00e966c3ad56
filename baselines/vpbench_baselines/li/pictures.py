"""Flow as colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vpbench.api import Frames


def flow_colours(flows: Tensor, largest: float) -> Frames:
    """Direction as hue, length as saturation; white is no flow.

    Args:
        flows: [...,2,H,W], x before y, px.
        largest: length of full saturation, px.

    Returns:
        uint8 [...,H,W,3].
    """
    x, y = flows.select(-3, 0), flows.select(-3, 1)
    strength = (torch.hypot(x, y) / largest).clamp(max=1)[..., None]
    turn = torch.tensor([0.0, 2.0, 4.0], device=flows.device) * (np.pi / 3)
    pure = 0.5 + 0.5 * torch.cos(torch.atan2(y, x)[..., None] - turn)
    mixed = 1 - strength + strength * pure
    return (mixed * 255).round().to(torch.uint8).cpu().numpy()
