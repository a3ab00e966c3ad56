"""I3D features of clips, as the FVD uses them; importing this package costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpbench.metrics.i3d.extract import I3DFeatures as I3DFeatures

__all__ = ["I3DFeatures"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from vpbench.metrics.i3d.extract import I3DFeatures

        return I3DFeatures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
