"""Training steps that a GPU replays as one recorded graph of their thousands of kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vpbench.api import FitContext

Step = Callable[..., dict[str, Tensor]]

_EAGER = 2
"""Calls before a step is recorded: libraries choose their algorithms and optimisers make their
state in the first."""


class GraphedStep:
    """Calls a step; on a GPU records it once as a CUDA graph and repeats that.

    A recurrent network of small cells spends its time on launching kernels. A graph launches them
    all at once. Each call is one step, also while recording, so that a training is the same
    sequence of steps with and without graphs; on a CPU this is the plain function.

    Args:
        step: takes tensors by name, the same shapes each time, and returns figures as tensors. It
            must not read a value of a tensor, nor draw random numbers on the CPU.
        device: where it computes.
        eager: never record.

    Attributes:
        refused: why the step could not be recorded and runs plainly; "" while all is well.
    """

    def __init__(self, step: Step, device: str | torch.device, eager: bool = False) -> None:
        self._step = step
        self._plain = eager or torch.device(device).type != "cuda"
        self._calls = 0
        self._inputs: dict[str, Tensor] = {}
        self._figures: dict[str, Tensor] = {}
        self._graph: torch.cuda.CUDAGraph | None = None
        self.refused = ""

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        """One step. The figures of a recorded step hold until the next call."""
        self._calls += 1
        if self._plain:
            return self._step(**inputs)
        if self._calls <= _EAGER:
            return self._aside(inputs)
        if self._graph is None and not self._record(inputs):
            return self._step(**inputs)
        for name, tensor in inputs.items():
            self._inputs[name].copy_(tensor, non_blocking=True)
        assert self._graph is not None  # recorded above
        self._graph.replay()
        return self._figures

    def _aside(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A plain step on a stream of its own, as recording asks for."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            figures = self._step(**inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return figures

    def _record(self, inputs: Mapping[str, Tensor]) -> bool:
        """Record the step; nothing is computed yet. False where that is impossible."""
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        try:
            # other threads may ask CUDA for something meanwhile
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._figures = self._step(**self._inputs)
        except RuntimeError as error:  # an operator that cannot be recorded on this machine
            self._plain, self.refused = True, str(error).partition("\n")[0]
            torch.cuda.synchronize()
            return False
        self._graph = graph
        return True


def note_refusal(ctx: FitContext, graphed: GraphedStep) -> None:
    """Say beside the rows of a stage that its step could not be recorded."""
    if graphed.refused:
        ctx.note(f"trained without CUDA graphs ({graphed.refused})")
