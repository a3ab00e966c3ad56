"""Trains both streams on the clips of a task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vpbench.api.errors import MissingData, UsageError
from vpbench.api.protocols import TrainingClips
from vpbench.metrics.action.two_stream.flow import STACK
from vpbench.metrics.action.two_stream.networks import (
    STREAMS,
    as_if_alone,
    flow_input,
    frames_input,
    make_network,
    start_from,
)
from vpbench.metrics.action.two_stream.recogniser import recognise_material
from vpbench.metrics.action.two_stream.settings import Settings
from vpbench.metrics.action.two_stream.views import Material, material, training_view

Report = Callable[[str, int, int, dict[str, float]], None]
"""What is done, how much of it, of how much, and figures."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Both streams after training.

    Attributes:
        networks: stream -> network, with the weights that were best on validation clips.
        accuracy: on validation clips, of each stream and "fused", as they are stored.
    """

    networks: dict[str, nn.Module]
    accuracy: dict[str, float]
    seconds: float


def train_streams(
    train: TrainingClips,
    validation: TrainingClips,
    classes: int,
    settings: Settings,
    report: Report,
    *,
    seed: int = 0,
    device: str = "cpu",
    pretrained: dict[str, Tensor] | None = None,
) -> Trained:
    """Train the spatial and the temporal stream, one after the other.

    Every class is drawn equally often. The weights that recognise most validation clips count, the
    earliest of equals.

    Raises:
        MissingData: no validation clips, or a class without a training clip.
        UsageError: clips too short for a stack of flow.
    """
    labels = [_label(clip.label) for clip in train.clips]
    if len(set(labels)) < classes:
        raise MissingData(f"{len(set(labels))} of {classes} classes have training clips.")
    if not validation.clips:
        raise MissingData("a recogniser is selected on validation clips, there are none.")
    started = time.monotonic()
    clips = _materials(train, settings, report)
    checks = [material(validation.read(i), settings) for i in range(len(validation.clips))]
    truth = [_label(clip.label) for clip in validation.clips]
    networks: dict[str, nn.Module] = {}
    with as_if_alone(seed):
        for stream in STREAMS:
            network = make_network(stream, settings, classes)
            if pretrained is not None:
                start_from(network, pretrained, stream)
            loop = _Loop(stream, network.to(device), settings, clips, labels, seed, device, report)
            networks[stream] = loop.run(checks, truth)
    rounded = {name: _halved(network) for name, network in networks.items()}
    return Trained(rounded, _accuracy(rounded, checks, truth, settings), time.monotonic() - started)


@dataclass(eq=False)
class _Loop:
    """The training of one stream."""

    stream: str
    network: nn.Module
    settings: Settings
    clips: Sequence[Material]
    labels: Sequence[int]
    seed: int
    device: str
    report: Report

    def run(self, checks: Sequence[Material], truth: Sequence[int]) -> nn.Module:
        """Train, and return the network with its best weights on the processor."""
        own, spatial = self.settings, self.stream == "spatial"
        steps = own.steps if spatial else own.temporal_steps
        rate = own.rate if spatial else own.temporal_rate
        optimiser = torch.optim.SGD(
            self.network.parameters(), rate, momentum=0.9, weight_decay=own.decay, nesterov=True
        )
        rng = np.random.default_rng([self.seed, int(spatial)])
        every = max(1, steps // own.validations)
        best, weights, losses = -1.0, self._weights(), 0.0
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = rate * 0.1 ** sum(step >= part * steps for part in own.drops)
            losses += self._step(optimiser, rng)
            if (step + 1) % every == 0 or step + 1 == steps:
                share = self._share(checks, truth)
                if share > best:
                    best, weights = share, self._weights()
                figures = {"loss": losses / every, "validation": share}
                self.report(f"{self.stream} stream", step + 1, steps, figures)
                losses = 0.0
        self.network.load_state_dict(weights)
        return self.network.cpu().eval()

    def _step(self, optimiser: torch.optim.Optimizer, rng: np.random.Generator) -> float:
        numbers = balanced(self.labels, self.settings.batch, rng)
        views = [training_view(self.clips[i], self.stream, self.settings, rng) for i in numbers]
        images = torch.from_numpy(np.stack(views)).to(self.device)
        as_input = frames_input if self.stream == "spatial" else flow_input
        wanted = torch.tensor([self.labels[i] for i in numbers], device=self.device)
        loss = functional.cross_entropy(self.network.train()(as_input(images)), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    def _share(self, checks: Sequence[Material], truth: Sequence[int]) -> float:
        network = _halved(self.network)
        found = _accuracy({self.stream: network}, checks, truth, self.settings)
        return found[self.stream]

    def _weights(self) -> dict[str, Tensor]:
        return {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}


def balanced(labels: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """Numbers of `count` clips: first a class, then a clip of it, each with equal chances."""
    by_class = [np.flatnonzero(np.asarray(labels) == c) for c in sorted(set(labels))]
    drawn = rng.integers(len(by_class), size=count)
    return [int(rng.choice(by_class[c])) for c in drawn]


def _materials(train: TrainingClips, settings: Settings, report: Report) -> list[Material]:
    clips: list[Material] = []
    for i, clip in enumerate(train.clips):
        frames = train.read(i)
        if len(frames) <= STACK:
            raise UsageError(
                f"a stack of {STACK} flow fields needs {STACK + 1} frames, {clip.id!r} has "
                f"{len(frames)}."
            )
        clips.append(material(frames, settings))
        report("optical flow", i + 1, len(train.clips), {})
    return clips


def _halved(network: nn.Module) -> nn.Module:
    """A copy on the processor in evaluation mode, with weights rounded as they are stored."""
    import copy

    rounded = copy.deepcopy(network).cpu().eval()
    state = rounded.state_dict()
    halves = {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
    rounded.load_state_dict(halves)
    return rounded


def _accuracy(
    networks: dict[str, nn.Module],
    checks: Sequence[Material],
    truth: Sequence[int],
    settings: Settings,
) -> dict[str, float]:
    """Share of clips that are recognised, of each stream and fused."""
    right: dict[str, int] = {}
    for clip, label in zip(checks, truth, strict=True):
        for name, found in recognise_material(networks, clip, settings).items():
            right[name] = right.get(name, 0) + int(int(found.argmax()) == label)
    return {name: count / len(checks) for name, count in sorted(right.items())}


def _label(label: int | None) -> int:
    if label is None:
        raise UsageError("a recogniser needs clips with a class, there is one without.")
    return label
