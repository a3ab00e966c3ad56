"""The critic of sequences of encodings (WGAN-GP, Gulrajani et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.kit import conv3x3
from vpbench_baselines.wichers.images import norm
from vpbench_baselines.wichers.recurrent import EPSILON, PeepholeLSTM, State, dense


class Sequence(NamedTuple):
    """What the critic judges: codes [B,T,E], h2 [B,T,2d,h,w], h4 [B,T,4d,h,w]."""

    codes: Tensor
    h2: Tensor
    h4: Tensor


class Critic(nn.Module):
    """A score for a whole sequence, read off after its last step.

    Args:
        encoding: numbers of an encoding.
        d: base width of the analogy network.
        side: height and width of h2 and h4.
        width: 64 in the original.
        spread: standard deviation of the recurrent and of the dense first weights; None for
            Glorot's, which the original's layers have by default. From 0.01 the score hardly
            depends on what is seen, and the gradient penalty has to raise its slope first.
    """

    def __init__(
        self, encoding: int, d: int, side: int, width: int, spread: float | None = None
    ) -> None:
        super().__init__()
        self.look2 = nn.Sequential(
            conv3x3(2 * d, width, 2), nn.ReLU(), conv3x3(width, width, 2), nn.ReLU(), norm(width)
        )
        self.look4 = nn.Sequential(
            conv3x3(4 * d, 2 * width, 2),
            nn.ReLU(),
            conv3x3(2 * width, width, 2),
            nn.ReLU(),
            norm(width),
        )
        small = (side + 3) // 4
        units = (4 * width, 4 * width, 2 * width, width)
        inputs = (encoding + 2 * width * small * small + units[-1], *units[:-1])
        self.cells = nn.ModuleList(
            PeepholeLSTM(i, u, spread) for i, u in zip(inputs, units, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(u, EPSILON) for u in units)
        self.leave = dense(units[-1], 1, spread)

    def forward(self, seen: Sequence) -> Tensor:
        """[B] scores, higher for what looks real."""
        batch, times = seen.codes.shape[:2]
        looked = [
            look(part.flatten(0, 1)).flatten(1).view(batch, times, -1)
            for look, part in ((self.look2, seen.h2), (self.look4, seen.h4))
        ]
        steps = torch.cat([seen.codes, *looked], 2)
        states: list[State] = [cell.start(batch, steps) for cell in self.cells]  # pyright: ignore[reportCallIssue]
        output = steps.new_zeros(batch, self.leave.in_features)
        for t in range(times):
            output = torch.cat([steps[:, t], output], 1)
            for k, (cell, norm_of) in enumerate(zip(self.cells, self.norms, strict=True)):
                states[k] = cell(output, states[k])
                output = norm_of(states[k][1])
        return self.leave(output)[:, 0]


def score_gap(critic: Critic, real: Sequence, fake: Sequence) -> Tensor:
    """E[C(fake)] - E[C(real)]."""
    of_real, of_fake = scores(critic, real, fake)
    return of_fake.mean() - of_real.mean()


def judged(critic: Critic, real: Sequence, fake: Sequence, share: Tensor) -> tuple[Tensor, Tensor]:
    """What the critic loses: the gap, and the gradient penalty at places between the sequences.

    Args:
        share: [B] in [0,1], how far from the real sequence towards the fake one each place lies.

    Returns:
        E[C(fake)] - E[C(real)], and (|dC/dw| - 1)^2, mean over clips.
    """
    between = Sequence(
        *(
            torch.lerp(r, f, share.view(-1, *[1] * (r.ndim - 1))).detach().requires_grad_()
            for r, f in zip(real, fake, strict=True)
        )
    )
    of_real, of_fake, of_between = scores(critic, real, fake, between)
    slopes = torch.autograd.grad(of_between.sum(), tuple(between), create_graph=True)
    length = torch.stack([s.flatten(1).square().sum(1) for s in slopes]).sum(0)
    penalty = F.mse_loss((length + EPSILON).sqrt(), torch.ones_like(length))
    return of_fake.mean() - of_real.mean(), penalty


def scores(critic: Critic, *sequences: Sequence, together: bool | None = None) -> list[Tensor]:
    """The scores [B] of some batches of sequences.

    Args:
        together: in one pass; None where they lie on a GPU, whose time goes by steps, not by clips.
    """
    if sequences[0].codes.is_cuda if together is None else together:
        joined = Sequence(*(torch.cat(parts) for parts in zip(*sequences, strict=True)))
        return list(critic(joined).chunk(len(sequences)))
    return [critic(sequence) for sequence in sequences]
