"""Pictures of what a method does: contact sheets, keypoints drawn on frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vpbench.render.keypoints import draw_keypoints, point_colour
    from vpbench.render.sheets import contact_sheet

__all__ = ["contact_sheet", "draw_keypoints", "point_colour"]


def __getattr__(name: str) -> Any:
    if name == "contact_sheet":
        from vpbench.render.sheets import contact_sheet

        return contact_sheet
    if name in ("draw_keypoints", "point_colour"):
        from vpbench.render import keypoints

        return getattr(keypoints, name)
    raise AttributeError(f"module 'vpbench.kit.pictures' has no attribute {name!r}")
