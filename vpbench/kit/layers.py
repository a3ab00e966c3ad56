"""Convolutions and first weights that networks for short trainings share."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)

_RANDOM = 0.2
"""The random part of `pass_on`, as a part of He's standard deviation: enough to tell channels
apart, little enough that a picture comes through several layers."""

_RGB = 3


def glorot(layer: Layer) -> Layer:
    """Glorot-uniform weights and zero bias, in place (Glorot and Bengio 2010)."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A padded 3x3 convolution with Glorot's first weights.

    With stride 1 it also stands for a transposed convolution, of which it is the mirror image.
    """
    return glorot(nn.Conv2d(inputs, outputs, 3, stride, 1))


def upconv3x3(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """A transposed 3x3 convolution that doubles height and width, with Glorot's first weights.

    It is unpooling (each value to the top left of a 2x2 square of zeros) and a 3x3 convolution in
    one: the same sum without the zeros, which is a quarter of the products.
    """
    return glorot(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1))


def pass_on(part: nn.Module) -> None:
    """First weights under which 3x3 convolutions hand on what they get, besides something random.

    A network without a way round would else spend a short training on learning to copy. Each
    channel continues as itself: as copies where they grow in number, as their mean where they
    shrink; a transposed convolution of stride 2 interpolates. He's weights, a fifth as large, come
    on top. An image becomes copies of itself and of its negative, so that ReLU loses nothing, and
    is put together at the end (with 6 channels or more). All channels have to be multiples of each
    other, apart from an image's three.

    Args:
        part: its convolutions are changed, in place; biases stay.
    """
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _hand_on(layer)


@torch.no_grad()
def _hand_on(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    doubles = isinstance(layer, nn.ConvTranspose2d)
    # only a quarter of the taps of a transposed convolution meet a value
    taken = layer.in_channels * 9 / (4 if doubles else 1)
    nn.init.normal_(layer.weight, std=_RANDOM * math.sqrt(2 / taken))
    side = torch.tensor([0.5, 1.0, 0.5] if doubles else [0.0, 1.0, 0.0])
    through = _routes(layer.in_channels, layer.out_channels)
    through = through.T if doubles else through
    layer.weight += through[:, :, None, None] * (side[:, None] * side)


def _routes(inputs: int, outputs: int) -> Tensor:
    """[outputs,inputs]: which channel goes where, and how much of it."""
    many, few = max(inputs, outputs), min(inputs, outputs)
    number = torch.arange(many)
    to = torch.zeros(many, few)
    to[number, number % few] = 1.0
    if few == _RGB:  # in turn a copy and a negative
        to *= 1 - 2 * (number // few % 2)[:, None]
    if outputs >= inputs:
        return to
    # of copies and negatives, whichever are not cut off at 0
    mean = to.clamp(min=0) / to.clamp(min=0).sum(0).clamp(min=1)
    return (mean - to.clamp(max=0) / to.clamp(max=0).sum(0).clamp(max=-1)).T
