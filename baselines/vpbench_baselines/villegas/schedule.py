"""What the three trainings share: names of rates, precisions and augmentations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from vpbench.api import Augment, FitContext, Pair, UnknownName, UsageError
from vpbench_baselines.common.notes import note_stage, preset_of

_WARM = 50
"""Steps in which the rate of "cosine" rises to its full height."""


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """What a learning rate is multiplied with at a step (from 0).

    "constant" is the original's. "cosine": a short rise, then half a cosine to 0.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        rise = min(1.0, (step + 1) / _WARM)
        return max(rise * 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps))), 0.002)
    raise UnknownName("schedule", schedule, ("constant", "cosine"))


def precision_of(name: str) -> torch.dtype:
    """The type in which convolutions are computed while training."""
    known = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if name not in known:
        raise UnknownName("precision", name, known)
    return known[name]


def augment_of(params: Mapping[str, Any]) -> Augment:
    """What is done to training clips; poses have no colour."""
    return Augment(
        bool(params["flip"]),
        float(params["rotate"]),
        float(params["crop"]),
        float(params.get("colour", 0.0)),
    )


def pair_of(text: str) -> Pair:
    """`1-29` -> pairs of source frames 1 to 29 apart.

    Raises:
        UsageError: the text is no such range.
    """
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise UsageError(f"pair_gap={text!r} must be a range such as 1-29.")
    return Pair(int(low), int(high))


def require(params: Mapping[str, Any], least: Mapping[str, float]) -> None:
    """Refuse parameters below what can be.

    Raises:
        UsageError: the first of them, by name.
    """
    for name, lowest in least.items():
        if params[name] < lowest:
            raise UsageError(f"{name}={params[name]} must be at least {lowest}.")


def note_finished(
    ctx: FitContext,
    params: Mapping[str, Any],
    base: Mapping[str, Any],
    presets: Mapping[str, Mapping[str, Any]],
    native_frames: int,
) -> None:
    """The notes of a finished stage."""
    name = preset_of(params, base, presets)
    note_stage(ctx, name, native_frames)
    if name == "cpu":
        ctx.note("networks reduced for a CPU; docs/baselines.md lists all deviations")
