"""Figures of a step without waiting for the GPU at each."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vpbench.kit import Training
from vpbench.kit.loop import N_LOGGED


def due(training: Training) -> bool:
    """Whether the step that is being made will be logged."""
    done = training.done + 1
    return done == 1 or done % max(1, training.steps // N_LOGGED) == 0


def read(figures: Mapping[str, Tensor | float], training: Training) -> dict[str, float]:
    """Figures as numbers.

    On a CPU those of every step, so that a bad one stops the training at once. To read a number
    from a GPU means to wait for it; there only the steps that are logged are read, and the others
    have none.
    """
    tensors = {k: v for k, v in figures.items() if isinstance(v, Tensor)}
    away = any(t.is_cuda for t in tensors.values())
    if away and not due(training):
        return {}
    numbers = {k: float(v) for k, v in figures.items() if not isinstance(v, Tensor)}
    if tensors:
        values = torch.stack([t.detach().float().reshape(()) for t in tensors.values()]).tolist()
        numbers |= dict(zip(tensors, values, strict=True))
    return {name: numbers[name] for name in figures}
