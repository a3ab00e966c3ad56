"""The method `villegas`: its three parts, composed."""

from __future__ import annotations

from vpbench.kit import ComposedMethod


class Villegas(ComposedMethod):
    """Poses of the given frames, an LSTM that continues them, a generator that draws each frame.

    Every part trains itself, the two later ones on what the detector in the slot finds; so there is
    nothing to add to how a composed method predicts.
    """
