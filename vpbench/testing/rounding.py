"""Weights that `save` rounds to half precision: how far they may be from those in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def networks_of(method: Any) -> list[Any]:
    """The torch modules of a method: its own, and those of the components in its slots."""
    if "torch" not in sys.modules:  # then nothing here is one
        return []
    from vpbench.kit.composed import modules_of

    slots = getattr(method, "slots", {})
    parts = [method, *(slots.values() if isinstance(slots, Mapping) else ())]
    return [module for part in parts for module in modules_of(part)]


def rounded(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether all weights came back, to the 11 bits that half precision keeps."""
    if len(before) != len(after):
        return False
    for one, two in zip(before, after, strict=True):
        old, new = one.state_dict(), two.state_dict()
        if old.keys() != new.keys():
            return False
        for name, value in old.items():
            exact, loaded = (
                v.detach().cpu().numpy().astype(np.float64) for v in (value, new[name])
            )
            if not np.allclose(loaded, exact, rtol=2.0**-11, atol=2.0**-25):
                return False
    return True
