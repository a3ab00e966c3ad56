"""A training loop that can be killed at any step and goes on to the same weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from vpbench.api import FitContext, MethodFailed
from vpbench.kit.state import from_arrays, to_arrays
from vpbench.kit.threads import deterministic, seeded

_LOGGED = 200
"""A training logs its figures about this often."""
_STORED = 40
"""A training stores its state about this often."""


@dataclass(frozen=True)
class Training:
    """What is trained, and for how long.

    Attributes:
        who: "owner:stage", for messages.
        modules, optimisers: all that changes from step to step, by name.
        steps: how many to make.
        smaller: parameters that a user may lower when the memory does not suffice.
        extra: further state (numbers, arrays, tensors) that steps change in place.
    """

    who: str
    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    steps: int
    smaller: tuple[str, ...] = ("batch",)
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def state(self, done: int) -> dict[str, object]:
        """All that the next step depends on."""
        return {
            "done": done,
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            "extra": dict(self.extra),
        }

    def restore(self, state: Mapping[str, Any]) -> int:
        """Take over a state; tells how many steps it stands for."""
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.extra.update(state["extra"])
        return int(state["done"])


@dataclass(frozen=True)
class Made:
    """What one step tells: figures to log, and the numbers of the clips in its batch."""

    figures: Mapping[str, float]
    clips: np.ndarray[Any, Any]


Step = Callable[[int], Made]
"""Makes step k (from 0). All chance in it follows from the stage's seed and k, through torch's and
NumPy's global generators or batches that start at k."""


def train(
    ctx: FitContext,
    training: Training,
    begin: Callable[[int], Step],
    after: Callable[[int], None] | None = None,
) -> bool:
    """Make the steps that are left, from the last checkpoint where there is one.

    Args:
        begin: given the number of steps made before, tells how to make the next ones.
        after: called after each step with the number of steps made, before a checkpoint is
            written: validation, pictures.

    Returns:
        Whether all steps are made; not when the job was asked to stop.

    Raises:
        MethodFailed: a figure is NaN or infinite, or the memory does not suffice; nothing of that
            step is kept.
    """
    stored = ctx.resume()
    done = 0
    if stored is not None:
        done = training.restore(from_arrays(*stored, device=ctx.device))  # pyright: ignore[reportArgumentType]
    kept = done
    make = begin(done)
    every, told = max(1, training.steps // _STORED), max(1, training.steps // _LOGGED)
    with deterministic():
        while done < training.steps and not ctx.should_stop:
            try:
                with seeded(step_seed(ctx.seed, done)):
                    made = make(done)
            except (RuntimeError, MemoryError) as error:
                if not _about_memory(error):
                    raise
                raise MethodFailed(
                    f"{training.who} ran out of memory at step {done + 1}; the last good state is "
                    f"that of step {kept}.",
                    fix=f"Lower {' or '.join(training.smaller)}; nothing was changed by itself.",
                ) from error
            _check(made, training, done, kept)
            done = ctx.step(training.steps)
            if done == 1 or done % told == 0:
                ctx.log(made.figures)
            if after is not None:
                after(done)
            if done % every == 0 or done == training.steps or ctx.should_stop:
                ctx.checkpoint(*to_arrays(training.state(done)))
                kept = done
    return done >= training.steps


def step_seed(seed: int, step: int) -> int:
    """The seed of one step."""
    word = hashlib.sha256(f"step\x1f{seed}\x1f{step}".encode()).digest()[:8]
    return int.from_bytes(word, "big")


def _check(made: Made, training: Training, done: int, kept: int) -> None:
    bad = [f"{name} = {value}" for name, value in made.figures.items() if not math.isfinite(value)]
    if bad:
        raise MethodFailed(
            f"{training.who} stopped at step {done + 1} of {training.steps}: {', '.join(bad)}; "
            f"the last good state is that of step {kept}.",
            fix="Lower the learning rate, or look at these clips.",
            clips=tuple(map(int, made.clips)),
        )


def _about_memory(error: Exception) -> bool:
    """torch on a CPU raises a bare RuntimeError when the allocator fails."""
    text = str(error).lower()
    return (
        isinstance(error, (MemoryError, torch.OutOfMemoryError))
        or "not enough memory" in text
        or "can't allocate memory" in text
    )
