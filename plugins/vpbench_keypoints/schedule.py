"""What changes in the course of a training, as functions of the step."""

from __future__ import annotations

import math

import torch

from vpbench.api import Augment, Pair, UnknownName, UsageError

SHORT = 100
"""A training of fewer steps shows that everything runs, and nothing else."""
_WARM = 50
"""Steps in which the rate of a short training rises to its full height."""

AUGMENTS = {
    "none": Augment(),
    "light": Augment(rotate_deg=5.0, crop=0.1, colour=0.3),
    "paper": Augment(flip=True, rotate_deg=10.0, filters=True),
}
"""Of the first stage. "paper": flip, rotation and one of ten filters; its crop is the harness's."""

MOTION_AUGMENTS = {
    "none": Augment(),
    "light": Augment(rotate_deg=5.0, crop=0.15),
    "paper": Augment(flip=True, rotate_deg=15.0, crop=0.3),
}
"""Of the second stage. The paper scales by 0.7 to 1.2; a crop only enlarges."""


def named_augment(name: str, known: dict[str, Augment]) -> Augment:
    """An augmentation by its name."""
    if name not in known:
        raise UnknownName("augment", name, known)
    return known[name]


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """What a learning rate is multiplied with at a step (from 0).

    "paper": 0.95^(step / 20000), without jumps. "cosine": a short rise, then half a cosine to 0.
    """
    if schedule == "paper":
        return 0.95 ** (step / 20000.0)
    if schedule == "cosine":
        rise = min(1.0, (step + 1) / _WARM)
        return max(rise * 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps))), 0.002)
    raise UnknownName("schedule", schedule, ("paper", "cosine"))


def ramp(step: int, steps: int, start: float, length: float = 0.1) -> float:
    """0 before the part `start` of all steps, then a line to 1 within the part `length`."""
    at = step / max(1, steps)
    return 0.0 if at < start else min(1.0, (at - start) / length)


def sharpness_at(step: int, steps: int, final: float, wide: float) -> float:
    """Gaussians begin at 0.43 of their sharpness and reach it after a part `wide` of all steps."""
    done = min(1.0, step / max(1.0, wide * steps)) if wide > 0 else 1.0
    return final * (0.43 + 0.57 * done)


def pair_window(text: str, horizon: int) -> Pair:
    """`8-11` -> pairs of frames 8 to 11 apart; never further than the horizon.

    Raises:
        UsageError: the text is no such range.
    """
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise UsageError(f"pair_gap={text!r} must be a range such as 8-11.")
    most = max(1, horizon)
    return Pair(min(int(low), most), min(int(high), most))


def named_precision(name: str) -> torch.dtype:
    """The type in which convolutions are computed while training."""
    known = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if name not in known:
        raise UnknownName("precision", name, known)
    return known[name]


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
