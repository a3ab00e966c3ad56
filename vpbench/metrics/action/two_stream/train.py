"""Trains both streams on the clips of a task.

An interrupted training resumes from the last state that it has stored, to the same weights as one
that was not interrupted: the state holds the random generators too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from vpbench.api.errors import MissingData, UsageError
from vpbench.api.protocols import TrainingClips
from vpbench.kit.loop import N_STORED
from vpbench.kit.state import from_arrays, to_arrays
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


class Checkpoints(Protocol):
    """Keeps the state of a training that may be interrupted; a part of `FitContext`."""

    def checkpoint(self, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Store the state, whole or not at all."""
        ...

    def resume(self) -> tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]] | None:
        """The last state, or None."""
        ...


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
    ctx: Checkpoints | None = None,
) -> Trained:
    """Train the spatial and the temporal stream, one after the other.

    Every class is drawn equally often. The weights that recognise most validation clips count, the
    earliest of equals.

    Args:
        report: called after each clip whose flow is computed, and after each step.
        pretrained: weights of the backbone that both streams begin with; None for random ones.
        ctx: stores the state of the training and gives it back; None stores nothing.

    Raises:
        MissingData: no validation clips, or a class without a training clip.
        UsageError: clips too short for a stack of flow.
    """
    labels = [_label(clip.label) for clip in train.clips]
    if len(set(labels)) < classes:
        raise MissingData(f"{len(set(labels))} of {classes} classes have training clips.")
    if not validation.clips:
        raise MissingData("a recogniser is selected on validation clips, but there are none.")
    started = time.monotonic()
    clips = _materials(train, settings, report)
    checks = [material(validation.read(i), settings) for i in range(len(validation.clips))]
    truth = [_label(clip.label) for clip in validation.clips]
    networks: dict[str, nn.Module] = {}
    store = _Store(ctx)
    with as_if_alone(seed):
        for stream in STREAMS:
            network = make_network(stream, settings, classes)
            if pretrained is not None:
                start_from(network, pretrained, stream)
            loop = _Loop(
                stream, network.to(device), settings, clips, labels, seed, device, report, store
            )
            networks[stream] = loop.run(checks, truth)
    rounded = {name: _halved(network) for name, network in networks.items()}
    return Trained(rounded, _accuracy(rounded, checks, truth, settings), time.monotonic() - started)


class _Store:
    """The state of both streams, in the checkpoint of a training."""

    def __init__(self, ctx: Checkpoints | None) -> None:
        self._ctx = ctx
        stored = ctx.resume() if ctx else None
        self.streams: dict[str, Any] = from_arrays(*stored) if stored else {}
        """Stream -> its state."""

    def write(self, stream: str, state: dict[str, Any]) -> None:
        """Store one stream's state beside that of the other."""
        if self._ctx is not None:
            self.streams[stream] = state
            self._ctx.checkpoint(*to_arrays(self.streams))


@dataclass(eq=False)
class _Loop:
    """The training of one stream.

    Attributes:
        done: steps made.
        best: share of the validation clips that the best weights recognise.
        weights: the best weights.
        losses: sum of the losses since the last validation.
    """

    stream: str
    network: nn.Module
    settings: Settings
    clips: Sequence[Material]
    labels: Sequence[int]
    seed: int
    device: str
    report: Report
    store: _Store
    done: int = 0
    best: float = -1.0
    losses: float = 0.0
    weights: dict[str, Tensor] = field(init=False)
    optimiser: torch.optim.SGD = field(init=False)
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.weights = self._weights()
        self.optimiser = torch.optim.SGD(
            self.network.parameters(),
            self.rate,
            momentum=0.9,
            weight_decay=self.settings.decay,
            nesterov=True,
        )
        self.rng = np.random.default_rng([self.seed, int(self.stream == "spatial")])

    @property
    def steps(self) -> int:
        own = self.settings
        return own.steps if self.stream == "spatial" else own.temporal_steps

    @property
    def rate(self) -> float:
        own = self.settings
        return own.rate if self.stream == "spatial" else own.temporal_rate

    def run(self, checks: Sequence[Material], truth: Sequence[int]) -> nn.Module:
        """Train, and return the network with its best weights on the processor."""
        self._resume()
        validate_every = max(1, self.steps // self.settings.validations)
        store_every = max(1, self.steps // N_STORED)
        while self.done < self.steps:
            dropped = sum(self.done >= part * self.steps for part in self.settings.drops)
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate * 0.1**dropped
            self.losses += self._step()
            self.done += 1
            last, figures = self.done == self.steps, {}
            if self.done % validate_every == 0 or last:
                share = self._share(checks, truth)
                if share > self.best:
                    self.best, self.weights = share, self._weights()
                figures = {"loss": self.losses / validate_every, "validation": share}
                self.losses = 0.0
            self.report(f"{self.stream} stream", self.done, self.steps, figures)
            if self.done % store_every == 0 or last:
                self.store.write(self.stream, self._state())
        self.network.load_state_dict(self.weights)
        return self.network.cpu().eval()

    def _state(self) -> dict[str, Any]:
        """All that the next step depends on; after the last one, what is left of the stream."""
        state = {
            "done": self.done,
            "best": self.best,
            "losses": self.losses,
            "weights": self.weights,
            "torch": torch.get_rng_state(),
        }
        if self.done == self.steps:
            return state
        if self.device != "cpu":  # dropout draws there
            state["gpu"] = torch.cuda.get_rng_state(self.device)
        return {
            **state,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "numpy": self.rng.bit_generator.state,
        }

    def _resume(self) -> None:
        """Take over the stored state of this stream, where there is one."""
        state = self.store.streams.get(self.stream)
        if state is None:
            return
        self.done, self.best, self.losses = state["done"], state["best"], state["losses"]
        self.weights = state["weights"]
        torch.set_rng_state(state["torch"])
        if "network" not in state:
            return
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["numpy"]
        if self.device != "cpu" and "gpu" in state:
            torch.cuda.set_rng_state(state["gpu"], self.device)

    def _step(self) -> float:
        """Make one step, and return its loss."""
        numbers = balanced(self.labels, self.settings.batch, self.rng)
        views = [
            training_view(self.clips[i], self.stream, self.settings, self.rng) for i in numbers
        ]
        images = torch.from_numpy(np.stack(views)).to(self.device)
        as_input = frames_input if self.stream == "spatial" else flow_input
        wanted = torch.tensor([self.labels[i] for i in numbers], device=self.device)
        loss = functional.cross_entropy(self.network.train()(as_input(images)), wanted)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
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
        raise UsageError("a recogniser needs clips with a class, but one has none.")
    return label
