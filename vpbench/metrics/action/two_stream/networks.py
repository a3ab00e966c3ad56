"""The networks of both streams: timm's, with a first layer for 20 channels of flow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.api.errors import UsageError
from vpbench.metrics.action.two_stream.flow import STACK
from vpbench.metrics.action.two_stream.settings import Settings

STREAMS = ("spatial", "temporal")
CHANNELS = {"spatial": 3, "temporal": 2 * STACK}
"""Input channels of each stream."""

MEAN, SPREAD = 0.45, 0.225
"""Of the pixel values in [0,1], one for all colours: what ImageNet's are near."""


def make_network(stream: str, settings: Settings, classes: int) -> nn.Module:
    """A network with random weights, from torch's generator.

    Raises:
        UsageError: timm has no such network.
    """
    import timm

    drop = settings.dropout if stream == "spatial" else settings.temporal_dropout
    try:
        return timm.create_model(
            settings.backbone,
            pretrained=False,
            in_chans=CHANNELS[stream],
            num_classes=classes,
            drop_rate=drop,
        )
    except RuntimeError as error:
        raise UsageError(f"timm makes no network {settings.backbone!r}: {error}.") from error


def cross_modality(kernel: Tensor, channels: int) -> Tensor:
    """The first kernel of a network of colours, for other channels.

    Every channel gets the mean over the colours, scaled so that the sum over the channels is that
    over the colours: a grey picture and equal channels of the same value give the same response
    (Wang et al., "Temporal Segment Networks", ECCV 2016, without the scale).

    Args:
        kernel: [O,3,k,k].
        channels: C.

    Returns:
        [O,C,k,k].
    """
    return (kernel.sum(dim=1, keepdim=True) / channels).repeat(1, channels, 1, 1)


def start_from(network: nn.Module, pretrained: dict[str, Tensor], stream: str) -> int:
    """Take over the weights of a network of colours, all that fit but the classifier.

    Returns:
        How many tensors were taken over.

    Raises:
        UsageError: the first layer has another shape than the backbone's.
    """
    first = _first_kernel(network)
    own = network.state_dict()
    if first not in pretrained or pretrained[first].ndim != 4 or pretrained[first].shape[1] != 3:
        raise UsageError(
            f"the pretrained weights have no kernel {first!r} of three colours.",
            fix="Give weights of the preset's backbone, as timm names them.",
        )
    taken: dict[str, Tensor] = {}
    for name, value in pretrained.items():
        adapted = cross_modality(value, CHANNELS[stream]) if name == first else value
        if stream == "spatial" and name == first:
            adapted = value
        if name in own and own[name].shape == adapted.shape and not _classifies(network, name):
            taken[name] = adapted
    network.load_state_dict({**own, **taken})
    return len(taken)


def frames_input(frames: Tensor) -> Tensor:
    """uint8 [B,H,W,3] -> float32 [B,3,H,W], standardised."""
    return (frames.permute(0, 3, 1, 2).float() / 255 - MEAN) / SPREAD


def flow_input(stacks: Tensor) -> Tensor:
    """float32 [B,H,W,20] -> [B,20,H,W]."""
    return stacks.permute(0, 3, 1, 2).float()


def _first_kernel(network: nn.Module) -> str:
    """Name of the first kernel."""
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            return name
    raise UsageError("the network has no convolution.")


def _classifies(network: Any, name: str) -> bool:
    """Whether a tensor belongs to the last layer."""
    last = network.get_classifier()
    return any(last is module for module in _above(network, name))


def _above(network: nn.Module, name: str) -> Iterator[nn.Module]:
    module: Any = network
    for part in name.split(".")[:-1]:
        module = getattr(module, part)
        yield module


@contextmanager
def as_if_alone(seed: int) -> Iterator[None]:
    """Seeded random numbers of torch's own generator, put back afterwards."""
    state = torch.get_rng_state()
    try:
        torch.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(state)
