"""What a baseline says about itself beside its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vpbench.api import FitContext

OWN = "own settings"


def tier(
    params: Mapping[str, Any],
    base: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Any]],
    of: Collection[str] | None = None,
) -> str:
    """The preset that parameters belong to, or "own settings".

    Args:
        base: every parameter with its default.
        of: only these parameters count; None is all.
    """
    for name, preset in presets.items():
        wanted = {**base, **preset}
        if all(params[k] == v for k, v in wanted.items() if of is None or k in of):
            return name
    return OWN


def mark_stage(ctx: FitContext, tier_name: str, native_frames: int) -> None:
    """The marks that every baseline gives: its tier, and what the task made of it."""
    ctx.mark(f"reimplementation (rewritten for vpbench), tier: {tier_name}")
    if tier_name == "smoke":
        ctx.mark("not comparable: preset smoke")
    if native_frames > 1 and ctx.task.n_max == 1:
        ctx.mark("adapted n=1")
