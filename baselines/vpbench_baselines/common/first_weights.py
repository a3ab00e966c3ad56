"""First weights for short trainings of networks that have to bring a picture through."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_RANDOM = 0.2
"""What is random, of He's standard deviation."""

COLOURS = 3
"""Channels of an image."""


def pass_on(part: nn.Module, signed: bool = True) -> None:
    """First weights under which convolutions hand on what they get, besides something random.

    A network without a way round would else spend a short training on learning to copy. Each
    channel goes on as itself: as copies where they grow in number, as their mean where they
    shrink; a transposed convolution of stride 2 interpolates. He's weights, a fifth as large, come
    on top. All channels have to be multiples of each other, apart from an image's.

    Args:
        part: its 3x3 convolutions are changed, in place; biases stay.
        signed: an image holds negative values too; it becomes copies of itself and of its
            negative, so that ReLU loses nothing, and is put together at the end (>= 6 channels).
    """
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _hand_on(layer, signed)


@torch.no_grad()
def _hand_on(layer: nn.Conv2d | nn.ConvTranspose2d, signed: bool) -> None:
    doubles = isinstance(layer, nn.ConvTranspose2d)
    # only a quarter of the taps of a transposed convolution meet a value
    taken = layer.in_channels * 9 / (4 if doubles else 1)
    nn.init.normal_(layer.weight, std=_RANDOM * math.sqrt(2 / taken))
    side = torch.tensor([0.5, 1.0, 0.5] if doubles else [0.0, 1.0, 0.0])
    through = _ways(layer.in_channels, layer.out_channels, signed)
    through = through.T if doubles else through
    layer.weight += through[:, :, None, None] * (side[:, None] * side)


def _ways(inputs: int, outputs: int, signed: bool) -> Tensor:
    """[outputs,inputs]: which channel goes where, and how much of it."""
    many, few = max(inputs, outputs), min(inputs, outputs)
    number = torch.arange(many)
    to = torch.zeros(many, few)
    to[number, number % few] = 1.0
    if signed and few == COLOURS:  # in turn a copy and a negative
        to *= 1 - 2 * (number // few % 2)[:, None]
    if outputs >= inputs:
        return to
    # of copies and negatives, whichever are not cut off at 0
    mean = to.clamp(min=0) / to.clamp(min=0).sum(0).clamp(min=1)
    return (mean - to.clamp(max=0) / to.clamp(max=0).sum(0).clamp(max=-1)).T
