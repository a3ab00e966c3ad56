"""Recurrent parts: a peephole LSTM with projection, and the predictor of encodings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-12
"""Added to the variance by every normalisation layer (TF-slim's value)."""

_SPREAD = 1e-2
"""Standard deviation of first weights, cut off at twice as much."""

State = tuple[Tensor, Tensor]
"""Cell and output of an LSTM, [B,units] each."""

_KEEP = 1.0
"""Added to what the forget gate sees, so that a cell remembers at first."""


class PeepholeLSTM(nn.Module):
    """One step of an LSTM whose gates see its cell and whose output is projected linearly.

    c' = sig(f + 1 + w_f c) c + sig(i + w_i c) tanh(j);  m' = P (sig(o + w_o c') tanh(c'))
    with (i, j, f, o) = W [x, m] + b (Sak et al. 2014, as in TensorFlow 1's LSTMCell).

    Args:
        spread: standard deviation of first weights; None for Glorot's, the default of TensorFlow's
            cell.
    """

    def __init__(self, inputs: int, units: int, spread: float | None = _SPREAD) -> None:
        super().__init__()
        self.units = units
        self.gates = nn.Linear(inputs + units, 4 * units)
        self.peephole = nn.Parameter(torch.zeros(3, units))
        self.project = nn.Linear(units, units, bias=False)
        start(self.gates.weight, spread)
        start(self.peephole, spread, diagonal=True)
        start(self.project.weight, spread)
        nn.init.zeros_(self.gates.bias)
        self.keep: Tensor
        self.register_buffer("keep", torch.tensor([[0.0], [_KEEP]]), persistent=False)

    def start(self, batch: int, like: Tensor) -> State:
        """The state before the first step: zeros."""
        zero = like.new_zeros(batch, self.units)
        return zero, zero

    def forward(self, x: Tensor, state: State) -> State:
        """[B,inputs] and the state before -> the state after; its second part is the output."""
        cell, output = state
        gates = self.gates(torch.cat([x, output], 1)).unflatten(1, (4, self.units))
        # a GPU computes a step of so few numbers in no time and launches its kernels in much more:
        # gates i and f go together, and each product with its sum
        both = torch.addcmul(gates[:, ::2], self.peephole[:2], cell[:, None]) + self.keep
        enter, keep = torch.sigmoid(both).unbind(1)
        cell = torch.addcmul(enter * torch.tanh(gates[:, 1]), keep, cell)
        leave = torch.sigmoid(torch.addcmul(gates[:, 3], self.peephole[2], cell))
        return cell, self.project(leave * torch.tanh(cell))


def start(weight: Tensor, spread: float | None, diagonal: bool = False) -> None:
    """First weights, in place: truncated normal ones of a standard deviation, or Glorot's.

    Args:
        weight: [outputs,inputs].
        spread: their standard deviation before they are cut off at twice as much; None for
            Glorot's, which are uniform within sqrt(6 / (inputs + outputs)).
        diagonal: each row holds the diagonal of a square matrix; for Glorot it has as many inputs
            and outputs as it has numbers, as in TensorFlow.
    """
    if spread is not None:
        nn.init.trunc_normal_(weight, std=spread, a=-2 * spread, b=2 * spread)
    elif diagonal:
        bound = math.sqrt(3 / weight.shape[1])
        nn.init.uniform_(weight, -bound, bound)
    else:
        nn.init.xavier_uniform_(weight)


def dense(inputs: int, outputs: int, spread: float | None = _SPREAD) -> nn.Linear:
    """A linear layer with first weights as in `start`, and no bias at first."""
    layer = nn.Linear(inputs, outputs)
    start(layer.weight, spread)
    nn.init.zeros_(layer.bias)
    return layer


class Predictor(nn.Module):
    """Predicts future encodings: a residual tower of LSTMs with feedback over time.

    Args:
        encoding: numbers of an encoding.
        cells: odd; one at the bottom and two for each residual pair.
        slot: numbers of the action slot of the original, zeros without an action; the layers are
            that wider.
        noise: normal numbers drawn again at each step; 0 for a deterministic predictor.
        spread: standard deviation of first weights, apart from those of the noise.
    """

    def __init__(
        self, encoding: int, cells: int, slot: int = 0, noise: int = 0, spread: float = _SPREAD
    ) -> None:
        super().__init__()
        width = encoding + slot
        self.slot, self.noise = slot, noise
        self.enter = dense(width, width, spread)
        # the noise comes to a predictor that is trained already, and must not drown what it says
        self.shake = dense(noise, width) if noise else None
        self.feedback = nn.Parameter(torch.zeros(2 * width))
        pairs = (cells - 1) // 2

        def lstm(inputs: int) -> PeepholeLSTM:
            return PeepholeLSTM(inputs, width, spread)

        self.bottom = lstm(3 * width)
        self.plain = nn.ModuleList(lstm(width) for _ in range(pairs))
        self.skipped = nn.ModuleList(lstm(2 * width) for _ in range(pairs))
        self.norms = nn.ModuleList(nn.LayerNorm(width, EPSILON) for _ in range(pairs + 1))
        self.leave = dense(width, encoding, spread)

    def forward(
        self,
        given: Tensor,
        steps: int,
        noise: Tensor | None = None,
        unit: bool = False,
        action: Tensor | None = None,
    ) -> Tensor:
        """Predict encodings: the true ones are fed as long as there are any, then its own.

        Args:
            given: [B,n,encoding] true encodings of the given frames.
            steps: how many encodings to return.
            noise: [B,steps,noise], where the predictor takes any.
            unit: return encodings of length 1.
            action: [B,slot], what stands in the action slot at each step; None for zeros.

        Returns:
            [B,steps,encoding]; entry k stands for frame k + 1, so that those of k < n - 1 lie
            within the given frames and those from n - 1 on are predictions.
        """
        states = [c.start(len(given), given) for c in self._cells()]
        back = self.feedback.expand(len(given), -1)
        shaken = None
        if self.shake is not None and noise is not None:
            shaken = self.shake(noise)  # of all steps at once
        codes: list[Tensor] = []
        for k in range(steps):
            now = given[:, k] if k < given.shape[1] else codes[-1]
            now = F.pad(now, (0, self.slot)) if action is None else torch.cat([now, action], 1)
            code, states = self._step(now, back, states, None if shaken is None else shaken[:, k])
            codes.append(F.normalize(code, dim=1) if unit else code)
            # the top of the last pair but one, which is number 18 of the original's 0 to 20
            back = torch.cat(states[max(0, len(states) - 3)], 1)
        return torch.stack(codes, 1)

    def _cells(self) -> list[PeepholeLSTM]:
        pairs = zip(self.plain, self.skipped, strict=True)
        return [self.bottom, *(cell for pair in pairs for cell in pair)]  # pyright: ignore[reportReturnType]

    def _step(
        self, now: Tensor, back: Tensor, states: list[State], shaken: Tensor | None
    ) -> tuple[Tensor, list[State]]:
        u = self.enter(now)
        u = F.relu(u if shaken is None else u + shaken)
        after = [self.bottom(torch.cat([u, back], 1), states[0])]
        p = self.norms[0](after[0][1])
        for k, (plain, skipped) in enumerate(zip(self.plain, self.skipped, strict=True)):
            after.append(plain(p, states[2 * k + 1]))
            p = p + after[-1][1]
            after.append(skipped(torch.cat([p, u], 1), states[2 * k + 2]))
            p = p + self.norms[k + 1](after[-1][1])
        return self.leave(p), after
