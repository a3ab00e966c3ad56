"""What the three trainings share: their augmentation, and the notes of a finished one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vpbench.api import Augment, FitContext
from vpbench_baselines.common.notes import note_stage, preset_of


def augment_of(params: Mapping[str, Any]) -> Augment:
    """What is done to training clips; poses have no colour."""
    return Augment(
        bool(params["flip"]),
        float(params["rotate"]),
        float(params["crop"]),
        float(params.get("colour", 0.0)),
    )


def note_finished(
    ctx: FitContext,
    params: Mapping[str, Any],
    base: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Any]],
    native_frames: int,
) -> None:
    """The notes of a finished stage.

    Args:
        params: of the part that was trained.
        base: every parameter of it with its default.
        presets: what each preset changes.
        native_frames: given frames of the original.
    """
    preset = preset_of(params, base, presets)
    note_stage(ctx, preset, native_frames, int(params["steps"]))
    if preset in ("cpu", "gpu"):
        ctx.note("networks reduced; docs/baselines.md lists all deviations")
