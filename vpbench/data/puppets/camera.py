"""An orthographic camera a little above the figure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vpbench.data.puppets.skeleton import Reals
from vpbench.data.puppets.trig import cos_deg, sin_deg

TILT = 0.12
"""How far a point moves down the picture when it comes one length nearer."""


@dataclass(frozen=True)
class Camera:
    """View of a figure: turn in degrees (0 = it faces us), place of its feet, height in pixels."""

    size: int
    turn: float
    x: float
    ground: float
    height: float
    mirror: bool = False

    @cached_property
    def cosine(self) -> float:
        """Cosine of the turn."""
        return float(cos_deg(np.array([self.turn]))[0])

    @cached_property
    def sine(self) -> float:
        """Sine of the turn."""
        return float(sin_deg(np.array([self.turn]))[0])

    def project(self, points: Reals) -> tuple[Reals, Reals]:
        """World points [...,3] to pixels [...,2] and depth [...] in pixels (near is larger)."""
        ahead, up = points[..., 0], points[..., 1]
        left = points[..., 2] * (-1.0 if self.mirror else 1.0)
        across = left * self.cosine + ahead * self.sine
        near = ahead * self.cosine - left * self.sine
        x = self.x + across * self.height
        y = self.ground - (up - near * TILT) * self.height
        return np.stack([x, y], axis=-1), near * self.height
