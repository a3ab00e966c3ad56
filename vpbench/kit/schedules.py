"""What changes in the course of a training, and settings that trainings of many methods share."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping

import torch

from vpbench.api import Pair, UnknownName, UsageError

Schedule = Callable[[int, int], float]
"""Step (from 0) and number of steps -> what a learning rate is multiplied with."""

WARM_UP = 50
"""Steps in which the rate of "cosine" rises to its full height: Adam's estimate of the second
moment is poor at first."""
LEAST = 0.002
"""The rate of "cosine" ends here rather than at 0, so that the last steps still do something."""

N_VALIDATIONS = 16
"""Validations in the course of a training, unless a method says otherwise."""
MIN_STEPS_BETWEEN = 50
"""Fewest steps between two validations; short trainings validate at their end only."""


# learning rates ----------------------------------------------------------------------------------


def constant(step: int, steps: int) -> float:
    """1 at every step."""
    return 1.0


def cosine(step: int, steps: int) -> float:
    """A short rise, then half a cosine down to almost 0 (Loshchilov and Hutter 2017)."""
    rise = min(1.0, (step + 1) / WARM_UP)
    return max(rise * 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps))), LEAST)


def exponential(step: int, steps: int, factor: float = 0.95, every: float = 20_000.0) -> float:
    """`factor` after `every` steps, without jumps; the defaults are those of Kim et al. 2019."""
    return factor ** (step / every)


SCHEDULES: Mapping[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
}


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """What a learning rate is multiplied with at a step (from 0).

    Args:
        schedule: a name in `SCHEDULES`.

    Raises:
        UnknownName: there is no such schedule.
    """
    if schedule not in SCHEDULES:
        raise UnknownName("schedule", schedule, SCHEDULES)
    return SCHEDULES[schedule](step, steps)


def warm_up(step: int, length: int) -> float:
    """A straight line up to 1, which the step number `length` - 1 reaches; 0 starts at 1."""
    return min(1.0, (step + 1) / max(1, length))


def linear_decay(step: int, steps: int, part: float) -> float:
    """1, then a straight line towards 0 over the last `part` of all steps; 0 stays at 1."""
    return min(1.0, (steps - step) / steps / part) if part > 0 else 1.0


def ramp(step: int, steps: int, start: float, length: float = 0.1) -> float:
    """0 before the part `start` of all steps, then a line to 1 within the part `length`.

    For the weight of a loss that would only disturb at first, such as an adversarial one. A `start`
    of 0 is not a ramp: the weight is 1 at every step.
    """
    if start <= 0:
        return 1.0
    at = step / max(1, steps)
    return 0.0 if at < start else min(1.0, (at - start) / length)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters of an optimiser one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


# validation --------------------------------------------------------------------------------------


def validation_due(
    done: int,
    steps: int,
    count: int = N_VALIDATIONS,
    between: int = MIN_STEPS_BETWEEN,
    at_end: bool = True,
) -> bool:
    """Whether to validate after `done` of all steps.

    Args:
        count: about so many validations in all.
        between: but none earlier than so many steps after the one before.
        at_end: the last step is validated whatever its number is.
    """
    return done % max(between, steps // count) == 0 or (at_end and done == steps)


# precision ---------------------------------------------------------------------------------------

PRECISIONS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def named_precision(name: str) -> torch.dtype:
    """The type in which layers compute while training.

    Raises:
        UnknownName: neither "fp32" nor "bf16".
    """
    if name not in PRECISIONS:
        raise UnknownName("precision", name, PRECISIONS)
    return PRECISIONS[name]


def autocast(
    device: str | torch.device, precision: torch.dtype
) -> contextlib.AbstractContextManager[object]:
    """In which convolutions and matrix products compute in `precision`; float32 changes nothing."""
    kind = torch.device(device).type
    return torch.autocast(kind, precision, enabled=precision != torch.float32)


# windows and bounds ------------------------------------------------------------------------------


def pair_window(text: str, longest: int | None = None) -> Pair:
    """`8-11` -> pairs of frames 8 to 11 apart; `8-11-wrap` continues at a clip's first frame.

    Args:
        longest: pairs are never further apart than this (at least 1), such as the horizon.

    Raises:
        UsageError: the text is not such a range.
    """
    span = text.removesuffix("-wrap")
    low, _, high = span.partition("-")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise UsageError(f"pair_gap={text!r} must be a range such as 8-11 or 8-11-wrap.")
    most = int(high) if longest is None else max(1, longest)
    return Pair(min(int(low), most), min(int(high), most), wrap=span != text)


def require_at_least(params: Mapping[str, object], least: Mapping[str, float]) -> None:
    """Refuse parameters that are too small.

    Args:
        params: parameters with their values.
        least: the smallest value that each of some parameters may have.

    Raises:
        UsageError: names the first parameter that is below.
    """
    for name, lowest in least.items():
        value = params[name]
        if not isinstance(value, int | float) or value < lowest:
            raise UsageError(f"{name}={value} must be at least {lowest}.")


def require_one_of(params: Mapping[str, object], choices: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse parameters that have none of the values they may have.

    Raises:
        UsageError: names the first such parameter and its choices.
    """
    for name, known in choices.items():
        if params[name] not in known:
            raise UsageError(f"{name}={params[name]!r} must be one of {', '.join(known)}.")
