"""The networks of Villegas et al. 2017: pose LSTM, analogy generator, discriminator of pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api import UsageError
from vpbench.kit import conv3x3, pass_on, upconv3x3

_WEAK = 0.02
"""Standard deviation of the first weights of the pose LSTM's linear layers."""


def encoder(inputs: int, width: int, pools: int) -> nn.Sequential:
    """[N,inputs,H,W] -> [N,4 width,H/2^pools,W/2^pools]; seven convolutions in three blocks."""
    layers: list[nn.Module] = []
    channels = inputs
    for block, (outputs, count) in enumerate(((width, 2), (2 * width, 2), (4 * width, 3))):
        for _ in range(count):
            layers += [conv3x3(channels, outputs), nn.ReLU(inplace=True)]
            channels = outputs
        if block < pools:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def decoder(width: int, pools: int) -> nn.Sequential:
    """The way back: [N,4 width,h,w] -> [N,3,H,W] in (-1,1)."""

    def act() -> nn.ReLU:
        return nn.ReLU(inplace=True)

    d = width
    enter = upconv3x3 if pools == 3 else conv3x3
    return nn.Sequential(
        enter(4 * d, 4 * d),
        act(),
        conv3x3(4 * d, 4 * d),
        act(),
        conv3x3(4 * d, 2 * d),
        act(),
        upconv3x3(2 * d, 2 * d),
        act(),
        conv3x3(2 * d, d),
        act(),
        upconv3x3(d, d),
        act(),
        conv3x3(d, 3),
        nn.Tanh(),
    )


class AnalogyGenerator(nn.Module):
    """Draws a frame in another pose: DEC(F_img(x) + F_pose(wanted) - F_pose(pose of x)).

    Args:
        maps: channels of a pose; 48 with limbs.
        width: 64 in the original.
        pools: how often height and width are halved, 2 or 3.
        init: first weights, "xavier" or "identity" (`pass_on`).

    Raises:
        UsageError: another number of pools.
    """

    def __init__(self, maps: int, width: int, pools: int, init: str = "xavier") -> None:
        super().__init__()
        if pools not in (2, 3):
            raise UsageError(f"pools={pools} must be 2 or 3.")
        self.image = encoder(3, width, pools)
        self.pose = encoder(maps, width, pools)
        self.decode = decoder(width, pools)
        if init == "identity":
            for part in (self.image, self.pose, self.decode):
                pass_on(part)

    def forward(self, frame: Tensor, reference: Tensor, wanted: Tensor) -> Tensor:
        """One frame for each image.

        Args:
            frame: [N,3,H,W] in [-1,1].
            reference, wanted: maps of its pose and of the wanted one, [N,maps,H,W].

        Returns:
            [N,3,H,W] in (-1,1).
        """
        features = self.pose(torch.cat([reference, wanted]).to(frame))
        here, there = features.chunk(2)
        return self.decode(self.image(frame) + there - here)

    def base(self, frame: Tensor, reference: Tensor) -> Tensor:
        """What all future frames share: F_img(x) - F_pose(pose of x)."""
        return self.image(frame) - self.pose(reference)

    def draw(self, base: Tensor, wanted: Tensor) -> Tensor:
        """`forward` with the shared part computed before."""
        return self.decode(base + self.pose(wanted))


class PairDiscriminator(nn.Module):
    """A logit for an image together with a pose: real, and of that very pose?

    Args:
        channels: of image and pose maps together; 51 in the original.
        width: 64 in the original.
        size: height and width.
    """

    def __init__(self, channels: int, width: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k, outputs in enumerate((width, 2 * width, 4 * width, 8 * width)):
            layers.append(nn.Conv2d(channels, outputs, 5, 2, 2))
            if k:  # statistics of the batch, in evaluation too
                layers.append(nn.BatchNorm2d(outputs, track_running_stats=False))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = outputs
            size = -(-size // 2)
        self.look = nn.Sequential(*layers)
        self.leave = nn.Linear(channels * size * size, 1)

    def forward(self, image: Tensor, maps: Tensor) -> Tensor:
        """[N,3,H,W] in [-1,1] and [N,maps,H,W] -> logits [N]."""
        pair = torch.cat([image, maps.to(image)], 1)
        pair = pair.contiguous(memory_format=torch.channels_last)
        # float32 for the one dense row; what lies in memory is channels last
        return self.leave(self.look(pair).contiguous().flatten(1)).squeeze(1)


class PoseLSTM(nn.Module):
    """Predicts future poses: given poses go in, then zeros, while one layer remembers.

    Args:
        numbers: of a pose: two a joint.
        embedding: numbers that the LSTM is fed; 32 in the original.
        hidden: 1024 in the original.
        classes: numbers of the class that it is fed beside them; 0 in the original.
    """

    def __init__(self, numbers: int, embedding: int, hidden: int, classes: int = 0) -> None:
        super().__init__()
        self.embedding = embedding
        self.enter = nn.Linear(numbers, embedding)
        self.lstm = nn.LSTM(embedding + classes, hidden, batch_first=True)
        self.leave = nn.Linear(hidden, numbers)
        for layer in (self.enter, self.leave):
            nn.init.normal_(layer.weight, std=_WEAK)
            nn.init.zeros_(layer.bias)
        weights: list[Tensor] = [getattr(self.lstm, f"weight_{name}_l0") for name in ("ih", "hh")]
        for weight in weights:
            nn.init.xavier_uniform_(weight)
        # torch keeps two biases that are added; one is the LSTM's
        biases: list[Tensor] = [getattr(self.lstm, f"bias_{name}_l0") for name in ("ih", "hh")]
        for bias in biases:
            nn.init.zeros_(bias)
        with torch.no_grad():  # gates: input, forget, cell, output; a bias of 1 to forget
            biases[0][hidden : 2 * hidden] = 1.0
        biases[1].requires_grad_(False)

    def forward(self, poses: Tensor, horizon: int, classes: Tensor | None = None) -> Tensor:
        """The poses that follow.

        Args:
            poses: [B,n,numbers] in [-1,1].
            horizon: how many to predict.
            classes: [B,classes], one-hot, where it is fed any.

        Returns:
            [B,horizon,numbers] in (-1,1).
        """
        seen = F.relu(self.enter(poses))
        nothing = seen.new_zeros(len(seen), horizon, self.embedding)
        fed = torch.cat([seen, nothing], 1)
        if classes is not None:
            fed = torch.cat([fed, classes[:, None].expand(-1, fed.shape[1], -1)], 2)
        states, _ = self.lstm(fed)
        return torch.tanh(self.leave(states[:, poses.shape[1] :]))
