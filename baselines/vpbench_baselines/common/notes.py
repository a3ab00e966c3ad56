"""What a baseline says about itself beside its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vpbench.api import FitContext

OWN = "own settings"

_FEW_STEPS = 100
"""A training of fewer steps shows that everything runs, and nothing else."""


def preset_of(
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


def note_stage(ctx: FitContext, preset: str, native_frames: int, steps: int) -> None:
    """The notes of every baseline: its preset, and what the task made of it.

    Args:
        native_frames: given frames of the original.
        steps: of the stage; after a few its rows are not comparable, whatever the preset.
    """
    ctx.note(f"reimplementation (rewritten for vpbench), preset {preset}")
    _note_few_steps(ctx, preset, steps)
    if native_frames > 1 and ctx.task.n_max == 1:
        ctx.note("adapted n=1")


def note_reference(ctx: FitContext, preset: str, at_once: int, steps: int) -> None:
    """The notes of a reference that rewrites no published method.

    Args:
        at_once: so many frames are drawn at once.
        steps: as in `note_stage`.
    """
    ctx.note(f"own end-to-end reference, preset {preset}")
    _note_few_steps(ctx, preset, steps)
    if ctx.task.horizon > at_once:
        ctx.note("chained")


def _note_few_steps(ctx: FitContext, preset: str, steps: int) -> None:
    if preset == "smoke":
        ctx.not_comparable("preset smoke")
    elif steps < _FEW_STEPS:
        ctx.not_comparable("a few training steps only")
